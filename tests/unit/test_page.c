#include "output/page.h"

#include "output/html.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALL (INT64_C(1795341960) * NSEC_PER_SEC)

static const struct page_about about = {.wall_now = WALL + 90 * NSEC_PER_SEC,
                                        .refresh_seconds = 15};
static struct board *board;
static struct config *config;
static char *page; /* the one written last */

static void configure(const char *yaml) {
    struct config_messages messages;
    config_unref(config);
    config = NULL;
    int r = config_load_memory("test", yaml, strlen(yaml), &messages, &config);
    ck_assert_msg(r == 0, "%s", r != 0 && messages.n_errors > 0 ? messages.errors[0] : "");
    config_messages_clear(&messages);
    ck_assert_int_eq(board_configure(board, config, NULL), 0);
}

static void configure_many(unsigned n) {
    char *yaml = NULL;
    size_t size;
    FILE *to = open_memstream(&yaml, &size);
    fputs("sites:\n", to);
    for (unsigned i = 0; i < n; i++) {
        fprintf(to, "  - { name: site-%u, url: http://%u.test/ }\n", i, i);
    }
    fclose(to);
    configure(yaml);
    free(yaml);
}

static void setup(void) {
    board = board_new();
    ck_assert_ptr_nonnull(board);
}

static void teardown(void) {
    board_free(board);
    config_unref(config);
    free(page);
}

/* A round of which `good` samples got 200 and `bad` that outcome. */
static struct report *make(const char *site, uint64_t number, unsigned good, outcome_t outcome,
                           unsigned bad) {
    struct report *report = calloc(1, sizeof *report);
    ck_assert_ptr_nonnull(report);
    report->config = config_ref(config);
    report->site = config_find(config, site);
    ck_assert_ptr_nonnull(report->site);
    report->round = number;
    report->wall_began = WALL;
    report->planned = report->judged = good + bad;
    report->failed = bad;
    report->wall_certificate_ends = NSEC_UNKNOWN;
    report->latency.p99 = NSEC_UNKNOWN;
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        report->phases[i] = NSEC_UNKNOWN;
    }
    if (good > 0) {
        ck_assert_int_eq(tally_add(&report->tally, 200, good), 0);
    }
    if (bad > 0) {
        ck_assert_int_eq(tally_add(&report->tally, outcome, bad), 0);
        report->reasons[outcome_is_status(outcome) ? REASON_STATUS : REASON_ERROR] = bad;
    }
    report->has_verdict = true;
    report->verdict.window_samples = 120;
    report->verdict.window_failed = 3;
    report->verdict.window_low = 0.00854;
    report->verdict.window_high = 0.0709;
    return report;
}

static void add(struct report *report, enum state state) {
    struct board_state now = {state, state == STATE_UP ? 0 : 1, WALL - 3600 * NSEC_PER_SEC};
    board_add(board, report, &now);
    report_free(report);
}

static const char *sites(struct page_view view) {
    free(page);
    page = NULL;
    size_t n;
    FILE *to = open_memstream(&page, &n);
    page_write_sites(board, &view, &about, to);
    fclose(to);
    return page;
}

static const char *one(const char *name) {
    free(page);
    page = NULL;
    size_t n;
    FILE *to = open_memstream(&page, &n);
    page_write_site(board_find(board, name), false, &about, to);
    fclose(to);
    return page;
}

static unsigned count(const char *text, const char *part) {
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) {
        n++;
    }
    return n;
}

static void has(const char *text, const char *part) {
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in:\n%s", part, text);
}

static void lacks(const char *text, const char *part) {
    ck_assert_msg(strstr(text, part) == NULL, "'%s' is in:\n%s", part, text);
}

/* One after the other. */
static void in_order(const char *text, const char *first, ...) {
    va_list rest;
    va_start(rest, first);
    for (const char *part = first; part != NULL; part = va_arg(rest, const char *)) {
        const char *at = strstr(text, part);
        ck_assert_msg(at != NULL, "'%s' does not come next:\n%s", part, text);
        text = at + strlen(part);
    }
    va_end(rest);
}

