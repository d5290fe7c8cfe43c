#include "probe/redirect.h"

#include "base/text.h"
#include "chance.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct site site_at(const char *url, unsigned follow, enum redirect_scope to) {
    struct site site = {.redirects = {.follow = follow, .to = to}};
    const char *why = NULL;
    ck_assert_int_eq(url_parse(url, &site.url, &why), 0);
    return site;
}

/* What an answer with that status and Location to the last station comes to. */
static enum redirect_verdict go(const struct site *site, const struct station *stations, unsigned n,
                                outcome_t status, const char *location, struct station *ret_next,
                                char words[256]) {
    char head[10000];
    int length = location != NULL ? snprintf(head, sizeof head, "A: b\nlocation:  %s \n", location)
                                  : snprintf(head, sizeof head, "A: b\n");
    struct words line;
    words_init(&line, words, 256);
    enum redirect_verdict verdict =
        redirect_next(site, stations, n, status, head, (size_t)length, ret_next, &line);
    ck_assert(text_is_safe(words, strlen(words)));
    ck_assert_int_eq(*words != '\0', verdict == REDIRECT_REFUSED);
    return verdict;
}

START_TEST(redirect_begins_with_what_the_site_asks) {
    struct site site = site_at("http://a.test/", 0, REDIRECT_ANY);
    struct station first = redirect_begin(&site);
    ck_assert_str_eq(first.method, "GET");
    ck_assert(!first.sends_body && first.own);
    site.request.body = "x";
    first = redirect_begin(&site);
    ck_assert_str_eq(first.method, "POST");
    ck_assert(first.sends_body);
    site.request.method = "PUT";
    ck_assert_str_eq(redirect_begin(&site).method, "PUT");
    url_clear(&site.url);
}
END_TEST

START_TEST(redirect_is_none_of_other_statuses) {
    struct site site = site_at("http://a.test/", 5, REDIRECT_ANY);
    struct station first = redirect_begin(&site), next;
    char words[256];
    for (outcome_t status = 200; status <= 999; status++) {
        bool follows =
            status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
        enum redirect_verdict verdict = go(&site, &first, 1, status, "/x", &next, words);
        ck_assert_int_eq(verdict, follows ? REDIRECT_FOLLOWED : REDIRECT_IS_NONE);
        if (follows) {
            ck_assert_str_eq(next.url.text, "http://a.test/x");
            url_clear(&next.url);
        }
    }
    site.redirects.follow = 0;
    ck_assert_int_eq(go(&site, &first, 1, 302, "/x", &next, words), REDIRECT_IS_NONE);
    url_clear(&site.url);
}
END_TEST

static const struct {
    outcome_t status;
    const char *method;
    bool body;
    const char *next;
    bool next_body;
} methods[] = {
    {301, "GET", false, "GET", false},       {302, "GET", false, "GET", false},
    {303, "GET", false, "GET", false},       {307, "GET", false, "GET", false},
    {301, "POST", true, "GET", false},       {302, "POST", true, "GET", false},
    {303, "POST", true, "GET", false},       {307, "POST", true, "POST", true},
    {308, "POST", true, "POST", true},       {301, "PUT", true, "PUT", true},
    {302, "DELETE", false, "DELETE", false}, {303, "PUT", true, "GET", false},
    {301, "HEAD", false, "HEAD", false},     {303, "HEAD", false, "HEAD", false},
    {303, "HEAD", true, "HEAD", true}, /* which sends none anyhow */
    {308, "PATCH", true, "PATCH", true},     {303, "OPTIONS", false, "GET", false},
};

START_TEST(redirect_changes_the_method_as_browsers_do) {
    struct site site = site_at("http://a.test/", 5, REDIRECT_SAME_ORIGIN);
    site.request.method = methods[_i].method;
    site.request.body = methods[_i].body ? "x" : NULL;
    struct station first = redirect_begin(&site), next;
    char words[256];
    ck_assert_int_eq(go(&site, &first, 1, methods[_i].status, "/x", &next, words),
                     REDIRECT_FOLLOWED);
    ck_assert_str_eq(next.method, methods[_i].next);
    ck_assert_int_eq(next.sends_body, methods[_i].next_body);
    url_clear(&next.url);
    url_clear(&site.url);
}
END_TEST

