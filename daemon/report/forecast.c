/* A site that fails at a fixed ratio is a Markov chain: its state is the bucket's level and how many
 * rounds running were bad, a round moves it by a binomial number of failures, and it ends where the
 * site becomes degraded or down. The chain is moved round by round, as the distribution of those
 * sites that have not got there yet. The share that gets there in a round, the hazard, settles soon,
 * and from then on the rest is a geometric distribution, which has formulas: an alarm that comes once
 * in 10,000 years needs no more rounds than one that comes at once.
 *
 * False alarms are a renewal: from an empty bucket to a full one, and back to an empty one. The way
 * back is the same chain upside down, where a level is what is missing from a full bucket; of a down
 * on the way back it knows nothing, as where alarms are rare it makes no difference.
 *
 * That samples reach the backends by chance is the assumption. In strict rotation a bad one gets its
 * share in every round, and the number of failures has hardly any chance left in it. */
#include "report/forecast.h"

#include "report/verdict.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUNDS_MOST = 20000, /* until the hazard has settled */
    SETTLED_ROUNDS = 3,  /* in which it stays the same */
};

#define WORK_MOST     1e8   /* cells that are moved: a tenth of a second */
#define CHANCE_LEAST  1e-24 /* that a round is told apart from one that cannot be */
#define HAZARD_LEAST  1e-24 /* of a round */
#define DENSITY_LEAST 1e-200
#define SETTLED       1e-8 /* relative */
#define YEAR_SECONDS  (365.25 * 86400)

/* What a round can do. */
struct step {
    int weight;
    bool bad;
    double chance;
};

struct chain {
    struct step *steps;
    size_t n_steps;
    size_t full;
    unsigned bad_most;  /* rounds running that end it; 1 if none is bad */
    double *now, *next; /* [bad rounds * full + level], of those that go on; sum 1 */
};

static void chain_clear(struct chain *chain) {
    free(chain->steps);
    free(chain->now);
    free(chain->next);
}

/* At the empty bucket. 0 or -ENOMEM. */
static int chain_init(struct chain *chain, unsigned samples, const struct health_config *health,
                      double failing) {
    *chain = (struct chain){
        .steps = calloc((size_t)samples + 1, sizeof *chain->steps),
        .full = (size_t)verdict_full(health),
        .bad_most = verdict_down_rounds(health, samples),
    };
    size_t cells = chain->full * chain->bad_most;
    chain->now = calloc(cells, sizeof *chain->now);
    chain->next = calloc(cells, sizeof *chain->next);
    if (chain->steps == NULL || chain->now == NULL || chain->next == NULL) {
        chain_clear(chain);
        return -ENOMEM;
    }
    chain->now[0] = 1;
    int sign; /* lgamma()'s own is shared by threads */
    double all = lgamma_r(samples + 1.0, &sign);
    for (unsigned failed = 0; failed <= samples; failed++) {
        double chance =
            exp(all - lgamma_r(failed + 1.0, &sign) - lgamma_r(samples - failed + 1.0, &sign) +
                failed * log(failing) + (samples - failed) * log1p(-failing));
        if (chance >= CHANCE_LEAST) {
            chain->steps[chain->n_steps++] = (struct step){
                .weight = verdict_weight(health, samples, failed),
                .bad = verdict_is_bad(health, samples, failed),
                .chance = chance,
            };
        }
    }
    return 0;
}

/* The way back: at the full bucket, to the empty one. */
static void chain_turn(struct chain *chain) {
    for (size_t i = 0; i < chain->n_steps; i++) {
        chain->steps[i].weight = -chain->steps[i].weight;
        chain->steps[i].bad = false;
    }
    chain->bad_most = 1;
    memset(chain->now, 0, chain->full * sizeof *chain->now);
    chain->now[0] = 1;
}

static double sum(const double *cells, size_t n) {
    double all = 0;
    for (size_t i = 0; i < n; i++) {
        all += cells[i];
    }
    return all;
}

/* Adds the levels `from`, moved by the step, to the levels `to`; what of them leaves at the top. */
static double move(const struct step *step, const double *from, size_t full, double *to) {
    double chance = step->chance;
    size_t by = (size_t)abs(step->weight);
    by = by < full ? by : full;
    if (step->weight < 0) {
        to[0] += chance * sum(from, by);
        for (size_t level = by; level < full; level++) {
            to[level - by] += chance * from[level];
        }
        return 0;
    }
    for (size_t level = 0; level < full - by; level++) {
        to[level + by] += chance * from[level];
    }
    return chance * sum(from + full - by, by);
}

