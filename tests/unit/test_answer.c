#include "probe/answer.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* A handle that was never used has status 0, which is no interim one: the heads here are final. What
 * comes of interim heads is tested where a server sends them, in tests/system/expect.py. */
static CURL *easy;
static struct site site;
static struct answer answer;
static struct rule rule = {.kind = RULE_CONTAINS, .text = "x"};

static void set_up(void) {
    easy = curl_easy_init();
    site = (struct site){.body_limit_bytes = 4096};
    answer_init(&answer, easy, &site);
}

static void tear_down(void) {
    answer_clear(&answer);
    answer_clear(&answer); /* once is as good as twice */
    curl_easy_cleanup(easy);
}

/* As libcurl gives it: with its end, and not terminated. */
static size_t line(const char *text) {
    size_t n = strlen(text);
    char *bytes = malloc(n > 0 ? n : 1);
    memcpy(bytes, text, n);
    size_t taken = answer_on_header(bytes, 1, n, &answer);
    free(bytes);
    return taken;
}

static void lines(const char *const *all) {
    for (; *all != NULL; all++) {
        ck_assert_uint_eq(line(*all), strlen(*all));
    }
}

#define LINES(...) lines((const char *const[]){__VA_ARGS__, NULL})

static void body(const char *bytes, size_t n, bool taken) {
    char *copy = malloc(n > 0 ? n : 1);
    memcpy(copy, bytes, n);
    ck_assert_uint_eq(answer_on_body(copy, 1, n, &answer), taken ? n : 0);
    free(copy);
}

static void assert_kept(const struct excerpt *excerpt, const char *text) {
    ck_assert_msg(excerpt->n == strlen(text) &&
                      (excerpt->n == 0 || !memcmp(excerpt->bytes, text, excerpt->n)),
                  "kept \"%.*s\", not \"%s\"", (int)excerpt->n,
                  excerpt->n > 0 ? excerpt->bytes : "", text);
}

START_TEST(answer_keeps_nothing_that_nobody_asks_for) {
    LINES("HTTP/1.1 200 OK\r\n", "A: 1\r\n", "\r\n");
    body("text", 4, true);
    ck_assert_int_eq(answer.head, HEAD_DONE);
    ck_assert_ptr_null(answer.fields.bytes);
    ck_assert_ptr_null(answer.body.bytes);
    ck_assert_uint_eq(answer.head_bytes, 25);
    ck_assert_uint_eq(answer.body_bytes, 4);
}
END_TEST

START_TEST(answer_keeps_fields_for_an_expectation_a_backend_or_a_redirect) {
    if (_i == 0) {
        site.expect.headers = &rule;
        site.expect.n_headers = 1;
    } else if (_i == 1) {
        site.backend.header = "A";
    } else if (_i == 2) {
        site.backend.cookie = "A";
    } else {
        site.redirects.follow = 1;
    }
    LINES("HTTP/1.1 200 OK\r\n", "A: 1\r\n", "B:2\n", "\r\n");
    assert_kept(&answer.fields, "A: 1\nB:2\n");
    ck_assert_ptr_null(answer.body.bytes);
}
END_TEST

START_TEST(answer_keeps_neither_status_line_nor_trailers) {
    site.redirects.follow = 1;
    LINES("HTTP/1.1 200 A: 0\r\n", "A: 1\r\n", "\r\n", "A: 2\r\n");
    assert_kept(&answer.fields, "A: 1\n");
}
END_TEST

START_TEST(answer_joins_folded_lines) {
    site.redirects.follow = 1;
    LINES("HTTP/1.1 200 OK\r\n", " stray: 0\r\n", "A: 1\r\n", "  2\r\n", "\t3\r\n", "B: 4\r\n",
          " \r\n", "\r\n");
    assert_kept(&answer.fields, "A: 1  2\t3\nB: 4 \n");
}
END_TEST

START_TEST(answer_keeps_the_body_up_to_its_limit) {
    site.expect.body = &rule;
    site.expect.n_body = 1;
    site.body_limit_bytes = 10;
    body("01234", 5, true);
    ck_assert(!answer_body_cut(&answer));
    body("56789", 5, true);
    assert_kept(&answer.body, "0123456789");
    ck_assert(!answer_body_cut(&answer)); /* so long it may be */
    body("abc", 3, false);
    ck_assert(answer.body_stopped);
    ck_assert(answer_body_cut(&answer));
    assert_kept(&answer.body, "0123456789");
}
END_TEST

START_TEST(answer_keeps_the_first_part_of_a_piece_over_the_limit) {
    site.expect.body = &rule;
    site.expect.n_body = 1;
    site.body_limit_bytes = 10;
    body("0123456789abcdef", 16, false);
    assert_kept(&answer.body, "0123456789");
    ck_assert(answer_body_cut(&answer));
}
END_TEST

