/* A board is a list of sites in the configuration's order, each an allocation of its own with a count of
 * references: whoever walks over all of them in pieces (a scrape of 10,000 sites) takes a reference of
 * each first, and meanwhile rounds may be added and sites come and go. Nothing here is locked; board and
 * references belong to one loop.
 *
 * A round costs a site a few additions, whatever its number of samples: the report brings sums and
 * buckets. What a site takes is bounded: about 3 KB and its last report. */
#include "report/board.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct board {
    struct config *config; /* NULL: none yet */
    struct board_site **sites;
    size_t n_sites;
};

static const struct board_state nothing_known = {
    .state = STATE_UNKNOWN,
    .wall_since = NSEC_UNKNOWN,
};

struct board *board_new(void) {
    return calloc(1, sizeof(struct board));
}

/* ---- one site ---- */

struct board_site *board_site_ref(struct board_site *site) {
    site->refs_++;
    return site;
}

void board_site_unref(struct board_site *site) {
    if (site == NULL || --site->refs_ > 0) {
        return;
    }
    report_free(site->last);
    config_unref(site->config_);
    free(site);
}

static struct board_site *board_site_new(struct config *config, const struct site *site) {
    struct board_site *known = calloc(1, sizeof *known);
    if (known == NULL) {
        return NULL;
    }
    known->refs_ = 1;
    known->config_ = config_ref(config);
    known->site = site;
    known->state = nothing_known;
    known->wall_certificate_ends = NSEC_UNKNOWN;
    return known;
}

/* The site goes on under another configuration. */
static void carry_over(struct board_site *known, struct config *config, const struct site *site) {
    if (!config_same_question(known->site, site)) {
        report_free(known->last);
        known->last = NULL;
        known->n_rounds = 0;
        known->wall_certificate_ends = NSEC_UNKNOWN;
    }
    config_ref(config);
    config_unref(known->config_);
    known->config_ = config;
    known->site = site;
}

static void count_code(struct board_counts *counts, outcome_t code, unsigned n) {
    unsigned i = 0;
    while (i < counts->n_codes && counts->codes[i].code < code) {
        i++;
    }
    if (i == counts->n_codes || counts->codes[i].code != code) {
        if (counts->n_codes == BOARD_CODES_MOST) {
            counts->other_codes += n;
            return;
        }
        memmove(&counts->codes[i + 1], &counts->codes[i],
                (counts->n_codes - i) * sizeof counts->codes[0]);
        counts->codes[i].code = code;
        counts->codes[i].count = 0;
        counts->n_codes++;
    }
    counts->codes[i].count += n;
}

static void count(struct board_counts *counts, const struct report *report) {
    counts->rounds++;
    counts->skipped += report->skipped;
    counts->planned += report->planned;
    counts->judged += report->judged;
    counts->failed += report->failed;
    counts->late += report->late;
    for (size_t i = 0; i < report->tally.n; i++) {
        const struct tally_row *row = &report->tally.rows[i];
        if (outcome_is_status(row->outcome)) {
            count_code(counts, row->outcome, row->count);
        } else {
            counts->classes[row->outcome] += row->count;
        }
    }
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        counts->reasons[i] += report->reasons[i];
    }
    counts->latency_n += report->latency.n;
    counts->latency += report->latency.sum;
    for (unsigned i = 0; i <= REPORT_LATENCY_BOUNDS; i++) {
        counts->latency_buckets[i] += report->latency.buckets[i];
    }
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        counts->phases[i].n += report->phase_sums[i].n;
        counts->phases[i].sum += report->phase_sums[i].sum;
    }
}

/* The most frequent outcomes; of equally frequent ones the first of the tally. */
static void pick_rows(struct board_round *round, const struct tally *tally) {
    unsigned picked = 0;
    for (size_t i = 0; i < tally->n; i++) {
        const struct tally_row *row = &tally->rows[i];
        unsigned at = round->n_rows;
        while (at > 0 && round->rows[at - 1].count < row->count) {
            at--;
        }
        if (at == BOARD_ROUND_ROWS) {
            continue;
        }
        round->n_rows += round->n_rows < BOARD_ROUND_ROWS ? 1 : 0;
        memmove(&round->rows[at + 1], &round->rows[at],
                (round->n_rows - 1 - at) * sizeof round->rows[0]);
        round->rows[at] = *row;
    }
    for (unsigned i = 0; i < round->n_rows; i++) {
        picked += round->rows[i].count;
    }
    round->others = tally_sum(tally) - picked;
}