START_TEST(nothing_from_outside_is_markup) {
    configure("sites: [ { name: \"<script>alert('1')</script>&amp;\\\"\", url: "
              "http://a.test/?a=1&b=%22 , labels: { x: \"<b>\" } } ]");
    const char *name = config->sites[0].name;
    struct report *report = make(name, 1, 1, 503, 1);
    report->backends = calloc(1, sizeof *report->backends);
    report->n_backends = 1;
    strcpy(report->backends[0].name, "<i>evil</i>");
    report->evidence = calloc(1, sizeof *report->evidence);
    report->n_evidence = 1;
    report->evidence[0] = (struct report_evidence){.outcome = 503, .reason = REASON_STATUS};
    strcpy(report->evidence[0].words, "<img src=x onerror=y> \xe2\x80\xae \x1b[31m");
    report->evidence[0].curl = strdup("curl 'http://a.test/?<u>'");
    add(report, STATE_DEGRADED);
    const char *pages[] = {strdup(sites((struct page_view){.find = "\"><script>", .still = true})),
                           strdup(sites((struct page_view){.state = "\"><script>"})),
                           strdup(one(name))};
    for (unsigned i = 0; i < 3; i++) {
        static const char *const never[] = {
            "<script", "<b>&",         "<i>",     "<img",        "<u>",
            "\x1b",    "\xe2\x80\xae", " style=", "javascript:", "onerror=y>"};
        for (unsigned k = 0; k < sizeof never / sizeof never[0]; k++) {
            lacks(pages[i], never[k]);
        }
        has(pages[i], "</html>");
        free((char *)pages[i]);
    }
    has(one(name), "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;&quot;");
    has(page, "&lt;img src=x onerror=y&gt; \\xe2\\x80\\xae \\x1b[31m");
    has(page, "curl &#39;http://a.test/?&lt;u&gt;&#39;");
    has(page, "?name=%3Cscript%3Ealert%28%271%27%29%3C%2Fscript%3E%26amp%3B%22");
}
END_TEST

START_TEST(nothing_is_fetched_from_elsewhere) {
    configure("sites: [ { name: a, url: http://a.test/ } ]");
    add(make("a", 1, 19, 503, 1), STATE_UP);
    const char *text = sites((struct page_view){0});
    lacks(text, "src=");
    ck_assert_uint_eq(count(text, "http://"), 1); /* a text: the site's URL */
    has(text, "<small>http://a.test/</small>");
    free(page);
    page = NULL;
    size_t n;
    FILE *to = open_memstream(&page, &n);
    page_write_style(to);
    fclose(to);
    lacks(page, "url(");
    lacks(page, "@import");
    has(page, "prefers-color-scheme: dark");
}
END_TEST

START_TEST(the_worst_stand_first_and_are_counted) {
    configure("sites: [ { name: good, url: http://a.test/ }, { name: idle, url: http://b.test/, "
              "enabled: no }, { name: new, url: http://c.test/ }, { name: ill, url: "
              "http://d.test/ }, { name: gone, url: http://e.test/ } ]");
    add(make("good", 1, 20, 0, 0), STATE_UP);
    add(make("ill", 1, 18, 503, 2), STATE_DEGRADED);
    add(make("gone", 1, 0, OUTCOME_CONNECT_REFUSED, 20), STATE_DOWN);
    sites((struct page_view){0});
    in_order(page, "all <b>5</b>", "down <b>1</b>", "degraded <b>1</b>", "unknown <b>1</b>",
             "up <b>1</b>", "paused <b>1</b>", NULL);
    in_order(page, ">gone</a>", ">ill</a>", ">new</a>", ">good</a>", ">idle</a>", NULL);
    has(page, "<title>1 down, 1 degraded - tallyd</title>");
    has(page, "<small>for 61 min</small>");
}
END_TEST

START_TEST(a_state_or_a_text_can_be_asked_for) {
    configure("sites: [ { name: shop, url: http://a.test/, labels: { team: Web } }, { name: blog, "
              "url: http://b.test/ } ]");
    add(make("shop", 1, 20, 0, 0), STATE_UP);
    sites((struct page_view){.state = "up"});
    has(page, ">shop</a>");
    lacks(page, ">blog</a>");
    has(page, "<a aria-current=\"true\" href=\"/?state=up\">");
    sites((struct page_view){.find = "wEB", .still = true});
    has(page, ">shop</a>");
    lacks(page, ">blog</a>");
    has(page, "all <b>1</b>");
    lacks(page, "http-equiv=\"refresh\"");
    has(page, "href=\"/?find=wEB\">refresh it by itself");
    sites((struct page_view){.find = "b.test"});
    lacks(page, ">shop</a>");
    has(page, "content=\"15;url=/?find=b.test\"");
    sites((struct page_view){.state = "down"});
    has(page, "No site is like that.");
}
END_TEST

