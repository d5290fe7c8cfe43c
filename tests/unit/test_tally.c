#include "report/tally.h"

#include "chance.h"
#include "memory.h"

#include <check.h>
#include <errno.h>
#include <string.h>

START_TEST(an_empty_tally_has_nothing_in_it) {
    struct tally tally;
    tally_init(&tally);
    ck_assert_uint_eq(tally.n, 0);
    ck_assert_uint_eq(tally_sum(&tally), 0);
    ck_assert_uint_eq(tally_count(&tally, 200), 0);
    tally_clear(&tally);
}
END_TEST

START_TEST(rows_stand_classes_first_then_codes_ascending) {
    struct tally tally;
    tally_init(&tally);
    static const outcome_t given[] = {503, OUTCOME_RESET, 200, 999, OUTCOME_ABORTED, 100, 200};
    static const outcome_t wanted[] = {OUTCOME_ABORTED, OUTCOME_RESET, 100, 200, 503, 999};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        ck_assert_int_eq(tally_add(&tally, given[i], 1), 0);
    }
    ck_assert_uint_eq(tally.n, sizeof wanted / sizeof wanted[0]);
    for (size_t i = 0; i < tally.n; i++) {
        ck_assert_uint_eq(tally.rows[i].outcome, wanted[i]);
        ck_assert_uint_eq(tally.rows[i].count, wanted[i] == 200 ? 2 : 1);
    }
    tally_clear(&tally);
    ck_assert_uint_eq(tally.n, 0);
    ck_assert_ptr_null(tally.rows);
}
END_TEST

START_TEST(adding_none_makes_no_row) {
    struct tally tally;
    tally_init(&tally);
    ck_assert_int_eq(tally_add(&tally, 200, 0), 0);
    ck_assert_uint_eq(tally.n, 0);
    tally_clear(&tally);
}
END_TEST

START_TEST(a_tally_counts_like_an_array) {
    struct chance chance = chance_new(__func__);
    for (int run = 0; run < 50; run++) {
        struct tally tally;
        tally_init(&tally);
        unsigned counts[1000] = {0}, sum = 0;
        size_t kinds = 0;
        uint64_t spread = 1 + chance_below(&chance, 999);
        for (int i = 0; i < 2000; i++) {
            outcome_t outcome = (outcome_t)(1 + chance_below(&chance, spread));
            unsigned count = (unsigned)chance_below(&chance, 4);
            kinds += counts[outcome] == 0 && count > 0;
            counts[outcome] += count;
            sum += count;
            ck_assert_int_eq(tally_add(&tally, outcome, count), 0);
        }
        ck_assert_uint_eq(tally.n, kinds);
        ck_assert_uint_eq(tally_sum(&tally), sum);
        for (size_t i = 1; i < tally.n; i++) {
            ck_assert_uint_lt(tally.rows[i - 1].outcome, tally.rows[i].outcome);
        }
        for (outcome_t outcome = 0; outcome < 1000; outcome++) {
            ck_assert_uint_eq(tally_count(&tally, outcome), counts[outcome]);
        }
        tally_clear(&tally);
    }
}
END_TEST

START_TEST(without_memory_a_tally_stays_as_it_is) {
    struct tally tally;
    tally_init(&tally);
    memory_left = 0;
    ck_assert_int_eq(tally_add(&tally, 200, 1), -ENOMEM);
    for (outcome_t code = 200; code < 204; code++) {
        ck_assert_int_eq(tally_add(&tally, code, 1), 0);
    }
    memory_left = 0;
    ck_assert_int_eq(tally_add(&tally, 100, 1), -ENOMEM);
    ck_assert_int_eq(tally_add(&tally, 203, 1), 0);
    ck_assert_uint_eq(tally.n, 4);
    ck_assert_uint_eq(tally_sum(&tally), 5);
    tally_clear(&tally);
}
END_TEST

START_TEST(people_read_statuses_before_classes) {
    static const outcome_t wanted[] = {200, 503, OUTCOME_ABORTED, OUTCOME_RESET};
    struct tally tally;
    tally_init(&tally);
    for (size_t i = 4; i > 0; i--) {
        ck_assert_int_eq(tally_add(&tally, wanted[i - 1], 1), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(tally_outcome_at(&tally, i), wanted[i]);
    }
    tally_clear(&tally);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tally");
    TCase *tests = tcase_create("tally");
    tcase_add_test(tests, an_empty_tally_has_nothing_in_it);
    tcase_add_test(tests, rows_stand_classes_first_then_codes_ascending);
    tcase_add_test(tests, adding_none_makes_no_row);
    tcase_add_test(tests, a_tally_counts_like_an_array);
    if (memory_can_fail()) {
        tcase_add_test(tests, without_memory_a_tally_stays_as_it_is);
    }
    tcase_add_test(tests, people_read_statuses_before_classes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
