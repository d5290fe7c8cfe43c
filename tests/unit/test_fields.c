#include "probe/fields.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* Name and value of every field, as "name=value|". */
static void list(const char *head, size_t n, char *ret_text, size_t size) {
    size_t at = 0;
    size_t used = 0;
    struct field field;
    ret_text[0] = '\0';
    while (fields_next(head, n, &at, &field)) {
        used += (size_t)snprintf(ret_text + used, size - used, "%.*s=%.*s|", (int)field.name_bytes,
                                 field.name, (int)field.value_bytes, field.value);
    }
    ck_assert_uint_eq(at, n);
}

static const struct {
    const char *head, *fields;
} heads[] = {
    {"", ""},
    {"A: 1\nB: 2\n", "A=1|B=2|"},
    {"A: 1\nB: 2", "A=1|B=2|"}, /* without the last line's end */
    {"A:1\n", "A=1|"},
    {"A:\t 1 2 \t\r\n", "A=1 2|"},
    {"A:\nB:   \n", "A=|B=|"},
    {"A: b: c\n", "A=b: c|"},
    {"A : 1\n", "A=1|"},
    {": 1\n  : 2\nA: 3\n", "A=3|"}, /* nameless */
    {"no field\n\nA: 1\n", "A=1|"},
};

START_TEST(fields_are_names_and_trimmed_values) {
    char text[256];
    list(heads[_i].head, strlen(heads[_i].head), text, sizeof text);
    ck_assert_str_eq(text, heads[_i].fields);
}
END_TEST

START_TEST(fields_of_nothing_are_none) {
    size_t at = 0;
    struct field field;
    ck_assert(!fields_next(NULL, 0, &at, &field));
    ck_assert(!fields_find(NULL, 0, &at, "A", &field));
    ck_assert(!fields_cookie(NULL, 0, "A", &field));
}
END_TEST

START_TEST(fields_find_looks_for_the_whole_name_in_any_case) {
    static const char head[] = "X-Served: 0\nX-Served-By: 1\nx-SERVED-by: 2\nX-Served-By-Me: 3\n";
    size_t at = 0;
    struct field field;
    ck_assert(fields_find(head, sizeof head - 1, &at, "X-Served-By", &field));
    ck_assert_mem_eq(field.value, "1", 1);
    ck_assert(fields_find(head, sizeof head - 1, &at, "X-Served-By", &field));
    ck_assert_mem_eq(field.value, "2", 1);
    ck_assert(!fields_find(head, sizeof head - 1, &at, "X-Served-By", &field));
}
END_TEST

static const struct {
    const char *head, *value; /* NULL: there is none */
} cookies[] = {
    {"Set-Cookie: SRV=a1\n", "a1"},
    {"set-cookie: SRV=a1; Path=/; HttpOnly\n", "a1"},
    {"Set-Cookie: other=x\nSet-Cookie: SRV=a1; Path=/\nSet-Cookie: SRV=a2\n", "a1"},
    {"Set-Cookie:  SRV = a1 ; Path=/\n", "a1"},
    {"Set-Cookie: SRV=a=b\n", "a=b"},
    {"Set-Cookie: SRV=\n", ""},
    {"Set-Cookie: SRV=\"a1\"\n", "\"a1\""},
    {"Set-Cookie: srv=a1\n", NULL}, /* a cookie's name has its case */
    {"Set-Cookie: SRV2=a1\n", NULL},
    {"Set-Cookie: x=1; SRV=a1\n", NULL}, /* an attribute */
    {"Set-Cookie: SRV; x=a1\n", NULL},
    {"Cookie: SRV=a1\n", NULL},
};

START_TEST(fields_cookie_is_the_first_pair_of_that_name) {
    struct field cookie;
    size_t n = strlen(cookies[_i].head);
    bool found = fields_cookie(cookies[_i].head, n, "SRV", &cookie);
    ck_assert_int_eq(found, cookies[_i].value != NULL);
    if (found) {
        ck_assert_uint_eq(cookie.value_bytes, strlen(cookies[_i].value));
        ck_assert_mem_eq(cookie.value, cookies[_i].value, cookie.value_bytes);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("fields");
    TCase *tcase = tcase_create("fields");
    tcase_add_loop_test(tcase, fields_are_names_and_trimmed_values, 0,
                        sizeof heads / sizeof *heads);
    tcase_add_test(tcase, fields_of_nothing_are_none);
    tcase_add_test(tcase, fields_find_looks_for_the_whole_name_in_any_case);
    tcase_add_loop_test(tcase, fields_cookie_is_the_first_pair_of_that_name, 0,
                        sizeof cookies / sizeof *cookies);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