START_TEST(redirect_leaves_the_origin_once_and_for_all) {
    struct site site = site_at("http://a.test/", 5, REDIRECT_ANY);
    struct station stations[4] = {redirect_begin(&site)};
    char words[256];
    ck_assert_int_eq(go(&site, stations, 1, 302, "/b", &stations[1], words), REDIRECT_FOLLOWED);
    ck_assert(stations[1].own);
    ck_assert_int_eq(go(&site, stations, 2, 302, "https://a.test/", &stations[2], words),
                     REDIRECT_FOLLOWED);
    ck_assert(!stations[2].own);
    ck_assert_int_eq(go(&site, stations, 3, 302, "http://a.test/c", &stations[3], words),
                     REDIRECT_FOLLOWED);
    ck_assert(!stations[3].own);
    for (unsigned i = 0; i < 4; i++) {
        url_clear(&stations[i].url);
    }
}
END_TEST

static const struct {
    const char *location, *words;
} refused[] = {
    {NULL, "302 with no Location"},
    {"", "302 with an empty Location"},
    {"/", "a loop: 302 to \"http://a.test/\""},
    {"?", "a loop: 302 to \"http://a.test/\""},
    {"#top", "a loop: 302 to \"http://a.test/\""},
    {"//b.test/?session=1", "302 to \"http://b.test/\", another origin"},
    {"https://a.test/", "302 to \"https://a.test/\", another origin"},
    {"javascript:alert(1)", NULL},
    {"mailto:root@a.test", NULL},
    {"gopher://a.test/",
     "302 with a Location that has a scheme that is not http or https: \"gopher://a.test/\""},
    {"http://u:s3cr3t@a.test/", "302 with a Location that carries a user or password"},
    {"//u@a.test/", "302 with a Location that carries a user or password"},
    {"http:///", NULL},
    {"http://[::1", NULL},
    {"http://[fe80::1%25eth0]/", NULL},
    {"http://a..b/", NULL},
    {"http://0.0.0.0/", NULL},
    {"/\033[31m", "302 with a Location that holds a control character: \"/\\x1b[31m\""},
    {"/\x7f", "302 with a Location that holds a control character: \"/\\x7f\""},
};

START_TEST(redirect_refuses_what_is_absurd_or_out_of_scope) {
    struct site site = site_at("http://a.test/", 5, REDIRECT_SAME_ORIGIN);
    struct station first = redirect_begin(&site), next;
    char words[256];
    enum redirect_verdict verdict = go(&site, &first, 1, 302, refused[_i].location, &next, words);
    if (verdict == REDIRECT_FOLLOWED) {
        ck_abort_msg("%s followed to %s", refused[_i].location, next.url.text);
    }
    ck_assert_int_eq(verdict, REDIRECT_REFUSED);
    ck_assert_ptr_null(strstr(words, "s3cr3t"));
    ck_assert_ptr_null(strstr(words, "session"));
    if (refused[_i].words != NULL) {
        ck_assert_str_eq(words, refused[_i].words);
    }
    url_clear(&site.url);
}
END_TEST

START_TEST(redirect_refuses_two_that_differ_and_follows_two_that_do_not) {
    struct site site = site_at("http://a.test/", 5, REDIRECT_SAME_ORIGIN);
    struct station first = redirect_begin(&site), next;
    char text[256];
    struct words words;
    words_init(&words, text, sizeof text);
    static const char differ[] = "Location: /x\nB: c\nLocation: /y\n";
    ck_assert_int_eq(redirect_next(&site, &first, 1, 302, differ, sizeof differ - 1, &next, &words),
                     REDIRECT_REFUSED);
    ck_assert_str_eq(text, "302 with more than one Location");
    words_init(&words, text, sizeof text);
    static const char same[] = "Location: /x\nB: c\nlocation:/x\n";
    ck_assert_int_eq(redirect_next(&site, &first, 1, 302, same, sizeof same - 1, &next, &words),
                     REDIRECT_FOLLOWED);
    url_clear(&next.url);
    url_clear(&site.url);
}
END_TEST

START_TEST(redirect_refuses_a_location_that_is_too_long) {
    struct site site = site_at("http://a.test/", 5, REDIRECT_SAME_ORIGIN);
    struct station first = redirect_begin(&site), next;
    char words[256], location[8194];
    memset(location, 'a', sizeof location - 1);
    location[sizeof location - 1] = '\0';
    ck_assert_int_eq(go(&site, &first, 1, 302, location, &next, words), REDIRECT_REFUSED);
    ck_assert_str_eq(words, "302 with a Location of more than 8 KiB");
    location[8000] = '\0';
    ck_assert_int_eq(go(&site, &first, 1, 302, location, &next, words), REDIRECT_FOLLOWED);
    url_clear(&next.url);
    url_clear(&site.url);
}
END_TEST

