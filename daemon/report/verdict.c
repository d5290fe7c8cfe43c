/* A site's state, from a leaky bucket of failures. The figures here are those of the default keys:
 * each judged failure adds 50 (forgive), each good sample takes 1 away. That is the logarithm of the
 * likelihood ratio of 5 % failing against 0.5 %, in fiftieths: a failure says ln(0.05 / 0.005) = 2.3,
 * a good sample ln(0.95 / 0.995) = -0.046. The level is a running sum of evidence (Page's CUSUM),
 * which does not ask the same question anew every round as a confidence bound would, and so does not
 * flap. A round's failures add at most 125 (round_max), before its good samples are taken away, so
 * that one bad instant alone does not degrade a site that was well. (A limit on the difference
 * instead gives 6.3 false alarms a site-year at 0.5 %, not 5.6, and 0.00055 at 0.1 %, not 0.0003.)
 *
 * Of such a round's good samples at most 62, half the limit, are taken away, unless all that failed
 * and all that was good say less. Else a round of more than 125 good samples could never fill the
 * bucket, and of a site with 1,000 samples a round 80 % could fail for ever without a word. Where a
 * round has 62 samples or fewer that changes nothing.
 *
 * Full (200, four failures, degraded_at): degraded. Empty: up. Between: as before, which is the hysteresis. A
 * site that is unknown stays so between, too: a first round with one failure in twenty is what a
 * site with 1 of 20 servers down shows, and also what a good one shows once in ten times; to call
 * it either would be a guess. It is told by the next rounds: they empty the bucket, fill it, or
 * bring the site down.
 *
 * Down is not a matter of evidence but of extent, so it has a rule of its own: nearly everything
 * failed, in two rounds running (three, where a round is too small for its share to mean much). It
 * is left when two rounds running failed in under half, and the state is then what the bucket says,
 * read strictly: anything left in it is degraded, as there is no "before" to go by but down itself.
 *
 * The window for the reader is kept in cells of a sixtieth of its length, whatever the number of
 * rounds in it, so it is right to within one cell. When a cell is overwritten, 60 later ones exist,
 * and it is out of the window. */
#include "report/verdict.h"

#include <assert.h>
#include <math.h>

enum {
    RECOVERED_PERCENT = 50,
    DOWN_ROUNDS = 2,
    DOWN_ROUNDS_SMALL = 3, /* where fewer than SMALL_ROUND samples are planned */
    SMALL_ROUND = 10,
    RECOVERED_ROUNDS = 2,
    WINDOW_ROUNDS = 5,
};

#define WINDOW_LEAST (300 * NSEC_PER_SEC)

static const char *const state_names[] = {
    "unknown", "up", "degraded", "down", "paused",
};
static_assert(sizeof state_names / sizeof state_names[0] == STATE_COUNT, "a name per state");

const char *state_name(enum state state) {
    assert((unsigned)state < STATE_COUNT);
    return state_names[state];
}

bool verdict_is_change(const struct verdict_result *result) {
    return result->from != result->to && !(result->from == STATE_UNKNOWN && result->to == STATE_UP);
}

void verdict_init(struct verdict *verdict) {
    *verdict = (struct verdict){.state = STATE_UNKNOWN};
}

void verdict_pause(struct verdict *verdict) {
    *verdict = (struct verdict){.state = STATE_PAUSED};
}

/* Thousandths of a failure as a level, rounded up, so that it is never none. */
static int level_of(const struct health_config *health, unsigned thousandths) {
    return (int)(((uint64_t)thousandths * health->forgive + 999) / 1000);
}

int verdict_full(const struct health_config *health) {
    return level_of(health, health->degraded_at);
}

int verdict_weight(const struct health_config *health, unsigned judged, unsigned failed) {
    int64_t most = level_of(health, health->round_max), good = judged - failed;
    int64_t whole = (int64_t)health->forgive * failed - good;
    int64_t bounded = most - (good < most / 2 ? good : most / 2);
    return (int)(whole < bounded ? whole : bounded);
}

