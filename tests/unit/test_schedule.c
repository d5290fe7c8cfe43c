#include "sampling/schedule.h"

#include "chance.h"
#include "memory.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SEC  NSEC_PER_SEC
#define MSEC NSEC_PER_MSEC

enum { NAME_BYTES = 24 };

static nsec_t cpu_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * SEC + now.tv_nsec;
}

/* --- sites --- */

struct sites {
    struct schedule_site *site;
    char (*name)[NAME_BYTES];
    size_t n;
};

static struct sites sites_new(size_t n, nsec_t interval) {
    struct sites sites = {
        .site = calloc(n, sizeof *sites.site),
        .name = calloc(n, sizeof *sites.name),
        .n = n,
    };
    for (size_t i = 0; i < n; i++) {
        snprintf(sites.name[i], NAME_BYTES, "site-%zu", i);
        sites.site[i] = (struct schedule_site){.name = sites.name[i], .interval = interval};
    }
    return sites;
}

static void sites_free(struct sites *sites) {
    free(sites->site);
    free(sites->name);
}

static struct schedule *started(const struct sites *sites, nsec_t t0) {
    struct schedule *schedule = schedule_new(t0);
    ck_assert_ptr_nonnull(schedule);
    ck_assert_int_eq(schedule_set(schedule, sites->site, sites->n, t0), 0);
    return schedule;
}

static nsec_t next_at(const struct schedule *schedule) {
    nsec_t at;
    ck_assert(schedule_next(schedule, &at));
    return at;
}

static struct schedule_slot taken(struct schedule *schedule, nsec_t now) {
    struct schedule_slot slot;
    ck_assert(schedule_take(schedule, now, &slot));
    return slot;
}

static void assert_none(struct schedule *schedule, nsec_t now) {
    struct schedule_slot slot;
    ck_assert(!schedule_take(schedule, now, &slot));
}

static struct schedule_site site_of(const char *name, nsec_t interval, unsigned ring) {
    return (struct schedule_site){.name = name, .interval = interval, .ring = ring};
}

