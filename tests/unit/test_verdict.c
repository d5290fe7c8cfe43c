#include "report/verdict.h"

#include "chance.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE (60 * NSEC_PER_SEC)

/* The defaults of the keys. */
static const struct health_config usual = {
    .forgive = 50, .degraded_at = 4000, .round_max = 2500, .down_at = 950};

/* A site of 20 samples a minute, judged at its slots. */
struct site_run {
    struct verdict verdict;
    nsec_t now;
    struct verdict_result result;
};

static struct site_run run_new(void) {
    struct site_run run = {.now = 1000 * MINUTE};
    verdict_init(&run.verdict);
    return run;
}

static enum state judge_of(struct site_run *run, unsigned planned, unsigned judged,
                           unsigned failed) {
    run->now += MINUTE;
    verdict_judge(&run->verdict, &usual, run->now, MINUTE, planned, judged, failed, &run->result);
    return run->result.to;
}

static enum state judge(struct site_run *run, unsigned failed) {
    return judge_of(run, 20, 20, failed);
}

#define assert_level(run, fiftieths)                                                               \
    ck_assert_double_eq_tol((run)->result.level, (fiftieths) / 200.0, 1e-12)

START_TEST(a_first_round_without_a_failure_is_up) {
    struct site_run run = run_new();
    ck_assert_int_eq(run.verdict.state, STATE_UNKNOWN);
    ck_assert_int_eq(judge(&run, 0), STATE_UP);
    ck_assert_int_eq(run.result.from, STATE_UNKNOWN);
    assert_level(&run, 0);
}
END_TEST

START_TEST(one_failure_leaves_a_new_site_unknown_until_it_is_forgiven) {
    struct site_run run = run_new();
    ck_assert_int_eq(judge(&run, 1), STATE_UNKNOWN);
    assert_level(&run, 31); /* 50 less 19 good ones */
    ck_assert_int_eq(judge(&run, 0), STATE_UNKNOWN);
    assert_level(&run, 11);
    ck_assert_int_eq(judge_of(&run, 10, 10, 0), STATE_UNKNOWN);
    assert_level(&run, 1);
    ck_assert_int_eq(judge(&run, 0), STATE_UP);
    ck_assert_int_eq(run.result.from, STATE_UNKNOWN);
}
END_TEST

START_TEST(the_failures_of_a_round_add_at_most_125) {
    struct site_run run = run_new();
    judge(&run, 0);
    ck_assert_int_eq(judge(&run, 3), STATE_UP);
    assert_level(&run, 125 - 17);
    judge_of(&run, 108, 108, 0);
    ck_assert_int_eq(judge(&run, 10), STATE_UP);
    assert_level(&run, 125 - 10);
    ck_assert_int_eq(judge(&run, 10), STATE_DEGRADED);
    assert_level(&run, 200);
}
END_TEST

START_TEST(a_full_bucket_degrades_and_only_an_empty_one_is_up_again) {
    struct site_run run = run_new();
    judge(&run, 0);
    judge(&run, 18);                                  /* 125 - 2 */
    ck_assert_int_eq(judge(&run, 2), STATE_DEGRADED); /* + 100 - 18 */
    ck_assert_int_eq(run.result.from, STATE_UP);
    for (int good = 1; good < 10; good++) {
        ck_assert_int_eq(judge(&run, 0), STATE_DEGRADED);
        assert_level(&run, 200 - 20 * good);
    }
    ck_assert_int_eq(judge(&run, 0), STATE_UP);
    ck_assert_int_eq(run.result.from, STATE_DEGRADED);
}
END_TEST

START_TEST(one_fiftieth_short_of_full_is_as_before) {
    struct site_run run = run_new();
    judge(&run, 0);
    judge(&run, 10);
    ck_assert_int_eq(judge_of(&run, 18, 18, 2), STATE_UP); /* 115 + 100 - 16 */
    assert_level(&run, 199);
    ck_assert_int_eq(judge_of(&run, 50, 50, 1), STATE_DEGRADED); /* + 50 - 49 */
}
END_TEST

