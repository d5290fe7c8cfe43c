#include "report/change.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALL (INT64_C(1795341960) * NSEC_PER_SEC)

static struct status_set good; /* 200 alone */
static struct site site;
static struct report_address addresses[4];
static struct report_backend backends[4];
static struct report report;

static void setup(void) {
    good = (struct status_set){0};
    good.bits[(200 - 100) / 64] |= UINT64_C(1) << ((200 - 100) % 64);
    site = (struct site){.name = "shop", .interval = 60 * NSEC_PER_SEC, .samples = 20};
    site.expect.status = &good;
    report = (struct report){.site = &site, .round = 9, .addresses = addresses};
    report.backends = backends;
    report.planned = report.judged = 20;
    report.verdict = (struct verdict_result){
        .from = STATE_UP, .to = STATE_DEGRADED, .window_samples = 100, .window_failed = 12};
}

static void teardown(void) {
    tally_clear(&report.tally);
    tally_clear(&report.other_backends);
    for (size_t i = 0; i < 4; i++) {
        tally_clear(&addresses[i].tally);
        tally_clear(&backends[i].tally);
        addresses[i].failed = backends[i].failed = 0;
    }
}

static void saw(struct tally *tally, outcome_t outcome, unsigned count) {
    ck_assert_int_eq(tally_add(tally, outcome, count), 0);
}

/* So many failed with that outcome, the others of 20 met what was expected. */
static void failed(outcome_t outcome, unsigned count) {
    saw(&report.tally, outcome, count);
    report.failed += count;
    report.reasons[outcome_is_status(outcome) ? REASON_STATUS : REASON_ERROR] += count;
}

static void address(const char *text, unsigned good_ones, outcome_t outcome, unsigned bad_ones) {
    struct report_address *row = &addresses[report.n_addresses++];
    snprintf(row->text, sizeof row->text, "%s", text);
    if (good_ones > 0) {
        saw(&row->tally, 200, good_ones);
    }
    if (bad_ones > 0) {
        saw(&row->tally, outcome, bad_ones);
    }
    row->failed = outcome_is_judged(outcome) ? bad_ones : 0;
}

static void backend(const char *name, unsigned good_ones, outcome_t outcome, unsigned bad_ones) {
    struct report_backend *row = &backends[report.n_backends++];
    snprintf(row->name, sizeof row->name, "%s", name);
    if (good_ones > 0) {
        saw(&row->tally, 200, good_ones);
    }
    if (bad_ones > 0) {
        saw(&row->tally, outcome, bad_ones);
    }
    row->failed = bad_ones;
}

static void says(const char *sentence) {
    struct change change;
    change_init(&change, &report, WALL, NSEC_UNKNOWN);
    ck_assert_str_eq(change.why, sentence);
}

#define COUNTS "9 of 20 samples failed in this round, 12 of 100 lately"

START_TEST(a_change_takes_over_the_numbers_of_its_round) {
    failed(503, 9);
    struct change change;
    change_init(&change, &report, WALL + 5, WALL);
    ck_assert_int_eq(change.from, STATE_UP);
    ck_assert_int_eq(change.to, STATE_DEGRADED);
    ck_assert_int_eq(change.wall_time, WALL + 5);
    ck_assert_int_eq(change.wall_since, WALL);
    ck_assert_uint_eq(change.round, 9);
    ck_assert_uint_eq(change.planned, 20);
    ck_assert_uint_eq(change.judged, 20);
    ck_assert_uint_eq(change.failed, 9);
    ck_assert_str_eq(change.why, COUNTS "; most often 503");
}
END_TEST

START_TEST(what_most_samples_failed_for_is_named) {
    saw(&report.tally, 200, 11);
    failed(503, 4);
    failed(OUTCOME_RESET, 5);
    saw(&report.tally, OUTCOME_NOT_SENT, 30); /* ours: never the site's reason */
    says(COUNTS "; most often reset");
    report.reasons[REASON_BODY] = 6;
    says(COUNTS "; most often for its body");
}
END_TEST

START_TEST(a_429_is_told_with_our_rate_and_what_lowers_it) {
    failed(429, 9);
    says(COUNTS "; most often 429: the site limits us, at 20 requests a minute; lower samples (20) "
                "or raise interval (1m)");
    site.interval = 90 * NSEC_PER_SEC;
    report.planned = 60; /* each of three addresses has 20 */
    site.redirects.follow = 1;
    says(COUNTS "; most often 429: the site limits us, at no less than 40 requests a minute; lower "
                "samples (20) or raise interval (90s)");
    site.redirects.follow = 0;
    site.samples = report.planned = 1;
    site.interval = 100 * NSEC_PER_SEC;
    says(COUNTS "; most often 429: the site limits us, at 0.6 requests a minute; raise interval "
                "(100s)");
    site.interval = NSEC_PER_SEC / 10;
    report.planned = site.samples = 100;
    says(COUNTS "; most often 429: the site limits us, at 60000 requests a minute; lower samples "
                "(100) or raise interval (100ms)");
}
END_TEST

START_TEST(a_429_among_others_is_told_too) {
    failed(503, 8);
    failed(429, 1);
    says(COUNTS "; most often 503; 1 was 429: the site limits us, at 20 requests a minute; lower "
                "samples (20) or raise interval (1m)");
}
END_TEST

START_TEST(a_429_that_is_expected_is_no_limit) {
    good.bits[(429 - 100) / 64] |= UINT64_C(1) << ((429 - 100) % 64);
    saw(&report.tally, 429, 11);
    failed(503, 9);
    says(COUNTS "; most often 503");
}
END_TEST

