#include "base/text.h"

#include "chance.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

struct example {
    const char *bytes;
    size_t n;
    const char *text;
};

#define EXAMPLE(bytes, text)                                                                       \
    { bytes, sizeof bytes - 1, text }

static const struct example examples[] = {
    EXAMPLE("", ""),
    EXAMPLE("plain ~!", "plain ~!"),
    EXAMPLE("back\\slash stays", "back\\slash stays"),
    EXAMPLE("a\0b", "a\\x00b"),
    EXAMPLE("a\nb\r\tc", "a\\x0ab\\x0d\\x09c"),
    EXAMPLE("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
    EXAMPLE("\x1f \x7f", "\\x1f \\x7f"),
    EXAMPLE("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "\\xc2\\x80\\xc2\\x9b\\xc2\\x9f\xc2\xa0"),
    EXAMPLE("\x9b", "\\x9b"),
    EXAMPLE("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"),
    EXAMPLE("\xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf",
            "\xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf"),
    EXAMPLE("\xd8\x9b\xd8\x9c\xd8\x9d", "\xd8\x9b\\xd8\\x9c\xd8\x9d"),
    EXAMPLE("\xe2\x80\x8d\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\x90",
            "\xe2\x80\x8d\\xe2\\x80\\x8e\\xe2\\x80\\x8f\xe2\x80\x90"),
    EXAMPLE("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\xe2\x80\xae\xe2\x80\xaf",
            "\xe2\x80\xa7\\xe2\\x80\\xa8\\xe2\\x80\\xa9\\xe2\\x80\\xaa\\xe2\\x80\\xae\xe2\x80\xaf"),
    EXAMPLE("\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa",
            "\xe2\x81\xa5\\xe2\\x81\\xa6\\xe2\\x81\\xa9\xe2\x81\xaa"),
    EXAMPLE("\xef\xbb\xbfx", "\\xef\\xbb\\xbfx"),
    EXAMPLE("\xc0\xaf\xc1\xbf", "\\xc0\\xaf\\xc1\\xbf"),                /* overlong, 2 bytes */
    EXAMPLE("\xe0\x9f\xbf\xe0\xa0\x80", "\\xe0\\x9f\\xbf\xe0\xa0\x80"), /* overlong, 3 bytes */
    EXAMPLE("\xf0\x8f\xbf\xbf\xf0\x90\x80\x80",
            "\\xf0\\x8f\\xbf\\xbf\xf0\x90\x80\x80"), /* overlong, 4 bytes */
    EXAMPLE("\xed\x9f\xbf\xed\xa0\x80\xed\xbf\xbf\xee\x80\x80",
            "\xed\x9f\xbf\\xed\\xa0\\x80\\xed\\xbf\\xbf\xee\x80\x80"),     /* surrogates */
    EXAMPLE("\xf4\x90\x80\x80\xf5\x80", "\\xf4\\x90\\x80\\x80\\xf5\\x80"), /* over U+10FFFF */
    EXAMPLE("\xc3", "\\xc3"),
    EXAMPLE("\xe2\x82", "\\xe2\\x82"),
    EXAMPLE("\xc3(\xe2\x82(", "\\xc3(\\xe2\\x82("),
    EXAMPLE("\xff\xfe", "\\xff\\xfe"),
};

START_TEST(text_escape_leaves_only_safe_characters) {
    const struct example *example = &examples[_i];
    char text[256];
    memset(text, 'Z', sizeof text);
    size_t n = text_escape(example->bytes, example->n, text, sizeof text);
    ck_assert_str_eq(text, example->text);
    ck_assert_uint_eq(n, strlen(example->text));
    int unchanged = n == example->n && memcmp(text, example->bytes, n) == 0;
    ck_assert_int_eq(text_is_safe(example->bytes, example->n), unchanged);
}
END_TEST

START_TEST(text_escape_cuts_between_characters) {
    const char bytes[] = "a\xe2\x82\xac\x1b\xe2\x80\xa8z"; /* 1, 3, 4 and 12 bytes, then 1 */
    const size_t cuts[] = {0, 1, 4, 8, 20, 21};
    for (size_t size = 1; size <= 24; size++) {
        char text[25];
        memset(text, 'Z', sizeof text);
        size_t n = text_escape(bytes, sizeof bytes - 1, text, size);
        size_t expected = 0;
        for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
            expected = cuts[i] <= size - 1 ? cuts[i] : expected;
        }
        ck_assert_uint_eq(n, expected);
        ck_assert_int_eq(text[n], '\0');
        ck_assert_int_eq(text[size], 'Z');
    }
}
END_TEST

START_TEST(text_escape_without_room_writes_nothing) {
    char text[1] = {'Z'};
    ck_assert_uint_eq(text_escape("abc", 3, text, 0), 0);
    ck_assert_int_eq(text[0], 'Z');
}
END_TEST

/* An independent reading of the rule: no forbidden byte or sequence is in the output. */
static bool is_clean(const unsigned char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (text[i] < 0x20 || text[i] == 0x7f ||
            (text[i] == 0xc2 && i + 1 < n && text[i + 1] < 0xa0)) {
            return false;
        }
    }
    return text_is_safe((const char *)text, n);
}

START_TEST(text_escape_of_random_bytes_is_safe_stable_and_fits) {
    struct chance chance = chance_new("text");
    static const unsigned char favourites[] = {0xe2, 0x80, 0x81, 0xa8, 0xc2, 0x9b, 0xef, 0xbb,
                                               0xbf, 0xed, 0xa0, 0xf0, 0x90, 0x1b, 'a',  '\\'};
    for (int turn = 0; turn < 2000; turn++) {
        char bytes[24], text[TEXT_ESCAPED_SIZE(24)], again[TEXT_ESCAPED_SIZE(24)];
        size_t n = chance_below(&chance, sizeof bytes + 1);
        for (size_t i = 0; i < n; i++) {
            bytes[i] = (char)(chance_below(&chance, 2) != 0 ? favourites[chance_below(&chance, 16)]
                                                            : chance_below(&chance, 256));
        }
        size_t used = text_escape(bytes, n, text, TEXT_ESCAPED_SIZE(n));
        ck_assert(is_clean((unsigned char *)text, used));
        ck_assert_uint_eq(text_escape(text, used, again, sizeof again), used);
        ck_assert_mem_eq(text, again, used);
        /* nothing was cut: each byte stands for itself or for four */
        size_t escapes = (used - n) / 3;
        ck_assert_uint_eq(n + 3 * escapes, used);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("text");
    TCase *tcase = tcase_create("text");
    tcase_add_loop_test(tcase, text_escape_leaves_only_safe_characters, 0,
                        sizeof examples / sizeof *examples);
    tcase_add_test(tcase, text_escape_cuts_between_characters);
    tcase_add_test(tcase, text_escape_without_room_writes_nothing);
    tcase_add_test(tcase, text_escape_of_random_bytes_is_safe_stable_and_fits);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
