#include "probe/expect.h"

#include "base/pattern.h"
#include "base/text.h"
#include "chance.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_BYTES = 256 };

#define DAY (86400 * NSEC_PER_SEC)

static const struct status_set good_statuses = {.bits = {[1] = UINT64_C(1) << (200 - 164)}};

static struct pattern *compile(const char *text) {
    struct pattern *pattern = NULL;
    char why[64];
    size_t offset;
    ck_assert_int_eq(pattern_new(text, &pattern, why, sizeof why, &offset), 0);
    return pattern;
}

static bool has_pattern(enum rule_kind kind) {
    return kind == RULE_MATCHES || kind == RULE_NOT_MATCHES;
}

static const char *judge(const struct expect_config *expect, const struct expect_answer *answer,
                         enum reason reason) {
    static char words[WORDS_BYTES];
    memset(words, 'w', sizeof words);
    words[0] = '\0';
    enum reason given = expect_judge(expect, answer, words, sizeof words);
    ck_assert_msg(given == reason, "%s, not %s: %s", reason_name(given), reason_name(reason),
                  words);
    ck_assert_uint_lt(strnlen(words, sizeof words), sizeof words);
    ck_assert(text_is_safe(words, strlen(words)));
    return words;
}

/* ---- one rule ---- */

struct example {
    enum rule_kind kind;
    const char *header; /* NULL: the body */
    const char *text;
    const char *got;   /* head, or body */
    const char *words; /* NULL: met */
};

static const struct example examples[] = {
    {RULE_PRESENT, "A", NULL, "A: 1\n", NULL},
    {RULE_PRESENT, "a", NULL, "B: 1\nA:\n", NULL},
    {RULE_PRESENT, "A", NULL, "B: 1\n", "header A is absent"},
    {RULE_ABSENT, "A", NULL, "B: 1\n", NULL},
    {RULE_ABSENT, "A", NULL, "", NULL},
    {RULE_ABSENT, "A", NULL, "a: 1\n", "header A is present: \"1\""},
    {RULE_EQUALS, "A", "text/html", "A: text/html\n", NULL},
    {RULE_EQUALS, "A", "", "A:\n", NULL},
    {RULE_EQUALS, "A", "1", "A: 12\n", "header A: \"12\" is not \"1\""},
    {RULE_EQUALS, "A", "12", "A: 1\n", "header A: \"1\" is not \"12\""},
    {RULE_EQUALS, "A", "b", "A: B\n", "header A: \"B\" is not \"b\""},
    {RULE_EQUALS, "A", "1", "", "header A is absent"},
    {RULE_EQUALS, "A", "2", "A: 1\nA: 2\n", NULL},
    {RULE_EQUALS, "A", "3", "A: 1\nB: 3\nA: 2\n", "header A: \"1\" is not \"3\" (the first of 2)"},
    {RULE_CONTAINS, "A", "html", "A: text/html\n", NULL},
    {RULE_CONTAINS, "A", "", "A:\n", NULL},
    {RULE_CONTAINS, "A", "html", "A: text/plain\n",
     "header A: \"text/plain\" does not contain \"html\""},
    {RULE_CONTAINS, "A", "x", "A:\n", "header A: \"\" does not contain \"x\""},
    {RULE_CONTAINS, "A", "html", "A: a\nA: html\n", NULL},
    {RULE_MATCHES, "A", "^text/", "A: text/html\n", NULL},
    {RULE_MATCHES, "A", "^$", "A:\n", NULL},
    {RULE_MATCHES, "A", "^text/", "A: a text/html\n",
     "header A: \"a text/html\" does not match /^text//"},
    {RULE_MATCHES, "A", "^b", "A: a\nA: b\n", NULL},
    {RULE_MATCHES, "A", "x", "", "header A is absent"},
    {RULE_NOT_MATCHES, "A", "^b", "A: a\n", NULL},
    {RULE_NOT_MATCHES, "A", "^b", "", NULL},
    {RULE_NOT_MATCHES, "A", "^b", "A: a\nA: bc\n", "header A: \"bc\" matches /^b/"},

    {RULE_EQUALS, NULL, "ok\n", "ok\n", NULL},
    {RULE_EQUALS, NULL, "", "", NULL},
    {RULE_EQUALS, NULL, "ok", "ok\n", "body: its 3 bytes are not \"ok\""},
    {RULE_CONTAINS, NULL, "Welcome", "<p>Welcome</p>", NULL},
    {RULE_CONTAINS, NULL, "Welcome", "<p>welcome</p>", "body: \"Welcome\" is not in its 14 bytes"},
    {RULE_CONTAINS, NULL, "W", "", "body: \"W\" is not in its 0 bytes"},
    {RULE_MATCHES, NULL, "W\\w+e", "<p>Welcome</p>", NULL},
    {RULE_MATCHES, NULL, "^W", "<p>Welcome</p>", "body: /^W/ does not match in its 14 bytes"},
    {RULE_MATCHES, NULL, "W", "", "body: /W/ does not match in its 0 bytes"},
    {RULE_NOT_MATCHES, NULL, "fatal", "no worry", NULL},
    {RULE_NOT_MATCHES, NULL, "fatal", "a fatal error", "body: /fatal/ matches at byte 2"},
    /* what is quoted is made safe */
    {RULE_EQUALS, "A", "1", "A: \033[31m\xff\n", "header A: \"\\x1b[31m\\xff\" is not \"1\""},
    {RULE_CONTAINS, NULL, "a\nb", "", "body: \"a\\x0ab\" is not in its 0 bytes"},
};

