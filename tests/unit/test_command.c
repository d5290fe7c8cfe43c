/* Configurations that come from a command line: its flags, its URLs, and sites of a file for once. */
#include "config/config.h"

#include "config/keys.h"

#include "memory.h"
#include "scratch.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const urls[] = {"http://shop.test/", "https://other.test:8443/"};
static const char *const origins[] = {"argument 1", "argument 2"};
static struct config_setting settings[40];
static struct config_urls given;
static struct config *config;
static struct config_messages messages;

static void setup(void) {
    given =
        (struct config_urls){.urls = urls, .origins = origins, .n_urls = 2, .settings = settings};
}

static void set(const char *origin, enum key_place place, const char *key, const char *value) {
    settings[given.n_settings] =
        (struct config_setting){.key = key_find(key, place), .origin = origin, .value = value};
    ck_assert_ptr_nonnull(settings[given.n_settings++].key);
}

static void make(void) {
    int r = config_from_urls(&given, &messages, &config);
    for (size_t i = 0; i < messages.n_errors; i++) {
        fprintf(stderr, "# %s", messages.errors[i]);
    }
    ck_assert_int_eq(r, 0);
    ck_assert_uint_eq(messages.n_warnings, 0);
}

static void drop(void) {
    config_messages_clear(&messages);
    config_unref(config);
    config = NULL;
}

/* The only message is this one. */
static void refused(const char *message) {
    ck_assert_int_eq(config_from_urls(&given, &messages, &config), -EINVAL);
    ck_assert_ptr_null(config);
    ck_assert_uint_eq(messages.n_errors, 1);
    ck_assert_str_eq(messages.errors[0], message);
    config_messages_clear(&messages);
    given.n_settings = 0;
}

START_TEST(flags_are_settings_of_every_site) {
    set("--request", KEY_REQUEST, "method", "PUT");
    set("--header", KEY_REQUEST, "headers", "X-A: it's: 1;");
    set("--header", KEY_REQUEST, "headers", "X-Empty;");
    set("--data-raw", KEY_REQUEST, "body", "a=1");
    set("--compressed", KEY_REQUEST, "compressed", "yes");
    set("--expect-status", KEY_EXPECT, "status", "201, 4xx,not 404");
    set("--expect-body", KEY_EXPECT, "body_matches", "a+");
    set("--expect-body", KEY_EXPECT, "body_matches", "b+");
    set("--expect-body-contains", KEY_EXPECT, "body_contains", "c");
    set("--location", KEY_REDIRECTS, "follow", "10");
    set("--addresses", KEY_SITE, "addresses", "each");
    set("--insecure", KEY_TLS, "verify", "no");
    ck_assert_int_eq(config_from_urls(&given, &messages, &config), 0);
    for (size_t i = 0; i < 2; i++) {
        const struct site *site = &config->sites[i];
        const struct request_config *request = &site->request;
        ck_assert_str_eq(request->method, "PUT");
        ck_assert_uint_eq(request->n_headers, 2);
        ck_assert_str_eq(request->headers[0].name, "X-A");
        ck_assert_str_eq(request->headers[0].value, "it's: 1;");
        ck_assert_str_eq(request->headers[1].name, "X-Empty");
        ck_assert_str_eq(request->headers[1].value, "");
        ck_assert_mem_eq(request->body, "a=1", 3);
        ck_assert(request->compressed);
        ck_assert(status_set_has(site->expect.status, 201));
        ck_assert(status_set_has(site->expect.status, 403));
        ck_assert(!status_set_has(site->expect.status, 404));
        ck_assert(!status_set_has(site->expect.status, 200));
        ck_assert_uint_eq(site->expect.n_body, 3);
        ck_assert_uint_eq(site->redirects.follow, 10);
        ck_assert_int_eq(site->addresses, ADDRESSES_EACH);
        ck_assert(!site->tls.verify);
        ck_assert_int_eq(site->spread, 0);
        ck_assert_int_eq(site->deadline, 25 * NSEC_PER_SEC);
    }
    drop();
}
END_TEST

START_TEST(of_a_flag_that_is_given_twice_the_last_one_counts) {
    set("--request", KEY_REQUEST, "method", "PUT");
    set("--request", KEY_REQUEST, "method", "DELETE");
    make();
    ck_assert_str_eq(config->sites[0].request.method, "DELETE");
    drop();
}
END_TEST

