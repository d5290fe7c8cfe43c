/* What is known of each site at the moment: for metrics, the API and pages. Pure: no clock, no I/O.
 * Belongs to one loop, which tells it each closed report and each configuration. */
#pragma once

#include "report/report.h"

#include <stddef.h>
#include <stdint.h>

#define BOARD_ROUNDS     20 /* of each site that are remembered */
#define BOARD_ROUND_ROWS 4  /* outcomes of such a round that are told apart */
#define BOARD_CODES_MOST                                                                           \
    24 /* status codes of a site that are counted one by one, those seen first */
#define BOARD_RANK_PAUSED 4

/* A round that is over, in short. */
struct board_round {
    uint64_t number;
    nsec_t wall_began;
    unsigned planned, judged, failed;
    enum state state; /* that it left the site in */
    unsigned n_rows;
    struct tally_row rows[BOARD_ROUND_ROWS]; /* the most frequent outcomes, those first */
    unsigned others;                         /* samples with any other outcome */
};

/* Samples since the start of the daemon, or of the site where that was later. They never go down, also
 * when the site asks something else by now. */
struct board_counts {
    uint64_t rounds, skipped;
    uint64_t planned, judged, failed;
    struct {
        outcome_t code;
        uint64_t count;
    } codes[BOARD_CODES_MOST]; /* ascending */
    unsigned n_codes;
    uint64_t other_codes;              /* of the samples with a status, those with none of these */
    uint64_t classes[OUTCOME_CLASSES]; /* by error class */
    uint64_t reasons[REASON_COUNT];    /* by why they failed */
    nsec_t late;                       /* of all rounds together */
    uint64_t latency_n,
        latency_buckets[REPORT_LATENCY_BOUNDS + 1]; /* as in struct report_latency */
    nsec_t latency;                                 /* of all these together */
    struct {
        uint64_t n;
        nsec_t sum;
    } phases[PHASE_COUNT];
};

/* How a site is. */
struct board_state {
    enum state state;
    double level;      /* 0..1 */
    nsec_t wall_since; /* when the state began; NSEC_UNKNOWN: nobody saw it */
};

struct board_site {
    const struct site *site; /* of the configuration in force */
    struct board_state state;
    struct report *last; /* of its last round; NULL: none yet, or it asked something else */
    struct board_counts counts;
    nsec_t wall_certificate_ends; /* as of the last round that saw one; NSEC_UNKNOWN: none did */
    unsigned n_rounds;            /* remembered; board_round() */
    struct board_round rounds_[BOARD_ROUNDS];
    unsigned newest_;
    unsigned refs_;
    struct config *config_;
};

struct board;

struct board *board_new(void); /* without a site; NULL: out of memory */
void board_free(struct board *board);

/* The sites of `config` (a reference is kept) from now on: those that stay keep their counts, and what
 * else is known as long as they ask the same question; of the others nothing is left. `states` has one a
 * site, NULL: all unknown. 0, or -ENOMEM: nothing changed. */
int board_configure(struct board *board, struct config *config, const struct board_state *states);

/* Adds a closed round to its site, which is now in that state. Keeps a reference of the report. A site
 * that is gone is none. */
void board_add(struct board *board, struct report *report, const struct board_state *state);

size_t board_n_sites(const struct board *board);
/* In the order of the configuration; valid until the next board_configure(), or as long as it is
 * referenced. */
struct board_site *board_at(const struct board *board, size_t i);
struct board_site *board_find(const struct board *board, const char *name); /* NULL: none */

/* A site that is referenced outlives its removal (but stays as it was), its `site` too. */
struct board_site *board_site_ref(struct board_site *site);
void board_site_unref(struct board_site *site);

/* The i-th of n_rounds; 0 is the last one. */
const struct board_round *board_round(const struct board_site *site, unsigned i);

const char *board_state_name(const struct board_site *site);
/* How bad its state is: down, degraded, unknown, up, paused, from 0 to BOARD_RANK_PAUSED. */
unsigned board_rank(const struct board_site *site);

/* All sites, the worst first: by rank, then by what failed in their window, then in the order of the
 * configuration. `ret_sites` has room for board_n_sites(). */
void board_worst_first(const struct board *board, struct board_site **ret_sites);