START_TEST(many_sites_are_on_several_pages) {
    configure_many(2 * PAGE_SITES_MOST + 1);
    ck_assert_uint_eq(count(sites((struct page_view){.page = 1}), "<tr><td>"), PAGE_SITES_MOST);
    has(page, "page 1 of 3");
    lacks(page, "previous");
    has(page, "href=\"/?page=2\">next");
    ck_assert_uint_eq(count(sites((struct page_view){.page = 2}), "<tr><td>"), PAGE_SITES_MOST);
    has(page, "href=\"/\">← previous");
    ck_assert_uint_eq(count(sites((struct page_view){.page = 3}), "<tr><td>"), 1);
    has(page, ">site-200</a>");
    lacks(page, "next");
    ck_assert_uint_eq(count(sites((struct page_view){.page = 4000000000}), "<tr><td>"), 1);
    ck_assert_uint_eq(count(sites((struct page_view){.page = 0}), "<tr><td>"), PAGE_SITES_MOST);
}
END_TEST

START_TEST(a_window_is_told_in_words) {
    configure("sites: [ { name: a, url: http://a.test/ } ]");
    has(sites((struct page_view){0}), "nothing judged yet");
    add(make("a", 1, 20, 0, 0), STATE_UP);
    has(sites((struct page_view){0}),
        "3 of 120 failed, <span class=\"range\">0.85 to 7.1 %</span>");
    has(one("a"), "3 of 120 failed, <span class=\"range\">0.85 to 7.1 %</span>");
}
END_TEST

START_TEST(nothing_failed_is_no_more_than_that) {
    configure("sites: [ { name: a, url: http://a.test/ } ]");
    struct report *report = make("a", 1, 20, 0, 0);
    report->verdict.window_failed = 0;
    report->verdict.window_low = 0;
    report->verdict.window_high = 0.031;
    add(report, STATE_UP);
    has(sites((struct page_view){0}), "0 of 120 failed, <span class=\"range\">0 to 3.1 %</span>");
}
END_TEST

START_TEST(every_round_is_a_cell_with_its_tally) {
    configure("sites: [ { name: a, url: http://a.test/ } ]");
    for (unsigned i = 1; i <= BOARD_ROUNDS + 5; i++) {
        add(make("a", i, 19, OUTCOME_CONNECT_TIMEOUT, i % 2), STATE_UP);
    }
    struct report *ours = make("a", 99, 0, OUTCOME_ABORTED, 20);
    ours->judged = ours->failed = 0;
    add(ours, STATE_UP);
    sites((struct page_view){0});
    ck_assert_uint_eq(count(page, "<g><title>"), BOARD_ROUNDS);
    has(page, "aria-label=\"10 of the last 20 rounds had failed samples, 1 could not be judged\"");
    in_order(page,
             "<title>round 7, 10:06:00: 19 × 200, 1 × connect_timeout; 1 of 20 failed</title>",
             "class=\"some\"", "<title>round 8, 10:06:00: 19 × 200; 0 of 19 failed</title>",
             "class=\"good\"", "<title>round 99, 10:06:00: 20 × aborted; none judged</title>",
             "class=\"ours\"", NULL);
    one("a");
    ck_assert_uint_eq(count(page, "<li tabindex=\"0\" class="), BOARD_ROUNDS);
    in_order(page, "class=\"some h1\"><span>round 7, ", "class=\"good h0\"><span>round 8, ",
             "class=\"ours h10\"><span>round 99, ", NULL);
}
END_TEST

START_TEST(outcomes_are_bars_the_most_frequent_first) {
    configure("sites: [ { name: a, url: http://a.test/ } ]");
    add(make("a", 1, 1900, 503, 10), STATE_UP);
    add(make("a", 2, 0, 404, 100), STATE_UP);
    sites((struct page_view){0});
    in_order(page, "<b>200</b>", "class=\"good\" width=\"120.0\"", "<span>1,900</span>",
             "<b>404</b>", "class=\"all\" width=\"6.3\"", "<b>503</b>", "width=\"2.0\"",
             "<span>10</span>", NULL);
}
END_TEST