START_TEST(down_takes_two_rounds_that_failed_in_95_percent) {
    struct site_run run = run_new();
    judge(&run, 0);
    ck_assert_int_eq(judge(&run, 19), STATE_UP);
    ck_assert_int_eq(judge(&run, 18), STATE_DEGRADED); /* 90 %: starts anew */
    ck_assert_int_eq(judge(&run, 19), STATE_DEGRADED);
    ck_assert_int_eq(judge(&run, 19), STATE_DOWN);
    ck_assert_int_eq(run.result.from, STATE_DEGRADED);
}
END_TEST

START_TEST(down_takes_three_rounds_where_fewer_than_ten_are_planned) {
    struct site_run run = run_new();
    judge_of(&run, 9, 9, 9);
    ck_assert_int_ne(judge_of(&run, 9, 9, 9), STATE_DOWN);
    ck_assert_int_eq(judge_of(&run, 9, 9, 9), STATE_DOWN);
    run = run_new();
    judge_of(&run, 10, 10, 10);
    ck_assert_int_eq(judge_of(&run, 10, 10, 10), STATE_DOWN);
    ck_assert_int_eq(run.result.from, STATE_UNKNOWN);
}
END_TEST

START_TEST(down_asks_for_95_percent_of_what_was_judged) {
    struct site_run run = run_new();
    judge_of(&run, 100, 100, 94);
    ck_assert_int_ne(judge_of(&run, 100, 100, 95), STATE_DOWN);
    ck_assert_int_eq(judge_of(&run, 100, 100, 95), STATE_DOWN);
    run = run_new();
    judge_of(&run, 20, 5, 5);
    ck_assert_int_eq(judge_of(&run, 20, 5, 5), STATE_DOWN);
}
END_TEST

START_TEST(down_is_left_after_two_rounds_running_under_half) {
    struct site_run run = run_new();
    judge(&run, 20);
    ck_assert_int_eq(judge(&run, 20), STATE_DOWN);
    ck_assert_int_eq(judge(&run, 9), STATE_DOWN);
    ck_assert_int_eq(judge(&run, 10), STATE_DOWN); /* half is not under half */
    ck_assert_int_eq(judge(&run, 0), STATE_DOWN);
    ck_assert_int_eq(judge(&run, 9), STATE_DEGRADED);
    ck_assert_int_eq(run.result.from, STATE_DOWN);
}
END_TEST

START_TEST(after_down_a_bucket_that_is_not_empty_is_degraded) {
    struct site_run run = run_new();
    judge(&run, 20);
    judge(&run, 20);
    judge(&run, 0);
    ck_assert_int_eq(judge(&run, 0), STATE_DEGRADED);
    assert_level(&run, 160);
    for (int good = 1; good < 8; good++) {
        ck_assert_int_eq(judge(&run, 0), STATE_DEGRADED);
    }
    ck_assert_int_eq(judge(&run, 0), STATE_UP);
}
END_TEST

START_TEST(after_down_an_empty_bucket_is_up) {
    struct site_run run = run_new();
    judge(&run, 20);
    ck_assert_int_eq(judge(&run, 20), STATE_DOWN);
    ck_assert_int_eq(judge_of(&run, 100, 100, 0), STATE_DOWN);
    ck_assert_int_eq(judge_of(&run, 100, 100, 0), STATE_UP);
}
END_TEST

START_TEST(a_round_without_judged_samples_changes_nothing) {
    struct site_run run = run_new();
    ck_assert_int_eq(judge_of(&run, 20, 0, 0), STATE_UNKNOWN);
    judge(&run, 20);
    struct verdict before = run.verdict;
    ck_assert_int_eq(judge_of(&run, 20, 0, 0), before.state);
    ck_assert_int_eq(memcmp(&before, &run.verdict, sizeof before), 0);
    ck_assert_uint_eq(run.result.window_samples, 20);
    ck_assert_int_eq(judge(&run, 20), STATE_DOWN); /* nor does it come between two that do */
    judge(&run, 0);
    judge_of(&run, 20, 0, 0);
    ck_assert_int_eq(judge(&run, 0), STATE_DEGRADED);
}
END_TEST

/* --- other keys --- */

static enum state judge_by(struct site_run *run, const struct health_config *health,
                           unsigned planned, unsigned failed) {
    run->now += MINUTE;
    verdict_judge(&run->verdict, health, run->now, MINUTE, planned, planned, failed, &run->result);
    return run->result.to;
}

