/* A round: the samples of a site that belong to one slot of its interval. Made by the control loop,
 * posted to the sampling loop that the site belongs to, and posted back when closed: it has one
 * owner at a time, and is itself the message. */
#pragma once

#include "base/loop.h"
#include "config/config.h"
#include "probe/probe.h"

#include <stdint.h>

#define ROUND_EVIDENCE_EACH 3  /* failed samples of one outcome and reason that keep their words */
#define ROUND_EVIDENCE_MOST 48 /* in all */
#define ROUND_WORDS_BYTES   PROBE_WORDS_BYTES
#define ROUND_BACKENDS_MOST 1024   /* told apart: an answer may name itself as it likes */
#define ROUND_PLANNED_MOST  200000 /* samples of a round; its addresses are a name server's word */

struct round_backend {
    char name[PROBE_BACKEND_BYTES]; /* already escaped; empty: all that came too late to be told
                                       apart */
};

struct round_evidence {
    unsigned sample;               /* index */
    char words[ROUND_WORDS_BYTES]; /* the library's, already escaped; may be empty */
};

/* What a round shows of this machine rather than of its site. */
struct round_signs {
    nsec_t absence;     /* of the sampling loop while it ran (loop_absence()); 0: none */
    unsigned exhausted; /* samples that ended for want of descriptors, memory or ports */
    bool no_route;      /* a sample, or the lookup, failed where this machine has no way to go */
    bool silent;        /* the lookup failed, and no DNS server says anything at all */
};

struct schedule_entry; /* schedule.h */

struct round {
    struct mail mail; /* first: how it travels */

    /* set by whoever orders the round */
    struct config *config; /* a reference; the configuration that it began with */
    const struct site *site;
    uint64_t number;              /* per site, from 1 */
    bool first;                   /* the extra round of a new site with a long interval */
    uint64_t skipped;             /* slots passed over since the site's last round */
    nsec_t due;                   /* its slot */
    struct schedule_entry *entry; /* the schedule's, or NULL; not touched by the sampler */
    void *ticket;                 /* the report queue's; not touched by the sampler */
    void *owner;                  /* the control loop's; not touched by the sampler */

    /* set by the sampler; complete once closed */
    nsec_t began; /* the sampler's stamp: began - due is how late it was */
    nsec_t wall_began;
    nsec_t ended;
    nsec_t dns_took;           /* NSEC_UNKNOWN: a literal address, or no lookup ended */
    struct address *addresses; /* sorted by bytes */
    size_t n_addresses;
    bool left_out_ipv4, left_out_ipv6; /* resolved, but no route for that family on this machine */
    struct round_signs signs;
    bool lookup_incomplete;         /* there may be more addresses than the lookup found */
    nsec_t wall_certificate_ends;   /* the first of its samples'; NSEC_UNKNOWN: none */
    struct sample *samples;         /* `planned` of them, each with exactly one outcome */
    unsigned planned;               /* site->samples; with addresses: each, for every address */
    struct round_backend *backends; /* in order of appearance */
    size_t n_backends;
    struct round_evidence *evidence;
    size_t n_evidence;

    struct round_run *run;                  /* the sampler's, while it runs */
    void (*on_closed)(struct round *round); /* the sampler's way back */
};

/* Takes a reference on `config`, which `site` must belong to. NULL: out of memory. */
struct round *round_new(struct config *config, const struct site *site);
void round_free(struct round *round); /* not while it runs */

/* For the sampler, when the addresses are known and no sample has started: with addresses: each, plans
 * the site's samples for every one of them. 0; -ENOMEM, or -E2BIG: over ROUND_PLANNED_MOST; then
 * nothing has changed. */
int round_plan_addresses(struct round *round);

/* The index of that backend, which becomes one of the round's if it was none; SAMPLE_NO_BACKEND for an
 * empty name, or without memory. */
uint16_t round_find_backend(struct round *round, const char *name);
