#include "config/plan.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config *load(const char *text) {
    struct config_messages messages = {0};
    struct config *config = NULL;
    int r = config_load_memory("FILE", text, strlen(text), &messages, &config);
    config_messages_print(&messages, stderr);
    config_messages_clear(&messages);
    ck_assert_int_eq(r, 0);
    return config;
}

static char *print(const struct config *config, size_t most_sites, uint64_t fd_limit) {
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    ck_assert_ptr_nonnull(to);
    plan_print(config, most_sites, fd_limit, to);
    fclose(to);
    return text;
}

static const char three_sites[] =
    "defaults: { body_limit: 100kB }\n"
    "reports:\n"
    "  - { to: file, path: /x, format: json }\n"
    "  - { to: stdout, format: text, only: failed }\n"
    "sites:\n"
    "  - http://127.0.0.1/\n"
    "  - { name: shop, url: https://shop.example.org/, samples: 50, interval: 10s }\n"
    "  - { name: old, url: https://off.example.org/, enabled: no }\n"
    "  - { name: \"a name that is much longer than its column is wide\","
    " url: https://c/, deadline: 40s, samples: 1 }\n";

START_TEST(the_page_is_as_it_was_agreed) {
    struct config *config = load(three_sites);
    char *text = print(config, 10, 1024);
    /* bytes: 28,800 x (100,000 + 65,536 + 1,024 + 17); 432,000 x (… + 25 + 16,384);
     * descriptors: 32 + 3 loops x 5 + 2 sinks + 11 samples + 3 rounds x 2 + 4 look-ups x 2;
     * memory: 16 MiB + 4 x 4 KiB + texts + 11 x 74 KiB + 6 x 60 KiB + 3 x 40 KiB + 71 x 128 + 1 MiB */
    static const char page[] =
        "site                              interval  deadline  samples/s  requests/day  bytes/day"
        "    log/day\n"
        "http://127.0.0.1/                       1m       25s      0.333         28800    4.80 GB"
        "    1.09 MB\n"
        "shop                                   10s       10s      5.000        432000    79.0 GB"
        "    6.47 MB  40 of 50 not sent if it hangs\n"
        "old                                     1m       25s   disabled\n"
        "a name that is much longer than…        1m       40s      0.017          1440     263 MB"
        "    1.12 MB\n"
        "total                                                     5.350        462240    84.1 GB"
        "    8.68 MB\n"
        "\n"
        "a report waits for its order at the most\n"
        "  40s       in ring 0, of interval 1m, with 2 sites (the deadline of a name that is much "
        "longer than its column is wide)\n"
        "  10s       in ring 1, of interval 10s, with 1 site (the deadline of shop)\n"
        "\n"
        "sites        4, 3 enabled, in 2 rings\n"
        "in flight    11 samples at the most\n"
        "handshakes   5.017 a second over TLS at the most\n"
        "descriptors  74 at the most, of 1024\n"
        "memory       19.2 MB at the most; about 151 MB more while logs cannot be written\n";
    ck_assert_msg(strncmp(text, page, strlen(page)) == 0, "%s", text);
    free(text);
    config_unref(config);
}
END_TEST

START_TEST(descriptors_are_counted_from_the_configuration) {
    struct config *config = load(three_sites);
    ck_assert_uint_eq(plan_fds(config), 32 + 3 * 5 + 2 + 11 + 3 * 2 + 4 * 2);
    config_unref(config);
    config = load("max_in_flight: 7\nworkers: 4\nsites: [ https://a/, https://b/ ]\n");
    ck_assert_uint_eq(plan_fds(config), 32 + 6 * 5 + 1 + 7 + 2 * 2 + 4 * 2);
    uint64_t without = plan_fds(config);
    config_unref(config);
    config = load("max_in_flight: 7\nworkers: 4\nsites: [ https://a/, https://b/ ]\n"
                  "on_change: [ { command: /bin/true }, { command: [/bin/false, x] } ]\n");
    ck_assert_uint_eq(plan_fds(config), without + 5 + 2 * 2); /* a loop, and two that run */
    config_unref(config);
}
END_TEST