static int compare_times(const void *a, const void *b) {
    const nsec_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The most of `at[0..n)`, which are sorted, that lie in any window of that length. */
static size_t worst_window(const nsec_t *at, size_t n, nsec_t window) {
    size_t worst = 0, first = 0;
    for (size_t i = 0; i < n; i++) {
        while (at[i] - at[first] >= window) {
            first++;
        }
        worst = i - first + 1 > worst ? i - first + 1 : worst;
    }
    return worst;
}

/* --- phases at the start --- */

START_TEST(phases_are_even_and_in_the_order_of_the_configuration) {
    struct sites sites = sites_new(1000, 60 * SEC);
    struct schedule *schedule = started(&sites, 0);
    for (size_t i = 0; i < sites.n; i++) {
        ck_assert_int_eq(schedule_phase(schedule, i), (nsec_t)i * 60 * MSEC);
    }
    schedule_free(schedule);
    sites_free(&sites);
}
END_TEST

START_TEST(rings_begin_a_golden_section_apart_and_within_their_interval) {
    enum { RINGS = 1000, SITES = 3 };
    struct sites sites = sites_new((size_t)RINGS * SITES, 0);
    for (size_t i = 0; i < sites.n; i++) {
        sites.site[i].ring = (unsigned)(i % RINGS);
        sites.site[i].interval = (1 + (nsec_t)(i % RINGS)) * 100 * MSEC;
    }
    struct schedule *schedule = started(&sites, 0);
    for (size_t i = 0; i < sites.n; i++) {
        double golden = 0.618 * (double)(i % RINGS);
        double wanted = (double)sites.site[i].interval *
                        ((double)(i / RINGS) + (golden - (double)(long long)(golden + 1e-9))) /
                        SITES;
        nsec_t phase = schedule_phase(schedule, i);
        ck_assert_double_eq_tol((double)phase, wanted, 1000.0);
        ck_assert(phase >= 0 && phase < sites.site[i].interval);
    }
    schedule_free(schedule);
    sites_free(&sites);
}
END_TEST

START_TEST(sites_begin_in_the_order_of_the_configuration) {
    struct sites sites = sites_new(50, 10 * SEC);
    struct schedule *schedule = started(&sites, 7 * SEC);
    for (size_t i = 0; i < sites.n; i++) {
        nsec_t now = next_at(schedule);
        struct schedule_slot slot = taken(schedule, now);
        ck_assert_uint_eq(slot.site, i);
        ck_assert_int_eq(slot.due, 7 * SEC + (nsec_t)i * 200 * MSEC);
        ck_assert_uint_eq(slot.number, 1);
        schedule_done(schedule, slot.entry, now);
    }
    schedule_free(schedule);

    /* equal times, too: rings 0 and 500 share a phase */
    for (size_t i = 0; i < sites.n; i++) {
        sites.site[i] = site_of(sites.name[i], (nsec_t)(i + 1) * SEC, (unsigned)i * 500);
    }
    schedule = started(&sites, 0);
    for (size_t i = 0; i < sites.n; i++) {
        ck_assert_uint_eq(taken(schedule, 0).site, i);
    }
    schedule_free(schedule);
    sites_free(&sites);
}
END_TEST

/* --- slots --- */

START_TEST(a_day_of_10000_sites_has_exactly_its_slots) {
    struct sites sites = sites_new(10000, 60 * SEC);
    struct schedule *schedule = started(&sites, 5 * SEC);
    nsec_t cpu = cpu_now();
    uint64_t rounds = 0, wrong = 0;
    nsec_t now;
    while (schedule_next(schedule, &now) && now < 5 * SEC + 86400 * SEC) {
        struct schedule_slot slot;
        while (schedule_take(schedule, now, &slot)) {
            wrong += slot.due != now || slot.skipped != 0 || slot.first;
            schedule_done(schedule, slot.entry, now);
            rounds++;
        }
    }
    fprintf(stderr, "# %" PRIu64 " slots in %.2f s of CPU\n", rounds,
            (double)(cpu_now() - cpu) / 1e9);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(rounds, 14400000);
    schedule_free(schedule);
    sites_free(&sites);
}
END_TEST

START_TEST(a_loop_that_is_always_late_does_not_drift) {
    struct chance chance = chance_new(__func__);
    struct sites sites = sites_new(7, 1000000007);
    struct schedule *schedule = started(&sites, 12345);
    uint64_t slots[7] = {0};
    nsec_t now = 0;
    while (slots[0] < 20000) {
        now = next_at(schedule) + (nsec_t)chance_below(&chance, 9 * MSEC);
        struct schedule_slot slot;
        while (schedule_take(schedule, now, &slot)) {
            nsec_t k = (nsec_t)slots[slot.site]++;
            ck_assert_int_eq(slot.due,
                             12345 + schedule_phase(schedule, slot.site) + k * 1000000007);
            ck_assert_uint_eq(slot.skipped, 0);
            schedule_done(schedule, slot.entry, now);
        }
    }
    schedule_free(schedule);
    sites_free(&sites);
}
END_TEST

START_TEST(a_slot_begins_until_half_an_interval_late) {
    for (nsec_t more = 0; more <= 1; more++) {
        struct schedule_site site = site_of("a", 60 * SEC, 0);
        struct schedule *schedule = schedule_new(0);
        ck_assert_int_eq(schedule_set(schedule, &site, 1, 0), 0);
        nsec_t now = 150 * SEC + more; /* slots 0 and 60 are gone, 120 is half an interval late */
        if (more == 0) {
            struct schedule_slot slot = taken(schedule, now);
            ck_assert_int_eq(slot.due, 120 * SEC);
            ck_assert_uint_eq(slot.skipped, 2);
            ck_assert_uint_eq(slot.number, 1);
        } else {
            assert_none(schedule, now);
            ck_assert_int_eq(next_at(schedule), 180 * SEC);
            ck_assert_uint_eq(taken(schedule, 180 * SEC).skipped, 3);
        }
        schedule_free(schedule);
    }
}
END_TEST

START_TEST(a_round_that_outlives_its_slot_delays_the_next_one_or_costs_it) {
    for (nsec_t more = 0; more <= 1; more++) {
        struct schedule_site site = site_of("a", 60 * SEC, 0);
        struct schedule *schedule = schedule_new(0);
        ck_assert_int_eq(schedule_set(schedule, &site, 1, 0), 0);
        struct schedule_slot slot = taken(schedule, 0);
        assert_none(schedule, 60 * SEC);
        nsec_t at;
        ck_assert(!schedule_next(schedule, &at)); /* nothing to wake up for */
        schedule_done(schedule, slot.entry, 90 * SEC + more);
        ck_assert_int_le(next_at(schedule), 90 * SEC);
        if (more == 0) {
            slot = taken(schedule, 90 * SEC);
            ck_assert_int_eq(slot.due, 60 * SEC);
            ck_assert_uint_eq(slot.skipped, 0);
        } else {
            assert_none(schedule, 90 * SEC + more);
            ck_assert_int_eq(next_at(schedule), 120 * SEC);
        }
        schedule_free(schedule);
    }
}
END_TEST

/* --- a stop of the process --- */

enum { JUMPERS = 6000, STARTS_MOST = 400000 };

static struct {
    struct schedule *schedule;
    struct sites sites;
    nsec_t now;
    nsec_t resumed;                        /* when the latest stop ended */
    nsec_t end[JUMPERS];                   /* of the round in flight; 0: none */
    struct schedule_entry *entry[JUMPERS]; /* of that */
    nsec_t begun[JUMPERS];                 /* the latest slot that began, and 1; 0: none */
    nsec_t starts[STARTS_MOST];
    size_t n_starts;
    nsec_t last_late; /* the last start that was later than 50 ms */
    uint64_t skipped, rounds;
} jump;

/* Each round takes a second. Begins all that may; what is late keeps its distance. */
static void jump_turn(void) {
    for (size_t i = 0; i < JUMPERS; i++) {
        if (jump.end[i] != 0 && jump.end[i] <= jump.now) {
            jump.end[i] = 0;
            schedule_done(jump.schedule, jump.entry[i], jump.now);
        }
    }
    struct schedule_slot slot;
    unsigned wrong = 0;
    while (schedule_take(jump.schedule, jump.now, &slot)) {
        wrong += jump.end[slot.site] != 0;
        wrong += (slot.due - schedule_phase(jump.schedule, slot.site)) % (60 * SEC) != 0;
        wrong += jump.now < slot.due || jump.now - slot.due > 30 * SEC;
        if (jump.now - slot.due > 50 * MSEC) {
            /* T / 2n; but paced starts that are hardly late themselves begin at once */
            wrong += jump.now - jump.last_late < 5 * MSEC && jump.now != jump.resumed;
            jump.last_late = jump.now;
        }
        jump.end[slot.site] = jump.now + SEC;
        jump.entry[slot.site] = slot.entry;
        jump.begun[slot.site] = slot.due + 1;
        jump.starts[jump.n_starts++] = jump.now;
        jump.skipped += slot.skipped;
        jump.rounds++;
    }
    for (size_t i = 0; i < JUMPERS; i++) { /* what is on time waits for nobody */
        nsec_t phase = schedule_phase(jump.schedule, i);
        nsec_t due = phase + (jump.now - phase) / (60 * SEC) * (60 * SEC);
        wrong += jump.now >= phase && jump.now - due <= 50 * MSEC && jump.end[i] == 0 &&
                 jump.begun[i] <= due;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_lt(jump.n_starts, STARTS_MOST - JUMPERS);
}

static void jump_run(nsec_t until) {
    while (jump.now < until) {
        jump_turn();
        nsec_t next = next_at(jump.schedule);
        ck_assert_int_gt(next, jump.now); /* or it would spin */
        /* rounds end in steps of 10 ms, so that this is not a simulation of every nanosecond */
        nsec_t step = jump.now + 10 * MSEC;
        jump.now = next < step ? next : step;
    }
}

static void jump_over(nsec_t stop) {
    jump.now += stop;
    jump.resumed = jump.now;
}

static void jump_init(void) {
    jump.sites = sites_new(JUMPERS, 60 * SEC);
    jump.schedule = started(&jump.sites, 0);
    jump.last_late = -SEC;
}

static void jump_clear(void) {
    schedule_free(jump.schedule);
    sites_free(&jump.sites);
}

START_TEST(a_stop_causes_no_burst_and_moves_no_phase) {
    static const nsec_t stops[] = {5 * SEC, 25 * SEC, 40 * SEC, 600 * SEC};
    nsec_t stop = stops[_i];
    jump_init();
    jump_run(120 * SEC);
    jump_over(stop);
    jump_run(jump.now + 130 * SEC);
    ck_assert_uint_eq(jump.rounds, jump.n_starts);
    /* in any 0.6 s: 60 that are on time, twice as many that catch up, 5 that are hardly late */
    size_t worst = worst_window(jump.starts, jump.n_starts, 600 * MSEC);
    fprintf(stderr, "# stop of %d s: at most %zu in 1 %% of the interval, %" PRIu64 " skipped\n",
            (int)(stop / SEC), worst, jump.skipped);
    ck_assert_uint_le(worst, 60 + 120 + 5 + 1);
    nsec_t too_late = stop - 30 * SEC; /* part of the stop whose slots could not begin any more */
    ck_assert_int_le(llabs((long long)jump.skipped - (too_late > 0 ? too_late / (10 * MSEC) : 0)),
                     1);
    /* and everything is on time again */
    for (size_t i = jump.n_starts - 3 * JUMPERS / 2; i < jump.n_starts; i++) {
        nsec_t slot = jump.starts[i] % (10 * MSEC);
        ck_assert_int_eq(slot, 0);
    }
    jump_clear();
}
END_TEST

START_TEST(a_second_stop_while_catching_up_causes_no_burst_either) {
    jump_init();
    jump_run(61 * SEC);
    for (int i = 0; i < 10; i++) {
        jump_over(25 * SEC);
        jump_run(jump.now + 3 * SEC);
        /* a reload does not make it begin anew */
        ck_assert_int_eq(schedule_set(jump.schedule, jump.sites.site, jump.sites.n, jump.now), 0);
    }
    for (int i = 0; i < 40; i++) { /* hardly ever running: what catches up comes to nothing */
        jump_over(5 * SEC);
        jump_run(jump.now + 60 * MSEC);
    }
    jump_run(jump.now + 200 * SEC);
    /* the 10 are paced starts of the last 50 ms of a stop */
    ck_assert_uint_le(worst_window(jump.starts, jump.n_starts, 600 * MSEC), 60 + 120 + 5 + 10 + 1);
    jump_clear();
}
END_TEST

START_TEST(what_catches_up_is_announced_by_next) {
    struct sites sites = sites_new(60, 60 * SEC); /* a slot a second; the pace is 100 ms */
    struct schedule *schedule = started(&sites, 0);
    nsec_t now = 10 * SEC;
    for (size_t i = 0; i < 10; i++) {
        struct schedule_slot slot;
        if (i == 0) { /* the one that is on time goes first: it waits for nobody */
            ck_assert_uint_eq(taken(schedule, now).site, 0);
            slot = taken(schedule, now);
            ck_assert_uint_eq(slot.site, 10);
        } else {
            slot = taken(schedule, now);
            ck_assert_uint_eq(slot.site, i);
        }
        assert_none(schedule, now);
        if (i < 9) {
            ck_assert_int_eq(next_at(schedule), now + 100 * MSEC);
            assert_none(schedule, now + 100 * MSEC - 1);
        }
        now += 100 * MSEC;
    }
    ck_assert_int_eq(next_at(schedule), 11 * SEC);
    schedule_free(schedule);
    sites_free(&sites);
}
END_TEST

START_TEST(what_is_late_by_no_more_than_the_pace_begins_at_once) {
    struct sites sites = sites_new(60, 60 * SEC); /* the pace is 100 ms */
    struct schedule *schedule = started(&sites, 0);
    while (next_at(schedule) < 10 * SEC) {
        taken(schedule, next_at(schedule));
    }
    nsec_t now = 20 * SEC + 100 * MSEC;
    ck_assert_uint_eq(taken(schedule, now).site, 10); /* the others up to 19 are paced */
    ck_assert_uint_eq(taken(schedule, now).site, 20);
    assert_none(schedule, now);
    schedule_free(schedule);

    schedule = started(&sites, 0);
    while (next_at(schedule) < 10 * SEC) {
        taken(schedule, next_at(schedule));
    }
    ck_assert_uint_eq(taken(schedule, now + 1).site, 10);
    assert_none(schedule, now + 1);
    schedule_free(schedule);
    sites_free(&sites);
}
END_TEST

/* --- the first round of a site with a long interval --- */

START_TEST(a_new_site_with_a_long_interval_has_a_first_round_within_a_minute) {
    struct sites sites = sites_new(100, 3600 * SEC);
    struct schedule *schedule = started(&sites, 1000 * SEC);
    nsec_t starts[200];
    size_t n = 0;
    nsec_t now;
    unsigned firsts = 0;
    while ((now = next_at(schedule)) < 4600 * SEC) {
        struct schedule_slot slot = taken(schedule, now);
        nsec_t phase = schedule_phase(schedule, slot.site);
        ck_assert_uint_eq(slot.skipped, 0);
        ck_assert_int_eq(slot.due, now);
        if (slot.first) {
            firsts++;
            ck_assert_int_gt(phase, 60 * SEC);
            ck_assert_int_eq(now, 1000 * SEC + phase / 60);
            ck_assert_uint_eq(slot.number, 1);
        } else {
            ck_assert_int_eq(now, 1000 * SEC + phase);
            ck_assert_uint_eq(slot.number, phase > 60 * SEC ? 2 : 1);
        }
        schedule_done(schedule, slot.entry, now);
        starts[n++] = now;
    }
    ck_assert_uint_eq(firsts, 98); /* phases 0 and 36 s need none */
    ck_assert_uint_eq(n, 198);
    ck_assert_uint_le(worst_window(starts, n, 6 * SEC), 11);
    schedule_free(schedule);
    sites_free(&sites);
}
END_TEST

START_TEST(an_interval_of_a_minute_needs_no_first_round) {
    struct sites sites = sites_new(10, 60 * SEC);
    struct schedule *schedule = started(&sites, 0);
    for (size_t i = 0; i < sites.n; i++) {
        ck_assert(!taken(schedule, next_at(schedule)).first);
    }
    schedule_free(schedule);
    sites_free(&sites);
}
END_TEST

START_TEST(at_a_reload_only_the_new_site_has_a_first_round) {
    struct schedule_site sites[] = {site_of("old", 3600 * SEC, 0), site_of("new", 3600 * SEC, 0)};
    struct schedule *schedule = schedule_new(0);
    ck_assert_int_eq(schedule_set(schedule, sites, 1, 0), 0);
    schedule_done(schedule, taken(schedule, 0).entry, SEC);
    ck_assert_int_eq(schedule_set(schedule, sites, 2, 100 * SEC), 0);
    ck_assert_int_eq(schedule_phase(schedule, 1), 1800 * SEC);
    ck_assert_int_eq(next_at(schedule), 130 * SEC);
    struct schedule_slot slot = taken(schedule, 130 * SEC);
    ck_assert(slot.first && slot.site == 1);
    /* a reload while it is in flight does not bring another */
    ck_assert_int_eq(schedule_set(schedule, sites, 2, 131 * SEC), 0);
    schedule_done(schedule, slot.entry, 132 * SEC);
    ck_assert_int_eq(next_at(schedule), 1800 * SEC);
    /* nor does another interval: it has been sampled */
    sites[1].interval = 7200 * SEC;
    sites[1].ring = 1;
    ck_assert_int_eq(schedule_set(schedule, sites, 2, 140 * SEC), 0);
    ck_assert_int_eq(next_at(schedule), 3600 * SEC);
    schedule_free(schedule);
}
END_TEST

START_TEST(after_a_restart_the_numbers_go_on_and_only_new_sites_have_a_first_round) {
    struct schedule_site sites[] = {site_of("new", 3600 * SEC, 0), site_of("old", 3600 * SEC, 0)};
    struct schedule *schedule = schedule_new(0);
    sites[1].number = 41;
    ck_assert_int_eq(schedule_set(schedule, sites, 2, 0), 0);
    struct schedule_slot slot = taken(schedule, 0);
    ck_assert_uint_eq(slot.number, 1);
    schedule_done(schedule, slot.entry, SEC);
    ck_assert_int_eq(next_at(schedule),
                     1800 * SEC); /* an even phase, and its slot, no extra round */
    slot = taken(schedule, 1800 * SEC);
    ck_assert_uint_eq(slot.number, 42);
    ck_assert(!slot.first && slot.skipped == 0);
    schedule_done(schedule, slot.entry, 1801 * SEC);
    /* at a reload it counts no more: the schedule knows better */
    sites[1].number = 7;
    ck_assert_int_eq(schedule_set(schedule, sites, 2, 1900 * SEC), 0);
    schedule_done(schedule, taken(schedule, 3600 * SEC).entry, 3601 * SEC);
    ck_assert_uint_eq(taken(schedule, 5400 * SEC).number, 43);
    schedule_free(schedule);
}
END_TEST

START_TEST(a_slot_takes_the_place_of_a_first_round_that_a_stop_ate) {
    struct schedule_site sites[] = {site_of("a", 3600 * SEC, 0), site_of("b", 3600 * SEC, 0)};
    struct schedule *schedule = schedule_new(0);
    ck_assert_int_eq(schedule_set(schedule, sites, 2, 0), 0);
    ck_assert_uint_eq(taken(schedule, 0).site, 0);
    struct schedule_slot slot = taken(schedule, 1800 * SEC);
    ck_assert_uint_eq(slot.site, 1);
    ck_assert(!slot.first);
    ck_assert_int_eq(slot.due, 1800 * SEC);
    ck_assert_uint_eq(slot.number, 1);
    ck_assert_uint_eq(slot.skipped, 0);
    schedule_free(schedule);
}
END_TEST

START_TEST(a_first_round_whose_turn_would_come_after_its_slot_is_given_up) {
    enum { SITES = 12000 };
    struct sites sites =
        sites_new(SITES, 120 * SEC); /* first rounds from 30 s, for slots from 60 */
    struct schedule *schedule = started(&sites, 0);
    nsec_t resumed = 59 * SEC, now = resumed;
    unsigned late = 0, wrong = 0, firsts = 0;
    while (now < 180 * SEC) {
        struct schedule_slot slot;
        while (schedule_take(schedule, now, &slot)) {
            nsec_t due = schedule_phase(schedule, slot.site);
            firsts += slot.first;
            wrong += slot.first && now >= due;
            late += !slot.first && slot.due >= resumed && now != slot.due;
            schedule_done(schedule, slot.entry, now);
        }
        now = next_at(schedule);
    }
    fprintf(stderr, "# %u first rounds of 5999\n", firsts);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(late, 0);
    ck_assert_uint_lt(firsts, 5999);
    schedule_free(schedule);
    sites_free(&sites);
}
END_TEST

START_TEST(first_rounds_catch_up_at_their_pace) {
    struct sites sites = sites_new(1000, 36000 * SEC);
    struct schedule *schedule = started(&sites, 0);
    nsec_t last = -SEC;
    unsigned firsts = 0;
    nsec_t now = 30 * SEC;
    while ((now = now > next_at(schedule) ? now : next_at(schedule)) < 200 * SEC) {
        struct schedule_slot slot;
        while (schedule_take(schedule, now, &slot)) {
            firsts += slot.first;
            if (now - slot.due > 100 * MSEC) {
                ck_assert_int_ge(now - last, 100 * MSEC);
                last = now;
            }
        }
    }
    ck_assert_uint_eq(firsts, 998); /* a site each 36 s: those at 0 and 36 s have slots */
    schedule_free(schedule);
    sites_free(&sites);
}
END_TEST

/* --- reloads --- */

START_TEST(a_new_site_takes_the_middle_of_the_largest_gap_after_its_predecessor) {
    static const struct {
        const char *names[7];
        double phases[7]; /* seconds */
    } rows[] = {
        {{"x", "a", "b", "c", "d"}, {7.5, 0, 15, 30, 45}},
        {{"a", "x", "b", "c", "d"}, {0, 7.5, 15, 30, 45}},
        {{"a", "b", "c", "x", "d"}, {0, 15, 30, 37.5, 45}},
        {{"a", "b", "c", "d", "x"}, {0, 15, 30, 45, 52.5}},
        {{"a", "b", "x", "y", "c", "d"}, {0, 15, 22.5, 37.5, 30, 45}},
        {{"a", "b", "c", "d", "x", "y"}, {0, 15, 30, 45, 52.5, 7.5}},
        {{"a", "c", "d", "x"}, {0, 30, 45, 15}},            /* the gap that b left */
        {{"a", "c", "d", "x", "y"}, {0, 30, 45, 15, 22.5}}, /* all equal then: after x */
        {{"d", "c", "b", "a", "x"}, {45, 30, 15, 0, 7.5}},
        {{"d", "x"}, {45, 15}},
        {{"d", "x", "y"}, {45, 15, 30}}, /* after x, and on */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct schedule_site before[4], after[7];
        for (size_t k = 0; k < 4; k++) {
            static const char *const names[] = {"a", "b", "c", "d"};
            before[k] = site_of(names[k], 60 * SEC, 0);
        }
        struct schedule *schedule = schedule_new(0);
        ck_assert_int_eq(schedule_set(schedule, before, 4, 0), 0);
        size_t n = 0;
        while (n < 7 && rows[i].names[n] != NULL) {
            after[n] = site_of(rows[i].names[n], 60 * SEC, 0);
            n++;
        }
        ck_assert_int_eq(schedule_set(schedule, after, n, 3 * SEC), 0);
        for (size_t k = 0; k < n; k++) {
            ck_assert_msg(schedule_phase(schedule, k) == (nsec_t)(rows[i].phases[k] * 1e9),
                          "row %zu, site %s: phase %.3f", i, rows[i].names[k],
                          (double)schedule_phase(schedule, k) / 1e9);
        }
        schedule_free(schedule);
    }
}
END_TEST

START_TEST(gaps_that_differ_by_a_rounding_are_equal) {
    struct schedule_site sites[] = {site_of("a", 10 * SEC, 0), site_of("x", 10 * SEC, 0),
                                    site_of("b", 10 * SEC, 0), site_of("c", 10 * SEC, 0)};
    struct schedule_site before[] = {sites[0], sites[2], sites[3]};
    struct schedule *schedule = schedule_new(0);
    ck_assert_int_eq(schedule_set(schedule, before, 3, 0), 0);
    ck_assert_int_eq(schedule_phase(schedule, 2), 6666666666); /* its gap is the longest, by 1 ns */
    ck_assert_int_eq(schedule_set(schedule, sites, 4, 0), 0);
    ck_assert_int_eq(schedule_phase(schedule, 1), 1666666666);
    schedule_free(schedule);
}
END_TEST

START_TEST(a_new_sites_first_slot_is_the_first_that_is_not_over) {
    struct schedule_site sites[] = {site_of("a", 60 * SEC, 0), site_of("b", 60 * SEC, 0)};
    for (nsec_t now = 90 * SEC; now <= 90 * SEC + 1; now++) {
        struct schedule *schedule = schedule_new(0);
        ck_assert_int_eq(schedule_set(schedule, sites, 1, 0), 0);
        ck_assert_int_eq(schedule_set(schedule, sites, 2, now), 0);
        ck_assert_int_eq(schedule_phase(schedule, 1), 30 * SEC);
        struct schedule_slot slot = {0};
        ck_assert_int_eq(schedule_set(schedule, &sites[1], 1, now), 0); /* it alone */
        ck_assert_int_eq(next_at(schedule), now == 90 * SEC ? now : 150 * SEC);
        slot = taken(schedule, next_at(schedule));
        ck_assert_uint_eq(slot.skipped, 0);
        schedule_free(schedule);
    }
}
END_TEST

START_TEST(a_ring_in_which_none_stays_is_laid_out_as_at_the_start) {
    struct sites sites = sites_new(4, 60 * SEC);
    struct schedule *schedule = started(&sites, 5 * SEC);
    struct schedule_site other[] = {site_of("a", 60 * SEC, 0), site_of("b", 60 * SEC, 0),
                                    site_of("site-1", 10 * SEC, 1)};
    ck_assert_int_eq(schedule_set(schedule, other, 3, 100 * SEC), 0);
    ck_assert_int_eq(schedule_phase(schedule, 0), 0);
    ck_assert_int_eq(schedule_phase(schedule, 1), 30 * SEC);
    ck_assert_int_eq(schedule_phase(schedule, 2), 6180 * MSEC);
    ck_assert_int_eq(next_at(schedule), 5 * SEC + 100 * SEC - 4 * SEC + 180 * MSEC);
    schedule_free(schedule);
    sites_free(&sites);
}
END_TEST

START_TEST(fifty_random_reloads_move_nobody_and_make_no_burst) {
    enum { SITES = 5000, NAMES = SITES + 50 * SITES / 10 };
    struct chance chance = chance_new(__func__);
    struct sites names = sites_new(NAMES, 60 * SEC);
    struct schedule_site *sites = calloc(2 * SITES, sizeof *sites);
    nsec_t *phase_of = calloc(NAMES, sizeof *phase_of); /* by the name's number */
    size_t n = SITES, used = SITES;
    memcpy(sites, names.site, n * sizeof *sites);
    struct schedule *schedule = schedule_new(0);
    ck_assert_int_eq(schedule_set(schedule, sites, n, 0), 0);
    size_t worst = 0;
    for (int reload = 0; reload <= 50; reload++) {
        nsec_t *phases = calloc(2 * n, sizeof *phases);
        for (size_t i = 0; i < n; i++) {
            size_t name = (size_t)(sites[i].name - names.name[0]) / NAME_BYTES;
            nsec_t phase = schedule_phase(schedule, i);
            ck_assert_msg(phase_of[name] == 0 || phase_of[name] == phase + 1, "%zu moved", name);
            phase_of[name] = phase + 1;
            phases[i] = phase;
            phases[n + i] = phase + 60 * SEC;
        }
        qsort(phases, 2 * n, sizeof *phases, compare_times);
        size_t burst = worst_window(phases, 2 * n, 60 * SEC * 50 / (nsec_t)n);
        worst = burst > worst ? burst : worst;
        free(phases);

        struct schedule_site *next = calloc(2 * SITES, sizeof *next);
        size_t n_next = 0;
        for (size_t i = 0; i < n; i++) {
            if (chance_below(&chance, 20) > 0) {
                next[n_next++] = sites[i];
            }
            if (chance_below(&chance, 20) == 0 && used < NAMES) {
                next[n_next++] = names.site[used++];
            }
        }
        free(sites);
        sites = next;
        n = n_next;
        ck_assert_int_eq(schedule_set(schedule, sites, n, reload * SEC), 0);
    }
    fprintf(stderr, "# worst of 50 reloads: %zu starts in a window that holds 50\n", worst);
    ck_assert_uint_lt(worst, 100);
    free(sites);
    free(phase_of);
    schedule_free(schedule);
    sites_free(&names);
}
END_TEST

START_TEST(fifty_thousand_new_sites_among_fifty_thousand_are_even) {
    enum { HALF = 50000 };
    struct sites sites = sites_new(2 * (size_t)HALF, 60 * SEC);
    struct schedule *schedule = schedule_new(0);
    ck_assert_int_eq(schedule_set(schedule, sites.site, HALF, 0), 0);
    nsec_t cpu = cpu_now();
    ck_assert_int_eq(schedule_set(schedule, sites.site, sites.n, SEC), 0);
    fprintf(stderr, "# 50,000 among 50,000 in %.3f s of CPU\n", (double)(cpu_now() - cpu) / 1e9);
    nsec_t *phases = calloc(sites.n, sizeof *phases);
    for (size_t i = 0; i < sites.n; i++) {
        phases[i] = schedule_phase(schedule, i);
        /* the first new one follows the last old one, and its followers go round */
        size_t place = i < HALF ? i * 2 : (i - HALF + HALF - 1) % HALF * 2 + 1;
        ck_assert_int_eq(phases[i], (nsec_t)place * 600000);
    }
    free(phases);
    schedule_free(schedule);
    sites_free(&sites);
}
END_TEST

START_TEST(another_interval_waits_for_the_round_in_flight_and_counts_on) {
    struct schedule_site site = site_of("a", 60 * SEC, 0);
    struct schedule *schedule = schedule_new(0);
    ck_assert_int_eq(schedule_set(schedule, &site, 1, 0), 0);
    struct schedule_slot slot = taken(schedule, 0);
    ck_assert_uint_eq(slot.number, 1);
    site.interval = 10 * SEC;
    ck_assert_int_eq(schedule_set(schedule, &site, 1, 5 * SEC), 0);
    assert_none(schedule, 10 * SEC);
    schedule_done(schedule, slot.entry, 12 * SEC);
    slot = taken(schedule, 12 * SEC);
    ck_assert_int_eq(slot.due, 10 * SEC);
    ck_assert_uint_eq(slot.number, 2);
    ck_assert_uint_eq(slot.skipped, 0);
    /* slots of the old interval that were waiting for a round in flight are skipped */
    site.interval = 7 * SEC;
    ck_assert_int_eq(schedule_set(schedule, &site, 1, 41 * SEC), 0); /* 20, 30, 40 */
    schedule_done(schedule, slot.entry, 42 * SEC);
    slot = taken(schedule, 42 * SEC);
    ck_assert_int_eq(slot.due, 42 * SEC);
    ck_assert_uint_eq(slot.number, 3);
    ck_assert_uint_eq(slot.skipped, 3);
    schedule_free(schedule);
}
END_TEST

START_TEST(a_site_that_comes_back_waits_for_its_old_round) {
    struct schedule_site site = site_of("a", 10 * SEC, 0);
    struct schedule *schedule = schedule_new(0);
    ck_assert_int_eq(schedule_set(schedule, &site, 1, 0), 0);
    struct schedule_slot slot = taken(schedule, 0);
    ck_assert_int_eq(schedule_set(schedule, NULL, 0, SEC), 0);
    nsec_t at;
    ck_assert(!schedule_next(schedule, &at));
    ck_assert_int_eq(schedule_set(schedule, &site, 1, 2 * SEC), 0);
    assert_none(schedule, 10 * SEC);
    schedule_done(schedule, slot.entry, 11 * SEC);
    slot = taken(schedule, 11 * SEC);
    ck_assert_uint_eq(slot.number, 2);
    /* gone for good, its round comes home and is forgotten */
    ck_assert_int_eq(schedule_set(schedule, NULL, 0, 12 * SEC), 0);
    schedule_done(schedule, slot.entry, 13 * SEC);
    ck_assert_int_eq(schedule_set(schedule, &site, 1, 15 * SEC), 0);
    ck_assert_uint_eq(taken(schedule, 20 * SEC).number, 1);
    schedule_free(schedule);
}
END_TEST

/* --- against a model: random stalls, long rounds, reloads --- */

enum { MODEL_SITES = 60 };

struct model_site {
    char name[NAME_BYTES];
    bool listed;
    bool in_flight;
    nsec_t end; /* of the round in flight */
    struct schedule_entry *entry;
    nsec_t interval;
    nsec_t slot;      /* the first slot that has neither begun nor been told as skipped */
    uint64_t carried; /* slots of an older interval that were passed over */
    uint64_t number;
    bool new;
    nsec_t added;
};

static struct {
    struct chance chance;
    struct schedule *schedule;
    struct model_site sites[MODEL_SITES];
    struct model_site *by_index[MODEL_SITES];
    size_t n;
    nsec_t now;
    uint64_t rounds, skipped, firsts;
} model;

static const nsec_t model_intervals[] = {2 * SEC, 7 * SEC, 130 * SEC};

/* A new set: in a new order, some sites gone, some back, some with another interval. */
static void model_reload(bool everything) {
    struct schedule_site sites[MODEL_SITES];
    struct model_site *order[MODEL_SITES];
    bool stays[MODEL_SITES];
    for (size_t i = 0; i < MODEL_SITES; i++) {
        size_t k = chance_below(&model.chance, i + 1);
        order[i] = order[k];
        order[k] = &model.sites[i];
    }
    model.n = 0;
    for (size_t i = 0; i < MODEL_SITES; i++) {
        struct model_site *site = order[i];
        bool listed = everything || chance_below(&model.chance, 8) > 0;
        size_t ring = chance_below(&model.chance, 3);
        if (site->interval != 0 && chance_below(&model.chance, 6) > 0) {
            while (model_intervals[ring] != site->interval) {
                ring = (ring + 1) % 3;
            }
        }
        if (!listed) {
            if (!site->in_flight) {
                site->number = 0;
                site->carried = 0;
            }
            site->listed = false;
            continue;
        }
        stays[model.n] = site->listed && site->interval == model_intervals[ring];
        if (site->listed && !stays[model.n] && site->slot <= model.now) {
            site->carried += (uint64_t)((model.now - site->slot) / site->interval) + 1;
        }
        site->listed = true;
        site->interval = model_intervals[ring];
        sites[model.n] = site_of(site->name, site->interval, (unsigned)ring);
        model.by_index[model.n++] = site;
    }
    ck_assert_int_eq(schedule_set(model.schedule, sites, model.n, model.now), 0);
    for (size_t i = 0; i < model.n; i++) {
        struct model_site *site = model.by_index[i];
        if (!stays[i]) {
            nsec_t phase = schedule_phase(model.schedule, i);
            ck_assert(phase >= 0 && phase < site->interval);
            site->slot = phase;
            while (site->slot < model.now) {
                site->slot +=
                    (model.now - site->slot + site->interval - 1) / site->interval * site->interval;
            }
            site->added = model.now;
            site->new = site->number == 0;
        }
        ck_assert_int_eq(site->slot % site->interval, schedule_phase(model.schedule, i));
    }
}

static void model_end_rounds(void) {
    for (size_t i = 0; i < MODEL_SITES; i++) {
        struct model_site *site = &model.sites[i];
        if (site->in_flight && site->end <= model.now) {
            site->in_flight = false;
            if (!site->listed) {
                site->number = 0;
                site->carried = 0;
            }
            schedule_done(model.schedule, site->entry, model.now);
        }
    }
}

static void model_begin(const struct schedule_slot *slot, bool calm) {
    ck_assert_uint_lt(slot->site, model.n);
    struct model_site *site = model.by_index[slot->site];
    ck_assert_msg(!site->in_flight, "%s begins twice", site->name);
    ck_assert_uint_eq(slot->number, ++site->number);
    ck_assert_int_le(slot->due, model.now);
    if (slot->first) {
        ck_assert(site->new && site->number == 1 && site->interval > 60 * SEC);
        ck_assert_int_gt(site->slot - site->added, 60 * SEC);
        ck_assert(slot->due >= site->added && slot->due <= site->added + 60 * SEC);
        ck_assert_int_lt(model.now, site->slot);
        ck_assert_uint_eq(slot->skipped, site->carried); /* of an interval that it had before */
        site->carried = 0;
        model.skipped += slot->skipped;
        model.firsts++;
    } else {
        ck_assert_int_ge(slot->due, site->slot);
        ck_assert_int_eq((slot->due - site->slot) % site->interval, 0);
        ck_assert_uint_eq(slot->skipped,
                          site->carried + (uint64_t)((slot->due - site->slot) / site->interval));
        ck_assert_int_le(model.now - slot->due, site->interval / 2);
        site->slot = slot->due + site->interval;
        site->carried = 0;
        model.rounds++;
        model.skipped += slot->skipped;
    }
    site->in_flight = true;
    site->entry = slot->entry;
    bool lasting = !calm && chance_below(&model.chance, 20) == 0;
    site->end = model.now +
                (nsec_t)chance_below(&model.chance,
                                     (uint64_t)(lasting ? 3 * site->interval : site->interval / 4));
}

/* One turn of the loop. Afterwards no idle site has a slot that is on time. */
static void model_turn(bool calm) {
    model_end_rounds();
    struct schedule_slot slot;
    while (schedule_take(model.schedule, model.now, &slot)) {
        model_begin(&slot, calm);
    }
    for (size_t i = 0; i < model.n; i++) {
        const struct model_site *site = model.by_index[i];
        if (!site->in_flight && site->slot <= model.now) {
            nsec_t late = (model.now - site->slot) % site->interval;
            ck_assert_msg(late > 50 * MSEC, "%s: a slot on time has not begun", site->name);
        }
    }
    nsec_t next = INT64_MAX;
    if (schedule_next(model.schedule, &next)) {
        ck_assert_int_gt(next, model.now);
    }
    for (size_t i = 0; i < MODEL_SITES; i++) {
        if (model.sites[i].in_flight && model.sites[i].end < next) {
            next = model.sites[i].end;
        }
    }
    ck_assert_int_ne(next, INT64_MAX);
    model.now = next > model.now ? next : model.now;
    model.now += (nsec_t)chance_below(&model.chance, 2 * MSEC);
    if (!calm && chance_below(&model.chance, 200) == 0) {
        model.now += (nsec_t)chance_below(&model.chance, 20 * SEC);
    } else if (!calm && chance_below(&model.chance, 3000) == 0) {
        model.now += (nsec_t)chance_below(&model.chance, 400 * SEC);
    }
}

START_TEST(rounds_and_skipped_are_the_slots_passed_whatever_happens) {
    bool with_reloads = _i == 1;
    memset(&model, 0, sizeof model);
    model.chance = chance_new(__func__);
    model.schedule = schedule_new(0);
    for (size_t i = 0; i < MODEL_SITES; i++) {
        snprintf(model.sites[i].name, NAME_BYTES, "s%zu", i);
    }
    model_reload(true);
    for (int turn = 0; turn < 60000; turn++) {
        model_turn(false);
        if (with_reloads && chance_below(&model.chance, 100) == 0) {
            model_reload(false);
        }
    }
    fprintf(stderr, "# %" PRIu64 " rounds, %" PRIu64 " skipped, %" PRIu64 " first, %.0f s\n",
            model.rounds, model.skipped, model.firsts, (double)model.now / 1e9);
    ck_assert_uint_gt(model.skipped, 1000);
    ck_assert(!with_reloads || model.firsts > 50);
    nsec_t calm_until = model.now + 1000 * SEC;
    while (model.now < calm_until) {
        model_turn(true);
    }
    for (size_t i = 0; i < model.n; i++) { /* everyone has caught up */
        const struct model_site *site = model.by_index[i];
        ck_assert(site->in_flight || site->slot > model.now - 2 * MSEC);
        ck_assert_int_gt(site->slot, model.now - site->interval / 2);
    }
    schedule_free(model.schedule);
}
END_TEST

/* --- edges --- */

START_TEST(a_schedule_without_sites_plans_nothing) {
    struct schedule *schedule = schedule_new(0);
    nsec_t at = 42;
    ck_assert(!schedule_next(schedule, &at));
    ck_assert_int_eq(at, 42);
    assert_none(schedule, INT64_MAX);
    ck_assert_int_eq(schedule_set(schedule, NULL, 0, 0), 0);
    ck_assert(!schedule_next(schedule, &at));
    schedule_free(schedule);
    schedule_free(NULL);
}
END_TEST

START_TEST(names_are_borrowed_only_during_the_call) {
    char name[] = "a";
    struct schedule_site site = site_of(name, 10 * SEC, 0);
    struct schedule *schedule = schedule_new(0);
    ck_assert_int_eq(schedule_set(schedule, &site, 1, 0), 0);
    name[0] = 'X';
    struct schedule_slot slot = taken(schedule, 0);
    site = site_of("a", 10 * SEC, 0);
    ck_assert_int_eq(schedule_set(schedule, &site, 1, SEC), 0);
    assert_none(schedule, 10 * SEC); /* it is known, and in flight */
    schedule_done(schedule, slot.entry, 11 * SEC);
    ck_assert_uint_eq(taken(schedule, 11 * SEC).number, 2);
    schedule_free(schedule);
}
END_TEST

START_TEST(a_round_that_is_done_twice_is_a_mistake) {
    struct schedule_site site = site_of("a", 10 * SEC, 0);
    struct schedule *schedule = schedule_new(0);
    ck_assert_int_eq(schedule_set(schedule, &site, 1, 0), 0);
    struct schedule_slot slot = taken(schedule, 0);
    schedule_done(schedule, slot.entry, SEC);
    schedule_done(schedule, slot.entry, SEC);
}
END_TEST

START_TEST(without_memory_a_reload_changes_nothing) {
    struct sites sites = sites_new(12, 60 * SEC);
    struct schedule *schedule = schedule_new(0);
    ck_assert_int_eq(schedule_set(schedule, sites.site, 8, 0), 0);
    struct schedule_slot slot = taken(schedule, 0);
    nsec_t next = next_at(schedule);
    for (size_t i = 0; i < sites.n; i += 3) { /* a reload that moves, re-times, adds and removes */
        sites.site[i].interval = 10 * SEC;
        sites.site[i].ring = 1;
    }
    size_t k = 0;
    int r = -ENOMEM;
    while (r != 0) {
        memory_left = k++;
        r = schedule_set(schedule, &sites.site[2], 10, 7 * SEC);
        if (r != 0) {
            ck_assert_int_eq(r, -ENOMEM);
            ck_assert_int_eq(next_at(schedule), next);
            for (size_t i = 0; i < 8; i++) {
                ck_assert_int_eq(schedule_phase(schedule, i), (nsec_t)i * 7500 * MSEC);
            }
        }
    }
    memory_left = SIZE_MAX;
    ck_assert_uint_gt(k, 9);                      /* five arrays, four new sites */
    schedule_done(schedule, slot.entry, 8 * SEC); /* it has gone, in flight */
    schedule_free(schedule);
    sites_free(&sites);
    memory_left = 0;
    ck_assert_ptr_null(schedule_new(0));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("schedule");
    TCase *tests = tcase_create("schedule");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, phases_are_even_and_in_the_order_of_the_configuration);
    tcase_add_test(tests, rings_begin_a_golden_section_apart_and_within_their_interval);
    tcase_add_test(tests, sites_begin_in_the_order_of_the_configuration);
    tcase_add_test(tests, a_loop_that_is_always_late_does_not_drift);
    tcase_add_test(tests, a_slot_begins_until_half_an_interval_late);
    tcase_add_test(tests, a_round_that_outlives_its_slot_delays_the_next_one_or_costs_it);
    tcase_add_loop_test(tests, a_stop_causes_no_burst_and_moves_no_phase, 0, 4);
    tcase_add_test(tests, a_second_stop_while_catching_up_causes_no_burst_either);
    tcase_add_test(tests, what_is_late_by_no_more_than_the_pace_begins_at_once);
    tcase_add_test(tests, what_catches_up_is_announced_by_next);
    tcase_add_test(tests, a_new_site_with_a_long_interval_has_a_first_round_within_a_minute);
    tcase_add_test(tests, an_interval_of_a_minute_needs_no_first_round);
    tcase_add_test(tests, at_a_reload_only_the_new_site_has_a_first_round);
    tcase_add_test(tests, after_a_restart_the_numbers_go_on_and_only_new_sites_have_a_first_round);
    tcase_add_test(tests, a_slot_takes_the_place_of_a_first_round_that_a_stop_ate);
    tcase_add_test(tests, a_first_round_whose_turn_would_come_after_its_slot_is_given_up);
    tcase_add_test(tests, first_rounds_catch_up_at_their_pace);
    tcase_add_test(tests, a_new_site_takes_the_middle_of_the_largest_gap_after_its_predecessor);
    tcase_add_test(tests, gaps_that_differ_by_a_rounding_are_equal);
    tcase_add_test(tests, a_new_sites_first_slot_is_the_first_that_is_not_over);
    tcase_add_test(tests, a_ring_in_which_none_stays_is_laid_out_as_at_the_start);
    tcase_add_test(tests, fifty_random_reloads_move_nobody_and_make_no_burst);
    tcase_add_test(tests, fifty_thousand_new_sites_among_fifty_thousand_are_even);
    tcase_add_test(tests, another_interval_waits_for_the_round_in_flight_and_counts_on);
    tcase_add_test(tests, a_site_that_comes_back_waits_for_its_old_round);
    tcase_add_loop_test(tests, rounds_and_skipped_are_the_slots_passed_whatever_happens, 0, 2);
    tcase_add_test(tests, a_schedule_without_sites_plans_nothing);
    tcase_add_test(tests, names_are_borrowed_only_during_the_call);
    tcase_add_test_raise_signal(tests, a_round_that_is_done_twice_is_a_mistake, SIGABRT);
    if (memory_can_fail()) {
        tcase_add_test(tests, without_memory_a_reload_changes_nothing);
    }
    suite_add_tcase(suite, tests);
    /* apart, so that a run under valgrind can leave it out (CK_RUN_CASE=schedule) */
    TCase *day = tcase_create("day");
    tcase_set_timeout(day, 100);
    tcase_add_test(day, a_day_of_10000_sites_has_exactly_its_slots);
    suite_add_tcase(suite, day);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
