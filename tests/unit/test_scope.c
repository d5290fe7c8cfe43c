#include "probe/scope.h"

#include "base/url.h"

#include <arpa/inet.h>
#include <check.h>
#include <string.h>

static struct url parse(const char *text) {
    struct url url;
    const char *why = NULL;
    ck_assert_msg(url_parse(text, &url, &why) == 0, "%s: %s", text, why);
    return url;
}

static const struct {
    const char *from, *to;
    bool origin, site;
} places[] = {
    {"http://shop.test/", "http://shop.test/x?y", true, true},
    {"http://shop.test/", "http://SHOP.test:80/", true, true},
    {"http://shop.test/", "https://shop.test/", false, true},
    {"http://shop.test/", "http://shop.test:8080/", false, true},
    {"http://shop.test/", "http://shop.test./", false, true},
    {"https://shop.example.org/", "https://www.example.org/", false, true},
    {"https://shop.example.org/", "https://a.b.c.example.org/", false, true},
    {"https://example.org/", "https://example.com/", false, false},
    {"https://example.org/", "https://badexample.org/", false, false},
    {"https://a.example.co.uk/", "https://b.example.co.uk/", false, true},
    {"https://one.co.uk/", "https://two.co.uk/", false, false},
    {"https://one.github.io/", "https://two.github.io/", false, false}, /* each a user's own */
    {"https://co.uk/", "https://one.co.uk/", false, false},
    {"http://localhost/", "http://localhost:81/", false, true},
    {"http://localhost/", "http://other/", false, false},
    {"http://b\xc3\xbc"
     "cher.example/",
     "http://www.xn--bcher-kva.example/", false, true},
    {"http://192.0.2.1/", "http://192.0.2.1:81/", false, true},
    {"http://192.0.2.1/", "http://192.0.2.2/", false, false},
    {"http://[2001:db8::1]/", "https://[2001:db8:0::1]/", false, true},
    {"http://192.0.2.1/", "http://shop.test/", false, false},
};

START_TEST(scope_has_what_stays_within) {
    struct url from = parse(places[_i].from), to = parse(places[_i].to);
    bool site = places[_i].site;
    ck_assert_int_eq(scope_has(REDIRECT_SAME_ORIGIN, &from, &to), places[_i].origin);
    ck_assert_int_eq(scope_has(REDIRECT_SAME_SITE, &from, &to), site);
    ck_assert_int_eq(scope_has(REDIRECT_SAME_SITE, &to, &from), site);
    ck_assert(scope_has(REDIRECT_ANY, &from, &to));
    url_clear(&from);
    url_clear(&to);
}
END_TEST

static struct address address(const char *text) {
    struct address made = {.family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET};
    ck_assert_int_eq(inet_pton(made.family, text, made.bytes), 1);
    return made;
}

static const char *const everybody[] = {
    "192.0.2.1",   "9.255.255.255",    "11.0.0.1",
    "172.15.0.1",  "172.32.0.1",       "192.167.1.1",
    "169.253.1.1", "100.63.1.1",       "100.128.0.1",
    "126.1.1.1",   "128.1.1.1",        "2001:db8::1",
    "fbff::1",     "fe00::1",          "fec0::1",
    "::2",         "::ffff:192.0.2.1", "64:ff9b::192.0.2.1",
};
static const char *const private[] = {
    "10.0.0.1",    "10.255.255.255",  "172.16.0.1",        "172.31.255.255",
    "192.168.1.1", "100.64.0.1",      "100.127.255.255",   "fc00::1",
    "fdff::1",     "::ffff:10.0.0.1", "64:ff9b::10.0.0.1",
};
static const char *const link[] = {
    "169.254.169.254", "fe80::1", "febf::1", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254",
};
static const char *const self[] = {
    "127.0.0.1", "127.255.255.255", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1",
};

static const struct {
    const char *const *texts;
    size_t n;
} reaches[] = {
    {everybody, sizeof everybody / sizeof *everybody},
    {private, sizeof private / sizeof *private},
    {link, sizeof link / sizeof *link},
    {self, sizeof self / sizeof *self},
};

START_TEST(scope_tells_what_is_nearer) {
    static const bool nearer[4][4] = {
        /* from a public site to public, private, link-local, loopback */
        {false, true, true, true},
        {false, false, true, true},
        {false, false, false, true},
        {false, false, true, false},
    };
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < 4; j++) {
            for (size_t k = 0; k < reaches[i].n; k++) {
                for (size_t l = 0; l < reaches[j].n; l++) {
                    struct address from = address(reaches[i].texts[k]);
                    struct address to = address(reaches[j].texts[l]);
                    ck_assert_msg(scope_is_nearer(&from, &to) == nearer[i][j], "%s to %s",
                                  reaches[i].texts[k], reaches[j].texts[l]);
                }
            }
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("scope");
    TCase *tcase = tcase_create("scope");
    tcase_add_loop_test(tcase, scope_has_what_stays_within, 0, sizeof places / sizeof *places);
    tcase_add_test(tcase, scope_tells_what_is_nearer);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
