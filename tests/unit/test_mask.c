#include "probe/mask.h"

#include "base/text.h"
#include "probe/probe.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct secret token = {.bytes = "sesame-0123456789", .n = 17};
static const struct secret accent = {.bytes = "\xff\xfe\\open-sesame", .n = 14};
static const struct secret brief = {.bytes = "pw", .n = 2};
static const struct header headers[] = {
    {.name = "X-Plain", .value = "plain"},
    {.name = "X-Key", .secret = &token},
    {.name = "X-Odd", .secret = &accent},
};
static const struct request_config asked = {
    .headers = headers,
    .n_headers = 3,
    .basic_user = "user",
    .basic_password = &brief,
};

static void masked(const char *text, const char *wanted) {
    char words[PROBE_WORDS_BYTES];
    text_escape(text, strlen(text), words, sizeof words);
    mask_secrets(&asked, words);
    ck_assert_str_eq(words, wanted);
}

START_TEST(what_is_no_secret_stays) {
    masked("", "");
    masked("header X-Plain: \"plain\" is not \"user\"",
           "header X-Plain: \"plain\" is not \"user\"");
    masked("sesame-", "sesame-"); /* too little to tell */
    masked("esame-0123456789", "esame-0123456789");
}
END_TEST

START_TEST(a_secret_is_masked_wherever_it_stands) {
    masked("sesame-0123456789", "***");
    masked("\"sesame-0123456789\"", "\"***\"");
    masked("asesame-0123456789b sesame-0123456789", "a***b ***");
    masked("sesame-sesame-0123456789", "sesame-***");
    masked("a pw b", "a ** b");
    masked("x\xff\xfe\\open-sesame", "x***"); /* as it is escaped */
}
END_TEST

START_TEST(one_that_was_cut_is_masked_too) {
    masked("\"sesame-01234\"…", "\"***\"…");
    masked("sesame-0", "***");
}
END_TEST

START_TEST(a_login_is_masked_in_its_base64) {
    masked("\"Basic dXNlcjpwdw==\"", "\"Basic ***\"");
}
END_TEST

START_TEST(secrets_longer_than_any_text_are_masked) {
    static char bytes[64 << 10];
    memset(bytes, 'k', sizeof bytes - 1);
    const struct secret endless = {.bytes = bytes, .n = sizeof bytes - 1};
    const struct request_config bearer = {.bearer = &endless};
    const struct request_config login = {.basic_user = "user", .basic_password = &endless};
    char words[PROBE_WORDS_BYTES];
    text_escape(bytes, endless.n, words, sizeof words);
    mask_secrets(&bearer, words);
    ck_assert_str_eq(words, "***");
    strcpy(words, "Basic dXNlcjpra2tra2tra2tr");
    mask_secrets(&login, words);
    ck_assert_str_eq(words, "Basic ***");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("mask");
    TCase *tests = tcase_create("mask");
    tcase_add_test(tests, what_is_no_secret_stays);
    tcase_add_test(tests, a_secret_is_masked_wherever_it_stands);
    tcase_add_test(tests, one_that_was_cut_is_masked_too);
    tcase_add_test(tests, a_login_is_masked_in_its_base64);
    tcase_add_test(tests, secrets_longer_than_any_text_are_masked);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
