#include "report/board.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALL (INT64_C(1795341960) * NSEC_PER_SEC)

static const struct board_state up = {STATE_UP, 0, WALL}, degraded = {STATE_DEGRADED, 1, WALL},
                                down = {STATE_DOWN, 1, WALL},
                                unknown = {STATE_UNKNOWN, 0, NSEC_UNKNOWN};

static struct board *board;
static struct config *config;

/* Sites as in YAML, a list in brackets. */
static struct config *load(const char *sites) {
    struct config_messages messages;
    struct config *loaded = NULL;
    char text[1024];
    int n = snprintf(text, sizeof text, "sites: %s\n", sites);
    ck_assert_int_eq(config_load_memory("test", text, (size_t)n, &messages, &loaded), 0);
    config_messages_clear(&messages);
    return loaded;
}

static void configure(const char *sites, const struct board_state *states) {
    config_unref(config);
    config = load(sites);
    ck_assert_int_eq(board_configure(board, config, states), 0);
}

static void setup(void) {
    board = board_new();
    ck_assert_ptr_nonnull(board);
    configure("[ { name: a, url: http://a.test/ }, { name: b, url: http://b.test/ } ]", NULL);
}

static void teardown(void) {
    board_free(board);
    config_unref(config);
}

/* A closed round of `samples` that all got 200. */
static struct report *make(const char *site, uint64_t number, unsigned samples) {
    struct report *report = calloc(1, sizeof *report);
    ck_assert_ptr_nonnull(report);
    report->config = config_ref(config);
    report->site = config_find(config, site);
    report->round = number;
    report->wall_began = WALL + (nsec_t)number;
    report->planned = report->judged = samples;
    report->wall_certificate_ends = NSEC_UNKNOWN;
    ck_assert_int_eq(tally_add(&report->tally, 200, samples), 0);
    return report;
}

static void fails(struct report *report, outcome_t outcome, unsigned n) {
    ck_assert_int_eq(tally_add(&report->tally, outcome, n), 0);
    report->planned += n;
    report->judged += n;
    report->failed += n;
    report->reasons[outcome_is_status(outcome) ? REASON_STATUS : REASON_ERROR] += n;
}

static void add(struct report *report, const struct board_state *state) {
    board_add(board, report, state);
    report_free(report);
}

static uint64_t count_of(const struct board_site *site, outcome_t code) {
    for (unsigned i = 0; i < site->counts.n_codes; i++) {
        if (site->counts.codes[i].code == code) {
            return site->counts.codes[i].count;
        }
    }
    return 0;
}

START_TEST(a_site_that_had_no_round_yet_is_unknown) {
    ck_assert_uint_eq(board_n_sites(board), 2);
    const struct board_site *site = board_at(board, 1);
    ck_assert_str_eq(site->site->name, "b");
    ck_assert_ptr_eq(board_find(board, "b"), site);
    ck_assert_ptr_null(board_find(board, "c"));
    ck_assert_str_eq(state_name(site->state.state), "unknown");
    ck_assert_ptr_null(site->last);
    ck_assert_uint_eq(site->n_rounds, 0);
    ck_assert_uint_eq(site->counts.rounds, 0);
    ck_assert_int_eq(site->state.wall_since, NSEC_UNKNOWN);
    ck_assert_int_eq(site->wall_certificate_ends, NSEC_UNKNOWN);
}
END_TEST

START_TEST(reports_are_added_up) {
    for (unsigned i = 1; i <= 3; i++) {
        struct report *report = make("a", i, 10);
        fails(report, 503, 2);
        fails(report, OUTCOME_RESET, 1);
        report->skipped = i;
        report->late = 5;
        report->latency.n = 12;
        report->latency.sum = 120;
        report->latency.buckets[0] = 4;
        report->latency.buckets[REPORT_LATENCY_BOUNDS] = 8;
        report->phase_sums[PHASE_TLS] = (struct report_phase){.n = 2, .sum = 7};
        add(report, &degraded);
    }
    const struct board_site *site = board_find(board, "a");
    const struct board_counts *counts = &site->counts;
    ck_assert_uint_eq(counts->rounds, 3);
    ck_assert_uint_eq(counts->skipped, 6);
    ck_assert_uint_eq(counts->planned, 39);
    ck_assert_uint_eq(counts->judged, 39);
    ck_assert_uint_eq(counts->failed, 9);
    ck_assert_uint_eq(count_of(site, 200), 30);
    ck_assert_uint_eq(count_of(site, 503), 6);
    ck_assert_uint_eq(counts->classes[OUTCOME_RESET], 3);
    ck_assert_uint_eq(counts->reasons[REASON_STATUS], 6);
    ck_assert_uint_eq(counts->reasons[REASON_ERROR], 3);
    ck_assert_int_eq(counts->late, 15);
    ck_assert_uint_eq(counts->latency_n, 36);
    ck_assert_int_eq(counts->latency, 360);
    ck_assert_uint_eq(counts->latency_buckets[0], 12);
    ck_assert_uint_eq(counts->latency_buckets[REPORT_LATENCY_BOUNDS], 24);
    ck_assert_uint_eq(counts->phases[PHASE_TLS].n, 6);
    ck_assert_int_eq(counts->phases[PHASE_TLS].sum, 21);
    ck_assert_str_eq(state_name(site->state.state), "degraded");
    ck_assert_uint_eq(site->last->round, 3);
    ck_assert_uint_eq(board_find(board, "b")->counts.rounds, 0);
}
END_TEST