START_TEST(the_bucket_has_the_size_of_the_keys) {
    static const struct health_config strict = {
        .forgive = 100, .degraded_at = 1500, .round_max = 1500, .down_at = 950};
    struct site_run run = run_new();
    judge_by(&run, &strict, 20, 0);
    ck_assert_int_eq(judge_by(&run, &strict, 20, 1), STATE_UP);
    ck_assert_double_eq_tol(run.result.level, 81.0 / 150, 1e-12);
    ck_assert_int_eq(judge_by(&run, &strict, 20, 1), STATE_DEGRADED); /* 162 */
    for (int good = 1; good < 8; good++) {
        ck_assert_int_eq(judge_by(&run, &strict, 20, 0), STATE_DEGRADED);
    }
    ck_assert_int_eq(judge_by(&run, &strict, 20, 0), STATE_UP);
    ck_assert_int_eq(judge_by(&run, &strict, 20, 10), STATE_UP); /* 150 - 10 */
    ck_assert_double_eq_tol(run.result.level, 140.0 / 150, 1e-12);
}
END_TEST

START_TEST(a_bucket_of_less_than_a_good_sample_is_one) {
    static const struct health_config least = {
        .forgive = 1, .degraded_at = 100, .round_max = 100, .down_at = 950};
    struct site_run run = run_new();
    ck_assert_int_eq(verdict_full(&least), 1);
    ck_assert_int_eq(judge_by(&run, &least, 20, 0), STATE_UP);
    ck_assert_int_eq(judge_by(&run, &least, 20, 11), STATE_DEGRADED);
    ck_assert_int_eq(judge_by(&run, &least, 20, 0), STATE_UP);
}
END_TEST

START_TEST(down_takes_the_share_and_the_rounds_of_the_keys) {
    static const struct health_config hasty = {
        .forgive = 50, .degraded_at = 4000, .round_max = 2500, .down_at = 500, .down_rounds = 1};
    struct site_run run = run_new();
    ck_assert_int_ne(judge_by(&run, &hasty, 20, 9), STATE_DOWN);
    ck_assert_int_eq(judge_by(&run, &hasty, 20, 10), STATE_DOWN);
    run = run_new();
    ck_assert_int_eq(judge_by(&run, &hasty, 1, 1),
                     STATE_DOWN); /* a small round too, as it is given */
    struct health_config patient = usual;
    patient.down_rounds = 4;
    patient.down_at = 1000;
    run = run_new();
    for (int round = 0; round < 10; round++) {
        ck_assert_int_ne(judge_by(&run, &patient, 100, 99), STATE_DOWN);
    }
    for (int round = 1; round < 4; round++) {
        ck_assert_int_ne(judge_by(&run, &patient, 100, 100), STATE_DOWN);
    }
    ck_assert_int_eq(judge_by(&run, &patient, 100, 100), STATE_DOWN);
}
END_TEST

START_TEST(other_keys_keep_the_level_as_many_failures) {
    struct health_config other = usual;
    struct site_run run = run_new();
    judge(&run, 10); /* 115 of 200 */
    other.forgive = 100;
    verdict_convert(&run.verdict, &usual, &other);
    ck_assert_int_eq(run.verdict.level, 230);
    other.degraded_at = 2000;
    verdict_convert(&run.verdict, &other, &other);
    ck_assert_int_eq(run.verdict.level, 200);
    ck_assert_int_eq(judge_by(&run, &other, 2, 1), STATE_DEGRADED);
}
END_TEST

START_TEST(a_level_survives_as_failures_whatever_forgive_is) {
    struct health_config health = usual;
    for (health.forgive = 1; health.forgive <= 1000; health.forgive += 27) {
        struct verdict verdict, back;
        verdict_init(&verdict);
        for (int level = 0; level <= verdict_full(&health); level++) {
            verdict.level = level;
            struct verdict_past past = {.level = verdict_failures(&verdict, &health)};
            verdict_restore(&back, &health, &past, 0, MINUTE);
            ck_assert_int_eq(back.level, level);
        }
    }
}
END_TEST

