/* A sorted vector: a round sees two or three different outcomes, and the writers want them in
 * order. Even all 900 status codes at once cost a memmove of 7 KB each, once. */
#include "report/tally.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 4 };

void tally_init(struct tally *tally) {
    *tally = (struct tally){0};
}

void tally_clear(struct tally *tally) {
    free(tally->rows);
    tally_init(tally);
}

/* Where `outcome` is, or would have to be inserted. */
static size_t position(const struct tally *tally, outcome_t outcome) {
    size_t low = 0, high = tally->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tally->rows[middle].outcome < outcome) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int grow(struct tally *tally) {
    if (tally->n < tally->size) {
        return 0;
    }
    size_t size = tally->size == 0 ? FIRST_SIZE : 2 * tally->size;
    struct tally_row *rows = reallocarray(tally->rows, size, sizeof *rows);
    if (rows == NULL) {
        return -ENOMEM;
    }
    tally->rows = rows;
    tally->size = size;
    return 0;
}

int tally_add(struct tally *tally, outcome_t outcome, unsigned count) {
    if (count == 0) {
        return 0;
    }
    size_t i = position(tally, outcome);
    if (i == tally->n || tally->rows[i].outcome != outcome) {
        int r = grow(tally);
        if (r < 0) {
            return r;
        }
        memmove(&tally->rows[i + 1], &tally->rows[i], (tally->n - i) * sizeof *tally->rows);
        tally->rows[i] = (struct tally_row){.outcome = outcome};
        tally->n++;
    }
    tally->rows[i].count += count;
    return 0;
}

unsigned tally_count(const struct tally *tally, outcome_t outcome) {
    size_t i = position(tally, outcome);
    return i < tally->n && tally->rows[i].outcome == outcome ? tally->rows[i].count : 0;
}

unsigned tally_sum(const struct tally *tally) {
    unsigned sum = 0;
    for (size_t i = 0; i < tally->n; i++) {
        sum += tally->rows[i].count;
    }
    return sum;
}

outcome_t tally_outcome_at(const struct tally *tally, size_t i) {
    assert(i < tally->n);
    size_t classes = 0;
    while (classes < tally->n && !outcome_is_status(tally->rows[classes].outcome)) {
        classes++;
    }
    return tally->rows[(classes + i) % tally->n].outcome;
}