START_TEST(an_address_that_has_all_failures_is_named) {
    failed(503, 9);
    address("192.0.2.1", 6, 503, 0);
    address("192.0.2.2", 1, 503, 9);
    address("192.0.2.3", 0, OUTCOME_NOT_SENT, 4); /* had none that tells */
    says(COUNTS "; most often 503; all 9 failures at 192.0.2.2 (of 10 samples), none at 1 other "
                "address");
    address("2001:db8::1", 4, 503, 0);
    says(COUNTS "; most often 503; all 9 failures at 192.0.2.2 (of 10 samples), none at 2 other "
                "addresses");
    report.failed = 10;
    saw(&addresses[3].tally, 503, 1);
    addresses[3].failed = 1;
    says("10 of 20 samples failed in this round, 12 of 100 lately; most often 503");
}
END_TEST

START_TEST(failures_without_an_address_are_no_address_s) {
    failed(OUTCOME_DNS_TIMEOUT, 9);
    address("192.0.2.1", 6, 503, 0);
    address("192.0.2.2", 5, 503, 0);
    says(COUNTS "; most often dns_timeout");
}
END_TEST

START_TEST(the_only_address_and_a_single_failure_blame_nobody) {
    failed(503, 9);
    address("192.0.2.1", 11, 503, 9);
    says(COUNTS "; most often 503");
    address("192.0.2.2", 0, 503, 0);
    says(COUNTS "; most often 503");
    saw(&addresses[1].tally, 200, 5);
    report.failed = addresses[0].failed = 1;
    says("1 of 20 samples failed in this round, 12 of 100 lately; most often 503");
}
END_TEST

START_TEST(a_backend_that_has_all_failures_is_named_beside_its_address) {
    failed(503, 9);
    address("192.0.2.1", 10, 503, 0);
    address("192.0.2.2", 1, 503, 9);
    backend("b1", 5, 503, 0);
    backend("b 2", 0, 503, 9);
    backend("b3", 6, 503, 0);
    says(COUNTS "; most often 503; all 9 failures at 192.0.2.2 (of 10 samples), none at 1 other "
                "address; all 9 failures from 'b 2' (of 9 samples), none from 2 other backends");
    saw(&report.other_backends, 200, 1);
    report.n_addresses = 0;
    says(COUNTS "; most often 503; all 9 failures from 'b 2' (of 9 samples), none from all "
                "others");
}
END_TEST

START_TEST(a_recovery_says_how_long_it_took) {
    static const struct {
        nsec_t seconds;
        const char *words;
    } rows[] = {
        {0, "0s"},    {119, "119s"},   {120, "2m"},    {7199, "119m"},
        {7200, "2h"}, {172799, "47h"}, {172800, "2d"}, {864000, "10d"},
    };
    report.verdict.from = STATE_DOWN;
    report.verdict.to = STATE_UP;
    report.verdict.window_failed = 0;
    saw(&report.tally, 200, 20);
    struct change change;
    char wanted[128];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        change_init(&change, &report, WALL + rows[i].seconds * NSEC_PER_SEC, WALL);
        snprintf(wanted, sizeof wanted,
                 "0 of 20 samples failed in this round, 0 of 100 lately; it was down for %s",
                 rows[i].words);
        ck_assert_str_eq(change.why, wanted);
    }
    says("0 of 20 samples failed in this round, 0 of 100 lately");
    change_init(&change, &report, WALL, WALL + NSEC_PER_SEC); /* the clock was set back */
    ck_assert_ptr_null(strstr(change.why, "it was"));
    report.verdict.to = STATE_DEGRADED;
    change_init(&change, &report, WALL + NSEC_PER_SEC, WALL);
    ck_assert_ptr_null(strstr(change.why, "it was"));
}
END_TEST

START_TEST(the_longest_sentence_has_room) {
    failed(OUTCOME_CONNECT_UNREACHABLE, 10000);
    saw(&report.tally, 429, 9000);
    report.planned = report.judged = 4000000000U;
    report.failed = 4000000000U;
    report.verdict.window_failed = report.verdict.window_samples = 4000000000U;
    site.samples = 10000;
    site.interval = 2678399999 * NSEC_PER_MSEC;
    site.redirects.follow = 9;
    address("2001:db8:1111:2222:3333:4444:5555:6666", 9, 503, 9);
    address("2001:db8:1111:2222:3333:4444:5555:6667", 9, 503, 0);
    addresses[0].failed = report.failed;
    char name[PROBE_BACKEND_BYTES];
    memset(name, 'b', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    backend(name, 0, 503, 9);
    backend("b2", 1, 503, 0);
    backends[0].failed = report.failed;
    saw(&report.other_backends, 200, 1);
    struct change change;
    change_init(&change, &report, WALL, NSEC_UNKNOWN);
    const char *end = "none from all others";
    ck_assert_ptr_nonnull(strstr(change.why, "; all 4000000000 failures at "));
    ck_assert_str_eq(change.why + strlen(change.why) - strlen(end), end);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("change");
    TCase *tests = tcase_create("change");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_change_takes_over_the_numbers_of_its_round);
    tcase_add_test(tests, what_most_samples_failed_for_is_named);
    tcase_add_test(tests, a_429_is_told_with_our_rate_and_what_lowers_it);
    tcase_add_test(tests, a_429_among_others_is_told_too);
    tcase_add_test(tests, a_429_that_is_expected_is_no_limit);
    tcase_add_test(tests, an_address_that_has_all_failures_is_named);
    tcase_add_test(tests, failures_without_an_address_are_no_address_s);
    tcase_add_test(tests, the_only_address_and_a_single_failure_blame_nobody);
    tcase_add_test(tests, a_backend_that_has_all_failures_is_named_beside_its_address);
    tcase_add_test(tests, a_recovery_says_how_long_it_took);
    tcase_add_test(tests, the_longest_sentence_has_room);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