bool verdict_is_bad(const struct health_config *health, unsigned judged, unsigned failed) {
    return (uint64_t)failed * 1000 >= (uint64_t)judged * health->down_at;
}

unsigned verdict_down_rounds(const struct health_config *health, unsigned planned) {
    return health->down_rounds > 0 ? health->down_rounds
           : planned < SMALL_ROUND ? DOWN_ROUNDS_SMALL
                                   : DOWN_ROUNDS;
}

int verdict_failures(const struct verdict *verdict, const struct health_config *health) {
    return (int)(((int64_t)verdict->level * 1000 + health->forgive / 2) / health->forgive);
}

/* Back from there: exact, as `forgive` is 1,000 at the most. */
static int level_from(const struct health_config *health, int thousandths) {
    int64_t level = ((int64_t)thousandths * health->forgive + 500) / 1000;
    int full = verdict_full(health);
    return level < 0 ? 0 : level < full ? (int)level : full;
}

void verdict_convert(struct verdict *verdict, const struct health_config *before,
                     const struct health_config *after) {
    verdict->level = level_from(after, verdict_failures(verdict, before));
}

static void fill_bucket(struct verdict *verdict, const struct health_config *health,
                        unsigned judged, unsigned failed) {
    int full = verdict_full(health),
        level = verdict->level + verdict_weight(health, judged, failed);
    verdict->level = level < 0 ? 0 : level > full ? full : level;
}

static enum state next_state(const struct verdict *verdict, const struct health_config *health,
                             unsigned planned) {
    if (verdict->state == STATE_DOWN) {
        if (verdict->recovered_rounds < RECOVERED_ROUNDS) {
            return STATE_DOWN;
        }
        return verdict->level > 0 ? STATE_DEGRADED : STATE_UP;
    }
    if (verdict->bad_rounds >= verdict_down_rounds(health, planned)) {
        return STATE_DOWN;
    }
    if (verdict->level == verdict_full(health)) {
        return STATE_DEGRADED;
    }
    return verdict->level == 0 ? STATE_UP : verdict->state;
}

static void add_to_window(struct verdict *verdict, int64_t index, unsigned judged,
                          unsigned failed) {
    struct verdict_cell *cell = &verdict->cells[verdict->newest];
    if (verdict->n_cells == 0 || cell->index < index) {
        verdict->newest = (verdict->newest + 1) % VERDICT_WINDOW_CELLS;
        cell = &verdict->cells[verdict->newest];
        *cell = (struct verdict_cell){.index = index};
        if (verdict->n_cells < VERDICT_WINDOW_CELLS) {
            verdict->n_cells++;
        }
    }
    cell->judged += judged;
    cell->failed += failed;
}

static void sum_up_window(const struct verdict *verdict, int64_t index,
                          struct verdict_result *result) {
    for (unsigned i = 0; i < verdict->n_cells; i++) {
        unsigned at = (verdict->newest + VERDICT_WINDOW_CELLS - i) % VERDICT_WINDOW_CELLS;
        const struct verdict_cell *cell = &verdict->cells[at];
        if (cell->index <= index - VERDICT_WINDOW_CELLS) {
            break;
        }
        result->window_samples += cell->judged;
        result->window_failed += cell->failed;
    }
    verdict_wilson(result->window_failed, result->window_samples, &result->window_low,
                   &result->window_high);
}

static nsec_t cell_length_of(nsec_t interval) {
    nsec_t window =
        WINDOW_ROUNDS * interval > WINDOW_LEAST ? WINDOW_ROUNDS * interval : WINDOW_LEAST;
    return window / VERDICT_WINDOW_CELLS;
}