START_TEST(expect_judges_a_rule) {
    const struct example *example = &examples[_i];
    struct rule rule = {.kind = example->kind, .header = example->header, .text = example->text};
    struct pattern *pattern = has_pattern(rule.kind) ? compile(rule.text) : NULL;
    rule.pattern = pattern;
    struct expect_config expect = {.status = &good_statuses};
    struct expect_answer answer = {.outcome = 200, .took = 1};
    if (rule.header != NULL) {
        expect.headers = &rule;
        expect.n_headers = 1;
        answer.head = *example->got != '\0' ? example->got : NULL;
        answer.head_bytes = strlen(example->got);
    } else {
        expect.body = &rule;
        expect.n_body = 1;
        answer.body = *example->got != '\0' ? example->got : NULL;
        answer.body_bytes = strlen(example->got);
    }
    enum reason unmet = rule.header != NULL ? REASON_HEADER : REASON_BODY;
    const char *words = judge(&expect, &answer, example->words != NULL ? unmet : REASON_NONE);
    ck_assert_str_eq(words, example->words != NULL ? example->words : "");
    pattern_free(pattern);
}
END_TEST

START_TEST(expect_says_that_a_body_was_cut) {
    struct rule rules[] = {
        {.kind = RULE_CONTAINS, .text = "x"},
        {.kind = RULE_MATCHES, .text = "x"},
        {.kind = RULE_EQUALS, .text = "abc"}, /* which it does, so far */
    };
    static const char *const words[] = {
        "body: \"x\" is not in its first 3 bytes",
        "body: /x/ does not match in its first 3 bytes",
        "body: its first 3 bytes are not all, expected was \"abc\"",
    };
    struct pattern *pattern = compile("x");
    rules[1].pattern = pattern;
    struct expect_config expect = {.status = &good_statuses, .body = &rules[_i], .n_body = 1};
    struct expect_answer answer = {
        .outcome = 200, .body = "abc", .body_bytes = 3, .body_cut = true};
    ck_assert_str_eq(judge(&expect, &answer, REASON_BODY), words[_i]);
    pattern_free(pattern);
}
END_TEST

/* ---- a pattern that gives up ---- */

