#include "base/pattern.h"

#include "base/clock.h"
#include "chance.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static struct pattern *compile(const char *text) {
    struct pattern *pattern = NULL;
    char why[256] = "";
    size_t offset = 0;
    int r = pattern_new(text, &pattern, why, sizeof why, &offset);
    ck_assert_msg(r == 0, "%s: %s at %zu", text, why, offset);
    return pattern;
}

static enum pattern_result match(const char *text, const char *bytes, size_t n, size_t *ret_at) {
    struct pattern *pattern = compile(text);
    nsec_t budget = PATTERN_BUDGET;
    enum pattern_result result = pattern_match(pattern, bytes, n, &budget, ret_at);
    pattern_free(pattern);
    return result;
}

struct example {
    const char *pattern;
    const char *bytes;
    size_t n;
    enum pattern_result result;
    size_t at;
};

#define FOUND(pattern, bytes, at)                                                                  \
    { pattern, bytes, sizeof bytes - 1, PATTERN_MATCHES, at }
#define ABSENT(pattern, bytes)                                                                     \
    { pattern, bytes, sizeof bytes - 1, PATTERN_DIFFERS, SIZE_MAX }

static const struct example examples[] = {
    FOUND("", "", 0),
    FOUND("world", "hello world", 6),
    ABSENT("World", "hello world"),
    FOUND("(?i)World", "hello world", 6),
    /* lines, of whatever end */
    FOUND("^b$", "a\nb\nc", 2),
    FOUND("^b$", "a\r\nb\r\nc", 3),
    FOUND("^b$", "a\rb\rc", 2),
    ABSENT("\\Ab\\z", "a\nb\nc"),
    ABSENT("a.b", "a\nb"),
    ABSENT("a.b", "a\rb"),
    FOUND("(?s)a.b", "a\nb", 0),
    ABSENT("(?-m)^b$", "a\nb\nc"),
    /* NUL is a byte like any other */
    FOUND("a.b", "x\0a\0b", 2),
    FOUND("\\x00$", "x\0", 1),
    ABSENT("^b", "a\0b"),
    /* bytes, not characters */
    FOUND("Gr\xc3\xb6\xc3\x9f"
          "e",
          "Gr\xc3\xb6\xc3\x9f"
          "e",
          0),
    FOUND("^..$", "\xc3\xb6", 0),
    FOUND("^(?:\xc3\xb6)+$", "\xc3\xb6\xc3\xb6", 0),
    ABSENT("^\xc3\xb6+$", "\xc3\xb6\xc3\xb6"),
    FOUND("b",
          "\xff\xfe"
          "b",
          2),
    FOUND("\\xff", "a\xff", 1),
    /* an escaped backslash before a p is none of the refused */
    FOUND("\\\\p", "a\\p", 1),
    FOUND("(a)(b)\\2\\1", "xabbay", 1),
    FOUND("(?<=a)b(?!c)", "bcabcab", 6),
};

START_TEST(pattern_finds_as_grep_would) {
    const struct example *example = &examples[_i];
    size_t at = SIZE_MAX;
    ck_assert_msg(match(example->pattern, example->bytes, example->n, &at) == example->result,
                  "/%s/", example->pattern);
    ck_assert_uint_eq(at, example->at);
}
END_TEST

START_TEST(pattern_reads_no_byte_beyond_the_text) {
    char *bytes = malloc(4); /* a sanitizer watches its end */
    memcpy(bytes, "abcd", 4);
    ck_assert_int_eq(match("abcd.", bytes, 4, NULL), PATTERN_DIFFERS);
    ck_assert_int_eq(match("d$", bytes, 4, NULL), PATTERN_MATCHES);
    ck_assert_int_eq(match("abcd", bytes, 3, NULL), PATTERN_DIFFERS);
    free(bytes);
}
END_TEST

