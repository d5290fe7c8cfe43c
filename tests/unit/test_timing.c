#include "config/timing.h"

#include "chance.h"

#include <check.h>
#include <stdlib.h>

#define S(n)  ((nsec_t)(n)*NSEC_PER_SEC)
#define MS(n) ((nsec_t)(n)*NSEC_PER_MSEC)

/* The rows' defaults. */
static struct site default_site(void) {
    return (struct site){
        .interval = S(60), .timeout = S(5), .dns_timeout = S(5), .samples = 20, .concurrency = 5};
}

START_TEST(the_defaults_fit_a_minute) {
    struct site site = default_site();
    timing_settle(&site, false);
    ck_assert_int_eq(site.timeout, S(5));
    ck_assert_int_eq(site.spread, S(15));
    ck_assert_int_eq(site.deadline, S(25)); /* design's own example */
    ck_assert_uint_eq(timing_unsent(&site, 5), 0);
}
END_TEST

START_TEST(many_samples_need_as_many_timeouts_as_waves) {
    struct site site = default_site();
    site.samples = 51;
    timing_settle(&site, false);
    ck_assert_int_eq(site.deadline, S(5) + 11 * S(5));
    site = default_site();
    site.samples = 10000;
    timing_settle(&site, false);
    ck_assert_int_eq(site.deadline, S(60));
}
END_TEST

START_TEST(defaults_are_lowered_to_a_short_interval) {
    struct site site = default_site();
    site.interval = MS(100);
    timing_settle(&site, false);
    ck_assert_int_eq(site.timeout, MS(100));
    ck_assert_int_eq(site.dns_timeout, MS(100));
    ck_assert_int_eq(site.deadline, MS(100));
    ck_assert_int_eq(site.spread, MS(25));
}
END_TEST

START_TEST(what_is_given_stays) {
    struct site site = default_site();
    site.interval = S(10);
    site.timeout = S(8);
    site.spread = S(9);
    site.deadline = S(9);
    site.dns_timeout = S(12);
    site.timeout_given = site.spread_given = site.deadline_given = true;
    timing_settle(&site, true);
    ck_assert_int_eq(site.timeout, S(8));
    ck_assert_int_eq(site.spread, S(9));
    ck_assert_int_eq(site.deadline, S(9));
    ck_assert_int_eq(site.dns_timeout, S(12));
}
END_TEST

START_TEST(a_given_deadline_lowers_the_defaults) {
    struct site site = default_site();
    site.deadline = S(4);
    site.deadline_given = true;
    timing_settle(&site, false);
    ck_assert_int_eq(site.timeout, S(4));
    ck_assert_int_eq(site.dns_timeout, S(4));
    ck_assert_int_eq(site.spread, S(1)); /* else none of the last samples could ever start */
    ck_assert_int_eq(site.deadline, S(4));
    site = default_site();
    site.deadline = S(30);
    site.deadline_given = true;
    timing_settle(&site, false);
    ck_assert_int_eq(site.spread, S(15));
}
END_TEST

START_TEST(a_site_that_hangs_leaves_samples_unsent) {
    struct site site = default_site();
    site.interval = S(10);
    timing_settle(&site, false);
    ck_assert_uint_eq(timing_unsent(&site, 5), 10); /* waves at 0 and 5 s; the next is too late */
    ck_assert_uint_eq(timing_enough(&site), 10);
    site = default_site();
    site.interval = S(1);
    timing_settle(&site, false);
    ck_assert_uint_eq(timing_unsent(&site, 5), 15);
    ck_assert_uint_eq(timing_enough(&site), 20);
}
END_TEST

/* A round played through: slots that are taken for `timeout` by each sample. */
static unsigned play(const struct site *site, unsigned concurrency) {
    nsec_t *free_at = calloc(concurrency, sizeof *free_at);
    ck_assert_ptr_nonnull(free_at);
    unsigned unsent = 0;
    for (unsigned k = 0; k < site->samples; k++) {
        unsigned slot = 0;
        for (unsigned i = 1; i < concurrency; i++) {
            slot = free_at[i] < free_at[slot] ? i : slot;
        }
        nsec_t start = site->spread * k / site->samples;
        start = start < free_at[slot] ? free_at[slot] : start;
        free_at[slot] = start + site->timeout;
        unsent += start >= site->deadline;
    }
    free(free_at);
    return unsent;
}

START_TEST(the_formula_agrees_with_a_round_played_through) {
    struct chance chance = chance_new("timing");
    for (int i = 0; i < 20000; i++) {
        unsigned samples = 1 + (unsigned)chance_below(&chance, 60);
        struct site site = {
            .samples = samples,
            .concurrency = 1 + (unsigned)chance_below(&chance, 70),
            .timeout = MS(1 + chance_below(&chance, 300)),
            .deadline = MS(1 + chance_below(&chance, 2000)),
        };
        /* a multiple of the samples, so that no rounding hides in the comparison */
        site.spread = MS(chance_below(&chance, 1000 / samples + 1)) * samples;
        unsigned unsent = timing_unsent(&site, site.concurrency);
        ck_assert_uint_eq(unsent, play(&site, site.concurrency));
        unsigned enough = timing_enough(&site);
        if (enough > 0) {
            ck_assert_uint_eq(play(&site, enough), 0);
            ck_assert(enough == 1 || play(&site, enough - 1) > 0);
        } else {
            ck_assert_uint_gt(play(&site, samples), 0);
        }
    }
}
END_TEST

START_TEST(the_longest_times_do_not_overflow) {
    struct site site = {
        .interval = S(86400) * 31,
        .timeout = S(86400),
        .dns_timeout = S(86400),
        .samples = 10000,
        .concurrency = 1,
    };
    ck_assert_int_eq(timing_need(&site), S(86400) * 10001);
    timing_settle(&site, true);
    ck_assert_int_eq(site.deadline, site.interval);
    ck_assert_uint_eq(timing_unsent(&site, 1), 10000 - 31);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("timing");
    TCase *tests = tcase_create("timing");
    tcase_add_test(tests, the_defaults_fit_a_minute);
    tcase_add_test(tests, many_samples_need_as_many_timeouts_as_waves);
    tcase_add_test(tests, defaults_are_lowered_to_a_short_interval);
    tcase_add_test(tests, what_is_given_stays);
    tcase_add_test(tests, a_given_deadline_lowers_the_defaults);
    tcase_add_test(tests, a_site_that_hangs_leaves_samples_unsent);
    tcase_add_test(tests, the_formula_agrees_with_a_round_played_through);
    tcase_add_test(tests, the_longest_times_do_not_overflow);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
