#include "config/value.h"

#include "chance.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *text;
    nsec_t duration; /* -1: refused */
    const char *why;
} durations[] = {
    {"0s", 0, NULL},
    {"1ns", 1, NULL},
    {"1us", 1000, NULL},
    {"250ms", 250 * NSEC_PER_MSEC, NULL},
    {"5s", 5 * NSEC_PER_SEC, NULL},
    {"5m", 300 * NSEC_PER_SEC, NULL},
    {"2h", 7200 * NSEC_PER_SEC, NULL},
    {"1d", 86400 * NSEC_PER_SEC, NULL},
    {"1.5s", 1500 * NSEC_PER_MSEC, NULL},
    {"0.5ms", 500 * NSEC_PER_USEC, NULL},
    {"1.000000001s", NSEC_PER_SEC + 1, NULL},
    {"0.25h", 900 * NSEC_PER_SEC, NULL},
    {"9223372036854775807ns", INT64_MAX, NULL},
    {"9223372036854775808ns", -1, "is too large"},
    {"99999999999999999999s", -1, "is too large"},
    {"9223372037s", -1, "is too large"},
    {"9223372036.9s", -1, "is too large"},
    {"0.5ns", -1, "has too many digits after the point"},
    {"1.0000000001s", -1, "has more than 9 digits after the point"},
    {"5", -1, "has no unit"},
    {"1.5", -1, "has no unit"},
    {"", -1, "does not begin with a digit"},
    {"s", -1, "does not begin with a digit"},
    {".5s", -1, "does not begin with a digit"},
    {" 5s", -1, "does not begin with a digit"},
    {"NaN", -1, "does not begin with a digit"},
    {"~", -1, "does not begin with a digit"},
    {"no", -1, "does not begin with a digit"},
    {"5.s", -1, "has no digit after the point"},
    {"-1s", -1, "has a sign"},
    {"+1s", -1, "has a sign"},
    {"010s", -1, "has a leading zero"},
    {"00s", -1, "has a leading zero"},
    {"5 s", -1, "is not one number and one unit of ns, us, ms, s, m, h, d"},
    {"5s ", -1, "is not one number and one unit of ns, us, ms, s, m, h, d"},
    {"5m30s", -1, "is not one number and one unit of ns, us, ms, s, m, h, d"},
    {"1:30", -1, "is not one number and one unit of ns, us, ms, s, m, h, d"},
    {"1e3s", -1, "is not one number and one unit of ns, us, ms, s, m, h, d"},
    {"1_000s", -1, "is not one number and one unit of ns, us, ms, s, m, h, d"},
    {"0x10s", -1, "is not one number and one unit of ns, us, ms, s, m, h, d"},
    {"5S", -1, "is not one number and one unit of ns, us, ms, s, m, h, d"},
    {"5w", -1, "is not one number and one unit of ns, us, ms, s, m, h, d"},
    {"1.5.5s", -1, "is not one number and one unit of ns, us, ms, s, m, h, d"},
};

START_TEST(a_duration_is_one_number_and_one_unit) {
    nsec_t duration = -1;
    const char *why = NULL;
    int r = value_parse_duration(durations[_i].text, false, &duration, &why);
    ck_assert_msg(r == (durations[_i].why != NULL ? -EINVAL : 0), "%s", durations[_i].text);
    ck_assert_int_eq(duration, durations[_i].duration); /* untouched when refused */
    if (r < 0) {
        ck_assert_str_eq(why, durations[_i].why);
    }
}
END_TEST

START_TEST(a_bare_number_is_seconds_on_the_command_line_only) {
    nsec_t duration;
    ck_assert_int_eq(config_parse_duration("5", true, &duration), 0);
    ck_assert_int_eq(duration, 5 * NSEC_PER_SEC);
    ck_assert_int_eq(config_parse_duration("1.5", true, &duration), 0);
    ck_assert_int_eq(duration, 1500 * NSEC_PER_MSEC);
    ck_assert_int_eq(config_parse_duration("7ms", true, &duration), 0);
    ck_assert_int_eq(duration, 7 * NSEC_PER_MSEC);
    ck_assert_int_eq(config_parse_duration("5", false, &duration), -EINVAL);
    ck_assert_int_eq(config_parse_duration("05", true, &duration), -EINVAL);
}
END_TEST

START_TEST(a_printed_duration_reads_back_as_itself) {
    struct chance chance = chance_new("durations");
    for (int i = 0; i < 100000; i++) {
        static const nsec_t scales[] = {1, 1000, NSEC_PER_MSEC, NSEC_PER_SEC, 60 * NSEC_PER_SEC};
        nsec_t scale = scales[chance_below(&chance, 5)];
        nsec_t duration = (nsec_t)chance_below(&chance, 100000) * scale, back = -1;
        char text[VALUE_TEXT_SIZE];
        const char *why = "";
        value_print_duration(duration, text);
        ck_assert_msg(value_parse_duration(text, false, &back, &why) == 0, "%s %s", text, why);
        ck_assert_msg(back == duration, "%lld: %s", (long long)duration, text);
    }
}
END_TEST