START_TEST(max_in_flight_and_the_look_ups_have_caps) {
    char text[64 * 1000] = "max_in_flight: 100\nsites:\n";
    size_t n = strlen(text);
    for (int i = 0; i < 1000; i++) {
        n += (size_t)sprintf(text + n, "  - https://host%d/\n", i);
    }
    struct config *config = load(text);
    ck_assert_uint_eq(plan_fds(config), 32 + 3 * 5 + 1 + 100 + 100 * 2 + 64 * 2);
    char *page = print(config, 3, 400);
    ck_assert_ptr_nonnull(strstr(page, "\n… and 997 more\ntotal "));
    ck_assert_ptr_null(strstr(page, "https://host3/"));
    ck_assert_ptr_nonnull(strstr(page, "100 samples at the most (max_in_flight; 5000 if every "
                                       "site hung)\n"));
    ck_assert_ptr_nonnull(
        strstr(page, "descriptors  476 at the most, of 400: TOO FEW; raise the limit"));
    ck_assert_ptr_nonnull(strstr(page, " 333.333      28800000 "));
    free(page);
    page = print(config, 0, UINT64_MAX);
    ck_assert_ptr_nonnull(strstr(page, "descriptors  476 at the most, without limit\n"));
    free(page);
    config_unref(config);
}
END_TEST

START_TEST(what_waits_for_the_canary_is_told) {
    struct config *config =
        load("canary: way-out\nsites:\n"
             "  - https://a/\n"
             "  - { name: way-out, url: https://b/, interval: 10s, timeout: 2s }\n");
    char *page = print(config, 3, 400);
    ck_assert_ptr_nonnull(
        strstr(page, "\n  20s       more if many samples failed: for the canary, way-out\n"));
    free(page);
    config_unref(config);
}
END_TEST

START_TEST(where_no_site_is_enabled_no_report_waits) {
    struct config *config = load("sites: [ { url: https://a/, enabled: no } ]\n");
    char *page = print(config, 3, 400);
    ck_assert_ptr_null(strstr(page, "waits"));
    ck_assert_ptr_nonnull(strstr(page, "\n\nsites        1, 0 enabled, in 1 ring\n"));
    free(page);
    config_unref(config);
}
END_TEST

START_TEST(many_rings_are_summed_up) {
    char text[4096] = "sites:\n";
    size_t n = strlen(text);
    for (int i = 0; i < 25; i++) {
        n += (size_t)sprintf(text + n, "  - { url: https://host%d/, interval: %ds }\n", i, 60 + i);
    }
    sprintf(text + n, "  - { url: https://last/, interval: 200s, deadline: 190s }\n");
    struct config *config = load(text);
    char *page = print(config, 1, 1024);
    ck_assert_ptr_nonnull(strstr(page, "in ring 19, "));
    ck_assert_ptr_null(strstr(page, "in ring 20, "));
    ck_assert_ptr_nonnull(strstr(page, "  190s      over all, with 6 rings more\n"));
    free(page);
    config_unref(config);
}
END_TEST

START_TEST(nothing_enabled_costs_nothing) {
    struct config *config = load("defaults: { enabled: no }\nsites: [ https://a/ ]\n");
    char *page = print(config, 9, 1024);
    ck_assert_ptr_nonnull(strstr(page, "in flight    0 samples at the most\n"));
    ck_assert_uint_eq(plan_fds(config), 32 + 3 * 5 + 1);
    free(page);
    config_unref(config);
}
END_TEST

static char *page_of(const char *text, struct config **ret_config) {
    *ret_config = load(text);
    return print(*ret_config, 10, 1024);
}

static void assert_shows(const char *text, const char *words) {
    struct config *config;
    char *page = page_of(text, &config);
    ck_assert_msg(strstr(page, words) != NULL, "%s", page);
    free(page);
    config_unref(config);
}