static void remember(struct board_site *site, const struct report *report, enum state state) {
    site->newest_ = (site->newest_ + 1) % BOARD_ROUNDS;
    site->n_rounds += site->n_rounds < BOARD_ROUNDS ? 1 : 0;
    struct board_round *round = &site->rounds_[site->newest_];
    *round = (struct board_round){
        .number = report->round,
        .wall_began = report->wall_began,
        .planned = report->planned,
        .judged = report->judged,
        .failed = report->failed,
        .state = state,
    };
    pick_rows(round, &report->tally);
}

const struct board_round *board_round(const struct board_site *site, unsigned i) {
    assert(i < site->n_rounds);
    return &site->rounds_[(site->newest_ + BOARD_ROUNDS - i) % BOARD_ROUNDS];
}

/* ---- all sites ---- */

static void let_go(struct board *board) {
    for (size_t i = 0; i < board->n_sites; i++) {
        board_site_unref(board->sites[i]);
    }
    free(board->sites);
    config_unref(board->config);
}

void board_free(struct board *board) {
    if (board != NULL) {
        let_go(board);
        free(board);
    }
}

int board_configure(struct board *board, struct config *config, const struct board_state *states) {
    struct board_site **sites = calloc(config->n_sites + 1, sizeof(struct board_site *));
    if (sites == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < config->n_sites; i++) { /* what needs memory first */
        const struct site *site = &config->sites[i];
        struct board_site *known = board_find(board, site->name);
        sites[i] = known != NULL ? board_site_ref(known) : board_site_new(config, site);
        if (sites[i] == NULL) {
            for (size_t k = 0; k < i; k++) {
                board_site_unref(sites[k]);
            }
            free(sites);
            return -ENOMEM;
        }
    }
    for (size_t i = 0; i < config->n_sites; i++) {
        carry_over(sites[i], config, &config->sites[i]);
        sites[i]->state = states != NULL ? states[i] : nothing_known;
        if (!config->sites[i].enabled) {
            sites[i]->state.state = STATE_PAUSED;
        }
    }
    config_ref(config);
    let_go(board);
    board->config = config;
    board->sites = sites;
    board->n_sites = config->n_sites;
    return 0;
}

void board_add(struct board *board, struct report *report, const struct board_state *state) {
    struct board_site *site = board_find(board, report->site->name);
    if (site == NULL) {
        return;
    }
    count(&site->counts, report);
    if (!config_same_question(site->site, report->site)) {
        return; /* it began under a configuration that is over: only its numbers count */
    }
    site->state = *state;
    if (report->wall_certificate_ends != NSEC_UNKNOWN) {
        site->wall_certificate_ends = report->wall_certificate_ends;
    }
    remember(site, report, state->state);
    report_free(site->last);
    site->last = report_ref(report);
}

size_t board_n_sites(const struct board *board) {
    return board->n_sites;
}

struct board_site *board_at(const struct board *board, size_t i) {
    assert(i < board->n_sites);
    return board->sites[i];
}

struct board_site *board_find(const struct board *board, const char *name) {
    const struct site *site = board->config != NULL ? config_find(board->config, name) : NULL;
    return site != NULL ? board->sites[site - board->config->sites] : NULL;
}

/* ---- which is the worst ---- */

const char *board_state_name(const struct board_site *site) {
    return state_name(site->state.state);
}

unsigned board_rank(const struct board_site *site) {
    switch (site->state.state) {
    case STATE_DOWN:
        return 0;
    case STATE_DEGRADED:
        return 1;
    case STATE_UNKNOWN:
        return 2;
    case STATE_UP:
        return 3;
    case STATE_PAUSED:
    case STATE_COUNT:
        break;
    }
    return BOARD_RANK_PAUSED;
}

static double failed_lately(const struct board_site *site) {
    if (site->last == NULL || !site->last->has_verdict || site->last->verdict.window_samples == 0) {
        return 0;
    }
    return (double)site->last->verdict.window_failed / site->last->verdict.window_samples;
}

static int compare_badness(const void *a, const void *b) {
    const struct board_site *x = *(struct board_site *const *)a;
    const struct board_site *y = *(struct board_site *const *)b;
    unsigned x_rank = board_rank(x), y_rank = board_rank(y);
    if (x_rank != y_rank) {
        return x_rank < y_rank ? -1 : 1;
    }
    double x_failed = failed_lately(x), y_failed = failed_lately(y);
    if (x_failed != y_failed) {
        return x_failed > y_failed ? -1 : 1;
    }
    return (x->site > y->site) - (x->site < y->site); /* an array, in the configuration's order */
}

void board_worst_first(const struct board *board, struct board_site **ret_sites) {
    if (board->n_sites > 0) {
        memcpy(ret_sites, board->sites, board->n_sites * sizeof(struct board_site *));
        qsort(ret_sites, board->n_sites, sizeof(struct board_site *), compare_badness);
    }
}