static const struct {
    const char *pattern, *why;
    size_t offset;
} refused[] = {
    {"a(b", "parenthesis", 3},
    {"a)b", "parenthesis", 1},
    {"*a", "quantifier", 0},
    {"ab[c", "character class", 4},
    {"a\\", "\\ at end", 2},
    {"(?<n>a)(?<n>b)", "same name", 12},
    {"(a)\\2", "non-existent", 4},
    {"(?<=a*)b", "lookbehind", 0},
    {"(*UTF)a", "UTF", 6},
    {"x\\p{L}", "bytes", 1},
    {"[\\PL]", "bytes", 1},
    {"\\\\\\X", "bytes", 2},
    {"((((((a{1,999}){1,999}){1,999}){1,999}){1,999}){1,999})", "too large", SIZE_MAX},
};

START_TEST(pattern_that_does_not_compile_says_why_and_where) {
    struct pattern *pattern = NULL;
    char why[256] = "";
    size_t offset = SIZE_MAX;
    ck_assert_int_eq(pattern_new(refused[_i].pattern, &pattern, why, sizeof why, &offset), -EINVAL);
    ck_assert_ptr_null(pattern);
    ck_assert_msg(strstr(why, refused[_i].why) != NULL, "/%s/: %s", refused[_i].pattern, why);
    ck_assert_uint_le(offset, strlen(refused[_i].pattern));
    if (refused[_i].offset != SIZE_MAX) {
        ck_assert_msg(offset == refused[_i].offset, "/%s/: %zu", refused[_i].pattern, offset);
    }
}
END_TEST

START_TEST(pattern_has_a_length_limit) {
    char text[4098];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct pattern *pattern = NULL;
    char why[64];
    size_t offset;
    ck_assert_int_eq(pattern_new(text, &pattern, why, sizeof why, &offset), -EINVAL);
    ck_assert_str_eq(why, "longer than 4096 bytes");
    ck_assert_uint_eq(offset, 4096);
    text[4096] = '\0';
    pattern_free(compile(text));
}
END_TEST

START_TEST(pattern_cuts_its_words_to_the_room) {
    struct pattern *pattern = NULL;
    char why[8] = "";
    size_t offset;
    ck_assert_int_eq(pattern_new("(", &pattern, why, sizeof why, &offset), -EINVAL);
    ck_assert_uint_eq(strlen(why), sizeof why - 1);
}
END_TEST

/* ---- bounds ---- */

enum { HOSTILE_BYTES = 1 << 20 };

/* A text of a's, with what makes a pattern fail at its end. */
static char *hostile_new(const char *unit, char last) {
    char *bytes = malloc(HOSTILE_BYTES);
    size_t length = strlen(unit);
    for (size_t i = 0; i < HOSTILE_BYTES; i++) {
        bytes[i] = unit[i % length];
    }
    bytes[HOSTILE_BYTES - 1] = last;
    return bytes;
}

