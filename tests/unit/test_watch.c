#include "watch.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct config *config;
static struct watch_list *list;

static struct config *load(const char *url, const char *more) {
    struct config_messages messages;
    struct config *loaded = NULL;
    char text[256];
    int n = snprintf(text, sizeof text, "sites: [ { name: shop, url: \"%s\"%s } ]\n", url, more);
    ck_assert_int_eq(config_load_memory("test", text, (size_t)n, &messages, &loaded), 0);
    config_messages_clear(&messages);
    return loaded;
}

static void setup(void) {
    config = load("http://shop.test/", "");
    list = watch_list_new(config, NULL);
    ck_assert_ptr_nonnull(list);
}

static void teardown(void) {
    watch_list_free(list);
    config_unref(config);
}

static void reload(const char *url, const char *more) {
    struct config *next = load(url, more);
    struct watch_list *next_list = watch_list_new(next, list);
    ck_assert_ptr_nonnull(next_list);
    teardown();
    list = next_list;
    config = next;
}

/* A round of one good sample, whose lookup found these addresses; the list ends with NULL. */
static struct report *make(const char *first, ...) {
    struct report *report = calloc(1, sizeof *report);
    report->config = config_ref(config);
    report->site = &config->sites[0];
    report->planned = report->judged = 1;
    ck_assert_int_eq(tally_add(&report->tally, 200, 1), 0);
    report->addresses = calloc(8, sizeof *report->addresses);
    va_list more;
    va_start(more, first);
    for (const char *text = first; text != NULL; text = va_arg(more, const char *)) {
        snprintf(report->addresses[report->n_addresses++].text, INET6_ADDRSTRLEN, "%s", text);
    }
    va_end(more);
    return report;
}

/* Judges and frees it: what appeared and went must be these, separated by spaces. */
static void judged(struct report *report, const char *appeared, const char *gone) {
    char why[200], seen[2][512] = {"", ""};
    ck_assert(!watch_judge(list, report, 1, why, sizeof why));
    for (size_t i = 0; i < report->n_appeared; i++) {
        snprintf(seen[0] + strlen(seen[0]), 64, "%s%s", i > 0 ? " " : "", report->appeared[i]);
    }
    for (size_t i = 0; i < report->n_gone; i++) {
        snprintf(seen[1] + strlen(seen[1]), 64, "%s%s", i > 0 ? " " : "", report->gone[i]);
    }
    ck_assert_str_eq(seen[0], appeared);
    ck_assert_str_eq(seen[1], gone);
    report_free(report);
}

START_TEST(a_first_round_has_no_news) {
    judged(make("192.0.2.1", "192.0.2.2", NULL), "", "");
    judged(make("192.0.2.1", "192.0.2.2", NULL), "", "");
}
END_TEST

START_TEST(addresses_that_came_and_went_are_named_once) {
    judged(make("192.0.2.1", "192.0.2.2", "192.0.2.10", NULL), "", "");
    judged(make("192.0.2.2", "192.0.2.3", "192.0.2.10", "2001:db8::1", NULL),
           "192.0.2.3 2001:db8::1", "192.0.2.1");
    judged(make("192.0.2.2", "192.0.2.3", "192.0.2.10", "2001:db8::1", NULL), "", "");
    judged(make("192.0.2.1", NULL), "192.0.2.1", "192.0.2.10 192.0.2.2 192.0.2.3 2001:db8::1");
}
END_TEST

START_TEST(a_failed_lookup_is_no_news_and_is_not_remembered) {
    judged(make("192.0.2.1", "192.0.2.2", NULL), "", "");
    judged(make(NULL), "", "");
    judged(make("192.0.2.1", "192.0.2.3", NULL), "192.0.2.3", "192.0.2.2");
}
END_TEST

START_TEST(a_lookup_with_one_family_unanswered_is_no_news_and_is_not_remembered) {
    judged(make("192.0.2.1", "2001:db8::1", NULL), "", "");
    struct report *report = make("192.0.2.1", NULL);
    report->lookup_incomplete = true;
    judged(report, "", "");
    judged(make("192.0.2.1", "2001:db8::1", NULL), "", "");
}
END_TEST