START_TEST(who_answered_what_is_a_matrix) {
    configure("sites: [ { name: a, url: http://a.test/ } ]");
    struct report *report = make("a", 1, 9, 503, 1);
    report->n_addresses = 2;
    report->addresses = calloc(2, sizeof *report->addresses);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(report->addresses[i].text, sizeof report->addresses[i].text, "192.0.2.%u", i + 1);
        report->addresses[i].p50 = i == 0 ? 2 * NSEC_PER_MSEC : NSEC_UNKNOWN;
        report->addresses[i].failed = i;
        ck_assert_int_eq(tally_add(&report->addresses[i].tally, i == 0 ? 200 : 503, i == 0 ? 9 : 1),
                         0);
    }
    add(report, STATE_UP);
    in_order(
        one("a"), "<h2>Addresses</h2>", "<th scope=\"col\">200</th><th scope=\"col\">503</th>",
        "<th scope=\"row\">192.0.2.1</th><td class=\"number none\">·</td><td "
        "class=\"number\">2.00</td><td class=\"number\">9</td><td class=\"number none\">·</td>",
        "<th scope=\"row\">192.0.2.2</th><td class=\"number bad\">1</td><td "
        "class=\"number\">-</td><td class=\"number none\">·</td><td class=\"number bad\">1</td>",
        NULL);
}
END_TEST

START_TEST(the_last_round_says_for_what_its_samples_failed) {
    configure("sites: [ { name: a, url: http://a.test/ } ]");
    add(make("a", 1, 9, OUTCOME_RESET, 1), STATE_UP);
    has(one("a"), ": 10 planned, 10 judged, 1 failed: error&nbsp;1</dd>");
}
END_TEST

START_TEST(statuses_stand_before_classes) {
    configure("sites: [ { name: a, url: http://a.test/ } ]");
    struct report *report = make("a", 1, 9, OUTCOME_RESET, 1);
    report->n_addresses = 2;
    report->addresses = calloc(2, sizeof *report->addresses);
    add(report, STATE_UP);
    has(one("a"), "<th scope=\"col\">200</th><th scope=\"col\">reset</th>");
}
END_TEST

START_TEST(trouble_of_our_own_is_said_on_every_page) {
    configure("sites: [ { name: a, url: http://a.test/ } ]");
    struct page_about ill = about;
    ill.trouble = "no resolver answers <here>";
    for (unsigned i = 0; i < 2; i++) {
        free(page);
        page = NULL;
        size_t n;
        FILE *to = open_memstream(&page, &n);
        if (i == 0) {
            page_write_sites(board, &(struct page_view){0}, &ill, to);
        } else {
            page_write_site(board_find(board, "a"), true, &ill, to);
        }
        fclose(to);
        has(page, "This machine is in trouble:</strong> no resolver answers &lt;here&gt;.");
    }
}
END_TEST

START_TEST(spans_and_counts_are_for_people) {
    static const struct {
        nsec_t seconds;
        const char *text;
    } spans[] = {{-5, "0 s"},       {0, "0 s"},    {119, "119 s"},       {120, "2 min"},
                 {7199, "119 min"}, {7200, "2 h"}, {48 * 3600, "2 days"}};
    char text[HTML_SPAN_BYTES], digits[HTML_COUNT_BYTES];
    for (unsigned i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        ck_assert_str_eq(html_span(spans[i].seconds * NSEC_PER_SEC, text), spans[i].text);
    }
    ck_assert_str_eq(html_count(0, digits), "0");
    ck_assert_str_eq(html_count(999, digits), "999");
    ck_assert_str_eq(html_count(1000, digits), "1,000");
    ck_assert_str_eq(html_count(UINT64_MAX, digits), "18,446,744,073,709,551,615");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("page");
    TCase *tests = tcase_create("page");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, nothing_from_outside_is_markup);
    tcase_add_test(tests, nothing_is_fetched_from_elsewhere);
    tcase_add_test(tests, the_worst_stand_first_and_are_counted);
    tcase_add_test(tests, a_state_or_a_text_can_be_asked_for);
    tcase_add_test(tests, many_sites_are_on_several_pages);
    tcase_add_test(tests, a_window_is_told_in_words);
    tcase_add_test(tests, nothing_failed_is_no_more_than_that);
    tcase_add_test(tests, every_round_is_a_cell_with_its_tally);
    tcase_add_test(tests, outcomes_are_bars_the_most_frequent_first);
    tcase_add_test(tests, who_answered_what_is_a_matrix);
    tcase_add_test(tests, the_last_round_says_for_what_its_samples_failed);
    tcase_add_test(tests, statuses_stand_before_classes);
    tcase_add_test(tests, trouble_of_our_own_is_said_on_every_page);
    tcase_add_test(tests, spans_and_counts_are_for_people);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