START_TEST(expect_is_not_met_by_a_pattern_that_gives_up) {
    static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
    struct pattern *pattern = compile("(a+)+$");
    struct rule rule = {.kind = _i % 2 == 0 ? RULE_MATCHES : RULE_NOT_MATCHES,
                        .header = _i < 2 ? NULL : "A",
                        .text = "(a+)+$",
                        .pattern = pattern};
    struct expect_config expect = {.status = &good_statuses};
    struct expect_answer answer = {.outcome = 200};
    char head[sizeof text + 4];
    if (_i < 2) {
        expect.body = &rule;
        expect.n_body = 1;
        answer.body = text;
        answer.body_bytes = sizeof text - 1;
        ck_assert_str_eq(judge(&expect, &answer, REASON_BODY),
                         "body: /(a+)+$/ gave up: too costly");
    } else {
        expect.headers = &rule;
        expect.n_headers = 1;
        answer.head = head;
        answer.head_bytes = (size_t)snprintf(head, sizeof head, "A: %s\n", text);
        ck_assert_str_eq(judge(&expect, &answer, REASON_HEADER),
                         "header A: /(a+)+$/ gave up: too costly");
    }
    pattern_free(pattern);
}
END_TEST

/* The budget is processor time, which a crowded machine and a sanitizer stretch several times: so this
 * is a page that needs a tenth of it. */
START_TEST(expect_has_time_for_ordinary_patterns_on_a_page) {
    enum { PAGE_BYTES = 64 << 10 };
    static const char line[] = "<p>A line of a page. Some exchange of extra elements.</p>\n";
    char *page = malloc(PAGE_BYTES);
    for (size_t i = 0; i < PAGE_BYTES; i++) {
        page[i] = line[i % (sizeof line - 1)];
    }
    static const char *const texts[] = {"(?i)exception", "fatal|panic", "<title>[^<]*error"};
    struct pattern *patterns[3];
    struct rule rules[3];
    for (unsigned i = 0; i < 3; i++) {
        patterns[i] = compile(texts[i]);
        rules[i] =
            (struct rule){.kind = RULE_NOT_MATCHES, .text = texts[i], .pattern = patterns[i]};
    }
    struct expect_config expect = {.status = &good_statuses, .body = rules, .n_body = 3};
    struct expect_answer answer = {.outcome = 200, .body = page, .body_bytes = PAGE_BYTES};
    judge(&expect, &answer, REASON_NONE);
    for (unsigned i = 0; i < 3; i++) {
        pattern_free(patterns[i]);
    }
    free(page);
}
END_TEST

START_TEST(expect_has_one_budget_for_all_patterns) {
    /* 600 values, each of which costs more than a hundredth of the budget */
    char *head = malloc(64 << 10);
    size_t n = 0;
    for (unsigned i = 0; i < 600; i++) {
        n += (size_t)snprintf(head + n, 64, "A: aaaaaaaaaaaaaaaab\n");
    }
    struct pattern *pattern = compile("(a+)+$");
    struct rule rule = {
        .kind = RULE_NOT_MATCHES, .header = "A", .text = "(a+)+$", .pattern = pattern};
    struct expect_config expect = {.status = &good_statuses, .headers = &rule, .n_headers = 1};
    struct expect_answer answer = {.outcome = 200, .head = head, .head_bytes = n};
    struct timespec before, after;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    ck_assert_str_eq(judge(&expect, &answer, REASON_HEADER),
                     "header A: /(a+)+$/ gave up: too costly");
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    ck_assert_int_lt((after.tv_sec - before.tv_sec) * NSEC_PER_SEC + after.tv_nsec - before.tv_nsec,
                     10 * PATTERN_BUDGET);
    pattern_free(pattern);
    free(head);
}
END_TEST

/* ---- certificates and latency ---- */

