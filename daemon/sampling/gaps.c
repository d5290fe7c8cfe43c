/* The gaps of a ring, the longest first and equally long ones by phase, so that one search finds
 * the gap to halve. Repeated halving leaves lengths that differ by a nanosecond or two; they count
 * as equal, else the order of the configuration would be lost to rounding. */
#include "sampling/gaps.h"

#include <assert.h>
#include <stdlib.h>

static nsec_t rank(const struct gap *gap) {
    return gap->length / NSEC_PER_USEC;
}

static int compare_gaps(const struct gap *a, const struct gap *b) {
    if (rank(a) != rank(b)) {
        return rank(a) > rank(b) ? -1 : 1;
    }
    if (a->phase != b->phase) {
        return a->phase < b->phase ? -1 : 1;
    }
    return (a->order > b->order) - (a->order < b->order);
}

/* not RB_GENERATE_STATIC: on Linux libbsd defines no __unused, which that needs */
RB_GENERATE_INTERNAL(gap_tree, gap, node, compare_gaps, __attribute__((unused)) static)

static int compare_phases(const void *a, const void *b) {
    const struct gap *x = a, *y = b;
    return (x->phase > y->phase) - (x->phase < y->phase);
}

void gaps_init(struct gaps *gaps, nsec_t interval, struct gap *members, size_t n) {
    assert(n > 0);
    RB_INIT(&gaps->tree);
    gaps->interval = interval;
    gaps->n = n;
    qsort(members, n, sizeof *members, compare_phases);
    for (size_t i = 0; i < n; i++) {
        nsec_t next = i + 1 < n ? members[i + 1].phase : members[0].phase + interval;
        members[i].length = next - members[i].phase;
        members[i].order = i + 1;
        RB_INSERT(gap_tree, &gaps->tree, &members[i]);
    }
}

nsec_t gaps_halve(struct gaps *gaps, nsec_t after, struct gap *member) {
    struct gap *longest = RB_MIN(gap_tree, &gaps->tree);
    struct gap key = {.phase = after, .length = longest->length, .order = 0};
    struct gap *gap = RB_NFIND(gap_tree, &gaps->tree, &key);
    if (gap == NULL || rank(gap) != rank(longest)) {
        gap = longest; /* none further on: round to the first of them */
    }
    RB_REMOVE(gap_tree, &gaps->tree, gap);
    nsec_t half = gap->length / 2;
    *member = (struct gap){
        .phase = (gap->phase + half) % gaps->interval,
        .length = gap->length - half,
        .order = ++gaps->n,
    };
    gap->length = half;
    RB_INSERT(gap_tree, &gaps->tree, gap);
    RB_INSERT(gap_tree, &gaps->tree, member);
    return member->phase;
}
