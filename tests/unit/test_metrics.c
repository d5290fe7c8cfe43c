#include "output/metrics.h"

#include "make_board.h"

static const struct vitals vitals = {
    .wall_started = BOARD_TIME,
    .loops = {{"control", 0}, {"sampling", 0}, {"writer", 1500 * NSEC_PER_MSEC}},
    .in_flight = 3,
    .max_in_flight = 500,
    .lost = 4,
    .ready = true,
    .reloads = {.applied = 2, .wall_applied = BOARD_TIME},
    .open_fds = 17,
};

static char *write_all(struct metrics *metrics) {
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    while (metrics_write(metrics, to)) {
    }
    fclose(to);
    return text;
}

static char *scrape(void) {
    struct metrics *metrics = metrics_new(board, &vitals);
    ck_assert_ptr_nonnull(metrics);
    char *text = write_all(metrics);
    metrics_free(metrics);
    return text;
}

static void assert_has(const char *text, const char *line) {
    char whole[512];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    ck_assert_msg(strstr(text, whole) != NULL, "no %s in\n%s", line, text);
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part)) {
        n++;
    }
    return n;
}

START_TEST(a_site_is_told_as_it_was_agreed) {
    board_load("[ { name: shop, url: https://shop.test/ } ]");
    board_play("shop", 1);
    board_play("shop", 2);
    char *text = scrape();
    static const char *const lines[] = {
        "# TYPE tallyd_samples_total counter",
        "tallyd_samples_total{site=\"shop\",code=\"200\"} 36",
        "tallyd_samples_total{site=\"shop\",code=\"503\"} 2",
        "tallyd_sample_errors_total{site=\"shop\",class=\"connect_refused\"} 2",
        "tallyd_failed_total{site=\"shop\",reason=\"error\"} 2",
        "tallyd_failed_total{site=\"shop\",reason=\"latency\"} 0",
        "tallyd_rounds_total{site=\"shop\"} 2",
        "tallyd_slots_skipped_total{site=\"shop\"} 2",
        "tallyd_samples_planned_total{site=\"shop\"} 40",
        "tallyd_samples_judged_total{site=\"shop\"} 40",
        "tallyd_round_late_seconds_sum{site=\"shop\"} 0.000824",
        "tallyd_round_late_seconds_count{site=\"shop\"} 2",
        "# TYPE tallyd_latency_seconds histogram",
        "tallyd_latency_seconds_bucket{site=\"shop\",le=\"0.005\"} 0",
        "tallyd_latency_seconds_bucket{site=\"shop\",le=\"0.01\"} 18",
        "tallyd_latency_seconds_bucket{site=\"shop\",le=\"0.025\"} 34",
        "tallyd_latency_seconds_bucket{site=\"shop\",le=\"10\"} 38",
        "tallyd_latency_seconds_bucket{site=\"shop\",le=\"+Inf\"} 38",
        "tallyd_latency_seconds_sum{site=\"shop\"} 0.456",
        "tallyd_latency_seconds_count{site=\"shop\"} 38",
        "tallyd_phase_seconds_sum{site=\"shop\",phase=\"connect\"} 0.038",
        "tallyd_phase_seconds_count{site=\"shop\",phase=\"connect\"} 38",
        "tallyd_site_state{site=\"shop\",state=\"degraded\"} 1",
        "tallyd_site_state{site=\"shop\",state=\"up\"} 0",
        "tallyd_site_level_ratio{site=\"shop\"} 0.84",
        "tallyd_site_interval_seconds{site=\"shop\"} 60",
        "tallyd_certificate_expiry_timestamp_seconds{site=\"shop\"} 1795341990.123",
        "tallyd_site_state_since_timestamp_seconds{site=\"shop\"} 1795341900.123",
        "tallyd_sites{state=\"degraded\"} 1",
        "tallyd_loop_lag_seconds{loop=\"writer\"} 1.5",
        "tallyd_samples_in_flight 3",
        "tallyd_records_lost_total 4",
        "tallyd_reloads_total{result=\"applied\"} 2",
        "process_open_fds 17",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_has(text, lines[i]);
    }
    free(text);
}
END_TEST