static nsec_t processor_used(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* Each takes from seconds to ages without a budget. */
static const struct {
    const char *pattern, *unit;
    char last;
} hostile[] = {
    {"(a+)+$", "a", 'b'},
    {"(a*)*b", "a", 'a'},
    {"(.*)*x", "a", 'a'},
    {"(?:a|aa)+$", "a", 'b'},
    {"(?:a|b|ab)*c", "ab", 'a'},
    {"(.*?,){11}P", "1,", ','},
    {"^(([a-z])+.)+[A-Z]([a-z])+$", "a", 'a'},
    {"((a{1,9}){1,9}){1,9}c", "a", 'a'},
    {"(x+x+)+y", "x", 'x'},
    {"(a+)\\1+b", "a", 'a'},   /* back references */
    {"(a*)\\1\\1c", "a", 'b'}, /* which compare much and move nothing */
    {"(?:(a+)(?=.*\\1b))+c", "a", 'b'},
    {"a*+b", "a", 'a'}, /* no step that PCRE2's limit counts */
    {"(?>a*)b", "a", 'a'},
    {"[^b]*+b\\z.", "a", 'b'},
    {"(?=a*+b)c", "a", 'a'},
    {"(?:(?=a*+.)a)*c", "a", 'b'}, /* few steps, each of them long */
    {"(?:(?!a*+c)a)*+c", "a", 'b'},
    {"a{1000}b", "a", 'a'},
    {"(?:a{60000}){3}b", "a", 'a'},
    {"(?R)?a(?R)?b", "a", 'a'}, /* recursion */
    {"(a(?1)?)+b", "a", 'a'},
    {"(?:a(?R)?a|.)c", "a", 'a'},
    {"(?:(?:|a|aa)*)*b", "a", 'a'}, /* what is empty */
    {"(?:.*\n)*x", "a\n", '\n'},
    {"(?:a?){99}b", "a", 'a'},
    {"(?i)(?:A+)+B", "a", 'a'},
};

START_TEST(pattern_gives_up_within_its_budget) {
    char *bytes = hostile_new(hostile[_i].unit, hostile[_i].last);
    struct pattern *pattern = compile(hostile[_i].pattern);
    nsec_t budget = PATTERN_BUDGET;
    nsec_t before = processor_used();
    enum pattern_result result = pattern_match(pattern, bytes, HOSTILE_BYTES, &budget, NULL);
    nsec_t used = processor_used() - before;
    ck_assert_msg(result != PATTERN_MATCHES, "/%s/ matched", hostile[_i].pattern);
    /* ten times the budget: a sanitizer is slow between two looks at the clock */
    ck_assert_msg(used < 100 * NSEC_PER_MSEC, "/%s/ took %.1f ms", hostile[_i].pattern,
                  (double)used / NSEC_PER_MSEC);
    pattern_free(pattern);
    free(bytes);
}
END_TEST

START_TEST(pattern_gives_up_rather_than_answer_what_it_does_not_know) {
    char *bytes = hostile_new("a", 'b');
    ck_assert_int_eq(match("(a+)+$", bytes, HOSTILE_BYTES, NULL), PATTERN_GAVE_UP);
    ck_assert_int_eq(match("a*+c", bytes, HOSTILE_BYTES, NULL), PATTERN_DIFFERS); /* no c at all */
    ck_assert_int_eq(match("b", bytes, HOSTILE_BYTES, NULL), PATTERN_MATCHES);
    free(bytes);
}
END_TEST

START_TEST(pattern_gives_up_where_memory_would_not_end) {
    char *bytes = hostile_new("a", 'a');
    struct rusage before, after;
    struct pattern *pattern = compile("(?:(a)(b)?(c)?(d)?(e)?(f)?(g)?(h)?(i)?(j)?)*z|(?:a|b)*\\z.");
    getrusage(RUSAGE_SELF, &before);
    for (unsigned i = 0; i < 20; i++) {
        nsec_t budget = 1000 * PATTERN_BUDGET;
        ck_assert_int_eq(pattern_match(pattern, bytes, HOSTILE_BYTES, &budget, NULL),
                         PATTERN_GAVE_UP);
        ck_assert_int_gt(budget, 0); /* it was memory */
    }
    getrusage(RUSAGE_SELF, &after);
    /* kibibytes: 16 MiB, while they are doubled half as much beside it; a sanitizer keeps what was
     * freed for a while */
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 400 << 10);
    pattern_free(pattern);
    free(bytes);
}
END_TEST

START_TEST(pattern_takes_its_time_from_one_budget) {
    struct pattern *pattern = compile("(a+)+$");
    char text[] = "aaaaaaaaaaaab"; /* less than the budget, but not a thousand times */
    nsec_t budget = PATTERN_BUDGET;
    unsigned known = 0;
    while (pattern_match(pattern, text, sizeof text - 1, &budget, NULL) == PATTERN_DIFFERS) {
        known++;
    }
    ck_assert_int_le(budget, 0);
    ck_assert_uint_ge(known, 1);
    ck_assert_int_eq(pattern_match(pattern, "a", 1, &budget, NULL), PATTERN_GAVE_UP);
    pattern_free(pattern);
}
END_TEST

START_TEST(pattern_of_a_text_over_the_limit_gives_up) {
    char *bytes = calloc(1, PATTERN_TEXT_BYTES_MOST + 1);
    ck_assert_int_eq(match("\\A", bytes, PATTERN_TEXT_BYTES_MOST, NULL), PATTERN_MATCHES);
    ck_assert_int_eq(match("\\A", bytes, PATTERN_TEXT_BYTES_MOST + 1, NULL), PATTERN_GAVE_UP);
    free(bytes);
}
END_TEST

