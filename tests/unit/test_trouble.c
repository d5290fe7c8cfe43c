#include "report/trouble.h"

#include "report/report.h"
#include "sampling/round.h"

#include <check.h>
#include <string.h>

#define SECONDS(n) ((n)*NSEC_PER_SEC)

static struct trouble_list list;
static struct trouble_change changes[TROUBLE_COUNT];

static void setup(void) {
    memset(&list, 0, sizeof list);
}

/* ---- what a round shows ---- */

START_TEST(a_round_without_signs_shows_nothing) {
    struct round round = {0};
    ck_assert_int_eq(trouble_of(&round), TROUBLE_NONE);
}
END_TEST

START_TEST(the_sign_that_reaches_farthest_names_the_trouble) {
    struct round round = {.signs.exhausted = 1};
    ck_assert_int_eq(trouble_of(&round), TROUBLE_RESOURCES);
    round.signs.silent = true;
    ck_assert_int_eq(trouble_of(&round), TROUBLE_NO_RESOLVER);
    round.signs.no_route = true;
    ck_assert_int_eq(trouble_of(&round), TROUBLE_NO_ROUTE);
    round.signs.absence = 1;
    ck_assert_int_eq(trouble_of(&round), TROUBLE_LAG);
}
END_TEST

START_TEST(each_has_a_name_and_words_of_its_own) {
    for (unsigned i = 0; i < TROUBLE_COUNT; i++) {
        for (unsigned k = 0; k < i; k++) {
            ck_assert_str_ne(trouble_name((enum trouble)i), trouble_name((enum trouble)k));
            ck_assert_str_ne(trouble_words((enum trouble)i), trouble_words((enum trouble)k));
        }
    }
}
END_TEST

/* ---- when it begins and is over ---- */

static size_t note(struct trouble_mark *mark, enum trouble trouble, nsec_t now) {
    return trouble_note(&list, mark, trouble, now, SECONDS(60), changes);
}

static void assert_change(size_t i, enum trouble trouble, bool begins, bool before, bool after) {
    ck_assert_int_eq(changes[i].trouble, trouble);
    ck_assert_int_eq(changes[i].begins, begins);
    ck_assert_int_eq(changes[i].before, before);
    ck_assert_int_eq(changes[i].after, after);
}

START_TEST(it_begins_once_and_is_over_once) {
    struct trouble_mark a = {0}, b = {0};
    ck_assert_uint_eq(note(&a, TROUBLE_NONE, SECONDS(1)), 0);
    ck_assert(!list.states[TROUBLE_LAG].active);
    ck_assert_uint_eq(note(&a, TROUBLE_LAG, SECONDS(2)), 1);
    assert_change(0, TROUBLE_LAG, true, false, true);
    ck_assert_uint_eq(note(&b, TROUBLE_LAG, SECONDS(3)), 0);
    ck_assert_uint_eq(note(&a, TROUBLE_LAG, SECONDS(4)), 0);
    ck_assert_uint_eq(note(&a, TROUBLE_NONE, SECONDS(5)), 0); /* b has not been sampled since */
    ck_assert(list.states[TROUBLE_LAG].active);
    ck_assert_uint_eq(note(&b, TROUBLE_NONE, SECONDS(6)), 1);
    assert_change(0, TROUBLE_LAG, false, true, false);
    ck_assert_uint_eq(changes[0].rounds, 3);
    ck_assert_int_eq(changes[0].lasted, SECONDS(4));
    ck_assert_uint_eq(note(&b, TROUBLE_NONE, SECONDS(7)), 0);
    ck_assert_uint_eq(list.rounds[TROUBLE_LAG], 3);
}
END_TEST

START_TEST(a_second_one_is_told_too_and_the_last_ends_it) {
    struct trouble_mark a = {0}, b = {0};
    ck_assert_uint_eq(note(&a, TROUBLE_NO_ROUTE, SECONDS(1)), 1);
    ck_assert_uint_eq(note(&b, TROUBLE_NO_RESOLVER, SECONDS(1)), 1);
    assert_change(0, TROUBLE_NO_RESOLVER, true, true, true);
    ck_assert_uint_eq(note(&a, TROUBLE_NONE, SECONDS(2)), 1);
    assert_change(0, TROUBLE_NO_ROUTE, false, true, true);
    ck_assert_uint_eq(note(&b, TROUBLE_NONE, SECONDS(2)), 1);
    assert_change(0, TROUBLE_NO_RESOLVER, false, true, false);
}
END_TEST

