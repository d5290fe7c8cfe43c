#include "watch.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALL (INT64_C(1795341960) * NSEC_PER_SEC)

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
    struct change change;
    char seen[2][512] = {"", ""};
    ck_assert(!watch_judge(list, report, 1, WALL, &change));
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

/* A round of 20 samples that are judged, of which all failed. */
static struct report *make_bad(outcome_t first, unsigned n, outcome_t second) {
    struct report *report = make("192.0.2.1", NULL);
    tally_clear(&report->tally);
    report->planned = report->judged = report->failed = 20;
    ck_assert_int_eq(tally_add(&report->tally, first, n), 0);
    ck_assert_int_eq(tally_add(&report->tally, second, 20 - n), 0);
    return report;
}

START_TEST(a_change_says_what_most_samples_failed_for) {
    struct change change;
    struct report *report = make_bad(OUTCOME_RESET, 11, 503);
    report->reasons[REASON_ERROR] = 11;
    report->reasons[REASON_STATUS] = 9;
    ck_assert(!watch_judge(list, report, 1, WALL, &change));
    report_free(report);
    report = make_bad(200, 12, 503);
    report->reasons[REASON_STATUS] = 8;
    report->reasons[REASON_BODY] = 12;
    ck_assert(watch_judge(list, report, 60 * NSEC_PER_SEC, WALL, &change));
    ck_assert_str_eq(change.why,
                     "20 of 20 samples failed in this round, 40 of 40 lately; most often for "
                     "its body");
    report_free(report);

    reload("http://shop.test/other", "");
    for (int i = 0; i < 2; i++) {
        report = make_bad(OUTCOME_RESET, 11, 503);
        ck_assert_int_eq(watch_judge(list, report, 60 * NSEC_PER_SEC, WALL, &change), i == 1);
        report_free(report);
    }
    ck_assert_ptr_nonnull(strstr(change.why, "; most often reset"));
}
END_TEST

/* Judges a round of 20 at that time, of which so many failed; true: a change. */
static bool judge_at(nsec_t wall_now, unsigned failed, struct change *ret_change) {
    static uint64_t number;
    struct report *report = make("192.0.2.1", NULL);
    report->round = ++number;
    report->planned = report->judged = 20;
    report->failed = report->reasons[REASON_STATUS] = failed;
    bool changed =
        watch_judge(list, report, (nsec_t)number * 60 * NSEC_PER_SEC, wall_now, ret_change);
    ck_assert(!changed || ret_change->round == number);
    report_free(report);
    return changed;
}

START_TEST(a_change_says_since_when_the_state_that_ended_was) {
    struct change change;
    ck_assert(!judge_at(WALL, 20, &change));
    ck_assert(judge_at(WALL + 1, 20, &change)); /* before that nobody had looked */
    ck_assert_int_eq(change.from, STATE_UNKNOWN);
    ck_assert_int_eq(change.to, STATE_DOWN);
    ck_assert_int_eq(change.wall_time, WALL + 1);
    ck_assert_int_eq(change.wall_since, NSEC_UNKNOWN);
    ck_assert(!judge_at(WALL + 2, 0, &change));
    reload("http://shop.test/", ", samples: 3");
    ck_assert(judge_at(WALL + 3, 0, &change));
    ck_assert_int_eq(change.from, STATE_DOWN);
    ck_assert_int_eq(change.wall_since, WALL + 1);

    reload("http://shop.test/other", "");
    ck_assert(!judge_at(WALL + 4, 0, &change)); /* up at first: no event, but its beginning */
    ck_assert(!judge_at(WALL + 5, 20, &change));
    ck_assert(judge_at(WALL + 6, 20, &change));
    ck_assert_int_eq(change.from, STATE_UP);
    ck_assert_int_eq(change.wall_since, WALL + 4);
}
END_TEST

START_TEST(a_round_of_before_a_reload_that_asks_otherwise_is_not_judged) {
    struct report *late = make("192.0.2.1", NULL);
    reload("http://shop.test/other", "");
    struct change change;
    ck_assert(!watch_judge(list, late, 1, WALL, &change));
    ck_assert(!late->has_verdict);
    report_free(late);
    judged(make("192.0.2.2", NULL), "", ""); /* still the first */
}
END_TEST

/* The sentence of the first round that changes the state, of rounds with these: of 10 samples so many
 * got a 503, and so many of the others a body that is not as expected. */
static void fails_with(unsigned unavailable, unsigned body, const char *wanted) {
    struct change change = {0};
    for (nsec_t round = 1; *change.why == '\0' && round < 9; round++) {
        struct report *report = make("192.0.2.1", NULL);
        report->planned = report->judged = 10;
        report->failed = unavailable + body;
        report->reasons[REASON_STATUS] = unavailable;
        report->reasons[REASON_BODY] = body;
        ck_assert_int_eq(tally_add(&report->tally, 200, 9 - unavailable), 0); /* one is there */
        ck_assert(unavailable == 0 || tally_add(&report->tally, 503, unavailable) == 0);
        bool changed = watch_judge(list, report, round * 60 * NSEC_PER_SEC, WALL, &change);
        ck_assert(changed || *change.why == '\0');
        report_free(report);
    }
    const char *most = strstr(change.why, "; most often ");
    ck_assert_ptr_nonnull(most);
    ck_assert_str_eq(most, wanted);
}

START_TEST(a_change_is_told_with_what_most_samples_failed_for) {
    fails_with(2, 7, "; most often for its body");
    reload("http://shop.test/again", "");
    fails_with(7, 2, "; most often 503");
    reload("http://shop.test/", "");
    fails_with(0, 3, "; most often for its body");
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
    tcase_add_test(tests, a_change_says_what_most_samples_failed_for);
    tcase_add_test(tests, a_change_says_since_when_the_state_that_ended_was);
    tcase_add_test(tests, a_round_of_before_a_reload_that_asks_otherwise_is_not_judged);
    tcase_add_test(tests, a_change_is_told_with_what_most_samples_failed_for);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