static const struct {
    nsec_t left, least;
    const char *words; /* NULL: met */
} certificates[] = {
    {14 * DAY, 14 * DAY, NULL},
    {NSEC_UNKNOWN, 0, NULL},
    {-5 * DAY, 0, NULL},
    {276480 * NSEC_PER_SEC, 14 * DAY, "certificate: valid for 3.2 d, not 14 d"},
    {14 * DAY - 1, 14 * DAY, "certificate: valid for 14.0 d, not 14 d"},
    {90 * 60 * NSEC_PER_SEC, DAY, "certificate: valid for 1.5 h, not 1 d"},
    {30 * NSEC_PER_SEC, 36 * 3600 * NSEC_PER_SEC, "certificate: valid for 30 s, not 1.5 d"},
    {500 * NSEC_PER_MSEC, NSEC_PER_SEC, "certificate: valid for 500 ms, not 1 s"},
    {0, DAY, "certificate: has expired, expected was one valid for 1 d"},
    {-2 * DAY, DAY, "certificate: has expired, expected was one valid for 1 d"},
    {NSEC_UNKNOWN, 60 * NSEC_PER_SEC,
     "certificate: there was none, expected was one valid for 1 min"},
};

START_TEST(expect_judges_the_certificate) {
    struct expect_config expect = {.status = &good_statuses, .certificate = certificates[_i].least};
    struct expect_answer answer = {.outcome = 200, .certificate_left = certificates[_i].left};
    const char *words = certificates[_i].words;
    ck_assert_str_eq(judge(&expect, &answer, words != NULL ? REASON_CERTIFICATE : REASON_NONE),
                     words != NULL ? words : "");
}
END_TEST

START_TEST(expect_judges_the_latency) {
    struct expect_config expect = {.status = &good_statuses, .latency = 500 * NSEC_PER_MSEC};
    struct expect_answer answer = {.outcome = 200, .took = 500 * NSEC_PER_MSEC - 1};
    judge(&expect, &answer, REASON_NONE);
    answer.took++;
    ck_assert_str_eq(judge(&expect, &answer, REASON_LATENCY),
                     "latency: 500.0 ms, not under 500 ms");
    expect.latency = 1500 * NSEC_PER_USEC;
    ck_assert_str_eq(judge(&expect, &answer, REASON_LATENCY),
                     "latency: 500.0 ms, not under 1.5 ms");
    expect.latency = 0;
    judge(&expect, &answer, REASON_NONE);
}
END_TEST

/* ---- all of it ---- */

START_TEST(expect_judges_the_status) {
    struct expect_config expect = {.status = &good_statuses};
    struct expect_answer answer = {.outcome = 200};
    judge(&expect, &answer, REASON_NONE);
    answer.outcome = 503;
    ck_assert_str_eq(judge(&expect, &answer, REASON_STATUS), "503 was not expected");
}
END_TEST

START_TEST(expect_leaves_the_words_of_an_error_alone) {
    struct expect_config expect = {.status = &good_statuses};
    struct expect_answer answer = {.outcome = OUTCOME_RESET};
    char words[WORDS_BYTES] = "Connection reset by peer";
    ck_assert_int_eq(expect_judge(&expect, &answer, words, sizeof words), REASON_ERROR);
    ck_assert_str_eq(words, "Connection reset by peer");
    answer.outcome = OUTCOME_LOCAL_RESOURCE;
    ck_assert_int_eq(expect_judge(&expect, &answer, words, sizeof words), REASON_NONE);
    ck_assert_str_eq(words, "Connection reset by peer");
}
END_TEST

START_TEST(expect_words_of_long_texts_stay_in_their_line) {
    char text[600], head[1300];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    size_t n = (size_t)snprintf(head, sizeof head, "%.200s: \033\033\033%s\n", text, text);
    char name[201];
    memcpy(name, text, 200);
    name[200] = '\0';
    struct rule rule = {.kind = RULE_CONTAINS, .header = name, .text = head};
    struct expect_config expect = {.status = &good_statuses, .headers = &rule, .n_headers = 1};
    struct expect_answer answer = {.outcome = 200, .head = head, .head_bytes = n};
    const char *words = judge(&expect, &answer, REASON_HEADER);
    ck_assert_ptr_nonnull(strstr(words, ": \"\\x1b\\x1b\\x1bxx"));
    ck_assert_ptr_nonnull(strstr(words, "xxx\"… does not contain \""));
    ck_assert_str_eq(words + strlen(words) - strlen("xxx\"…"), "xxx\"…");
}
END_TEST