START_TEST(one_that_turns_into_another_is_over_when_the_other_begins) {
    struct trouble_mark a = {0};
    ck_assert_uint_eq(note(&a, TROUBLE_NO_RESOLVER, SECONDS(1)), 1);
    ck_assert_uint_eq(note(&a, TROUBLE_NO_ROUTE, SECONDS(2)), 2);
    assert_change(0, TROUBLE_NO_ROUTE, true, true, true);
    assert_change(1, TROUBLE_NO_RESOLVER, false, true, true);
}
END_TEST

START_TEST(one_site_of_many_keeps_it_up_without_a_word) {
    struct trouble_mark only_ipv6 = {0}, others[9] = {{0}};
    size_t told = 0;
    for (nsec_t minute = 1; minute <= 1440; minute++) {
        told += note(&only_ipv6, TROUBLE_NO_ROUTE, SECONDS(60) * minute);
        for (int i = 0; i < 9; i++) {
            told += note(&others[i], TROUBLE_NONE, SECONDS(60) * minute + SECONDS(i));
        }
    }
    ck_assert_uint_eq(told, 1);
}
END_TEST

START_TEST(a_site_that_is_sampled_once_a_day_does_not_keep_it_up_for_a_day) {
    struct trouble_mark daily = {0}, other = {0};
    ck_assert_uint_eq(note(&daily, TROUBLE_LAG, SECONDS(1)), 1);
    ck_assert_uint_eq(note(&other, TROUBLE_NONE, SECONDS(301)), 0);
    ck_assert_uint_eq(note(&other, TROUBLE_NONE, SECONDS(302)), 1);
    assert_change(0, TROUBLE_LAG, false, true, false);
    /* another one, which the old mark is no part of */
    ck_assert_uint_eq(note(&other, TROUBLE_LAG, SECONDS(400)), 1);
    ck_assert_uint_eq(note(&daily, TROUBLE_NONE, SECONDS(410)), 0);
    ck_assert(list.states[TROUBLE_LAG].active);
    ck_assert_uint_eq(note(&other, TROUBLE_NONE, SECONDS(420)), 1);
}
END_TEST

START_TEST(a_route_that_is_missing_for_good_is_told_once_also_where_it_is_seldom_missed) {
    struct trouble_mark hourly = {0}, other = {0};
    size_t told = 0;
    for (nsec_t minute = 0; minute < 1440; minute++) {
        if (minute % 60 == 0) {
            told += trouble_note(&list, &hourly, TROUBLE_NO_ROUTE, SECONDS(60) * minute,
                                 SECONDS(3600), changes);
        }
        told += note(&other, TROUBLE_NONE, SECONDS(60) * minute);
    }
    ck_assert_uint_eq(told, 1);
}
END_TEST

/* ---- the canary ---- */

static struct site site = {.spread = SECONDS(10), .health = {.round_max = 2500, .down_at = 950}};

static void hear(struct trouble_canary *canary, nsec_t began, nsec_t ended, unsigned judged,
                 unsigned failed, enum trouble trouble) {
    struct round round = {.site = &site, .began = began, .ended = ended};
    struct report report = {.site = &site, .judged = judged, .failed = failed};
    trouble_hear(canary, &round, &report, trouble);
}

/* Of a round of 15 seconds, of whose 20 samples so many failed. */
static enum trouble_word word_of(const struct trouble_canary *canary, nsec_t began,
                                 unsigned failed) {
    struct round round = {.site = &site, .began = began, .ended = began + SECONDS(15)};
    struct report report = {.site = &site, .judged = 20, .failed = failed};
    return trouble_word(canary, &round, &report);
}

static enum trouble_word word(const struct trouble_canary *canary, nsec_t began) {
    return word_of(canary, began, 20);
}