void verdict_judge(struct verdict *verdict, const struct health_config *health, nsec_t now,
                   nsec_t interval, unsigned planned, unsigned judged, unsigned failed,
                   struct verdict_result *ret_result) {
    assert(interval > 0 && failed <= judged && judged <= planned);
    nsec_t cell_length = cell_length_of(interval);
    if (verdict->cell_length != cell_length) {
        verdict->cell_length = cell_length;
        verdict->n_cells = 0;
    }
    struct verdict_result result = {.from = verdict->state};
    if (judged > 0 && verdict->state != STATE_PAUSED) {
        fill_bucket(verdict, health, judged, failed);
        bool bad = verdict_is_bad(health, judged, failed);
        bool recovered = (uint64_t)failed * 100 < (uint64_t)judged * RECOVERED_PERCENT;
        verdict->bad_rounds = bad ? verdict->bad_rounds + 1 : 0;
        verdict->recovered_rounds = recovered ? verdict->recovered_rounds + 1 : 0;
        verdict->state = next_state(verdict, health, planned);
        add_to_window(verdict, now / cell_length, judged, failed);
    }
    result.to = verdict->state;
    result.level = (double)verdict->level / verdict_full(health);
    sum_up_window(verdict, now / cell_length, &result);
    *ret_result = result;
}

/* Downwards also below zero, where the window of before a restart may lie. */
static int64_t index_at(nsec_t at, nsec_t cell_length) {
    return at >= 0 ? at / cell_length : -((-at + cell_length - 1) / cell_length);
}

unsigned verdict_window(const struct verdict *verdict, nsec_t now,
                        struct verdict_past_cell ret_cells[VERDICT_WINDOW_CELLS]) {
    unsigned n = 0;
    for (unsigned i = 0; i < verdict->n_cells; i++) {
        unsigned at = (verdict->newest + VERDICT_WINDOW_CELLS - i) % VERDICT_WINDOW_CELLS;
        const struct verdict_cell *cell = &verdict->cells[at];
        int64_t ago = index_at(now, verdict->cell_length) - cell->index;
        if (ago >= VERDICT_WINDOW_CELLS) {
            break;
        }
        ret_cells[n++] = (struct verdict_past_cell){(uint32_t)ago, cell->judged, cell->failed};
    }
    return n;
}

void verdict_restore(struct verdict *verdict, const struct health_config *health,
                     const struct verdict_past *past, nsec_t then, nsec_t interval) {
    assert(past->n_cells <= VERDICT_WINDOW_CELLS);
    *verdict = (struct verdict){
        .state = past->state,
        .level = level_from(health, past->level),
        .bad_rounds = past->bad_rounds,
        .recovered_rounds = past->recovered_rounds,
        .cell_length = cell_length_of(interval),
        .n_cells = past->n_cells,
        .newest = past->n_cells > 0 ? past->n_cells - 1 : 0,
    };
    for (unsigned i = 0; i < past->n_cells; i++) {
        const struct verdict_past_cell *cell = &past->cells[i];
        verdict->cells[past->n_cells - 1 - i] = (struct verdict_cell){
            .index = index_at(then, verdict->cell_length) - cell->ago,
            .judged = cell->judged,
            .failed = cell->failed,
        };
    }
}

void verdict_wilson(uint32_t failed, uint32_t n, double *ret_low, double *ret_high) {
    assert(failed <= n);
    if (n == 0) {
        *ret_low = 0;
        *ret_high = 1;
        return;
    }
    const double z = 1.959964; /* the normal distribution's 97.5 % point */
    double p = (double)failed / n;
    double middle = p + z * z / (2.0 * n);
    double half = z * sqrt(p * (1 - p) / n + z * z / (4.0 * n * n));
    double scale = 1 + z * z / n;
    /* exact at the ends, where rounding would leave 1e-17 */
    *ret_low = failed == 0 ? 0 : (middle - half) / scale;
    *ret_high = failed == n ? 1 : (middle + half) / scale;
}