static double memory_of(const char *text) {
    struct config *config;
    char *page = page_of(text, &config), *at = strstr(page, "\nmemory       ");
    double megabytes = -1;
    ck_assert_ptr_nonnull(at);
    ck_assert_int_eq(sscanf(at, "\nmemory       %lf MB at the most", &megabytes), 1);
    free(page);
    config_unref(config);
    return megabytes;
}

START_TEST(a_redirect_is_a_request_more) {
    /* 28,800 samples of 16 KiB + 64 KiB + 1 KiB + 9, and that twice more */
    assert_shows("sites: [ http://a/ ]\n", "        28800    2.39 GB ");
    assert_shows("sites: [ { url: http://a/, redirects: { follow: 2 } } ]\n",
                 "        86400    7.17 GB ");
}
END_TEST

START_TEST(handshakes_are_counted_with_those_of_redirects) {
    assert_shows("sites: [ http://a/, http://b/ ]\n", "handshakes   0.000 a second");
    assert_shows("sites: [ https://a/, http://b/ ]\n", "handshakes   0.333 a second");
    assert_shows("sites: [ { url: https://a/, redirects: { follow: 2 } } ]\n",
                 "handshakes   1.000 a second");
    assert_shows("sites: [ { url: http://a/, redirects: { follow: 2 } } ]\n",
                 "handshakes   0.667 a second"); /* they may lead to https */
    assert_shows("sites: [ http://b/, { url: https://a/, enabled: no } ]\n",
                 "handshakes   0.000 a second");
}
END_TEST

START_TEST(what_is_sent_is_counted) {
    /* 28,800 x (82,944 + 9 + 10,000 + 1 + 4 + 4,000) */
    char text[16384];
    snprintf(
        text, sizeof text,
        "sites: [ { url: http://a/, request: { body: %010000d, headers: { X: %04000d } } } ]\n", 7,
        7);
    assert_shows(text, "        28800    2.79 GB ");
}
END_TEST

START_TEST(a_body_that_is_looked_at_is_held_by_each_sample_in_flight) {
    static const char plain[] = "sites: [ { url: http://a/, body_limit: 10MB } ]\n";
    static const char looked_at[] =
        "sites: [ { url: http://a/, body_limit: 10MB, expect: { body_contains: x } } ]\n";
    static const char matched[] =
        "sites: [ { url: http://a/, body_limit: 10MB, expect: { body_matches: x } } ]\n";
    ck_assert_double_eq_tol(memory_of(looked_at) - memory_of(plain), 50, 0.2);
    ck_assert_double_eq_tol(memory_of(matched) - memory_of(looked_at), 16.8, 0.2);
    /* and never more of them than may be in flight */
    static const char many[] =
        "max_in_flight: 3\nsites: [ { url: http://a/, body_limit: 10MB, samples: 100,"
        " concurrency: 100, expect: { body_contains: x } } ]\n";
    ck_assert_double_lt(memory_of(many), 60);
}
END_TEST

START_TEST(kept_connections_hold_their_descriptors) {
    static const char text[] =
        "max_in_flight: 4\n"
        "defaults: { connection: reuse }\n"
        "sites: [ https://a/, http://b/, { url: http://c/, connection: fresh } ]\n";
    struct config *config;
    char *page = page_of(text, &config);
    ck_assert_msg(strstr(page, "\nkept         10 connections at the most, of 2 sites\n") != NULL,
                  "%s", page);
    ck_assert_uint_eq(plan_fds(config), 32 + 3 * 5 + 1 + 4 + 3 * 2 + 6 * 2 + 10 + 2 * 2);
    free(page);
    config_unref(config);
}
END_TEST

