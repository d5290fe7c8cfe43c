#include "base/url.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    const char *as_requested;
    const char *host;
    unsigned port;
    bool tls, literal;
} accepted[] = {
    {"https://example.org", "https://example.org/", "example.org", 443, true, false},
    {"http://example.org/", "http://example.org/", "example.org", 80, false, false},
    {"HTTPS://EXAMPLE.ORG/Path", "https://example.org/Path", "example.org", 443, true, false},
    {"https://example.org:443/", "https://example.org/", "example.org", 443, true, false},
    {"http://example.org:443/", "http://example.org:443/", "example.org", 443, false, false},
    {"http://h:65535/", "http://h:65535/", "h", 65535, false, false},
    {"http://h:1/", "http://h:1/", "h", 1, false, false},
    {"http://h:0080/", "http://h/", "h", 80, false, false},
    {"http://h:/", "http://h/", "h", 80, false, false},
    {"https://h/a?b=c#d", "https://h/a?b=c", "h", 443, true, false},
    {"https://h/#", "https://h/", "h", 443, true, false},
    {"https://h?q", "https://h/?q", "h", 443, true, false},
    {"https://h/a/./b/../c", "https://h/a/c", "h", 443, true, false},
    {"https://h/x@y", "https://h/x@y", "h", 443, true, false},
    {"https://h/?to=https://u:p@g/", "https://h/?to=https://u:p@g/", "h", 443, true, false},
    {"https://h/\xc3\xa4?\xc3\xa4", "https://h/%c3%a4?%c3%a4", "h", 443, true, false},
    {"https://b\xc3\xbc"
     "cher.example/",
     "https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, true, false},
    {"https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/", "xn--bcher-kva.example",
     443, true, false},
    {"https://%65xample.org/", "https://example.org/", "example.org", 443, true, false},
    {"https://a_b.example./", "https://a_b.example./", "a_b.example.", 443, true, false},
    {"http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x", "127.0.0.1", 8080, false, true},
    {"http://127.0.0.1", "http://127.0.0.1/", "127.0.0.1", 80, false, true},
    {"http://127.0.0.1?x", "http://127.0.0.1/?x", "127.0.0.1", 80, false, true},
    {"http://[::1]", "http://[::1]/", "::1", 80, false, true},
    {"http://[0:0::0001]:81/", "http://[::1]:81/", "::1", 81, false, true},
    {"https://[2001:DB8:0:0:0:0:0:1]/", "https://[2001:db8::1]/", "2001:db8::1", 443, true, true},
    {"http://[::ffff:192.0.2.1]/", "http://[::ffff:192.0.2.1]/", "::ffff:192.0.2.1", 80, false,
     true},
};

static const struct {
    const char *text;
    const char *why;
} refused[] = {
    {"", "is empty"},
    {"example.org", "has no scheme; write https://… or http://…"},
    {"example.org/?u=http://x/", "has no scheme; write https://… or http://…"},
    {"//example.org/", "has no scheme; write https://… or http://…"},
    {"http:example.org", "has no scheme; write https://… or http://…"},
    {"http:/example.org", "has no scheme; write https://… or http://…"},
    {"localhost:8080/x", "has no scheme; write https://… or http://…"},
    {"ftp://example.org/", "has a scheme that is not http or https"},
    {"file:///etc/passwd", "has a scheme that is not http or https"},
    {"httpx://h/", "has a scheme that is not http or https"},
    {"https+unix://h/", "has a scheme that is not http or https"},
    {" https://h/", "holds a space; write it as %20"},
    {"https://h/a b", "holds a space; write it as %20"},
    {"https://h/\x01", "holds a control character, or is not UTF-8"},
    {"https://h/\r\nX: y", "holds a control character, or is not UTF-8"},
    {"https://h/\xc3", "holds a control character, or is not UTF-8"},
    {"https://h/\xe2\x80\xae", "holds a control character, or is not UTF-8"},
    {"https://", "has no host"},
    {"https:///path", "has no host"},
    {"https://?q", "has no host"},
    {"https://:80/", "has a host that is not a host name"},
    {"https://user:secret@h/", "carries a user or password"},
    {"https://user@h/", "carries a user or password"},
    {"https://@h/", "carries a user or password"},
    {"https://user:sec/ret@h/", "has a port that is not a number from 1 to 65535"},
    {"https://h:0/", "has port 0"},
    {"https://h:65536/", "has a port that is not a number from 1 to 65535"},
    {"https://h:99999999999999999999/", "has a port that is not a number from 1 to 65535"},
    {"https://h:8a/", "has a port that is not a number from 1 to 65535"},
    {"https://h:-1/", "has a port that is not a number from 1 to 65535"},
    {"http://[::1/", "has a host that is not an IPv6 address"},
    {"http://[::g]/", "has a host that is not an IPv6 address"},
    {"http://[1.2.3.4]/", "has a host that is not an IPv6 address"},
    {"http://::1/", "has a port that is not a number from 1 to 65535"},
    {"http://0.0.0.0/", "has the unspecified address as its host, to which nobody can connect"},
    {"http://[::]/", "has the unspecified address as its host, to which nobody can connect"},
    {"http://[::ffff:0:0]/",
     "has the unspecified address as its host, to which nobody can connect"},
    {"http://[fe80::1%25eth0]/", "has an IPv6 zone, which means another machine on every machine"},
    {"http://[fe80::1%eth0]/", "has an IPv6 zone, which means another machine on every machine"},
    {"http://127.1/", "has an IPv4 address in an unusual form; write four decimal numbers"},
    {"http://2130706433/", "has an IPv4 address in an unusual form; write four decimal numbers"},
    {"http://0x7f.0.0.1/", "has an IPv4 address in an unusual form; write four decimal numbers"},
    {"http://010.0.0.1/", "has an IPv4 address in an unusual form; write four decimal numbers"},
    {"http://1.2.3.4.5/", "has a host that looks like an IPv4 address and is none"},
    {"http://256.1.1.1/", "has a host that looks like an IPv4 address and is none"},
    {"http://1.2.3.4./", "has a host that looks like an IPv4 address and is none"},
    {"http://a..b/", "has a host name with a part that is empty or longer than 63 bytes"},
    {"http://.a/", "has a host name with a part that is empty or longer than 63 bytes"},
    {"http://\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/",
     "has a host that is not a host name"},
    {"http://a,b/", "has a host that is not a host name"},
    {"http://a%0ab/", "has a host that is not a host name"},
    {"http://a%00b/", "has a host that is not a host name"},
};

START_TEST(a_url_is_normalised) {
    struct url url;
    const char *why = NULL;
    ck_assert_msg(url_parse(accepted[_i].text, &url, &why) == 0, "%s: %s", accepted[_i].text, why);
    ck_assert_str_eq(url.text, accepted[_i].as_requested);
    ck_assert_str_eq(url.host, accepted[_i].host);
    ck_assert_uint_eq(url.port, accepted[_i].port);
    ck_assert_int_eq(url.tls, accepted[_i].tls);
    ck_assert_msg(url.literal == accepted[_i].literal, "%s", accepted[_i].text);
    url_clear(&url);
}
END_TEST

START_TEST(a_normalised_url_is_its_own_normal_form) {
    struct url once, twice;
    const char *why = NULL;
    ck_assert_int_eq(url_parse(accepted[_i].text, &once, &why), 0);
    ck_assert_msg(url_parse(once.text, &twice, &why) == 0, "%s: %s", once.text, why);
    ck_assert_str_eq(once.text, twice.text);
    ck_assert_str_eq(once.host, twice.host);
    url_clear(&once);
    url_clear(&twice);
}
END_TEST

START_TEST(what_is_no_url_is_refused_with_its_reason) {
    struct url url;
    memset(&url, 0x55, sizeof url);
    const struct url untouched = url;
    const char *why = NULL;
    ck_assert_msg(url_parse(refused[_i].text, &url, &why) == -EINVAL, "%s", refused[_i].text);
    ck_assert_str_eq(why, refused[_i].why);
    ck_assert_mem_eq(&url, &untouched, sizeof url);
}
END_TEST

static char *repeated(const char *before, char c, size_t n, const char *after) {
    size_t a = strlen(before), b = strlen(after);
    char *text = malloc(a + n + b + 1);
    ck_assert_ptr_nonnull(text);
    memcpy(text, before, a);
    memset(text + a, c, n);
    memcpy(text + a + n, after, b + 1);
    return text;
}

static int parse_repeated(const char *before, size_t n, const char *after, const char **ret_why) {
    char *text = repeated(before, 'a', n, after);
    struct url url;
    int r = url_parse(text, &url, ret_why);
    if (r == 0) {
        url_clear(&url);
    }
    free(text);
    return r;
}

START_TEST(lengths_are_bounded) {
    const char *why = NULL;
    ck_assert_int_eq(parse_repeated("https://h/", 8192 - 10, "", &why), 0);
    ck_assert_int_eq(parse_repeated("https://h/", 8192 - 9, "", &why), -EINVAL);
    ck_assert_str_eq(why, "is longer than 8192 bytes");
    ck_assert_int_eq(parse_repeated("https://h/", 65536, "", &why), -EINVAL);
    ck_assert_int_eq(parse_repeated("https://", 63, "/", &why), 0);
    ck_assert_int_eq(parse_repeated("https://", 64, "/", &why), -EINVAL);
    ck_assert_str_eq(why, "has a host name with a part that is empty or longer than 63 bytes");
    char long_host[4 * 64 + 16] = "https://";
    for (int i = 0; i < 4; i++) { /* 4 x 63 and 3 dots: 255 */
        strcat(long_host, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        strcat(long_host, i < 3 ? "." : "");
    }
    struct url url;
    ck_assert_int_eq(url_parse(long_host, &url, &why), -EINVAL);
    ck_assert_str_eq(why, "has a host name that is empty or longer than 253 bytes");
    long_host[strlen(long_host) - 2] = '\0';
    ck_assert_int_eq(url_parse(long_host, &url, &why), 0);
    url_clear(&url);
}
END_TEST

static const struct {
    const char *base, *reference, *resolved; /* or why not */
} references[] = {
    {"http://a.test/d/x?q", "y", "http://a.test/d/y"},
    {"http://a.test/d/x?q", "./y/../z", "http://a.test/d/z"},
    {"http://a.test/d/x?q", "../../../y", "http://a.test/y"},
    {"http://a.test/d/x?q", "/y?r#f", "http://a.test/y?r"},
    {"http://a.test/d/x?q", "?r", "http://a.test/d/x?r"},
    {"http://a.test/d/x?q", "#f", "http://a.test/d/x?q"},
    {"https://a.test:444/d", "//b.test", "https://b.test/"},
    {"https://a.test:444/d", "//b.test:445/x", "https://b.test:445/x"},
    {"https://a.test/", "http://B.test:80/x y", "http://b.test/x%20y"},
    {"http://[::1]:81/", "x", "http://[::1]:81/x"},
    {"http://a.test/", "//b\xc3\xbc.test/", "http://xn--b-eha.test/"},
    {"http://a.test/", "ftp://a.test/", "has a scheme that is not http or https"},
    {"http://a.test/", "file:///x", "has a scheme that is not http or https"},
    {"http://a.test/", "//u:p@a.test/", "carries a user or password"},
    {"http://a.test/", "http://u@a.test/", "carries a user or password"},
    {"http://a.test/", "//a.test:0/", "has port 0"},
    {"http://a.test/", "//a.test:x/", "has a port that is not a number from 1 to 65535"},
    {"http://a.test/", "/a\nb", "holds a control character"},
    {"http://a.test/", "/a\x7f", "holds a control character"},
};

START_TEST(a_reference_is_resolved_or_refused) {
    struct url base, url;
    const char *why = NULL;
    ck_assert_int_eq(url_parse(references[_i].base, &base, &why), 0);
    int r = url_resolve(&base, references[_i].reference, &url, &why);
    ck_assert_str_eq(r == 0 ? url.text : why, references[_i].resolved);
    if (r == 0) {
        ck_assert_ptr_nonnull(strstr(references[_i].resolved, "://"));
        url_clear(&url);
    } else {
        ck_assert_int_eq(r, -EINVAL);
    }
    url_clear(&base);
}
END_TEST

START_TEST(an_origin_is_scheme_host_and_port) {
    static const char *const others[] = {"https://a.test/", "http://a.test:81/", "http://b.test/"};
    struct url a, b;
    const char *why = NULL;
    ck_assert_int_eq(url_parse("http://a.test/x", &a, &why), 0);
    ck_assert_int_eq(url_parse("http://A.test:80/y?z", &b, &why), 0);
    ck_assert(url_same_origin(&a, &b));
    url_clear(&b);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        ck_assert_int_eq(url_parse(others[i], &b, &why), 0);
        ck_assert(!url_same_origin(&a, &b));
        url_clear(&b);
    }
    url_clear(&a);
}
END_TEST

START_TEST(clearing_twice_is_harmless) {
    struct url url;
    const char *why = NULL;
    ck_assert_int_eq(url_parse("https://h/", &url, &why), 0);
    url_clear(&url);
    url_clear(&url);
    ck_assert_ptr_null(url.text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("url");
    TCase *tests = tcase_create("url");
    int n_accepted = sizeof accepted / sizeof accepted[0];
    tcase_add_loop_test(tests, a_url_is_normalised, 0, n_accepted);
    tcase_add_loop_test(tests, a_normalised_url_is_its_own_normal_form, 0, n_accepted);
    tcase_add_loop_test(tests, what_is_no_url_is_refused_with_its_reason, 0,
                        sizeof refused / sizeof refused[0]);
    tcase_add_test(tests, lengths_are_bounded);
    tcase_add_loop_test(tests, a_reference_is_resolved_or_refused, 0,
                        sizeof references / sizeof references[0]);
    tcase_add_test(tests, an_origin_is_scheme_host_and_port);
    tcase_add_test(tests, clearing_twice_is_harmless);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