START_TEST(answer_keeps_a_mebibyte_at_most_and_reads_on) {
    site.expect.body = &rule;
    site.expect.n_body = 1;
    site.body_limit_bytes = 8 << 20;
    char *piece = calloc(1, 100000);
    for (unsigned i = 0; i < 80; i++) {
        body(piece, 100000, true);
        ck_assert_uint_le(answer.body.room, 2 * ANSWER_BODY_BYTES_KEPT);
    }
    free(piece);
    ck_assert_uint_eq(answer.body.n, ANSWER_BODY_BYTES_KEPT);
    ck_assert_uint_eq(answer.body_bytes, 8000000);
    ck_assert(answer_body_cut(&answer) && !answer.body_stopped);
}
END_TEST

START_TEST(answer_grows_with_what_comes) {
    site.expect.body = &rule;
    site.expect.n_body = 1;
    site.body_limit_bytes = 1 << 20;
    body("x", 1, true);
    ck_assert_uint_le(answer.body.room, 4096);
}
END_TEST

START_TEST(answer_ends_where_heads_are_too_large) {
    site.redirects.follow = 1;
    char field[1001];
    memset(field, 'a', sizeof field);
    field[1] = ':';
    field[998] = '\r';
    field[999] = '\n';
    field[1000] = '\0';
    line("HTTP/1.1 200 OK\r\n");
    unsigned taken = 0;
    while (line(field) != 0) {
        taken++;
        ck_assert_uint_le(answer.fields.n, ANSWER_HEAD_BYTES_MOST);
    }
    ck_assert_uint_eq(taken, (ANSWER_HEAD_BYTES_MOST - 17) / 1000);
    ck_assert(answer.head_too_large);
}
END_TEST

static const struct {
    const char *header, *cookie, *field, *backend;
} backends[] = {
    {"X-Served-By", NULL, "X-Served-By: web-1\r\n", "web-1"},
    {"X-Served-By", NULL, "x-served-by:  web-1 \r\n", "web-1"},
    {"X-Served-By", NULL, "X-Served: web-1\r\n", ""},
    {"X-Served-By", NULL, "X-Served-By:\r\n", ""},
    {"X-Served-By", NULL, "X-Served-By: a\033[1m\xff\r\n", "a\\x1b[1m\\xff"},
    {NULL, "SRV", "Set-Cookie: SRV=web-2; Path=/\r\n", "web-2"},
    {NULL, "SRV", "X-Served-By: web-1\r\n", ""},
    {NULL, NULL, "X-Served-By: web-1\r\n", ""},
};

START_TEST(answer_backend_is_what_the_answer_says_escaped) {
    site.backend.header = backends[_i].header;
    site.backend.cookie = backends[_i].cookie;
    char text[64] = "before";
    LINES("HTTP/1.1 503 No\r\n", backends[_i].field);
    answer_backend(&answer, text, sizeof text);
    ck_assert_str_eq(text, backends[_i].backend);
}
END_TEST

START_TEST(answer_backend_is_cut_between_characters) {
    site.backend.header = "B";
    LINES("HTTP/1.1 200 OK\r\n", "B: 123\xc3\xb6\r\n", "B: another\r\n", "\r\n");
    char text[64];
    answer_backend(&answer, text, sizeof text);
    ck_assert_str_eq(text, "123\xc3\xb6"); /* the first */
    answer_backend(&answer, text, 5);
    ck_assert_str_eq(text, "123");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("answer");
    TCase *tcase = tcase_create("answer");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, answer_keeps_nothing_that_nobody_asks_for);
    tcase_add_loop_test(tcase, answer_keeps_fields_for_an_expectation_a_backend_or_a_redirect, 0,
                        4);
    tcase_add_test(tcase, answer_keeps_neither_status_line_nor_trailers);
    tcase_add_test(tcase, answer_joins_folded_lines);
    tcase_add_test(tcase, answer_keeps_the_body_up_to_its_limit);
    tcase_add_test(tcase, answer_keeps_the_first_part_of_a_piece_over_the_limit);
    tcase_add_test(tcase, answer_keeps_a_mebibyte_at_most_and_reads_on);
    tcase_add_test(tcase, answer_grows_with_what_comes);
    tcase_add_test(tcase, answer_ends_where_heads_are_too_large);
    tcase_add_loop_test(tcase, answer_backend_is_what_the_answer_says_escaped, 0,
                        sizeof backends / sizeof *backends);
    tcase_add_test(tcase, answer_backend_is_cut_between_characters);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
