/* Where a new site fits into a ring: the gaps between the phases of the sites that are there. Pure;
 * lives only as long as a reload takes. */
#pragma once

#include "base/clock.h"

#include <bsd/sys/tree.h>
#include <stddef.h>

/* A site's phase and what follows it. The caller's memory, in place while the gaps are in use. */
struct gap {
    RB_ENTRY(gap) node;
    nsec_t phase;  /* where it begins */
    nsec_t length; /* to the next phase, over the interval's end if need be */
    size_t order;  /* from 1; tells sites that share a phase apart */
};

RB_HEAD(gap_tree, gap);

struct gaps {
    struct gap_tree tree;
    nsec_t interval;
    size_t n;
};

/* `gaps[0..n)`, n > 0, have their phases set, in any order; they are sorted here. */
void gaps_init(struct gaps *gaps, nsec_t interval, struct gap *members, size_t n);

/* Takes the middle of the largest gap, of equal ones the first at or after phase `after`, going
 * round. `member` becomes the new site's gap; its phase is returned. O(log n). */
nsec_t gaps_halve(struct gaps *gaps, nsec_t after, struct gap *member);
