#include "output/backlog.h"

#include "chance.h"
#include "fake_config.h"
#include "make_record.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct site site = {.name = "shop", .url_given = "http://shop/"};

/* Pushes record `id`, which then belongs to the backlog alone. */
static void push(struct backlog *backlog, uint64_t id, const char *why) {
    struct record *record = make_record(&site, id, false);
    backlog_push(backlog, record, (nsec_t)id, why);
    if (--record->refs == 0) {
        record_free(record);
    }
}

static void assert_record(struct backlog *backlog, uint64_t id) {
    struct backlog_item item;
    ck_assert(backlog_take(backlog, &item));
    ck_assert_ptr_nonnull(item.record);
    ck_assert_uint_eq(item.record->report->round, id);
    ck_assert_uint_eq(item.record->refs, 1);
    record_free(item.record);
}

static void assert_gap(struct backlog *backlog, uint64_t count, nsec_t began, const char *why) {
    struct backlog_item item;
    ck_assert(backlog_take(backlog, &item));
    ck_assert_ptr_null(item.record);
    ck_assert_uint_eq(item.gap.count, count);
    ck_assert_int_eq(item.gap.wall_began, began);
    ck_assert_str_eq(item.gap.why, why);
}

START_TEST(records_come_out_in_order) {
    struct backlog backlog;
    struct backlog_item item;
    backlog_init(&backlog, 100);
    ck_assert(backlog_is_empty(&backlog) && !backlog_take(&backlog, &item));
    for (uint64_t id = 1; id <= 100; id++) {
        push(&backlog, id, "why");
    }
    ck_assert(backlog_is_full(&backlog));
    for (uint64_t id = 1; id <= 100; id++) {
        assert_record(&backlog, id);
    }
    ck_assert(backlog_is_empty(&backlog) && !backlog_take(&backlog, &item));
    ck_assert_uint_eq(backlog.lost, 0);
    backlog_clear(&backlog);
}
END_TEST

START_TEST(a_full_backlog_loses_the_oldest_as_one_gap) {
    struct backlog backlog;
    backlog_init(&backlog, 3);
    for (uint64_t id = 1; id <= 7; id++) {
        push(&backlog, id, id <= 4 ? "disk full" : "other");
    }
    ck_assert_uint_eq(backlog.lost, 4);
    assert_gap(&backlog, 4, 4, "disk full"); /* began when 4 pushed 1 out */
    assert_record(&backlog, 5);
    assert_record(&backlog, 6);
    assert_record(&backlog, 7);
    ck_assert(backlog_is_empty(&backlog));
    backlog_clear(&backlog);
}
END_TEST

START_TEST(missed_records_stand_where_they_would_have_stood) {
    struct backlog backlog;
    backlog_init(&backlog, 3);
    push(&backlog, 1, "why");
    backlog_miss(&backlog, 2, 2, "the writer was stuck");
    backlog_miss(&backlog, 1, 4, "again");
    backlog_miss(&backlog, 0, 4, "never");
    push(&backlog, 5, "why");
    backlog_miss(&backlog, 1, 6, "at the end");
    assert_record(&backlog, 1);
    assert_gap(&backlog, 3, 2, "the writer was stuck");
    assert_record(&backlog, 5);
    ck_assert(!backlog_is_empty(&backlog));
    assert_gap(&backlog, 1, 6, "at the end");
    ck_assert(backlog_is_empty(&backlog));
    ck_assert_uint_eq(backlog.lost, 4);
    backlog_clear(&backlog);
}
END_TEST

START_TEST(clearing_gives_back_every_record) {
    struct backlog backlog;
    backlog_init(&backlog, 20);
    for (uint64_t id = 1; id <= 50; id++) {
        push(&backlog, id, "why");
    }
    ck_assert_uint_eq(config_refs, 20);
    backlog_clear(&backlog);
    ck_assert_uint_eq(config_refs, 0);
    ck_assert(backlog_is_empty(&backlog));
    push(&backlog, 51, "why");
    assert_record(&backlog, 51);
    backlog_clear(&backlog);
}
END_TEST

/* Whatever happens, what is taken tells of every record once, in order, and no two gaps touch. */
START_TEST(records_and_gaps_account_for_everything_in_order) {
    struct chance chance = chance_new("backlog");
    for (int run = 0; run < 40; run++) {
        struct backlog backlog;
        backlog_init(&backlog, 1 + chance_below(&chance, 40));
        uint64_t given = 0, taken = 0;
        bool after_gap = false;
        for (int step = 0; step < 300 || taken < given; step++) {
            uint64_t choice = step < 300 ? chance_below(&chance, 5) : 4;
            struct backlog_item item;
            if (choice < 2) {
                push(&backlog, ++given, "why");
                after_gap = after_gap && backlog.n > 1;
            } else if (choice == 2) {
                uint64_t count = chance_below(&chance, 3);
                backlog_miss(&backlog, count, 1, "why");
                given += count;
                after_gap = false;
            } else if (backlog_take(&backlog, &item)) {
                ck_assert(item.record != NULL || !after_gap);
                after_gap = item.record == NULL;
                taken += after_gap ? item.gap.count : 1;
                if (item.record != NULL) {
                    ck_assert_uint_eq(item.record->report->round, taken);
                    record_free(item.record);
                }
            } else {
                ck_assert_uint_eq(taken, given);
            }
            ck_assert_uint_le(backlog.n, backlog.most);
            if (choice < 2 && backlog.lost > 0) {
                after_gap = false; /* a new loss may follow a stated one */
            }
        }
        ck_assert_uint_eq(config_refs, 0);
        backlog_clear(&backlog);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("backlog");
    TCase *tcase = tcase_create("backlog");
    tcase_add_test(tcase, records_come_out_in_order);
    tcase_add_test(tcase, a_full_backlog_loses_the_oldest_as_one_gap);
    tcase_add_test(tcase, missed_records_stand_where_they_would_have_stood);
    tcase_add_test(tcase, clearing_gives_back_every_record);
    tcase_add_test(tcase, records_and_gaps_account_for_everything_in_order);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
