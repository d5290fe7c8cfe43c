/* How the daemon itself is: plain numbers, gathered where they are known and told as a whole. */
#pragma once

#include "base/clock.h"
#include "report/trouble.h"

#include <stdbool.h>
#include <stdint.h>

#define VITALS_LOOPS 3

struct vitals_loop {
    const char *name; /* static */
    nsec_t lag;       /* how late it is (loop_lag()); of several the latest */
};

/* What became of the configurations that were read while the daemon runs. */
struct vitals_reloads {
    uint64_t applied, refused;
    nsec_t wall_applied;   /* when the configuration in force was taken into use */
    char why_refused[256]; /* the last one, one line of text, cut; empty: it was not */
};

struct vitals {
    nsec_t wall_started;
    struct vitals_loop loops[VITALS_LOOPS];
    unsigned in_flight, max_in_flight; /* samples */
    unsigned running;                  /* rounds */
    uint64_t waiting;                  /* reports that are closed, and not in their turn */
    uint64_t unwritten;                /* records that were sent to the writer */
    uint64_t lost;                     /* records that no log has, each sink's */
    bool ready;                        /* every sink wrote its last record */
    struct {
        bool active;
        uint64_t rounds; /* that showed it, ever */
    } troubles[TROUBLE_COUNT];
    struct vitals_reloads reloads;

    /* of the process; 0: not known */
    uint64_t open_fds, max_fds;
    uint64_t resident_bytes, virtual_bytes;
    nsec_t cpu;
};
