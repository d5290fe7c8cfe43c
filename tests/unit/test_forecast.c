#include "report/forecast.h"

#include "chain.h"

#include <check.h>
#include <math.h>
#include <stdio.h>

#define MINUTE       (60 * NSEC_PER_SEC)
#define YEAR_MINUTES (365.25 * 24 * 60)

static const struct health_config usual = {
    .forgive = 50, .degraded_at = 4000, .round_max = 2500, .down_at = 950};
static const struct chain_rule usual_rule = {20, 50, 200, 125, 950, 2};

static double alarms(unsigned samples, const struct health_config *health, double failing) {
    double a_year;
    ck_assert_int_eq(forecast_alarms(samples, MINUTE, health, failing, &a_year), 0);
    return a_year;
}

static struct forecast_found find(unsigned samples, const struct health_config *health,
                                  double failing) {
    struct forecast_found found;
    ck_assert_int_eq(forecast_find(samples, health, failing, &found), 0);
    return found;
}

/* By the chain of the test. */
static double chain_alarms(struct chain_rule rule, double failing) {
    struct chain chain = chain_new(rule, failing);
    chain_settle(&chain);
    double a_year = chain.entered * YEAR_MINUTES;
    chain_free(&chain);
    return a_year;
}

static struct forecast_found chain_found(struct chain_rule rule, double failing) {
    struct chain chain = chain_new(rule, failing);
    struct forecast_found rounds = {0};
    double found = 0;
    for (int round = 1; found < 0.95; round++) {
        ck_assert_int_lt(round, 20000);
        found += chain_find(&chain);
        rounds.median = rounds.median == 0 && found >= 0.5 ? round : rounds.median;
        rounds.most = found >= 0.95 ? round : 0;
    }
    chain_free(&chain);
    return rounds;
}

/* The table of the design; half of its last digit. */
START_TEST(false_alarms_are_as_rare_as_promised) {
    static const struct {
        double failing, a_year, rounded;
    } rows[] = {{0.0005, 5e-6, 0.5e-6}, {0.001, 3e-4, 0.5e-4}, {0.005, 5.6, 0.05}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double exact = chain_alarms(usual_rule, rows[i].failing);
        double told = alarms(20, &usual, rows[i].failing);
        fprintf(stderr, "# %g %%: %g false alarms a site-year, foretold %g\n",
                100 * rows[i].failing, exact, told);
        ck_assert_double_eq_tol(exact, rows[i].a_year, rows[i].rounded);
        ck_assert_double_eq_tol(told, exact, 0.001 * exact);
    }
}
END_TEST