/* What the answer lacks, drawn at random, against the first of it in the documented order. */
START_TEST(expect_gives_exactly_the_first_reason) {
    struct chance chance = chance_new("expect_gives_exactly_the_first_reason");
    struct pattern *pattern = compile("^good$");
    struct rule header = {.kind = RULE_EQUALS, .header = "H", .text = "good"};
    struct rule body = {.kind = RULE_MATCHES, .text = "^good$", .pattern = pattern};
    unsigned seen[REASON_COUNT] = {0};
    for (unsigned i = 0; i < 20000; i++) {
        bool asked[REASON_COUNT], lacks[REASON_COUNT];
        for (unsigned j = 0; j < REASON_COUNT; j++) {
            asked[j] = chance_below(&chance, 2) != 0;
            lacks[j] = chance_below(&chance, 4) == 0;
        }
        bool ours = lacks[REASON_NONE] && chance_below(&chance, 4) == 0;
        struct expect_config expect = {
            .status = &good_statuses,
            .headers = &header,
            .n_headers = asked[REASON_HEADER],
            .body = &body,
            .n_body = asked[REASON_BODY],
            .certificate = asked[REASON_CERTIFICATE] ? DAY : 0,
            .latency = asked[REASON_LATENCY] ? NSEC_PER_SEC : 0,
        };
        struct expect_answer answer = {
            .outcome = ours                   ? OUTCOME_ABORTED
                       : lacks[REASON_ERROR]  ? OUTCOME_TRUNCATED
                       : lacks[REASON_STATUS] ? 404
                                              : 200,
            .head = lacks[REASON_HEADER] ? "H: bad\n" : "H: good\n",
            .body = lacks[REASON_BODY] ? "bad\n" : "good\n",
            .certificate_left = lacks[REASON_CERTIFICATE] ? DAY / 2 : DAY,
            .took = lacks[REASON_LATENCY] ? NSEC_PER_SEC : NSEC_PER_SEC / 2,
        };
        answer.head_bytes = strlen(answer.head);
        answer.body_bytes = strlen(answer.body);
        asked[REASON_ERROR] = asked[REASON_STATUS] = true;
        enum reason reason = REASON_NONE;
        for (enum reason j = REASON_ERROR; !ours && reason == REASON_NONE && j < REASON_COUNT;
             j++) {
            if (asked[j] && lacks[j]) {
                reason = j;
            }
        }
        const char *words = judge(&expect, &answer, reason);
        ck_assert_int_eq(*words != '\0', reason > REASON_ERROR);
        seen[reason]++;
    }
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        ck_assert_uint_gt(seen[i], 0);
    }
    pattern_free(pattern);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("expect");
    TCase *tcase = tcase_create("expect");
    tcase_add_loop_test(tcase, expect_judges_a_rule, 0, sizeof examples / sizeof *examples);
    tcase_add_loop_test(tcase, expect_says_that_a_body_was_cut, 0, 3);
    tcase_add_loop_test(tcase, expect_is_not_met_by_a_pattern_that_gives_up, 0, 4);
    tcase_add_test(tcase, expect_has_time_for_ordinary_patterns_on_a_page);
    tcase_add_test(tcase, expect_has_one_budget_for_all_patterns);
    tcase_add_loop_test(tcase, expect_judges_the_certificate, 0,
                        sizeof certificates / sizeof *certificates);
    tcase_add_test(tcase, expect_judges_the_latency);
    tcase_add_test(tcase, expect_judges_the_status);
    tcase_add_test(tcase, expect_leaves_the_words_of_an_error_alone);
    tcase_add_test(tcase, expect_words_of_long_texts_stay_in_their_line);
    tcase_add_test(tcase, expect_gives_exactly_the_first_reason);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