START_TEST(each_address_is_asked_and_the_page_says_so) {
    static const char text[] = "sites: [ { url: http://a/, addresses: each } ]\n";
    assert_shows(text, "  per address\n");
    assert_shows(text, "in flight    500 samples at the most\n");
    assert_shows(text, "What says \"per address\" is asked of every address");
    struct config *config;
    char *page = page_of("sites: [ { url: http://127.0.0.1/, addresses: each } ]\n", &config);
    ck_assert_ptr_null(strstr(page, "per address")); /* a literal is one */
    free(page);
    config_unref(config);
}
END_TEST

static char *obstacles_of(const char *path) {
    char text[256], *says = NULL;
    size_t n = 0;
    snprintf(text, sizeof text, "reports: [ { to: file, path: %s } ]\nsites: [ http://a/ ]\n",
             path);
    struct config *config = load(text);
    FILE *to = open_memstream(&says, &n);
    ck_assert_ptr_nonnull(to);
    plan_print_obstacles(config, to);
    fclose(to);
    config_unref(config);
    return says;
}

START_TEST(a_log_that_cannot_be_written_is_told) {
    char directory[] = "/tmp/tallyd-test-XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/log", directory);
    char *says = obstacles_of(path); /* it is not there, and can be made */
    ck_assert_str_eq(says, "");
    free(says);
    snprintf(path, sizeof path, "%s/none/log", directory);
    says = obstacles_of(path);
    ck_assert_ptr_nonnull(
        strstr(says, "/none/log cannot be written by this user: its directory does not exist\n"));
    free(says);
    says = obstacles_of("/dev/null/log");
    ck_assert_str_eq(
        says, "warning: the log /dev/null/log cannot be written by this user: Not a directory\n");
    free(says);
    ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

START_TEST(a_journal_that_would_drop_reports_is_told) {
    static const struct {
        const char *sink;
        int sites;
        bool told;
    } rows[] = {
        {"{ to: journal }", 66, false}, /* 9,900 in 30 s */
        {"{ to: journal }", 100, true},
        {"{ to: journal, only: failed }", 100, true},
        {"{ to: journal, only: changes }", 100, false},
        {"{ to: stdout }", 100, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = NULL, *says = NULL;
        size_t n = 0;
        FILE *to = open_memstream(&text, &n);
        fprintf(to, "reports: [ %s ]\ndefaults: { interval: 200ms }\nsites:\n", rows[i].sink);
        for (int k = 0; k < rows[i].sites; k++) {
            fprintf(to, "  - http://s%d/\n", k);
        }
        fclose(to);
        struct config *config = load(text);
        to = open_memstream(&says, &n);
        plan_print_obstacles(config, to);
        fclose(to);
        ck_assert_str_eq(
            says, rows[i].told ? "warning: up to 15000 reports in 30 s go to the journal, which "
                                 "drops what is beyond 10000 unless the unit has a higher "
                                 "LogRateLimitBurst=, as tallyd.service has\n"
                               : "");
        free(says);
        free(text);
        config_unref(config);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("plan");
    TCase *tests = tcase_create("plan");
    tcase_add_test(tests, the_page_is_as_it_was_agreed);
    tcase_add_test(tests, descriptors_are_counted_from_the_configuration);
    tcase_add_test(tests, max_in_flight_and_the_look_ups_have_caps);
    tcase_add_test(tests, what_waits_for_the_canary_is_told);
    tcase_add_test(tests, where_no_site_is_enabled_no_report_waits);
    tcase_add_test(tests, many_rings_are_summed_up);
    tcase_add_test(tests, nothing_enabled_costs_nothing);
    tcase_add_test(tests, a_log_that_cannot_be_written_is_told);
    tcase_add_test(tests, a_journal_that_would_drop_reports_is_told);
    tcase_add_test(tests, a_redirect_is_a_request_more);
    tcase_add_test(tests, handshakes_are_counted_with_those_of_redirects);
    tcase_add_test(tests, what_is_sent_is_counted);
    tcase_add_test(tests, a_body_that_is_looked_at_is_held_by_each_sample_in_flight);
    tcase_add_test(tests, kept_connections_hold_their_descriptors);
    tcase_add_test(tests, each_address_is_asked_and_the_page_says_so);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