START_TEST(rounds_that_weigh_ask_the_canary) {
    struct report report = {.site = &site, .planned = 20, .judged = 20};
    static const struct {
        unsigned judged, failed;
        bool asks;
    } rows[] = {{20, 0, false}, {20, 2, false}, {20, 3, true}, {20, 20, true},
                {2, 1, false},  {2, 2, true},   {0, 0, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        report.judged = rows[i].judged;
        report.failed = rows[i].failed;
        ck_assert_int_eq(trouble_asks(&report), rows[i].asks);
    }
}
END_TEST

START_TEST(where_some_samples_failed_only_a_later_round_of_the_canary_clears_us) {
    struct trouble_canary canary = {0};
    hear(&canary, SECONDS(105), SECONDS(106), 5, 0, TROUBLE_NONE);
    ck_assert_int_eq(word_of(&canary, SECONDS(100), 20), TROUBLE_WORD_FINE);
    ck_assert_int_eq(word_of(&canary, SECONDS(100), 10), TROUBLE_WORD_NONE);
    struct trouble_canary fails = canary;
    hear(&fails, SECONDS(116), SECONDS(117), 5, 5, TROUBLE_NONE);
    ck_assert_int_eq(word_of(&fails, SECONDS(100), 10), TROUBLE_WORD_FAILS);
    hear(&canary, SECONDS(116), SECONDS(117), 5, 0, TROUBLE_NONE);
    ck_assert_int_eq(word_of(&canary, SECONDS(100), 10), TROUBLE_WORD_FINE);
}
END_TEST

START_TEST(a_canary_that_saw_the_same_time_tells) {
    struct trouble_canary canary = {0};
    ck_assert_int_eq(word(&canary, 0), TROUBLE_WORD_NONE);
    hear(&canary, SECONDS(100), SECONDS(101), 5, 0, TROUBLE_NONE);
    ck_assert_int_eq(word(&canary, SECONDS(99)), TROUBLE_WORD_FINE);
    /* it was fine before, which says nothing of later; nor does the first of the samples' time */
    ck_assert_int_eq(word(&canary, SECONDS(101)), TROUBLE_WORD_NONE);
    ck_assert_int_eq(word(&canary, SECONDS(100) - SECONDS(10) / 20 + 1), TROUBLE_WORD_NONE);
    /* it failed at a time that the round saw */
    hear(&canary, SECONDS(110), SECONDS(115), 5, 5, TROUBLE_NONE);
    ck_assert_int_eq(word(&canary, SECONDS(99)), TROUBLE_WORD_FAILS);
    ck_assert_int_eq(word(&canary, SECONDS(115)), TROUBLE_WORD_FAILS);
    ck_assert_int_eq(word(&canary, SECONDS(116)), TROUBLE_WORD_NONE);
    /* it was back when the round began */
    hear(&canary, SECONDS(120), SECONDS(121), 5, 0, TROUBLE_NONE);
    ck_assert_int_eq(word(&canary, SECONDS(116)), TROUBLE_WORD_FINE);
}
END_TEST

START_TEST(a_canary_of_which_some_samples_are_good_is_fine) {
    struct trouble_canary canary = {0};
    hear(&canary, SECONDS(100), SECONDS(101), 5, 4, TROUBLE_NONE);
    ck_assert_int_eq(word(&canary, SECONDS(90)), TROUBLE_WORD_FINE);
}
END_TEST

START_TEST(a_canary_whose_own_round_is_ours_clears_nobody) {
    struct trouble_canary canary = {0};
    hear(&canary, SECONDS(100), SECONDS(101), 5, 0, TROUBLE_LAG);
    ck_assert_int_eq(word(&canary, SECONDS(90)), TROUBLE_WORD_FAILS);
    struct trouble_canary stopped = {
        0}; /* none of its samples is judged, and nothing is known why */
    hear(&stopped, SECONDS(100), SECONDS(101), 0, 0, TROUBLE_NONE);
    ck_assert_int_eq(word(&stopped, SECONDS(90)), TROUBLE_WORD_NONE);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("trouble");
    TCase *tests = tcase_create("trouble");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, a_round_without_signs_shows_nothing);
    tcase_add_test(tests, the_sign_that_reaches_farthest_names_the_trouble);
    tcase_add_test(tests, each_has_a_name_and_words_of_its_own);
    tcase_add_test(tests, it_begins_once_and_is_over_once);
    tcase_add_test(tests, a_second_one_is_told_too_and_the_last_ends_it);
    tcase_add_test(tests, one_that_turns_into_another_is_over_when_the_other_begins);
    tcase_add_test(tests, one_site_of_many_keeps_it_up_without_a_word);
    tcase_add_test(tests, a_site_that_is_sampled_once_a_day_does_not_keep_it_up_for_a_day);
    tcase_add_test(tests,
                   a_route_that_is_missing_for_good_is_told_once_also_where_it_is_seldom_missed);
    tcase_add_test(tests, rounds_that_weigh_ask_the_canary);
    tcase_add_test(tests, where_some_samples_failed_only_a_later_round_of_the_canary_clears_us);
    tcase_add_test(tests, a_canary_that_saw_the_same_time_tells);
    tcase_add_test(tests, a_canary_of_which_some_samples_are_good_is_fine);
    tcase_add_test(tests, a_canary_whose_own_round_is_ours_clears_nobody);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