START_TEST(a_family_without_a_route_neither_goes_nor_comes) {
    judged(make("192.0.2.1", "2001:db8::1", NULL), "", "");
    struct report *report = make("192.0.2.2", NULL);
    report->left_out_ipv6 = true;
    judged(report, "192.0.2.2", "192.0.2.1");
    judged(make("192.0.2.2", "2001:db8::1", NULL), "", "");
    judged(make("192.0.2.2", NULL), "", "2001:db8::1");
}
END_TEST

START_TEST(a_reload_keeps_what_is_known_of_a_site_that_asks_the_same) {
    judged(make("192.0.2.1", NULL), "", "");
    reload("http://shop.test/", ", samples: 3");
    judged(make("192.0.2.2", NULL), "192.0.2.2", "192.0.2.1");
    reload("http://shop.test/other", "");
    judged(make("192.0.2.3", NULL), "", "");
    reload("http://shop.test/other", ", family: ipv4");
    judged(make("192.0.2.4", NULL), "", "");
}
END_TEST

/* What is said when a site goes down: two rounds of 20 samples of which all failed, each for one of
 * two reasons. */
static void said_of(outcome_t one, enum reason one_reason, unsigned n, outcome_t other,
                    enum reason other_reason, const char *expected) {
    char why[200] = "";
    teardown();
    setup();
    for (int round = 0; round < 2; round++) {
        struct report *report = make("192.0.2.1", NULL);
        report->tally.n = 0;
        report->planned = report->judged = report->failed = 20;
        ck_assert_int_eq(tally_add(&report->tally, one, n), 0);
        ck_assert_int_eq(tally_add(&report->tally, other, 20 - n), 0);
        report->reasons[one_reason] += n;
        report->reasons[other_reason] += 20 - n;
        ck_assert_int_eq(watch_judge(list, report, round + 1, why, sizeof why), round == 1);
        report_free(report);
    }
    ck_assert_str_eq(why, expected);
}

START_TEST(what_samples_failed_for_most_often_is_said_also_where_their_status_was_expected) {
#define ALL_OF "20 of 20 samples failed in this round, 40 of 40 lately; most often "
    said_of(200, REASON_BODY, 19, 503, REASON_STATUS, ALL_OF "for its body");
    said_of(200, REASON_CERTIFICATE, 1, 503, REASON_STATUS, ALL_OF "503");
    said_of(OUTCOME_TLS_VERIFY, REASON_ERROR, 11, 200, REASON_LATENCY, ALL_OF "tls_verify");
    said_of(OUTCOME_TLS_VERIFY, REASON_ERROR, 9, 200, REASON_LATENCY, ALL_OF "for its latency");
}
END_TEST

START_TEST(a_round_of_before_a_reload_that_asks_otherwise_is_not_judged) {
    struct report *late = make("192.0.2.1", NULL);
    reload("http://shop.test/other", "");
    char why[200];
    ck_assert(!watch_judge(list, late, 1, why, sizeof why));
    ck_assert(!late->has_verdict);
    report_free(late);
    judged(make("192.0.2.2", NULL), "", ""); /* still the first */
}
END_TEST

int main(void) {
    Suite *suite = suite_create("watch");
    TCase *tests = tcase_create("watch");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_first_round_has_no_news);
    tcase_add_test(tests, addresses_that_came_and_went_are_named_once);
    tcase_add_test(tests, a_failed_lookup_is_no_news_and_is_not_remembered);
    tcase_add_test(tests, a_lookup_with_one_family_unanswered_is_no_news_and_is_not_remembered);
    tcase_add_test(tests, a_family_without_a_route_neither_goes_nor_comes);
    tcase_add_test(tests, a_reload_keeps_what_is_known_of_a_site_that_asks_the_same);
    tcase_add_test(tests,
                   what_samples_failed_for_most_often_is_said_also_where_their_status_was_expected);
    tcase_add_test(tests, a_round_of_before_a_reload_that_asks_otherwise_is_not_judged);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
