/* A histogram of outcomes. Pure. */
#pragma once

#include "probe/outcome.h"

#include <stddef.h>

struct tally_row {
    outcome_t outcome;
    unsigned count; /* never 0 */
};

struct tally {
    struct tally_row *rows; /* ascending by outcome: classes by name, then status codes */
    size_t n;
    size_t size; /* allocated */
};

void tally_init(struct tally *tally);
void tally_clear(struct tally *tally);
int tally_add(struct tally *tally, outcome_t outcome, unsigned count); /* 0 or -ENOMEM */
unsigned tally_count(const struct tally *tally, outcome_t outcome);
unsigned tally_sum(const struct tally *tally);
/* The i-th of its outcomes as people read them: statuses first, then classes. */
outcome_t tally_outcome_at(const struct tally *tally, size_t i);
