/* Chance for property tests: xorshift64*, seeded by the time and printed, so that a failing run
 * can be had again with TALLYD_TEST_SEED. Each test seeds for itself, as each has its own process.
 */
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct chance {
    uint64_t state; /* never 0 */
};

static inline struct chance chance_new(const char *test) {
    const char *given = getenv("TALLYD_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10)
                                  : (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec;
    fprintf(stderr, "# %s: TALLYD_TEST_SEED=%" PRIu64 "\n", test, seed);
    return (struct chance){.state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1};
}

static inline uint64_t chance_below(struct chance *chance, uint64_t n) {
    chance->state ^= chance->state >> 12;
    chance->state ^= chance->state << 25;
    chance->state ^= chance->state >> 27;
    return (chance->state * UINT64_C(2685821657736338717) >> 11) % n;
}

static inline double chance_unit(struct chance *chance) { /* [0, 1) */
    return (double)chance_below(chance, UINT64_C(1) << 52) / (double)(UINT64_C(1) << 52);
}
