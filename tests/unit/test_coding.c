#include "probe/coding.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static unsigned count(const char *line, bool unpacked) {
    return coding_count(line, strlen(line), unpacked);
}

START_TEST(codings_of_a_body_are_counted) {
    static const struct {
        const char *line;
        unsigned packed, unpacked;
    } lines[] = {
        {"Content-Encoding: gzip\r\n", 0, 1},
        {"CONTENT-encoding:gzip\r\n", 0, 1},
        {"Content-Encoding: gzip, br\r\n", 0, 2},
        {"Content-Encoding: gzip,gzip,\tgzip , gzip\r\n", 0, 4},
        {"Content-Encoding: identity\r\n", 0, 0},
        {"Content-Encoding:\r\n", 0, 0},
        {"Content-Encoding: ,, ,\r\n", 0, 0},
        {"Content-Encoding: gzip", 0, 1}, /* without an end */
        {"Content-Encoding:", 0, 0},
        {"Content-Encoding", 0, 0},
        {"Content-Encodings: gzip, gzip\r\n", 0, 0},
        {"Transfer-Encoding: chunked\r\n", 0, 0},
        {"Transfer-Encoding: gzip, chunked\r\n", 1, 1},
        {"transfer-encoding: gzip, deflate, Chunked\r\n", 2, 2},
        {"Transfer-Encoding: chunkedx\r\n", 1, 1},
        {"X: Content-Encoding: gzip\r\n", 0, 0},
        {"HTTP/1.1 200 OK\r\n", 0, 0},
        {"\r\n", 0, 0},
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        ck_assert_msg(count(lines[i].line, false) == lines[i].packed &&
                          count(lines[i].line, true) == lines[i].unpacked,
                      "%s: %u, %u", lines[i].line, count(lines[i].line, false),
                      count(lines[i].line, true));
    }
}
END_TEST

START_TEST(nothing_behind_the_end_is_read) {
    static const char line[] = "Content-Encoding: gzip, gzip";
    for (size_t n = 0; n < sizeof line; n++) {
        char *copy = malloc(n + 1); /* for the sanitizer's sake, without a terminator */
        memcpy(copy, line, n);
        char *exact = realloc(copy, n > 0 ? n : 1);
        unsigned counted = coding_count(exact, n, true);
        ck_assert_uint_eq(counted, n < 19 ? 0 : n < 25 ? 1 : 2);
        free(exact);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("coding");
    TCase *tests = tcase_create("coding");
    tcase_add_test(tests, codings_of_a_body_are_counted);
    tcase_add_test(tests, nothing_behind_the_end_is_read);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