START_TEST(names_and_labels_are_escaped_and_do_not_collide) {
    board_load("[ { name: \"a\\\"b\\\\c\", url: http://a.test/,"
               " labels: { team: 'w\"eb', site: x, label_site: q, __z: w, code: \"7\" } } ]");
    char *text = scrape();
    assert_has(text, "tallyd_rounds_total{site=\"a\\\"b\\\\c\",team=\"w\\\"eb\","
                     "label_label_site=\"x\",label_site=\"q\",label___z=\"w\",label_code=\"7\"} 0");
    free(text);
}
END_TEST

START_TEST(each_family_has_one_head_and_its_series_together) {
    char sites[2000] = "[";
    for (unsigned i = 0; i < 60; i++) {
        char site[32];
        snprintf(site, sizeof site, "http://s%u.test/,", i);
        strcat(sites, site);
    }
    strcat(sites, "]");
    board_load(sites);
    char *text = scrape();
    ck_assert_uint_eq(count(text, "\n# TYPE tallyd_rounds_total "), 1);
    ck_assert_uint_eq(count(text, "\ntallyd_rounds_total{"), 60);
    const char *first = strstr(text, "\ntallyd_rounds_total{"), *next = strstr(first, "\n# HELP");
    ck_assert_uint_eq(count(next, "\ntallyd_rounds_total{"), 0);
    ck_assert_uint_eq(count(text, "# HELP"), count(text, "# TYPE"));
    free(text);
}
END_TEST

START_TEST(sites_that_go_during_a_scrape_are_in_it_and_not_in_the_next) {
    board_load("[ { name: a, url: http://a.test/ }, { name: b, url: http://b.test/ } ]");
    struct metrics *metrics = metrics_new(board, &vitals);
    board_load("[ { name: b, url: http://b.test/ }, { name: c, url: http://c.test/ } ]");
    char *text = write_all(metrics);
    metrics_free(metrics);
    assert_has(text, "tallyd_rounds_total{site=\"a\"} 0");
    ck_assert_uint_eq(count(text, "site=\"c\""), 0);
    free(text);
    text = scrape();
    ck_assert_uint_eq(count(text, "site=\"a\""), 0);
    assert_has(text, "tallyd_rounds_total{site=\"c\"} 0");
    free(text);
}
END_TEST

START_TEST(a_paused_site_is_in_that_state) {
    board_load("[ { name: a, url: http://a.test/, enabled: no }, http://b.test/ ]");
    char *text = scrape();
    assert_has(text, "tallyd_site_state{site=\"a\",state=\"paused\"} 1");
    assert_has(text, "tallyd_sites{state=\"paused\"} 1");
    assert_has(text, "tallyd_sites{state=\"unknown\"} 1");
    free(text);
}
END_TEST

/* What rate() and increase() are asked of must be there before it increases. */
START_TEST(what_alerts_rest_on_is_there_before_the_first_round_and_no_more) {
    board_load("[ { name: shop, url: https://shop.test/ } ]");
    char *text = scrape();
    for (unsigned i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        char line[128];
        snprintf(line, sizeof line, "tallyd_failed_total{site=\"shop\",reason=\"%s\"} 0",
                 reason_name((enum reason)i));
        assert_has(text, line);
    }
    assert_has(text, "tallyd_samples_planned_total{site=\"shop\"} 0");
    assert_has(text, "tallyd_samples_judged_total{site=\"shop\"} 0");
    assert_has(text, "tallyd_sample_errors_total{site=\"shop\",class=\"not_sent\"} 0");
    assert_has(text, "tallyd_sample_errors_total{site=\"shop\",class=\"local_resource\"} 0");
    assert_has(text, "tallyd_sample_errors_total{site=\"shop\",class=\"aborted\"} 0");
    ck_assert_uint_eq(count(text, "\ntallyd_sample_errors_total{"), 3);
    ck_assert_uint_eq(count(text, "\ntallyd_samples_total{"), 0);
    free(text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("metrics");
    TCase *tests = tcase_create("metrics");
    tcase_add_checked_fixture(tests, NULL, board_end);
    tcase_add_test(tests, a_site_is_told_as_it_was_agreed);
    tcase_add_test(tests, what_alerts_rest_on_is_there_before_the_first_round_and_no_more);
    tcase_add_test(tests, names_and_labels_are_escaped_and_do_not_collide);
    tcase_add_test(tests, each_family_has_one_head_and_its_series_together);
    tcase_add_test(tests, sites_that_go_during_a_scrape_are_in_it_and_not_in_the_next);
    tcase_add_test(tests, a_paused_site_is_in_that_state);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