START_TEST(the_end_of_a_certificate_is_that_of_the_last_round_that_saw_one) {
    static const nsec_t ends[] = {7, 9, NSEC_UNKNOWN};
    for (unsigned i = 0; i < 3; i++) {
        struct report *report = make("a", i + 1, 1);
        report->wall_certificate_ends = ends[i];
        add(report, &up);
    }
    ck_assert_int_eq(board_find(board, "a")->wall_certificate_ends, 9);
}
END_TEST

START_TEST(codes_beyond_the_most_are_counted_together) {
    struct report *report = make("a", 1, 1);
    for (unsigned i = 0; i < BOARD_CODES_MOST + 3; i++) {
        fails(report, (outcome_t)(900 - i), 2);
    }
    add(report, &down);
    const struct board_site *site = board_find(board, "a");
    ck_assert_uint_eq(site->counts.n_codes, BOARD_CODES_MOST);
    ck_assert_uint_eq(site->counts.other_codes, 4 * 2);
    uint64_t sum = site->counts.other_codes;
    for (unsigned i = 0; i < site->counts.n_codes; i++) {
        ck_assert(i == 0 || site->counts.codes[i - 1].code < site->counts.codes[i].code);
        sum += site->counts.codes[i].count;
    }
    ck_assert_uint_eq(sum, report->planned);
    add(make("a", 2, 5), &down);
    ck_assert_uint_eq(count_of(site, 200), 6); /* what is known goes on */
}
END_TEST

START_TEST(the_last_rounds_are_remembered_newest_first) {
    for (unsigned i = 1; i <= BOARD_ROUNDS + 5; i++) {
        struct report *report = make("a", i, 10);
        fails(report, 500, i);
        add(report, i % 2 == 0 ? &up : &degraded);
    }
    const struct board_site *site = board_find(board, "a");
    ck_assert_uint_eq(site->n_rounds, BOARD_ROUNDS);
    for (unsigned i = 0; i < BOARD_ROUNDS; i++) {
        const struct board_round *round = board_round(site, i);
        uint64_t number = BOARD_ROUNDS + 5 - i;
        ck_assert_uint_eq(round->number, number);
        ck_assert_int_eq(round->wall_began, WALL + (nsec_t)number);
        ck_assert_uint_eq(round->planned, 10 + number);
        ck_assert_uint_eq(round->failed, number);
        ck_assert_int_eq(round->state, number % 2 == 0 ? STATE_UP : STATE_DEGRADED);
        ck_assert_uint_eq(round->n_rows, 2);
        ck_assert_uint_eq(round->rows[0].outcome, number > 10 ? 500 : 200);
        ck_assert_uint_eq(round->others, 0);
    }
}
END_TEST

START_TEST(a_round_tells_its_most_frequent_outcomes_apart) {
    struct report *report = make("a", 1, 4);
    fails(report, 404, 9);
    fails(report, 500, 4);
    fails(report, 503, 5);
    fails(report, OUTCOME_RESET, 1);
    fails(report, OUTCOME_PROXY, 3);
    add(report, &down);
    const struct board_round *round = board_round(board_find(board, "a"), 0);
    static const struct tally_row rows[] = {{404, 9}, {503, 5}, {200, 4}, {500, 4}};
    ck_assert_uint_eq(round->n_rows, BOARD_ROUND_ROWS);
    for (unsigned i = 0; i < BOARD_ROUND_ROWS; i++) {
        ck_assert_uint_eq(round->rows[i].outcome, rows[i].outcome);
        ck_assert_uint_eq(round->rows[i].count, rows[i].count);
    }
    ck_assert_uint_eq(round->others, 4);
}
END_TEST