START_TEST(redirect_counts_its_hops) {
    struct site site = site_at("http://a.test/", 3, REDIRECT_SAME_ORIGIN);
    struct station stations[5] = {redirect_begin(&site)};
    char words[256], location[16];
    for (unsigned n = 1; n <= 3; n++) {
        snprintf(location, sizeof location, "/%u", n);
        ck_assert_int_eq(go(&site, stations, n, 302, location, &stations[n], words),
                         REDIRECT_FOLLOWED);
    }
    ck_assert_int_eq(go(&site, stations, 4, 302, "/4", &stations[4], words), REDIRECT_REFUSED);
    ck_assert_str_eq(words, "too many redirects: 302 to \"http://a.test/4\"");
    ck_assert_int_eq(go(&site, stations, 4, 302, "/2", &stations[4], words), REDIRECT_REFUSED);
    ck_assert_str_eq(words, "a loop: 302 to \"http://a.test/2\"");
    for (unsigned i = 0; i < 4; i++) {
        url_clear(&stations[i].url);
    }
}
END_TEST

START_TEST(redirect_takes_no_body_to_another_origin) {
    struct site site = site_at("http://a.test/", 3, REDIRECT_ANY);
    site.request.body = "x";
    struct station first = redirect_begin(&site), next;
    char words[256];
    ck_assert_int_eq(go(&site, &first, 1, 307, "//b.test/", &next, words), REDIRECT_REFUSED);
    ck_assert_str_eq(words, "307 to \"http://b.test/\", another origin, with the request's body");
    ck_assert_int_eq(go(&site, &first, 1, 302, "//b.test/", &next, words), REDIRECT_FOLLOWED);
    ck_assert(!next.sends_body && !next.own);
    url_clear(&next.url);
    url_clear(&site.url);
}
END_TEST

/* Whatever a server says: followed within the origin, by http or https, or refused with words. */
START_TEST(redirect_of_random_locations_stays_in_scope) {
    static const char *const pieces[] = {
        "http:", "https:", "//",    "/", "\\", "a.test", "b.test", "@", ":",
        "80",    "443",    "?",     "#", "..", "%2f",    "\t",     " ", "\xc3\xbc",
        "\xff",  "[::1]",  "127.1", "x", "&",  "%00",    ";",      "=",
    };
    struct chance chance = chance_new("redirect_of_random_locations_stays_in_scope");
    struct site site = site_at("http://a.test/dir/x?y", 5, REDIRECT_SAME_ORIGIN);
    struct station first = redirect_begin(&site), next;
    unsigned followed = 0;
    for (unsigned i = 0; i < 20000; i++) {
        char location[256] = "", words[256];
        for (unsigned j = (unsigned)chance_below(&chance, 8); j > 0; j--) {
            strcat(location, pieces[chance_below(&chance, sizeof pieces / sizeof *pieces)]);
        }
        if (go(&site, &first, 1, 302, location, &next, words) == REDIRECT_FOLLOWED) {
            followed++;
            ck_assert_msg(strncmp(next.url.text, "http://a.test/", 14) == 0 &&
                              strcmp(next.url.host, "a.test") == 0 && next.url.port == 80,
                          "\"%s\" to %s", location, next.url.text);
            ck_assert(next.own);
            url_clear(&next.url);
        }
    }
    ck_assert_uint_gt(followed, 100);
    url_clear(&site.url);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("redirect");
    TCase *tcase = tcase_create("redirect");
    tcase_add_test(tcase, redirect_begins_with_what_the_site_asks);
    tcase_add_test(tcase, redirect_is_none_of_other_statuses);
    tcase_add_loop_test(tcase, redirect_changes_the_method_as_browsers_do, 0,
                        sizeof methods / sizeof *methods);
    tcase_add_test(tcase, redirect_leaves_the_origin_once_and_for_all);
    tcase_add_loop_test(tcase, redirect_refuses_what_is_absurd_or_out_of_scope, 0,
                        sizeof refused / sizeof *refused);
    tcase_add_test(tcase, redirect_refuses_two_that_differ_and_follows_two_that_do_not);
    tcase_add_test(tcase, redirect_refuses_a_location_that_is_too_long);
    tcase_add_test(tcase, redirect_counts_its_hops);
    tcase_add_test(tcase, redirect_takes_no_body_to_another_origin);
    tcase_add_test(tcase, redirect_of_random_locations_stays_in_scope);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
