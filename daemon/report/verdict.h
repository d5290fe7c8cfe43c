/* A site's health from its counts. Pure: no clock, no I/O. The rule: a bucket, which with the defaults
 * of the keys in `health` is the likelihood ratio of 5 % against 0.5 % failing in integers, and a
 * separate rule for down. */
#pragma once

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

enum state {
    STATE_UNKNOWN, /* nothing judged yet, or not enough to tell */
    STATE_UP,
    STATE_DEGRADED,
    STATE_DOWN,
    STATE_PAUSED, /* not sampled: `enabled: no` */
    STATE_COUNT,
};
const char *state_name(enum state state);

#define VERDICT_WINDOW_CELLS 60

struct verdict_cell {
    int64_t index; /* time divided by the cell's length */
    uint32_t judged, failed;
};

struct verdict {
    enum state state;
    int level;                                       /* 0..verdict_full(), in good samples */
    unsigned bad_rounds;                             /* in a row, failed in at least down_at */
    unsigned recovered_rounds;                       /* in a row, failed in under 50 % */
    struct verdict_cell cells[VERDICT_WINDOW_CELLS]; /* the reader's window; decides nothing */
    unsigned n_cells, newest;
    nsec_t cell_length; /* a change of the interval starts the window anew */
};

/* A verdict as it outlives the process that counts the time: its cells have ages. */
struct verdict_past_cell {
    uint32_t ago; /* in cells, below VERDICT_WINDOW_CELLS */
    uint32_t judged, failed;
};
struct verdict_past {
    enum state state;
    int level; /* in thousandths of a failure, whatever the keys are */
    unsigned bad_rounds, recovered_rounds;
    const struct verdict_past_cell *cells; /* the newest first, none twice */
    unsigned n_cells;                      /* at most VERDICT_WINDOW_CELLS */
};

struct verdict_result {
    enum state from, to;
    double level; /* 0..1 */
    uint32_t window_samples, window_failed;
    double window_low, window_high; /* Wilson, 95 % */
};

/* Whether the state changed in a way worth telling: that a site is up at first is none. */
bool verdict_is_change(const struct verdict_result *result);

void verdict_init(struct verdict *verdict);
/* A site that is not sampled any more. What it was is forgotten: it comes back by verdict_init(). */
void verdict_pause(struct verdict *verdict);

/* Judges one closed round. `now` dates it, so that the same instant of every round should be given:
 * its slot, or its start. `planned` decides how many rounds make a down; a round with no judged
 * sample changes nothing, nor does any while the site is paused. The window is the last
 * max(5 min, 5 rounds). */
void verdict_judge(struct verdict *verdict, const struct health_config *health, nsec_t now,
                   nsec_t interval, unsigned planned, unsigned judged, unsigned failed,
                   struct verdict_result *ret_result);

/* The site has other keys from now on; its level stays as many failures, as far as there is room. */
void verdict_convert(struct verdict *verdict, const struct health_config *before,
                     const struct health_config *after);

/* The level in thousandths of a failure; from there it is found again to the unit. */
int verdict_failures(const struct verdict *verdict, const struct health_config *health);

/* The rule itself, for whoever works out what comes of it. */
int verdict_full(const struct health_config *health); /* the level of a full bucket; at least 1 */
/* What a round does to the level, which then stays within 0 and full. */
int verdict_weight(const struct health_config *health, unsigned judged, unsigned failed);
/* Whether it counts for down, and how many running make one. */
bool verdict_is_bad(const struct health_config *health, unsigned judged, unsigned failed);
unsigned verdict_down_rounds(const struct health_config *health, unsigned planned);

/* The cells that are in the window at `now`, the newest first; how many. */
unsigned verdict_window(const struct verdict *verdict, nsec_t now,
                        struct verdict_past_cell ret_cells[VERDICT_WINDOW_CELLS]);
/* The verdict that was taken at `then`, which may be before the clock's zero. The level is bounded
 * here. */
void verdict_restore(struct verdict *verdict, const struct health_config *health,
                     const struct verdict_past *past, nsec_t then, nsec_t interval);

/* Wilson score interval (Wilson, JASA 22, 1927, p. 209) for `failed` of `n` at z = 1.96; 0..1 for
 * n = 0. */
void verdict_wilson(uint32_t failed, uint32_t n, double *ret_low, double *ret_high);