/* Where all good samples of a round counted against its failures, of which 2.5 count at most, nothing
 * could fill the bucket from 126 good ones on. */
START_TEST(a_large_round_that_fails_in_5_percent_is_found) {
    static const unsigned planned[] = {20, 50, 63, 100, 126, 200, 1000, 10000};
    for (size_t i = 0; i < sizeof planned / sizeof planned[0]; i++) {
        struct site_run run = run_new();
        judge_by(&run, &usual, planned[i], 0);
        int rounds = 1;
        unsigned failed = (planned[i] + 19) / 20;
        while (judge_by(&run, &usual, planned[i], failed) != STATE_DEGRADED && rounds < 1000) {
            rounds++;
        }
        ck_assert_int_le(rounds, 7);
        ck_assert_int_ge(rounds, 2);
        run = run_new();
        for (rounds = 0; rounds < 100; rounds++) { /* 1 of 100 is less than what is forgiven */
            ck_assert_int_ne(judge_by(&run, &usual, planned[i], planned[i] / 100), STATE_DEGRADED);
        }
    }
}
END_TEST

START_TEST(up_to_62_samples_a_round_adds_at_most_2_and_a_half_failures_less_what_was_good) {
    for (unsigned judged = 1; judged <= 62; judged++) {
        for (unsigned failed = 0; failed <= judged; failed++) {
            int added = failed < 3 ? 50 * (int)failed : 125;
            ck_assert_int_eq(verdict_weight(&usual, judged, failed),
                             added - (int)(judged - failed));
        }
    }
}
END_TEST

START_TEST(one_failure_more_never_weighs_less) {
    for (unsigned judged = 1; judged <= 400; judged++) {
        for (unsigned failed = 1; failed <= judged; failed++) {
            ck_assert_int_gt(verdict_weight(&usual, judged, failed) + 1,
                             verdict_weight(&usual, judged, failed - 1));
        }
    }
    ck_assert_int_eq(verdict_weight(&usual, 10000, 10000), 125);
}
END_TEST

START_TEST(a_paused_site_is_not_judged_and_comes_back_unknown) {
    struct site_run run = run_new();
    judge(&run, 20);
    ck_assert_int_eq(judge(&run, 20), STATE_DOWN);
    verdict_pause(&run.verdict);
    ck_assert_int_eq(judge(&run, 20), STATE_PAUSED); /* one that was in flight */
    ck_assert(!verdict_is_change(&run.result));
    assert_level(&run, 0);
    ck_assert_uint_eq(run.result.window_samples, 0);
    verdict_init(&run.verdict);
    ck_assert_int_eq(judge(&run, 1), STATE_UNKNOWN);
    ck_assert_int_eq(judge(&run, 20), STATE_UNKNOWN);
    ck_assert_int_eq(judge(&run, 20), STATE_DOWN);
}
END_TEST

/* --- the window --- */

START_TEST(the_window_holds_the_last_five_rounds_of_a_minute) {
    struct site_run run = run_new();
    for (unsigned i = 0; i < 200; i++) {
        judge(&run, i % 10);
        unsigned rounds = i < 5 ? i + 1 : 5, failed = 0;
        for (unsigned k = 0; k < rounds; k++) {
            failed += (i - k) % 10;
        }
        ck_assert_uint_eq(run.result.window_samples, 20 * rounds);
        ck_assert_uint_eq(run.result.window_failed, failed);
    }
}
END_TEST