/* The patterns that people write, on pages of the default size. */
static const char *const ordinary[] = {
    "fatal|error|exception",
    "(?i)<title>[^<]*welcome[^<]*</title>",
    "<title>(.|\\n)*</title>",
    "\"status\"\\s*:\\s*\"(ok|green)\"",
    "\\b[\\w.]+@[\\w.]+\\.\\w+\\b",
    "(?s)\\A.*</html>\\s*\\z",
    "^.*done.*$",
};

START_TEST(pattern_that_is_ordinary_has_an_answer) {
    enum { PAGE_BYTES = 16 << 10 };
    char *page = malloc(PAGE_BYTES);
    static const char line[] = "<p class=\"some thing\">A line of a page, with words in it.</p>\n";
    for (size_t i = 0; i < PAGE_BYTES; i++) {
        page[i] = line[i % (sizeof line - 1)];
    }
    ck_assert_int_eq(match(ordinary[_i], page, PAGE_BYTES, NULL), PATTERN_DIFFERS);
    static const char last[] =
        "<title>welcome</title> done: a.b@c.org \"status\": \"ok\" error</html>";
    memcpy(page + PAGE_BYTES - (sizeof last - 1), last, sizeof last - 1);
    ck_assert_int_eq(match(ordinary[_i], page, PAGE_BYTES, NULL), PATTERN_MATCHES);
    free(page);
}
END_TEST

START_TEST(pattern_of_random_text_ends_or_is_refused) {
    static const char *const pieces[] = {"a",   "b",    ".",  "*",    "+",   "?",   "(",   ")",
                                         "|",   "[ab]", "^",  "$",    "\\1", "(?:", "(?=", "(?!",
                                         "{2,", "9}",   "*+", "(?1)", "(a",  "\\Q", "\\p", "(?>"};
    struct chance chance = chance_new("pattern_of_random_text_ends_or_is_refused");
    char *bytes = hostile_new("aab", 'b');
    unsigned compiled = 0;
    for (unsigned i = 0; i < 600; i++) {
        char text[128] = "";
        for (unsigned j = 1 + (unsigned)chance_below(&chance, 12); j > 0; j--) {
            strcat(text, pieces[chance_below(&chance, sizeof pieces / sizeof *pieces)]);
        }
        struct pattern *pattern = NULL;
        char why[256];
        size_t offset = 0;
        if (pattern_new(text, &pattern, why, sizeof why, &offset) != 0) {
            ck_assert_uint_le(offset, strlen(text));
            continue;
        }
        compiled++;
        nsec_t budget = PATTERN_BUDGET;
        nsec_t before = processor_used();
        pattern_match(pattern, bytes, HOSTILE_BYTES / 4, &budget, NULL);
        ck_assert_msg(processor_used() - before < 100 * NSEC_PER_MSEC, "/%s/", text);
        pattern_free(pattern);
    }
    ck_assert_uint_gt(compiled, 20);
    free(bytes);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pattern");
    TCase *tcase = tcase_create("pattern");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, pattern_finds_as_grep_would, 0, sizeof examples / sizeof *examples);
    tcase_add_test(tcase, pattern_reads_no_byte_beyond_the_text);
    tcase_add_loop_test(tcase, pattern_that_does_not_compile_says_why_and_where, 0,
                        sizeof refused / sizeof *refused);
    tcase_add_test(tcase, pattern_has_a_length_limit);
    tcase_add_test(tcase, pattern_cuts_its_words_to_the_room);
    tcase_add_loop_test(tcase, pattern_gives_up_within_its_budget, 0,
                        sizeof hostile / sizeof *hostile);
    tcase_add_test(tcase, pattern_gives_up_rather_than_answer_what_it_does_not_know);
    tcase_add_test(tcase, pattern_gives_up_where_memory_would_not_end);
    tcase_add_test(tcase, pattern_takes_its_time_from_one_budget);
    tcase_add_test(tcase, pattern_of_a_text_over_the_limit_gives_up);
    tcase_add_loop_test(tcase, pattern_that_is_ordinary_has_an_answer, 0,
                        sizeof ordinary / sizeof *ordinary);
    tcase_add_test(tcase, pattern_of_random_text_ends_or_is_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