static double mean_level(const struct chain *chain) {
    double mean = 0;
    for (size_t i = 0; i < chain->full * chain->bad_most; i++) {
        mean += chain->now[i] * (double)(i % chain->full);
    }
    return mean;
}

/* One round of those that go on; how many of them end with it. */
static double chain_step(struct chain *chain) {
    size_t full = chain->full, cells = full * chain->bad_most;
    double ended = 0;
    memset(chain->next, 0, cells * sizeof *chain->next);
    for (unsigned bad = 0; bad < chain->bad_most; bad++) {
        const double *from = chain->now + bad * full;
        double share = sum(from, full);
        for (size_t i = 0; i < chain->n_steps && share > 0; i++) {
            const struct step *step = &chain->steps[i];
            if (step->bad && bad + 1 == chain->bad_most) {
                ended += step->chance * share;
            } else {
                ended += move(step, from, full, chain->next + (step->bad ? bad + 1 : 0) * full);
            }
        }
    }
    double rest = sum(chain->next, cells);
    for (size_t i = 0; i < cells; i++) { /* what is next to nothing would be slow to reckon with */
        chain->next[i] = chain->next[i] < DENSITY_LEAST ? 0 : chain->next[i] / rest;
    }
    double *swap = chain->now;
    chain->now = chain->next;
    chain->next = swap;
    return ended / (ended + rest);
}

struct walk {
    double median, most; /* rounds */
    double mean;
};

/* When a share of all has ended; `going` have not after `round`, and of them `hazard` does each round. */
static double reach(double share, double round, double going, double hazard) {
    return round + ceil(log(going / (1 - share)) / -log1p(-hazard));
}

/* From where the chain is to its end. */
static struct walk chain_walk(struct chain *chain) {
    struct walk walk = {0};
    double going = 1, before = 0, mean_before = -1, work = 0;
    double round_work = (double)chain->n_steps * (double)chain->full * chain->bad_most;
    unsigned settled = 0;
    for (unsigned round = 1;; round++) {
        work += round_work;
        if (work > WORK_MOST) {
            walk.median = walk.median > 0 ? walk.median : NAN;
            walk.most = walk.most > 0 ? walk.most : NAN;
            walk.mean = NAN;
            return walk;
        }
        double hazard = chain_step(chain);
        walk.mean += going;
        going *= 1 - hazard;
        walk.median = walk.median == 0 && going <= 0.5 ? round : walk.median;
        walk.most = walk.most == 0 && going <= 0.05 ? round : walk.most;
        if (going < SETTLED) {
            return walk; /* with the mean of all but these */
        }
        bool never = hazard < HAZARD_LEAST; /* if that settles: by where the bucket is */
        double mean = never ? mean_level(chain) : -1;
        bool same = never ? fabs(mean - mean_before) <= SETTLED * mean
                          : fabs(hazard - before) <= SETTLED * hazard;
        settled = same ? settled + 1 : 0;
        before = hazard;
        mean_before = mean;
        if (settled == SETTLED_ROUNDS || round == ROUNDS_MOST) {
            walk.mean += never ? INFINITY : going / hazard;
            walk.median = walk.median > 0 ? walk.median
                          : never         ? INFINITY
                                          : reach(0.5, round, going, hazard);
            walk.most = walk.most > 0 ? walk.most
                        : never       ? INFINITY
                                      : reach(0.95, round, going, hazard);
            return walk;
        }
    }
}

int forecast_find(unsigned samples, const struct health_config *health, double failing,
                  struct forecast_found *ret_found) {
    struct chain chain;
    int r = chain_init(&chain, samples, health, failing);
    if (r < 0) {
        return r;
    }
    struct walk walk = chain_walk(&chain);
    *ret_found = (struct forecast_found){walk.median, walk.most};
    chain_clear(&chain);
    return 0;
}

int forecast_alarms(unsigned samples, nsec_t interval, const struct health_config *health,
                    double failing, double *ret_a_year) {
    struct chain chain;
    int r = chain_init(&chain, samples, health, failing);
    if (r < 0) {
        return r;
    }
    double rounds = chain_walk(&chain).mean;
    chain_turn(&chain);
    rounds += chain_walk(&chain).mean;
    *ret_a_year = YEAR_SECONDS * NSEC_PER_SEC / ((double)interval * rounds);
    chain_clear(&chain);
    return 0;
}
