#include "ask_evidence.h"

#include "fake_config.h"
#include "make_record.h"

#include "base/text.h"
#include "output/format.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct site shop = {.name = "shop", .url_given = "https://shop.test/"};

static struct report_evidence *add(struct report *report, outcome_t outcome, enum reason reason) {
    report->evidence =
        realloc(report->evidence, (report->n_evidence + 1) * sizeof *report->evidence);
    struct report_evidence *evidence = &report->evidence[report->n_evidence++];
    *evidence = (struct report_evidence){.outcome = outcome, .reason = reason};
    evidence->at = evidence->took = NSEC_UNKNOWN;
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        evidence->phases[i] = NSEC_UNKNOWN;
    }
    return evidence;
}

/* Four samples of which there is much to tell, one that was never sent, and a slow one. */
static struct report *failed_report(void) {
    struct report *report = make_report(&shop, 9);
    for (unsigned i = 0; i < 3; i++) {
        struct report_evidence *evidence = add(report, 503, REASON_STATUS);
        strcpy(evidence->address, "192.0.2.1");
        strcpy(evidence->backend, "web 4");
        strcpy(evidence->words, "503 was not expected");
        evidence->at = 104 * NSEC_PER_MSEC + i * 17 * NSEC_PER_USEC;
        evidence->took = 4100 * NSEC_PER_USEC;
        evidence->phases[PHASE_CONNECT] = 1003 * NSEC_PER_USEC;
        evidence->phases[PHASE_FIRST_BYTE] = 3 * NSEC_PER_MSEC;
        evidence->local_port = (uint16_t)(40112 + i);
        evidence->curl = strdup("curl -v 'https://shop.test/'");
    }
    struct report_evidence *evidence = add(report, OUTCOME_CONNECT_TIMEOUT, REASON_ERROR);
    strcpy(evidence->address, "2001:db8::1");
    strcpy(evidence->words, "Connection timed out after 5001 milliseconds");
    evidence->at = 0;
    evidence->took = 5001 * NSEC_PER_MSEC;
    strcpy(add(report, OUTCOME_NOT_SENT, REASON_NONE)->words, "no turn before the deadline");
    add(report, 200, REASON_LATENCY)->took = 700 * NSEC_PER_MSEC;
    return report;
}

static json_t *as_json(const struct report *report) {
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    ck_assert_int_eq(format_json.report(report, NULL, to), 0);
    fclose(to);
    json_t *object = json_loadb(text, n, 0, NULL);
    ck_assert_ptr_nonnull(object);
    free(text);
    return object;
}

static char *print(const json_t *report) {
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    ck_assert_int_eq(ask_evidence_print(report, to), 0);
    fclose(to);
    return text;
}

START_TEST(what_the_api_tells_is_shown_as_a_round_of_the_command_line_is) {
    struct report *report = failed_report();
    json_t *object = as_json(report);
    char *wanted = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&wanted, &n);
    ck_assert_int_eq(format_evidence(report->evidence, report->n_evidence, to), 0);
    fclose(to);
    char *text = print(object);
    ck_assert_str_eq(text, wanted);
    ck_assert_ptr_nonnull(strstr(text, "    at 104 ms   192.0.2.1 from \"web 4\" port 40114 took"));
    ck_assert_ptr_nonnull(strstr(text, "\n  200, failed for its latency:\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n    never sent"));
    free(text);
    free(wanted);
    json_decref(object);
    report_free(report);
}
END_TEST

START_TEST(what_is_unknown_here_is_left_out) {
    json_t *object = json_loads("{\"evidence\":[{\"outcome\":\"of_tomorrow\",\"curl\":\"x\"},7,"
                                "{\"outcome\":\"1000\"},{\"outcome\":\"reset\",\"at_ms\":\"soon\","
                                "\"reason\":\"error\",\"curl\":\"y\"}]}",
                                0, NULL);
    char *text = print(object);
    ck_assert_str_eq(text, "\n  reset:\n    never sent\n    y\n");
    free(text);
    json_decref(object);
    text = print(NULL);
    ck_assert_str_eq(text, "");
    free(text);
}
END_TEST

START_TEST(what_no_daemon_would_tell_takes_neither_time_nor_half_a_character) {
    char address[64] = "";
    for (unsigned i = 0; i < 30; i++) {
        strcat(address, "\u00e9");
    }
    json_t *list = json_array();
    for (unsigned i = 0; i < 2000; i++) {
        json_array_append_new(list, json_pack("{ss, ss, si}", "outcome", "reset", "address",
                                              address, "at_ms", (int)i));
    }
    json_t *object = json_pack("{so}", "evidence", list);
    char *text = print(object);
    unsigned samples = 0;
    for (const char *at = text; (at = strstr(at, "    at ")) != NULL; at++) {
        samples++;
    }
    ck_assert_uint_eq(samples, 1000);
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        ck_assert(text_is_safe(line, strcspn(line, "\n")));
    }
    free(text);
    json_decref(object);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ask_evidence");
    TCase *tests = tcase_create("ask_evidence");
    tcase_add_test(tests, what_the_api_tells_is_shown_as_a_round_of_the_command_line_is);
    tcase_add_test(tests, what_is_unknown_here_is_left_out);
    tcase_add_test(tests, what_no_daemon_would_tell_takes_neither_time_nor_half_a_character);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
