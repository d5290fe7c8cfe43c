/* What is known of each site at an instant, to outlive the process: as a value, and as the bytes of a
 * state file. Pure. */
#pragma once

#include "base/clock.h"
#include "config/arena.h"
#include "config/config.h"
#include "report/verdict.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNAPSHOT_ADDRESSES_MOST 256
#define SNAPSHOT_BYTES_MOST     ((size_t)256 << 20)
#define SNAPSHOT_AGE_LEAST      (600 * NSEC_PER_SEC)

/* One instant on the clocks of two processes, perhaps of two boots of the machine. */
struct snapshot_moment {
    nsec_t wall;
    char boot_id[37];  /* of the machine's boot; empty: not known */
    nsec_t since_boot; /* with the time that the machine was suspended */
};

/* Of a site. All that it points to lives as long as its snapshot. */
struct snapshot_site {
    const char *name;
    const struct site *of; /* whose question snapshot_encode() puts into words; NULL: it is below */
    uint64_t question;     /* config_fingerprint() */
    enum family family;
    nsec_t interval;
    nsec_t ago;     /* how long before the snapshot its last round began */
    uint64_t round; /* the number of that */
    struct verdict_past verdict;
    nsec_t wall_since; /* when its state began; NSEC_UNKNOWN */
    char (
        *addresses)[INET6_ADDRSTRLEN]; /* of the last round with a whole lookup; sorted as texts */
    size_t n_addresses;                /* at most SNAPSHOT_ADDRESSES_MOST; 0: none known */
    bool left_out_ipv4, left_out_ipv6; /* the families of which that round could tell nothing */
};

struct snapshot {
    struct snapshot_moment taken;
    struct snapshot_site *sites;
    size_t n_sites;
    struct arena arena;    /* what sites point to */
    struct config *config; /* a reference, or NULL: whose texts sites point to as well */
};

struct snapshot *snapshot_new(void); /* NULL: out of memory */
void snapshot_free(struct snapshot *snapshot);

/* How much older `now` is. False: the snapshot's time has not come yet, as far as can be told. */
bool snapshot_age(const struct snapshot_moment *taken, const struct snapshot_moment *now,
                  nsec_t *ret_age);

/* How old what is known of a site with this interval may get, from its last round on, before nobody
 * can go by it: 10 minutes, or two intervals if that is longer. */
nsec_t snapshot_age_most(nsec_t interval);

/* 0 with bytes that are the caller's to free(), -ENOMEM, or -EFBIG: it would be more than
 * SNAPSHOT_BYTES_MOST. */
int snapshot_encode(const struct snapshot *snapshot, char **ret_bytes, size_t *ret_n);

/* 0; -ENOMEM; or -EINVAL with what is wrong in ret_why, as in "it …": then nothing of it can be
 * relied on. */
#define SNAPSHOT_WHY_SIZE 160
int snapshot_decode(const char *bytes, size_t n, struct snapshot **ret_snapshot,
                    char ret_why[SNAPSHOT_WHY_SIZE]);