START_TEST(sites_that_stay_keep_what_is_known_and_others_go) {
    add(make("a", 1, 10), &up);
    add(make("b", 1, 10), &up);
    const struct board_state states[] = {unknown, down};
    configure("[ { name: c, url: http://c.test/ }, { name: b, url: http://b.test/, samples: 7 } ]",
              states);
    ck_assert_ptr_null(board_find(board, "a"));
    ck_assert_uint_eq(board_find(board, "c")->counts.rounds, 0);
    const struct board_site *site = board_find(board, "b");
    ck_assert_ptr_eq(site, board_at(board, 1));
    ck_assert_uint_eq(site->counts.planned, 10);
    ck_assert_uint_eq(site->site->samples, 7);
    ck_assert_uint_eq(site->n_rounds, 1);
    ck_assert_ptr_nonnull(site->last);
    ck_assert_str_eq(state_name(site->state.state), "down"); /* as it was told */
}
END_TEST

START_TEST(a_site_that_asks_something_else_keeps_its_counts_alone) {
    struct report *late = make("a", 2, 10);
    add(make("a", 1, 10), &up);
    configure("[ { name: a, url: http://a.test/other } ]", NULL);
    const struct board_site *site = board_find(board, "a");
    ck_assert_uint_eq(site->counts.planned, 10);
    ck_assert_uint_eq(site->n_rounds, 0);
    ck_assert_ptr_null(site->last);
    ck_assert_str_eq(state_name(site->state.state), "unknown");
    add(late, &up); /* that began before */
    ck_assert_uint_eq(site->counts.planned, 20);
    ck_assert_uint_eq(site->n_rounds, 0);
    ck_assert_str_eq(state_name(site->state.state), "unknown");
}
END_TEST

START_TEST(a_round_of_a_site_that_is_gone_changes_nothing) {
    struct report *late = make("a", 1, 10);
    configure("[ { name: b, url: http://b.test/ } ]", NULL);
    add(late, &up);
    ck_assert_uint_eq(board_n_sites(board), 1);
    ck_assert_uint_eq(board_at(board, 0)->counts.rounds, 0);
}
END_TEST

START_TEST(a_site_that_is_referenced_outlives_its_removal) {
    struct board_site *site = board_site_ref(board_find(board, "a"));
    add(make("a", 1, 10), &up);
    configure("[ { name: b, url: http://b.test/ } ]", NULL);
    ck_assert_str_eq(site->site->name, "a");
    ck_assert_uint_eq(site->last->planned, 10);
    board_site_unref(site);
    board_site_unref(NULL);
}
END_TEST

START_TEST(the_worst_comes_first) {
    static const struct board_state states[] = {
        {STATE_UP, 0, WALL},       {STATE_UNKNOWN, 0, NSEC_UNKNOWN},
        {STATE_DEGRADED, 1, WALL}, {STATE_DEGRADED, 1, WALL},
        {STATE_DOWN, 1, WALL},     {STATE_UP, 0, WALL},
    };
    configure("[ { name: u1, url: http://a.test/ }, { name: new, url: http://b.test/ },"
              " { name: g1, url: http://c.test/ }, { name: g2, url: http://d.test/ },"
              " { name: d, url: http://e.test/ },"
              " { name: off1, url: http://f.test/, enabled: no } ]",
              states);
    struct report *report = make("g2", 1, 10);
    report->has_verdict = true;
    report->verdict.window_samples = 10;
    report->verdict.window_failed = 1;
    add(report, &degraded);
    static const char *const names[] = {"d", "g2", "g1", "new", "u1", "off1"};
    struct board_site *sites[6];
    board_worst_first(board, sites);
    for (size_t i = 0; i < 6; i++) {
        ck_assert_str_eq(sites[i]->site->name, names[i]);
    }
    ck_assert_str_eq(state_name(sites[5]->state.state), "paused");
    ck_assert_uint_eq(board_rank(sites[5]), BOARD_RANK_PAUSED);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("board");
    TCase *tests = tcase_create("board");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_site_that_had_no_round_yet_is_unknown);
    tcase_add_test(tests, reports_are_added_up);
    tcase_add_test(tests, the_end_of_a_certificate_is_that_of_the_last_round_that_saw_one);
    tcase_add_test(tests, codes_beyond_the_most_are_counted_together);
    tcase_add_test(tests, the_last_rounds_are_remembered_newest_first);
    tcase_add_test(tests, a_round_tells_its_most_frequent_outcomes_apart);
    tcase_add_test(tests, sites_that_stay_keep_what_is_known_and_others_go);
    tcase_add_test(tests, a_site_that_asks_something_else_keeps_its_counts_alone);
    tcase_add_test(tests, a_round_of_a_site_that_is_gone_changes_nothing);
    tcase_add_test(tests, a_site_that_is_referenced_outlives_its_removal);
    tcase_add_test(tests, the_worst_comes_first);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
