/* The rule of a site's health as a Markov chain with all that it remembers, written from the design and
 * not from the code, so that the two can be held against each other: state, level, and how many rounds
 * running were bad, or good enough to leave down. */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct chain_rule {
    int samples;
    int forgive, full, round_most; /* in good samples */
    int down_permille, down_rounds;
};

enum { CHAIN_UP, CHAIN_DEGRADED, CHAIN_DOWN, CHAIN_STATES };

/* A place: state, level, and of up and degraded the bad rounds, of down the recovered ones. */
struct chain {
    struct chain_rule rule;
    int counters;
    double *weights, *next; /* [state][level][counter] */
    double *chances;        /* of so many failures in a round */
    double entered,
        changed; /* in the last step: from up to degraded or down; any change of state */
};

static inline double *chain_at(const struct chain *chain, double *weights, int state, int level,
                               int counter) {
    return &weights[((size_t)state * (size_t)(chain->rule.full + 1) + (size_t)level) *
                        (size_t)chain->counters +
                    (size_t)counter];
}

static inline size_t chain_size(const struct chain *chain) {
    return (size_t)(CHAIN_STATES * (chain->rule.full + 1) * chain->counters);
}

static inline struct chain chain_new(struct chain_rule rule, double p) {
    struct chain chain = {.rule = rule,
                          .counters = rule.down_rounds > 2 ? rule.down_rounds : 2,
                          .chances = calloc((size_t)rule.samples + 1, sizeof(double))};
    chain.weights = calloc(chain_size(&chain), sizeof(double));
    chain.next = calloc(chain_size(&chain), sizeof(double));
    if (chain.weights == NULL || chain.next == NULL || chain.chances == NULL) {
        abort();
    }
    *chain_at(&chain, chain.weights, CHAIN_UP, 0, 0) = 1;
    double combinations = 1;
    for (int failed = 0; failed <= rule.samples; failed++) {
        chain.chances[failed] = combinations * pow(p, failed) * pow(1 - p, rule.samples - failed);
        combinations = combinations * (rule.samples - failed) / (failed + 1);
    }
    return chain;
}

static inline void chain_free(struct chain *chain) {
    free(chain->weights);
    free(chain->next);
    free(chain->chances);
}

/* Each failure adds `forgive`, a round at most `round_most`, then each good sample takes one away; but
 * where there are more than half of `round_most` of those, no more than that remains, nor less of what
 * failures add beyond them. */
static inline int chain_level(const struct chain_rule *rule, int level, int failed) {
    int good = rule->samples - failed, added = rule->forgive * failed;
    if (good <= rule->round_most / 2) {
        level += (added < rule->round_most ? added : rule->round_most) - good;
    } else {
        int most = rule->round_most - rule->round_most / 2;
        level += added - good < most ? added - good : most;
    }
    return level < 0 ? 0 : level > rule->full ? rule->full : level;
}

/* Where one round with so many failures leads. */
static inline void chain_move(const struct chain_rule *rule, int failed, int *state, int *level,
                              int *counter) {
    *level = chain_level(rule, *level, failed);
    if (*state == CHAIN_DOWN) {
        *counter = 2 * failed < rule->samples ? *counter + 1 : 0;
        if (*counter == 2) {
            *state = *level > 0 ? CHAIN_DEGRADED : CHAIN_UP;
            *counter = 0;
        }
        return;
    }
    *counter = 1000 * failed >= rule->down_permille * rule->samples ? *counter + 1 : 0;
    if (*counter == rule->down_rounds) {
        *state = CHAIN_DOWN;
        *counter = 0;
    } else if (*level == rule->full) {
        *state = CHAIN_DEGRADED;
    } else if (*level == 0) {
        *state = CHAIN_UP;
    }
}

static inline void chain_step(struct chain *chain) {
    memset(chain->next, 0, chain_size(chain) * sizeof(double));
    chain->entered = chain->changed = 0;
    for (int from = 0; from < CHAIN_STATES; from++) {
        for (int level = 0; level <= chain->rule.full; level++) {
            for (int counter = 0; counter < chain->counters; counter++) {
                double weight = *chain_at(chain, chain->weights, from, level, counter);
                for (int failed = 0; failed <= chain->rule.samples && weight > 1e-40; failed++) {
                    int to = from, to_level = level, to_counter = counter;
                    double moved = weight * chain->chances[failed];
                    chain_move(&chain->rule, failed, &to, &to_level, &to_counter);
                    *chain_at(chain, chain->next, to, to_level, to_counter) += moved;
                    chain->changed += to != from ? moved : 0;
                    chain->entered += to != from && from == CHAIN_UP ? moved : 0;
                }
            }
        }
    }
    double *swap = chain->weights;
    chain->weights = chain->next;
    chain->next = swap;
}

/* Until the steps are all alike: then what a step enters and changes is what any does. */
static inline void chain_settle(struct chain *chain) {
    double before = 0;
    for (int same = 0, step = 0; same < 3 && step < 20000; step++) {
        chain_step(chain);
        same = chain->entered > 0 && fabs(chain->entered - before) <= 1e-8 * chain->entered
                   ? same + 1
                   : 0;
        before = chain->entered;
    }
}

/* Only those that are up go on; how many are not any more after the step. */
static inline double chain_find(struct chain *chain) {
    chain_step(chain);
    for (int state = CHAIN_UP + 1; state < CHAIN_STATES; state++) {
        memset(chain_at(chain, chain->weights, state, 0, 0), 0,
               (size_t)((chain->rule.full + 1) * chain->counters) * sizeof(double));
    }
    return chain->entered;
}