START_TEST(durations_are_printed_as_one_would_write_them) {
    static const struct {
        nsec_t duration;
        const char *text;
    } rows[] = {
        {0, "0s"},
        {1, "1ns"},
        {250 * NSEC_PER_MSEC, "250ms"},
        {NSEC_PER_SEC, "1s"},
        {1500 * NSEC_PER_MSEC, "1.5s"},
        {1050 * NSEC_PER_MSEC, "1.05s"},
        {61 * NSEC_PER_SEC, "61s"},
        {300 * NSEC_PER_SEC, "5m"},
        {86400 * NSEC_PER_SEC, "1d"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[VALUE_TEXT_SIZE];
        value_print_duration(rows[i].duration, text);
        ck_assert_str_eq(text, rows[i].text);
    }
}
END_TEST

START_TEST(a_size_is_whole_bytes) {
    static const struct {
        const char *text;
        int64_t bytes;
    } rows[] = {
        {"0B", 0},
        {"100B", 100},
        {"16KiB", 16384},
        {"1.5MiB", 1536 * 1024},
        {"1.5KiB", 1536},
        {"10kB", 10000},
        {"1MB", 1000000},
        {"1GB", 1000000000},
        {"1GiB", 1 << 30},
        {"16", -1},
        {"16K", -1},
        {"16KB", -1},
        {"16kib", -1},
        {"0.1B", -1},
        {"1.3KiB", -1},
        {"-1B", -1},
        {"99999999999GiB", -1},
        {"1e3B", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t bytes = -1, back = -1;
        const char *why = NULL;
        int r = value_parse_size(rows[i].text, &bytes, &why);
        ck_assert_msg(r == (rows[i].bytes < 0 ? -EINVAL : 0), "%s", rows[i].text);
        ck_assert_msg(bytes == rows[i].bytes, "%s", rows[i].text);
        ck_assert_int_eq(why != NULL, r < 0);
        if (r == 0) {
            char text[VALUE_TEXT_SIZE];
            value_print_size(bytes, text);
            ck_assert_int_eq(value_parse_size(text, &back, &why), 0);
            ck_assert_int_eq(back, bytes);
        }
    }
}
END_TEST

START_TEST(an_integer_has_decimal_digits_only) {
    static const char *const refused[] = {
        "",
        "-1",
        "+1",
        "010",
        "00",
        "0x10",
        "0o7",
        "1_000",
        "1,000",
        "1e3",
        "1.0",
        "1:30",
        "~",
        "null",
        "no",
        "x",
        " 1",
        "1 ",
        "NaN",
        ".inf",
        "２",
        "9223372036854775808",
        "99999999999999999999",
    };
    int64_t integer;
    const char *why;
    ck_assert_int_eq(value_parse_integer("0", &integer, &why), 0);
    ck_assert_int_eq(integer, 0);
    ck_assert_int_eq(value_parse_integer("9223372036854775807", &integer, &why), 0);
    ck_assert_int_eq(integer, INT64_MAX);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        integer = 77;
        ck_assert_msg(value_parse_integer(refused[i], &integer, &why) == -EINVAL, "%s", refused[i]);
        ck_assert_int_eq(integer, 77);
    }
}
END_TEST

START_TEST(truth_has_six_words) {
    static const struct {
        const char *text;
        int truth; /* -1: refused */
    } rows[] = {{"yes", 1},  {"true", 1},  {"on", 1},    {"no", 0}, {"false", 0}, {"off", 0},
                {"Yes", -1}, {"TRUE", -1}, {"y", -1},    {"n", -1}, {"1", -1},    {"0", -1},
                {"", -1},    {"~", -1},    {"yess", -1}, {"ye", -1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool truth = false;
        const char *why;
        int r = value_parse_bool(rows[i].text, &truth, &why);
        ck_assert_msg(r == (rows[i].truth < 0 ? -EINVAL : 0), "%s", rows[i].text);
        ck_assert_msg(r < 0 || truth == (rows[i].truth == 1), "%s", rows[i].text);
    }
}
END_TEST

START_TEST(a_status_set_has_what_was_written_and_nothing_else) {
    static const struct {
        const char *text;
        unsigned from, to; /* 0: refused */
    } rows[] = {
        {"200", 200, 200},     {"100", 100, 100}, {"999", 999, 999}, {"200-399", 200, 399},
        {"2xx", 200, 299},     {"1xx", 100, 199}, {"9xx", 900, 999}, {"100-999", 100, 999},
        {"163-164", 163, 164}, {"99", 0, 0},      {"099", 0, 0},     {"1000", 0, 0},
        {"0xx", 0, 0},         {"2XX", 0, 0},     {"xxx", 0, 0},     {"2xxx", 0, 0},
        {"399-200", 0, 0},     {"200-", 0, 0},    {"-200", 0, 0},    {"200-2000", 0, 0},
        {"200 - 399", 0, 0},   {"", 0, 0},        {"ok", 0, 0},      {"200,204", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct status_terms terms = {0};
        const char *why = NULL;
        int r = value_parse_status(rows[i].text, &terms, &why);
        ck_assert_msg(r == (rows[i].from == 0 ? -EINVAL : 0), "%s", rows[i].text);
        for (unsigned status = 0; status < 1100; status++) {
            bool wanted = rows[i].from > 0 && status >= rows[i].from && status <= rows[i].to;
            ck_assert_msg(status_set_has(&terms.named, status) == wanted, "%s %u", rows[i].text,
                          status);
        }
    }
}
END_TEST

START_TEST(a_url_that_is_refused_may_have_meant_another) {
    static const struct {
        const char *text, *hint;
    } rows[] = {
        {"http:/a", "two slashes follow the colon"},
        {"HTTPS:a", "two slashes follow the colon"},
        {"url:https://a/", "YAML wants a space behind the colon: \"url: https://…\""},
        {"\"https://a/\"", "the quotes are part of the text"},
        {"//a/", "the scheme is missing before the slashes"},
        {"https://a/ - https://b/",
         "a dash that begins a site of its own stands right below the dash before it"},
        {"a.example", NULL},
        {"ftp://a/", NULL},
        {"http://", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_pstr_eq(value_url_hint(rows[i].text), rows[i].hint);
    }
}
END_TEST

START_TEST(a_server_is_an_address_perhaps_with_a_port) {
    static const char *const accepted[] = {"192.0.2.1",     "127.0.0.1:5353", "2001:db8::1",
                                           "[2001:db8::1]", "[::1]:53",       "::1"};
    static const char *const refused[] = {"",
                                          "localhost",
                                          "dns.example:53",
                                          "192.0.2",
                                          "192.0.2.1:",
                                          "192.0.2.1:0",
                                          "192.0.2.1:65536",
                                          "[::1",
                                          "[::1]53",
                                          "[::1]:",
                                          "[1.2.3.4]:1",
                                          "::1%lo",
                                          "192.0.2.1:5x",
                                          "[]:53",
                                          "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb"};
    const char *why;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        ck_assert_msg(value_check_server(accepted[i], &why) == 0, "%s", accepted[i]);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        ck_assert_msg(value_check_server(refused[i], &why) == -EINVAL, "%s", refused[i]);
    }
}
END_TEST

START_TEST(decimals_and_percents_are_counted_in_thousandths) {
    static const struct {
        const char *text;
        int64_t decimal, percent; /* -1: refused */
    } rows[] = {
        {"4", 4000, -1},  {"2.5", 2500, -1},  {"0.001", 1, -1}, {"0.0001", -1, -1},
        {"95%", -1, 950}, {"99.9%", -1, 999}, {"0%", -1, 0},    {"99.99%", -1, -1},
        {"95 %", -1, -1}, {"-1%", -1, -1},    {"1e3", -1, -1},  {".5", -1, -1},
        {"05", -1, -1},   {"", -1, -1},       {"%", -1, -1},    {"5.", -1, -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t decimal = -1, percent = -1;
        const char *why = NULL;
        ck_assert_int_eq(value_parse_decimal(rows[i].text, &decimal, &why),
                         rows[i].decimal < 0 ? -EINVAL : 0);
        ck_assert_int_eq(decimal, rows[i].decimal);
        ck_assert_int_eq(value_parse_percent(rows[i].text, &percent, &why),
                         rows[i].percent < 0 ? -EINVAL : 0);
        ck_assert_int_eq(percent, rows[i].percent);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("value");
    TCase *tests = tcase_create("value");
    tcase_add_loop_test(tests, a_duration_is_one_number_and_one_unit, 0,
                        sizeof durations / sizeof durations[0]);
    tcase_add_test(tests, a_bare_number_is_seconds_on_the_command_line_only);
    tcase_add_test(tests, a_printed_duration_reads_back_as_itself);
    tcase_add_test(tests, durations_are_printed_as_one_would_write_them);
    tcase_add_test(tests, a_size_is_whole_bytes);
    tcase_add_test(tests, an_integer_has_decimal_digits_only);
    tcase_add_test(tests, truth_has_six_words);
    tcase_add_test(tests, a_status_set_has_what_was_written_and_nothing_else);
    tcase_add_test(tests, a_url_that_is_refused_may_have_meant_another);
    tcase_add_test(tests, a_server_is_an_address_perhaps_with_a_port);
    tcase_add_test(tests, decimals_and_percents_are_counted_in_thousandths);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
