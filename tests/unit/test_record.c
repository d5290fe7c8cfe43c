#include "report/record.h"

#include "fake_config.h"
#include "make_record.h"
#include "memory.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct site site = {.name = "shop", .url_given = "http://shop/"};

START_TEST(a_record_owns_its_report_and_gives_back_the_configuration) {
    struct record *record = make_record(&site, 1, false);
    ck_assert_int_eq(record->kind, RECORD_REPORT);
    ck_assert_uint_eq(record->refs, 1);
    ck_assert_uint_eq(config_refs, 1);
    record_free(record);
    ck_assert_uint_eq(config_refs, 0);
    record_free(NULL);
}
END_TEST

START_TEST(an_event_holds_the_configuration_and_a_safe_sentence) {
    char why[CHANGE_WHY_BYTES];
    memset(why, 'w', sizeof why - 1);
    why[sizeof why - 1] = '\0';
    memcpy(why, "2 of\n20", 7);
    struct record *record = make_event(&site, STATE_UP, STATE_DOWN, why);
    ck_assert_ptr_nonnull(record);
    ck_assert_uint_eq(config_refs, 1);
    const struct change *change = &record->event.change;
    ck_assert_int_eq(change->from, STATE_UP);
    ck_assert_int_eq(change->to, STATE_DOWN);
    ck_assert_int_eq(change->wall_time, MAKE_TIME);
    ck_assert_uint_eq(change->round, 9);
    ck_assert_int_eq(strncmp(change->why, "2 of\\x0a20w", 11), 0);
    ck_assert_uint_eq(strlen(change->why), sizeof change->why - 1);
    record_free(record);
    ck_assert_uint_eq(config_refs, 0);
}
END_TEST

START_TEST(a_trouble_is_an_event_of_no_site) {
    struct trouble_change change = {.trouble = TROUBLE_LAG, .begins = true, .after = true};
    struct record *record = record_new_trouble(&change, MAKE_TIME, "away for\n5 s");
    ck_assert_ptr_nonnull(record);
    ck_assert(record_is_event(record));
    ck_assert(!record->trouble.before && record->trouble.after);
    ck_assert_str_eq(record->trouble.why, "away for\\x0a5 s");
    for (int only = SINK_ONLY_ALL; only <= SINK_ONLY_CHANGES; only++) {
        ck_assert(record_matches(record, (enum sink_only)only));
    }
    record_free(record);
    ck_assert_uint_eq(config_refs, 0);
}
END_TEST

START_TEST(without_memory_there_is_no_record_and_nothing_is_kept) {
    if (!memory_can_fail()) {
        return;
    }
    struct report *report = make_report(&site, 1);
    memory_left = 0;
    ck_assert_ptr_null(record_new_report(report));
    ck_assert_uint_eq(config_refs, 0);
    memory_left = 0;
    ck_assert_ptr_null(make_event(&site, STATE_UP, STATE_DOWN, "why"));
    ck_assert_uint_eq(config_refs, 0);
}
END_TEST

START_TEST(only_chooses_by_failures_and_by_changes) {
    struct record *good = make_record(&site, 1, false), *bad = make_record(&site, 2, true),
                  *changed = make_record(&site, 3, false),
                  *event = make_event(&site, STATE_UP, STATE_DOWN, "why");
    good->report->has_verdict = bad->report->has_verdict = changed->report->has_verdict = true;
    good->report->verdict.from = good->report->verdict.to = STATE_UP;
    bad->report->verdict.from = bad->report->verdict.to = STATE_DEGRADED;
    changed->report->verdict.from = STATE_DEGRADED;
    changed->report->verdict.to = STATE_UP;
    const struct {
        const struct record *record;
        bool all, failed, changes;
    } rows[] = {
        {good, true, false, false},
        {bad, true, true, false},
        {changed, true, false, true},
        {event, true, true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_int_eq(record_matches(rows[i].record, SINK_ONLY_ALL), rows[i].all);
        ck_assert_int_eq(record_matches(rows[i].record, SINK_ONLY_FAILED), rows[i].failed);
        ck_assert_int_eq(record_matches(rows[i].record, SINK_ONLY_CHANGES), rows[i].changes);
    }
    changed->report->verdict.from = STATE_UNKNOWN; /* that a site is up at first is no change */
    ck_assert(!record_matches(changed, SINK_ONLY_CHANGES));
    changed->report->verdict.from = STATE_DOWN;
    ck_assert(record_matches(changed, SINK_ONLY_CHANGES));
    changed->report->has_verdict = false; /* `tallyd sample` knows no states */
    ck_assert(!record_matches(changed, SINK_ONLY_CHANGES));
    record_free(good);
    record_free(bad);
    record_free(changed);
    record_free(event);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("record");
    TCase *tcase = tcase_create("record");
    tcase_add_test(tcase, a_record_owns_its_report_and_gives_back_the_configuration);
    tcase_add_test(tcase, an_event_holds_the_configuration_and_a_safe_sentence);
    tcase_add_test(tcase, a_trouble_is_an_event_of_no_site);
    tcase_add_test(tcase, without_memory_there_is_no_record_and_nothing_is_kept);
    tcase_add_test(tcase, only_chooses_by_failures_and_by_changes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
