#include "probe/outcome.h"
#include "probe/probe.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The names are what operators' own scripts match: each stands here once more, on purpose. */
static const struct {
    enum outcome outcome;
    const char *name;
    bool judged;
} wanted[] = {
    {OUTCOME_NONE, "none", false},
    {OUTCOME_ABORTED, "aborted", false},
    {OUTCOME_CONNECT_FAILURE, "connect_failure", true},
    {OUTCOME_CONNECT_REFUSED, "connect_refused", true},
    {OUTCOME_CONNECT_TIMEOUT, "connect_timeout", true},
    {OUTCOME_CONNECT_UNREACHABLE, "connect_unreachable", true},
    {OUTCOME_DNS_FAILURE, "dns_failure", true},
    {OUTCOME_DNS_NXDOMAIN, "dns_nxdomain", true},
    {OUTCOME_DNS_TIMEOUT, "dns_timeout", true},
    {OUTCOME_EMPTY_REPLY, "empty_reply", true},
    {OUTCOME_FIRST_BYTE_TIMEOUT, "first_byte_timeout", true},
    {OUTCOME_LOCAL_RESOURCE, "local_resource", false},
    {OUTCOME_NOT_SENT, "not_sent", false},
    {OUTCOME_PROTOCOL, "protocol", true},
    {OUTCOME_PROXY, "proxy", true},
    {OUTCOME_REDIRECT, "redirect", true},
    {OUTCOME_RESET, "reset", true},
    {OUTCOME_TLS_HANDSHAKE, "tls_handshake", true},
    {OUTCOME_TLS_TIMEOUT, "tls_timeout", true},
    {OUTCOME_TLS_VERIFY, "tls_verify", true},
    {OUTCOME_TOO_LARGE, "too_large", true},
    {OUTCOME_TRANSFER_TIMEOUT, "transfer_timeout", true},
    {OUTCOME_TRUNCATED, "truncated", true},
};

START_TEST(every_class_has_its_name_a_sentence_and_whose_fault_it_is) {
    ck_assert_uint_eq(sizeof wanted / sizeof wanted[0], OUTCOME_CLASSES);
    for (outcome_t i = 0; i < OUTCOME_CLASSES; i++) {
        ck_assert_uint_eq(wanted[i].outcome, i);
        ck_assert_str_eq(outcome_class_name(i), wanted[i].name);
        ck_assert_int_eq(outcome_is_judged(i), wanted[i].judged);
        const char *help = outcome_class_help(i);
        ck_assert_uint_gt(strlen(help), 10);
        ck_assert_int_eq(help[strlen(help) - 1], '.');
    }
}
END_TEST

START_TEST(a_sort_by_number_is_a_sort_by_name) {
    for (outcome_t i = OUTCOME_NONE + 2; i < OUTCOME_CLASSES; i++) {
        ck_assert_str_lt(outcome_class_name(i - 1), outcome_class_name(i));
    }
}
END_TEST

START_TEST(every_code_from_100_to_999_is_a_judged_status) {
    for (outcome_t code = 100; code <= 999; code++) {
        ck_assert(outcome_is_status(code));
        ck_assert(outcome_is_judged(code));
        ck_assert_ptr_null(outcome_class_name(code));
        ck_assert_ptr_null(outcome_class_help(code));
    }
    ck_assert(!outcome_is_status(99));
    ck_assert(!outcome_is_status(1000));
    ck_assert(!outcome_is_status(OUTCOME_RESET));
}
END_TEST

START_TEST(what_lies_between_classes_and_codes_has_no_name) {
    ck_assert_ptr_null(outcome_class_name(OUTCOME_CLASSES));
    ck_assert_ptr_null(outcome_class_help(OUTCOME_CLASSES));
    ck_assert_ptr_null(outcome_class_name(UINT16_MAX));
}
END_TEST

START_TEST(reasons_and_phases_have_the_names_of_the_record) {
    ck_assert_str_eq(reason_name(REASON_NONE), "none");
    ck_assert_str_eq(reason_name(REASON_ERROR), "error");
    ck_assert_str_eq(reason_name(REASON_STATUS), "status");
    ck_assert_str_eq(phase_name(PHASE_DNS), "dns");
    ck_assert_str_eq(phase_name(PHASE_CONNECT), "connect");
    ck_assert_str_eq(phase_name(PHASE_TLS), "tls");
    ck_assert_str_eq(phase_name(PHASE_FIRST_BYTE), "first_byte");
    ck_assert_str_eq(phase_name(PHASE_TRANSFER), "transfer");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("outcome");
    TCase *tests = tcase_create("outcome");
    tcase_add_test(tests, every_class_has_its_name_a_sentence_and_whose_fault_it_is);
    tcase_add_test(tests, a_sort_by_number_is_a_sort_by_name);
    tcase_add_test(tests, every_code_from_100_to_999_is_a_judged_status);
    tcase_add_test(tests, what_lies_between_classes_and_codes_has_no_name);
    tcase_add_test(tests, reasons_and_phases_have_the_names_of_the_record);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