START_TEST(one_of_20_servers_is_found_as_soon_as_promised) {
    static const struct {
        double failing, median, most;
    } rows[] = {{0.05, 7, 15}, {0.10, 4, 6}, {1.0 / 3, 2, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct forecast_found exact = chain_found(usual_rule, rows[i].failing);
        struct forecast_found told = find(20, &usual, rows[i].failing);
        fprintf(stderr, "# %g %%: found after %g (median), %g (95 %%)\n", 100 * rows[i].failing,
                exact.median, exact.most);
        ck_assert_double_eq(exact.median, rows[i].median);
        ck_assert_double_eq(exact.most, rows[i].most);
        ck_assert_double_eq(told.median, exact.median);
        ck_assert_double_eq(told.most, exact.most);
    }
}
END_TEST

START_TEST(a_site_that_fails_whole_is_down_after_2_rounds) {
    struct chain chain = chain_new(usual_rule, 1 - 1e-12);
    chain_step(&chain);
    chain_step(&chain);
    double down = 0;
    for (int level = 0; level <= usual_rule.full; level++) {
        down += *chain_at(&chain, chain.weights, CHAIN_DOWN, level, 0);
    }
    ck_assert_double_eq_tol(down, 1, 1e-9);
    chain_free(&chain);
    ck_assert_double_eq(find(20, &usual, 1 - 1e-12).most, 2);
}
END_TEST

START_TEST(a_failing_site_does_not_flap) {
    struct chain chain = chain_new(usual_rule, 0.05);
    chain_settle(&chain);
    double a_day = chain.changed * 24 * 60;
    fprintf(stderr, "# 5 %%: %g changes a day\n", a_day);
    ck_assert_double_eq_tol(a_day, 0.1, 0.05);
    /* each of them there and back */
    ck_assert_double_eq_tol(2 * alarms(20, &usual, 0.05) / 365.25, a_day, 0.01 * a_day);
    chain_free(&chain);
}
END_TEST

START_TEST(other_settings_are_foretold_as_the_chain_has_them) {
    static const struct {
        struct health_config health;
        struct chain_rule rule;
    } rows[] = {
        {{50, 4000, 2500, 950, 0}, {1, 50, 200, 125, 950, 3}},
        {{50, 4000, 2500, 950, 0}, {5, 50, 200, 125, 950, 3}},
        {{50, 4000, 2500, 950, 0}, {10, 50, 200, 125, 950, 2}},
        {{50, 4000, 2500, 950, 0}, {100, 50, 200, 125, 950, 2}},
        {{50, 1000, 1000, 950, 0}, {20, 50, 50, 50, 950, 2}},
        {{10, 6500, 1500, 950, 0}, {7, 10, 65, 15, 950, 3}},
        {{3, 2500, 2500, 500, 1}, {3, 3, 8, 8, 500, 1}},
        {{200, 2000, 500, 800, 5}, {4, 200, 400, 100, 800, 5}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned samples = (unsigned)rows[i].rule.samples;
        for (double failing = 0.002; failing < 0.01; failing += 0.005) {
            double exact = chain_alarms(rows[i].rule, failing);
            ck_assert_double_eq_tol(alarms(samples, &rows[i].health, failing), exact,
                                    0.01 * exact + 1e-12);
        }
        for (double failing = 0.05; failing < 1; failing += 0.15) {
            if (rows[i].rule.forgive * failing < 2) {
                continue; /* hardly ever */
            }
            struct forecast_found exact = chain_found(rows[i].rule, failing);
            struct forecast_found told = find(samples, &rows[i].health, failing);
            ck_assert_double_eq(told.median, exact.median);
            ck_assert_double_eq(told.most, exact.most);
        }
    }
}
END_TEST

/* The rest of the way is a formula: against the steps. */
START_TEST(what_takes_thousands_of_rounds_is_foretold_to_the_round) {
    struct forecast_found exact = chain_found(usual_rule, 0.01), told = find(20, &usual, 0.01);
    fprintf(stderr, "# 1 %%: %g, %g\n", told.median, told.most);
    ck_assert_double_eq(told.median, exact.median);
    ck_assert_double_eq(told.most, exact.most);
}
END_TEST

START_TEST(what_never_comes_is_infinite_and_what_takes_long_is_not_worked_out) {
    struct forecast_found found = find(10000, &usual, 0.01);
    ck_assert(isinf(found.median) && isinf(found.most));
    ck_assert_double_eq(alarms(10000, &usual, 0.001), 0);
    static const struct health_config fine = {1000, 100000, 2500, 950, 20};
    found = find(10000, &fine, 0.5);
    ck_assert(isnan(found.median) && isnan(found.most));
    ck_assert(isnan(alarms(10000, &fine, 0.005)));
}
END_TEST

START_TEST(twice_as_many_rounds_a_year_have_twice_as_many_alarms) {
    double a_year;
    ck_assert_int_eq(forecast_alarms(20, MINUTE / 2, &usual, 0.005, &a_year), 0);
    ck_assert_double_eq_tol(a_year, 2 * alarms(20, &usual, 0.005), 1e-9);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("forecast");
    TCase *tests = tcase_create("forecast");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, false_alarms_are_as_rare_as_promised);
    tcase_add_test(tests, one_of_20_servers_is_found_as_soon_as_promised);
    tcase_add_test(tests, a_site_that_fails_whole_is_down_after_2_rounds);
    tcase_add_test(tests, a_failing_site_does_not_flap);
    tcase_add_test(tests, other_settings_are_foretold_as_the_chain_has_them);
    tcase_add_test(tests, what_takes_thousands_of_rounds_is_foretold_to_the_round);
    tcase_add_test(tests, what_never_comes_is_infinite_and_what_takes_long_is_not_worked_out);
    tcase_add_test(tests, twice_as_many_rounds_a_year_have_twice_as_many_alarms);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