START_TEST(a_flag_is_refused_in_the_words_of_its_key) {
    set("--request", KEY_REQUEST, "method", "get");
    refused("--request: error: method: \"get\" is not in upper case, as methods are\n"
            "    get\n"
            "    ^\n");
    set("--expect-body", KEY_EXPECT, "body_matches", "a(b");
    refused("--expect-body: error: body_matches: no regular expression: missing closing "
            "parenthesis (after 3 bytes)\n"
            "    a(b\n"
            "       ^\n");
    set("--expect-status", KEY_EXPECT, "status", "200,99");
    refused("--expect-status: error: status: \"99\" is not a status (100 to 999), a range "
            "(200-399) or a class (2xx), or one of them after \"not\"\n"
            "    200,99\n"
            "        ^\n");
    set("--expect-status", KEY_EXPECT, "status", "200,not 200");
    refused("--expect-status: error: status: the list leaves no status\n"
            "    200,not 200\n"
            "    ^\n");
    set("--max-redirs", KEY_REDIRECTS, "follow", "100");
    refused("--max-redirs: error: follow: \"100\" is more than the most, 20\n"
            "    100\n"
            "    ^\n");
}
END_TEST

START_TEST(flags_that_do_not_go_together_are_refused) {
    set("--cert", KEY_TLS, "cert", "/x.pem");
    refused("--cert: error: a client's cert without a key\n"
            "    /x.pem\n"
            "    ^\n"
            "    each needs the other; they may be one file\n");
    set("--proxy", KEY_REQUEST, "proxy", "http://proxy.test:3128");
    set("--connect-to", KEY_SITE, "connect_to", "shop.test:80:192.0.2.1:81");
    ck_assert_int_eq(config_from_urls(&given, &messages, &config), -EINVAL);
    ck_assert_ptr_nonnull(strstr(messages.errors[0], "connect_to and a proxy exclude each other"));
    config_messages_clear(&messages);
}
END_TEST

START_TEST(a_header_is_refused_without_its_value) {
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"X-Token", "\"X-Token\" is no header: write \"Name: value\", or \"Name;\" for one "
                    "without a value"},
        {"X-Token: ", "\"X-Token\" has no value; \"Name;\" sends it without one"},
        {"X-Token; s3cret", "\"X-Token\" has something after its semicolon"},
        {"X Token: s3cret", "\"X Token\" is not a name of letters, digits and !#$%&'*+-.^_`|~"},
        {"Content-Length: 3", "\"Content-Length\" "},
        {"authorization: Bearer s3cret", "\"authorization\" is a secret, and everybody"},
        {"X-Token: a\ns3cret", "the value holds a control character, or is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set("--header", KEY_REQUEST, "headers", rows[i].text);
        ck_assert_int_eq(config_from_urls(&given, &messages, &config), -EINVAL);
        ck_assert_uint_eq(messages.n_errors, 1);
        ck_assert_msg(strstr(messages.errors[0], rows[i].why) != NULL, "%s", messages.errors[0]);
        ck_assert_ptr_null(strstr(messages.errors[0], "s3cret"));
        config_messages_clear(&messages);
        given.n_settings = 0;
    }
    set("--header", KEY_REQUEST, "headers", "X-A: 1");
    set("--header", KEY_REQUEST, "headers", "x-a: 2");
    ck_assert_int_eq(config_from_urls(&given, &messages, &config), -EINVAL);
    ck_assert_ptr_nonnull(strstr(messages.errors[0], "\"x-a\" is given twice"));
    config_messages_clear(&messages);
}
END_TEST

