#include "errands.h"

#include <check.h>
#include <stdlib.h>

static struct errands errands;
static struct errand pool[32];
static size_t used;

static void setup(void) {
    errands_init(&errands, 4);
    used = 0;
}

static struct errand *add(const char *site, nsec_t now, struct errand **ret_replaced,
                          struct errand **ret_dropped) {
    struct errand *errand = &pool[used++];
    *errand = (struct errand){.site = site, .tries = 7, .replaced = 7};
    errands_add(&errands, errand, now, ret_replaced, ret_dropped);
    return errand;
}

static struct errand *add_quietly(const char *site, nsec_t now) {
    struct errand *replaced, *dropped;
    struct errand *errand = add(site, now, &replaced, &dropped);
    ck_assert_ptr_null(replaced);
    ck_assert_ptr_null(dropped);
    return errand;
}

START_TEST(changes_are_told_in_their_order) {
    nsec_t at;
    ck_assert(!errands_next(&errands, &at));
    ck_assert_ptr_null(errands_take(&errands, 1000));
    struct errand *a = add_quietly("a", 5), *b = add_quietly("b", 5), *c = add_quietly("c", 6);
    ck_assert_uint_eq(errands.n, 3);
    ck_assert(errands_next(&errands, &at));
    ck_assert_int_eq(at, 5);
    ck_assert_ptr_eq(errands_take(&errands, 6), a);
    ck_assert_ptr_eq(errands_take(&errands, 6), b);
    ck_assert_ptr_eq(errands_take(&errands, 6), c);
    ck_assert_ptr_null(errands_take(&errands, 6));
    ck_assert_uint_eq(errands.n, 0);
    ck_assert_uint_eq(a->tries, 0);
    ck_assert_uint_eq(a->replaced, 0);
}
END_TEST

START_TEST(a_newer_change_of_a_site_takes_the_place_of_one_that_waits) {
    struct errand *replaced, *dropped;
    struct errand *a = add_quietly("a", 1), *b = add_quietly("b", 1);
    struct errand *newer = add("a", 2, &replaced, &dropped);
    ck_assert_ptr_eq(replaced, a);
    ck_assert_ptr_null(dropped);
    ck_assert_uint_eq(newer->replaced, 1);
    struct errand *newest = add("a", 3, &replaced, &dropped);
    ck_assert_ptr_eq(replaced, newer);
    ck_assert_uint_eq(newest->replaced, 2);
    ck_assert_uint_eq(errands.n, 2);
    ck_assert_ptr_eq(errands_take(&errands, 3), newest);
    ck_assert_ptr_eq(errands_take(&errands, 3), b);
}
END_TEST

START_TEST(a_full_queue_drops_the_oldest) {
    struct errand *replaced, *dropped;
    struct errand *a = add_quietly("a", 1);
    add_quietly("b", 1);
    add_quietly("c", 1);
    add_quietly("d", 1);
    (void)add("d", 2, &replaced, &dropped); /* takes a place and needs none */
    ck_assert_ptr_null(dropped);
    (void)add("e", 2, &replaced, &dropped);
    ck_assert_ptr_null(replaced);
    ck_assert_ptr_eq(dropped, a);
    ck_assert_uint_eq(errands.n, 4);
}
END_TEST

START_TEST(a_failed_try_is_repeated_after_growing_pauses_so_often_and_no_more) {
    static const nsec_t seconds[] = {1, 5, 25, 125, 300, 300, 300, 300, 300};
    struct errand *a = add_quietly("a", 0);
    nsec_t now = 0, at;
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        ck_assert_ptr_eq(errands_take(&errands, now), a);
        ck_assert_int_eq(errands_retry(&errands, a, 10, now), ERRANDS_AGAIN);
        ck_assert_uint_eq(a->tries, i + 1);
        ck_assert(errands_next(&errands, &at));
        ck_assert_int_eq(at, now + seconds[i] * NSEC_PER_SEC);
        ck_assert_ptr_null(errands_take(&errands, at - 1));
        now = at;
    }
    ck_assert_ptr_eq(errands_take(&errands, now), a);
    ck_assert_int_eq(errands_retry(&errands, a, 10, now), ERRANDS_SPENT);
    ck_assert_uint_eq(errands.n, 0);
    struct errand *once = add_quietly("b", now);
    ck_assert_ptr_eq(errands_take(&errands, now), once);
    ck_assert_int_eq(errands_retry(&errands, once, 1, now), ERRANDS_SPENT);
}
END_TEST

START_TEST(others_go_ahead_while_one_waits_for_its_next_try) {
    struct errand *a = add_quietly("a", 0), *b = add_quietly("b", 0);
    nsec_t at;
    ck_assert_ptr_eq(errands_take(&errands, 0), a);
    ck_assert_int_eq(errands_retry(&errands, a, 3, 0), ERRANDS_AGAIN);
    ck_assert(errands_next(&errands, &at));
    ck_assert_int_eq(at, 0);
    ck_assert_ptr_eq(errands_take(&errands, 0), b);
    ck_assert(errands_next(&errands, &at));
    ck_assert_int_eq(at, NSEC_PER_SEC);
    (void)add_quietly("c", NSEC_PER_SEC);
    ck_assert_ptr_eq(errands_take(&errands, NSEC_PER_SEC), a); /* the older */
}
END_TEST

START_TEST(a_newer_change_stands_for_one_whose_try_failed) {
    struct errand *replaced, *dropped;
    struct errand *a = add_quietly("a", 0);
    struct errand *newer = add("a", 0, &replaced, &dropped);
    ck_assert_ptr_eq(replaced, a);
    ck_assert_ptr_eq(errands_take(&errands, 0), newer);
    struct errand *newest = add_quietly("a", 1); /* while that is under way */
    ck_assert_int_eq(errands_retry(&errands, newer, 3, 1), ERRANDS_OVERTAKEN);
    ck_assert_uint_eq(newest->replaced, 2);
    ck_assert_ptr_eq(errands_take(&errands, 1), newest);
    ck_assert_int_eq(errands_retry(&errands, newest, 3, 1), ERRANDS_AGAIN);
    struct errand *last = add("a", 2, &replaced, &dropped); /* does not wait for the pause */
    ck_assert_ptr_eq(replaced, newest);
    ck_assert_uint_eq(last->replaced, 3);
    ck_assert_ptr_eq(errands_take(&errands, 2), last);
    ck_assert_uint_eq(last->tries, 0);
}
END_TEST

START_TEST(what_waits_comes_out_one_by_one_when_it_is_given_up) {
    struct errand *a = add_quietly("a", 100), *b = add_quietly("b", 0);
    ck_assert_ptr_eq(errands_pop(&errands), a);
    ck_assert_ptr_eq(errands_pop(&errands), b);
    ck_assert_ptr_null(errands_pop(&errands));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("errands");
    TCase *tests = tcase_create("errands");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, changes_are_told_in_their_order);
    tcase_add_test(tests, a_newer_change_of_a_site_takes_the_place_of_one_that_waits);
    tcase_add_test(tests, a_full_queue_drops_the_oldest);
    tcase_add_test(tests, a_failed_try_is_repeated_after_growing_pauses_so_often_and_no_more);
    tcase_add_test(tests, others_go_ahead_while_one_waits_for_its_next_try);
    tcase_add_test(tests, a_newer_change_stands_for_one_whose_try_failed);
    tcase_add_test(tests, what_waits_comes_out_one_by_one_when_it_is_given_up);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