START_TEST(a_window_is_five_minutes_or_five_rounds_whichever_is_longer) {
    static const struct {
        nsec_t interval;
        unsigned rounds;
    } rows[] = {
        {NSEC_PER_SEC / 10, 3000}, {NSEC_PER_SEC, 300},   {7 * NSEC_PER_SEC, 43}, {MINUTE, 5},
        {60 * MINUTE, 5},          {24 * 60 * MINUTE, 5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct verdict verdict;
        struct verdict_result result;
        verdict_init(&verdict);
        for (unsigned k = 0; k < 4000; k++) {
            verdict_judge(&verdict, &usual, (k + 1) * rows[i].interval, rows[i].interval, 20, 20, 1,
                          &result);
            ck_assert_uint_eq(result.window_failed * 20, result.window_samples);
        }
        /* right to within one of its 60 cells */
        double rounds = result.window_samples / 20.0;
        ck_assert_double_le(fabs(rounds - rows[i].rounds), rows[i].rounds / 60.0 + 1e-9);
    }
}
END_TEST

START_TEST(a_pause_empties_the_window_and_not_the_bucket) {
    struct site_run run = run_new();
    judge(&run, 20);
    run.now += 60 * MINUTE;
    judge(&run, 1);
    ck_assert_uint_eq(run.result.window_samples, 20);
    ck_assert_uint_eq(run.result.window_failed, 1);
    assert_level(&run, 156);
}
END_TEST

START_TEST(another_interval_starts_the_window_anew) {
    struct site_run run = run_new();
    judge(&run, 2);
    verdict_judge(&run.verdict, &usual, run.now + MINUTE, 60 * MINUTE, 20, 20, 1, &run.result);
    ck_assert_uint_eq(run.result.window_samples, 20);
    ck_assert_uint_eq(run.result.window_failed, 1);
    assert_level(&run, 113); /* 82 + 31: the bucket goes on */
}
END_TEST

START_TEST(the_window_decides_nothing) {
    struct chance chance = chance_new(__func__);
    struct site_run steady = run_new(), pausing = run_new();
    for (int i = 0; i < 5000; i++) {
        unsigned failed = chance_below(&chance, 4) > 0 ? 0 : (unsigned)chance_below(&chance, 21);
        pausing.now += (nsec_t)chance_below(&chance, 30) * MINUTE;
        ck_assert_int_eq(judge(&steady, failed), judge(&pausing, failed));
    }
}
END_TEST

/* Published: Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3. */
START_TEST(wilson_intervals_are_the_published_ones) {
    static const struct {
        uint32_t failed, n;
        double low, high;
    } rows[] = {
        {81, 263, 0.2553, 0.3662},
        {15, 148, 0.0624, 0.1605},
        {0, 20, 0.0000, 0.1611},
        {1, 29, 0.0061, 0.1718},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double low, high;
        verdict_wilson(rows[i].failed, rows[i].n, &low, &high);
        ck_assert_double_eq_tol(low, rows[i].low, 0.00005);
        ck_assert_double_eq_tol(high, rows[i].high, 0.00005);
        verdict_wilson(rows[i].n - rows[i].failed, rows[i].n, &low, &high);
        ck_assert_double_eq_tol(low, 1 - rows[i].high, 0.00005);
        ck_assert_double_eq_tol(high, 1 - rows[i].low, 0.00005);
    }
}
END_TEST

START_TEST(wilson_intervals_stay_within_0_and_1) {
    for (uint32_t n = 0; n < 300; n++) {
        for (uint32_t failed = 0; failed <= n; failed++) {
            double low, high;
            verdict_wilson(failed, n, &low, &high);
            ck_assert(low >= 0 && low < high && high <= 1);
            ck_assert(n == 0 || (low <= (double)failed / n && (double)failed / n <= high));
        }
    }
    double low, high;
    verdict_wilson(0, 0, &low, &high);
    ck_assert(low == 0 && high == 1);
    verdict_wilson(0, 20, &low, &high);
    ck_assert(low == 0);
    verdict_wilson(20, 20, &low, &high);
    ck_assert(high == 1);
    verdict_wilson(UINT32_MAX, UINT32_MAX, &low, &high);
    ck_assert(low > 0.999999 && high == 1);
}
END_TEST

START_TEST(a_dead_site_is_down_after_2_rounds) {
    struct site_run run = run_new();
    judge(&run, 0);
    ck_assert_int_eq(judge(&run, 20), STATE_UP);
    ck_assert_int_eq(judge(&run, 20), STATE_DOWN);
}
END_TEST

START_TEST(states_have_the_names_of_the_record) {
    ck_assert_str_eq(state_name(STATE_UNKNOWN), "unknown");
    ck_assert_str_eq(state_name(STATE_UP), "up");
    ck_assert_str_eq(state_name(STATE_DEGRADED), "degraded");
    ck_assert_str_eq(state_name(STATE_DOWN), "down");
    ck_assert_str_eq(state_name(STATE_PAUSED), "paused");
}
END_TEST

/* ---- over a restart ---- */

/* What a snapshot at `now` holds, put back into another process whose clock shows `then` for it. */
static struct verdict restart(const struct verdict *verdict, nsec_t now, nsec_t then,
                              nsec_t interval) {
    struct verdict_past_cell cells[VERDICT_WINDOW_CELLS];
    struct verdict_past past = {
        .state = verdict->state,
        .level = verdict_failures(verdict, &usual),
        .bad_rounds = verdict->bad_rounds,
        .recovered_rounds = verdict->recovered_rounds,
        .cells = cells,
        .n_cells = verdict_window(verdict, now, cells),
    };
    struct verdict restored;
    verdict_restore(&restored, &usual, &past, then, interval);
    return restored;
}

START_TEST(a_restored_verdict_goes_on_as_if_nothing_had_been) {
    struct chance chance = chance_new("a_restored_verdict_goes_on_as_if_nothing_had_been");
    struct site_run run = run_new(), other = run;
    nsec_t offset = 0; /* of the other's clock, whose zero is another at each start */
    for (int round = 0; round < 3000; round++) {
        unsigned failed = chance_below(&chance, 3) > 0 ? 0 : (unsigned)chance_below(&chance, 21);
        if (chance_below(&chance, 10) == 0) {
            /* whole cells of 5 s, so that the two windows stay the same to the sample; below zero */
            nsec_t moved = -(nsec_t)chance_below(&chance, 100000) * 5 * NSEC_PER_SEC;
            other.verdict = restart(&other.verdict, run.now + offset, run.now + moved, MINUTE);
            offset = moved;
        }
        run.now += MINUTE;
        verdict_judge(&run.verdict, &usual, run.now, MINUTE, 20, 20, failed, &run.result);
        verdict_judge(&other.verdict, &usual, run.now + offset, MINUTE, 20, 20, failed,
                      &other.result);
        ck_assert_int_eq(run.result.from, other.result.from);
        ck_assert_int_eq(run.result.to, other.result.to);
        ck_assert_double_eq(run.result.level, other.result.level);
        ck_assert_uint_eq(run.result.window_samples, other.result.window_samples);
        ck_assert_uint_eq(run.result.window_failed, other.result.window_failed);
    }
}
END_TEST

START_TEST(a_down_is_entered_and_left_across_a_restart) {
    struct site_run run = run_new();
    judge(&run, 0);
    judge(&run, 20);
    run.verdict = restart(&run.verdict, run.now, 5, MINUTE);
    run.now = 5;
    ck_assert_int_eq(judge(&run, 20), STATE_DOWN); /* the second bad one */
    ck_assert_int_eq(judge(&run, 0), STATE_DOWN);
    run.verdict = restart(&run.verdict, run.now, 5, MINUTE);
    run.now = 5;
    ck_assert_int_eq(judge(&run, 0), STATE_DEGRADED); /* the second good one */
}
END_TEST

START_TEST(time_between_ages_a_restored_window) {
    struct site_run run = run_new();
    for (int round = 0; round < 5; round++) {
        judge(&run, 1);
    }
    ck_assert_uint_eq(run.result.window_samples, 100);
    /* three minutes later, right after the machine's start: a window of five minutes holds two */
    run.verdict = restart(&run.verdict, run.now, 7 * NSEC_PER_SEC - 3 * MINUTE, MINUTE);
    run.now = 7 * NSEC_PER_SEC - MINUTE;
    judge(&run, 0);
    ck_assert_uint_eq(run.result.window_samples, 20 + 2 * 20);
    ck_assert_uint_eq(run.result.window_failed, 2);
}
END_TEST

START_TEST(a_full_window_is_restored_and_goes_on_sliding) {
    struct verdict verdict;
    struct verdict_result result;
    verdict_init(&verdict);
    nsec_t now = 1000 * MINUTE;
    for (int round = 0; round < 500; round++, now += NSEC_PER_SEC) {
        verdict_judge(&verdict, &usual, now, NSEC_PER_SEC, 1, 1, 0, &result);
    }
    ck_assert_uint_eq(verdict.n_cells, VERDICT_WINDOW_CELLS);
    uint32_t before = result.window_samples;
    now -= NSEC_PER_SEC; /* in the newest cell */
    verdict = restart(&verdict, now, now - 500 * MINUTE, NSEC_PER_SEC);
    ck_assert_uint_eq(verdict.n_cells, VERDICT_WINDOW_CELLS);
    now -= 500 * MINUTE - NSEC_PER_SEC;
    for (int round = 0; round < 100; round++, now += NSEC_PER_SEC) {
        verdict_judge(&verdict, &usual, now, NSEC_PER_SEC, 1, 1, 0, &result);
        ck_assert_uint_le(result.window_samples, before + 5);
        ck_assert_uint_ge(result.window_samples + 5, before);
    }
}
END_TEST

START_TEST(a_level_beyond_the_bucket_is_a_full_one) {
    struct verdict verdict;
    struct verdict_past past = {.state = STATE_DEGRADED, .level = 1000000};
    verdict_restore(&verdict, &usual, &past, 0, MINUTE);
    struct verdict_result result;
    verdict_judge(&verdict, &usual, MINUTE, MINUTE, 20, 20, 0, &result);
    ck_assert_double_eq_tol(result.level, 180.0 / 200, 1e-12);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("verdict");
    TCase *tests = tcase_create("verdict");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, a_first_round_without_a_failure_is_up);
    tcase_add_test(tests, one_failure_leaves_a_new_site_unknown_until_it_is_forgiven);
    tcase_add_test(tests, the_failures_of_a_round_add_at_most_125);
    tcase_add_test(tests, a_full_bucket_degrades_and_only_an_empty_one_is_up_again);
    tcase_add_test(tests, one_fiftieth_short_of_full_is_as_before);
    tcase_add_test(tests, down_takes_two_rounds_that_failed_in_95_percent);
    tcase_add_test(tests, down_takes_three_rounds_where_fewer_than_ten_are_planned);
    tcase_add_test(tests, down_asks_for_95_percent_of_what_was_judged);
    tcase_add_test(tests, down_is_left_after_two_rounds_running_under_half);
    tcase_add_test(tests, after_down_a_bucket_that_is_not_empty_is_degraded);
    tcase_add_test(tests, after_down_an_empty_bucket_is_up);
    tcase_add_test(tests, a_round_without_judged_samples_changes_nothing);
    tcase_add_test(tests, the_bucket_has_the_size_of_the_keys);
    tcase_add_test(tests, a_bucket_of_less_than_a_good_sample_is_one);
    tcase_add_test(tests, down_takes_the_share_and_the_rounds_of_the_keys);
    tcase_add_test(tests, other_keys_keep_the_level_as_many_failures);
    tcase_add_test(tests, a_level_survives_as_failures_whatever_forgive_is);
    tcase_add_test(tests, a_large_round_that_fails_in_5_percent_is_found);
    tcase_add_test(tests,
                   up_to_62_samples_a_round_adds_at_most_2_and_a_half_failures_less_what_was_good);
    tcase_add_test(tests, one_failure_more_never_weighs_less);
    tcase_add_test(tests, a_paused_site_is_not_judged_and_comes_back_unknown);
    tcase_add_test(tests, the_window_holds_the_last_five_rounds_of_a_minute);
    tcase_add_test(tests, a_window_is_five_minutes_or_five_rounds_whichever_is_longer);
    tcase_add_test(tests, a_pause_empties_the_window_and_not_the_bucket);
    tcase_add_test(tests, another_interval_starts_the_window_anew);
    tcase_add_test(tests, the_window_decides_nothing);
    tcase_add_test(tests, wilson_intervals_are_the_published_ones);
    tcase_add_test(tests, wilson_intervals_stay_within_0_and_1);
    tcase_add_test(tests, a_dead_site_is_down_after_2_rounds);
    tcase_add_test(tests, states_have_the_names_of_the_record);
    tcase_add_test(tests, a_restored_verdict_goes_on_as_if_nothing_had_been);
    tcase_add_test(tests, a_down_is_entered_and_left_across_a_restart);
    tcase_add_test(tests, time_between_ages_a_restored_window);
    tcase_add_test(tests, a_full_window_is_restored_and_goes_on_sliding);
    tcase_add_test(tests, a_level_beyond_the_bucket_is_a_full_one);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