START_TEST(connect_to_is_for_the_urls_that_it_names) {
    static const struct {
        const char *text, *hosts[2];
        uint16_t ports[2];
    } rows[] = {
        {"shop.test:80:192.0.2.1:8080", {"192.0.2.1", NULL}, {8080, 0}},
        {"SHOP.test::192.0.2.1:", {"192.0.2.1", NULL}, {0, 0}},
        {"::[2001:db8::1]:443", {"2001:db8::1", "2001:db8::1"}, {443, 443}},
        {":8443::444", {NULL, NULL}, {0, 444}},
        {":80::", {NULL, NULL}, {0, 0}},
        {"third.test:80:192.0.2.1:8080", {NULL, NULL}, {0, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set("--connect-to", KEY_SITE, "connect_to", rows[i].text);
        make();
        for (size_t k = 0; k < 2; k++) {
            const struct site *site = &config->sites[k];
            ck_assert_pstr_eq(site->connect_host, rows[i].hosts[k]);
            ck_assert_uint_eq(site->connect_port, rows[i].ports[k]);
        }
        drop();
        given.n_settings = 0;
    }
}
END_TEST

START_TEST(the_first_connect_to_that_fits_counts) {
    set("--connect-to", KEY_SITE, "connect_to", "shop.test:80::");
    set("--connect-to", KEY_SITE, "connect_to", "::192.0.2.9:");
    make();
    ck_assert_ptr_null(config->sites[0].connect_host);
    ck_assert_str_eq(config->sites[1].connect_host, "192.0.2.9");
    drop();
}
END_TEST

START_TEST(a_connect_to_that_is_none_is_refused_once) {
    static const char *const bad[] = {"",           "a:b",      "a:80:b",         "a:80:b:81:c",
                                      "[::1",       "a:80:b:0", "[::1]x:80:b:81", "a:80:[::1:81",
                                      "a:1:b:65536"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        set("--connect-to", KEY_SITE, "connect_to", bad[i]);
        ck_assert_msg(config_from_urls(&given, &messages, &config) == -EINVAL, "%s", bad[i]);
        ck_assert_uint_eq(messages.n_errors, 1);
        config_messages_clear(&messages);
        given.n_settings = 0;
    }
}
END_TEST

START_TEST(a_body_comes_from_a_file) {
    const char *path = scratch("body");
    scratch_write(path, "a\0b\n", 4);
    set("--data-binary", KEY_REQUEST, "body_file", path);
    make();
    ck_assert_uint_eq(config->sites[1].request.body_bytes, 4);
    ck_assert_mem_eq(config->sites[1].request.body, "a\0b\n", 4);
    ck_assert_str_eq(config->sites[1].request.body_path, path);
    drop();
}
END_TEST

START_TEST(without_memory_there_is_no_configuration) {
    set("--header", KEY_REQUEST, "headers", "X-A: 1");
    set("--data-raw", KEY_REQUEST, "body", "a=1");
    set("--expect-status", KEY_EXPECT, "status", "200");
    set("--expect-body", KEY_EXPECT, "body_matches", "a+");
    set("--connect-to", KEY_SITE, "connect_to", "::192.0.2.9:");
    size_t k = 0;
    for (int r = -ENOMEM; r == -ENOMEM;) {
        memory_left = k++;
        r = config_from_urls(&given, &messages, &config);
        memory_left = SIZE_MAX;
        ck_assert(r == 0 || r == -ENOMEM);
        ck_assert_int_eq(config != NULL, r == 0);
        config_messages_clear(&messages);
    }
    ck_assert_uint_gt(k, 20);
    drop();
}
END_TEST

/* ---- sites of a file ---- */

static const char file[] =
    "defaults: { interval: 10s, samples: 8, concurrency: 2, timeout: 1s }\n"
    "resolver: { servers: [\"192.0.2.53\"], tries: 5 }\n"
    "max_in_flight: 77\n"
    "reports: [ { to: file, path: /nowhere/log } ]\n"
    "sites:\n"
    "  - { name: shop, url: \"https://shop.test/\", request: { method: PUT, body: x } }\n"
    "  - { name: blog, url: \"http://blog.test/\", enabled: no, deadline: 7s }\n"
    "  - { name: front page, url: \"http://front.test/\", interval: 60s }\n";

static struct config *load(void) {
    struct config *whole = NULL;
    ck_assert_int_eq(config_load_memory("file", file, sizeof file - 1, &messages, &whole), 0);
    config_messages_clear(&messages);
    return whole;
}

START_TEST(sites_of_a_file_are_sampled_once_as_they_are_set_there) {
    static const char *const names[] = {"front page", "shop", "blog"};
    struct config *whole = load(), *once;
    const char *unknown, *nearest;
    struct config_urls as = {.format = "full"};
    ck_assert_int_eq(config_once(whole, names, 3, &as, &once, &unknown, &nearest), 0);
    config_unref(whole); /* what it owns stays */
    ck_assert_uint_eq(once->n_sites, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct site *site = &once->sites[i];
        ck_assert_str_eq(site->name, names[i]);
        ck_assert_ptr_eq(config_find(once, names[i]), site);
        ck_assert(site->enabled);
        ck_assert_int_eq(site->spread, 0);
        ck_assert_uint_eq(site->samples, 8);
        ck_assert_int_ge(site->interval, site->deadline);
        ck_assert_uint_eq(site->ring, 0);
    }
    ck_assert_uint_eq(once->n_rings, 1);
    ck_assert_int_eq(once->sites[0].deadline, 9 * NSEC_PER_SEC); /* 5 s for DNS, and four waits */
    ck_assert_int_eq(once->sites[2].deadline, 7 * NSEC_PER_SEC);
    ck_assert_str_eq(once->sites[1].request.method, "PUT");
    ck_assert_str_eq(once->sites[1].url.text, "https://shop.test/");
    ck_assert_uint_eq(once->n_sinks, 1);
    ck_assert_int_eq(once->sinks[0].kind, SINK_STDOUT);
    ck_assert_str_eq(once->sinks[0].format, "full");
    ck_assert_str_eq(once->resolver_servers[0], "192.0.2.53");
    ck_assert_uint_eq(once->resolver_tries, 5);
    ck_assert_uint_eq(once->max_in_flight, 77);
    config_unref(once);
}
END_TEST

START_TEST(the_command_line_may_say_how_many_and_how_long) {
    static const char *const names[] = {"shop"};
    struct config *whole = load(), *once;
    const char *unknown, *nearest;
    struct config_urls as = {
        .samples = 3, .concurrency = 3, .timeout = 2 * NSEC_PER_SEC, .max_in_flight = 4};
    ck_assert_int_eq(config_once(whole, names, 1, &as, &once, &unknown, &nearest), 0);
    ck_assert_uint_eq(once->sites[0].samples, 3);
    ck_assert_uint_eq(once->sites[0].concurrency, 3);
    ck_assert_int_eq(once->sites[0].timeout, 2 * NSEC_PER_SEC);
    ck_assert_int_eq(once->sites[0].deadline, 7 * NSEC_PER_SEC);
    ck_assert_uint_eq(once->max_in_flight, 4);
    ck_assert_uint_eq(whole->sites[0].samples, 8);
    config_unref(once);
    config_unref(whole);
}
END_TEST

START_TEST(an_unknown_name_comes_back_with_the_nearest) {
    static const struct {
        const char *name, *nearest;
    } rows[] = {{"shpo", "shop"}, {"front-page", "front page"}, {"mail", NULL}, {"", NULL}};
    struct config *whole = load(), *once;
    const char *unknown, *nearest;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *const names[] = {"shop", rows[i].name};
        ck_assert_int_eq(config_once(whole, names, 2, &given, &once, &unknown, &nearest), -ENOENT);
        ck_assert_str_eq(unknown, rows[i].name);
        ck_assert_pstr_eq(nearest, rows[i].nearest);
    }
    config_unref(whole);
}
END_TEST

START_TEST(without_memory_there_is_nothing_to_sample_once) {
    static const char *const names[] = {"shop", "blog"};
    struct config *whole = load(), *once = NULL;
    const char *unknown, *nearest;
    size_t k = 0;
    while (once == NULL) {
        memory_left = k++;
        int r = config_once(whole, names, 2, &given, &once, &unknown, &nearest);
        memory_left = SIZE_MAX;
        ck_assert_int_eq(r, once == NULL ? -ENOMEM : 0);
    }
    ck_assert_uint_gt(k, 2);
    config_unref(once);
    config_unref(whole);
}
END_TEST

int main(void) {
    scratch_make();
    Suite *suite = suite_create("command");
    TCase *tests = tcase_create("command");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, flags_are_settings_of_every_site);
    tcase_add_test(tests, of_a_flag_that_is_given_twice_the_last_one_counts);
    tcase_add_test(tests, a_flag_is_refused_in_the_words_of_its_key);
    tcase_add_test(tests, flags_that_do_not_go_together_are_refused);
    tcase_add_test(tests, a_header_is_refused_without_its_value);
    tcase_add_test(tests, connect_to_is_for_the_urls_that_it_names);
    tcase_add_test(tests, the_first_connect_to_that_fits_counts);
    tcase_add_test(tests, a_connect_to_that_is_none_is_refused_once);
    tcase_add_test(tests, a_body_comes_from_a_file);
    tcase_add_test(tests, sites_of_a_file_are_sampled_once_as_they_are_set_there);
    tcase_add_test(tests, the_command_line_may_say_how_many_and_how_long);
    tcase_add_test(tests, an_unknown_name_comes_back_with_the_nearest);
    if (memory_can_fail()) {
        tcase_add_test(tests, without_memory_there_is_no_configuration);
        tcase_add_test(tests, without_memory_there_is_nothing_to_sample_once);
    }
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failures > 0 ? 1 : 0;
}
