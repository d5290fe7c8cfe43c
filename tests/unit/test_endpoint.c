#include "base/endpoint.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(an_address_of_this_machine_is_taken) {
    static const struct {
        const char *text, *address;
        unsigned port;
    } rows[] = {
        {"127.0.0.1:9469", "127.0.0.1", 9469},
        {"127.1.2.3:1", "127.1.2.3", 1},
        {"localhost:65535", "127.0.0.1", 65535},
        {"[::1]:80", "::1", 80},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct endpoint endpoint;
        char text[INET6_ADDRSTRLEN];
        const char *why = endpoint_parse(rows[i].text, &endpoint);
        ck_assert_msg(why == NULL, "%s %s", rows[i].text, why);
        bool ipv6 = endpoint.address.any.sa_family == AF_INET6;
        const void *address = ipv6 ? (const void *)&endpoint.address.ipv6.sin6_addr
                                   : (const void *)&endpoint.address.ipv4.sin_addr;
        inet_ntop(endpoint.address.any.sa_family, address, text, sizeof text);
        ck_assert_str_eq(text, rows[i].address);
        ck_assert_uint_eq(endpoint.port, rows[i].port);
        ck_assert_uint_eq(ntohs(endpoint.address.ipv4.sin_port), rows[i].port); /* of both kinds */
    }
}
END_TEST

START_TEST(a_unix_socket_is_taken) {
    struct endpoint endpoint;
    ck_assert_ptr_null(endpoint_parse("unix:/run/tallyd/status.sock", &endpoint));
    ck_assert_int_eq(endpoint.address.any.sa_family, AF_UNIX);
    ck_assert_str_eq(endpoint.address.local.sun_path, "/run/tallyd/status.sock");
    ck_assert_uint_eq(endpoint.port, 0);
    ck_assert(!endpoint_is_named(&endpoint, "localhost:80"));
}
END_TEST

START_TEST(anything_else_is_refused_and_sets_nothing) {
    static const char *const texts[] = {
        "",
        "9469",
        ":9469",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:999999999999999999999",
        "127.0.0.1:80x",
        "127.0.0.1:-1",
        "0.0.0.0:80",
        "192.0.2.1:80",
        "[::]:80",
        "[::1",
        "[::1]",
        "[::1]80",
        "[127.0.0.1]:80",
        "[localhost]:80",
        "::1:80",
        "example.org:80",
        "*:80",
        "unix:",
        "unix:status.sock",
        "/run/tallyd/status.sock",
        "unix:/"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaa",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct endpoint endpoint = {.port = 7};
        ck_assert_msg(endpoint_parse(texts[i], &endpoint) != NULL, "%s", texts[i]);
        ck_assert_uint_eq(endpoint.port, 7);
    }
}
END_TEST

START_TEST(only_the_loopback_and_its_port_name_it) {
    static const struct {
        const char *host;
        bool named;
    } rows[] = {
        {"localhost:9469", true},
        {"LocalHost:9469", true},
        {"127.0.0.1:9469", true},
        {"127.0.0.53:9469", true},
        {"[::1]:9469", true},
        {"localhost", false},
        {"localhost:80", false},
        {"localhost.:9469", false},
        {"evil.test:9469", false},
        {"[::2]:9469", false},
        {"::1:9469", false},
        {"", false},
        {"10.0.0.1:9469", false},
        {"127.0.0.1:9469 ", false},
        {"127.0.0.1:9469,x", false},
        {"127.0.0.1@evil", false},
        {"127.0.0.1.evil:9469", false},
        {"[::1]", false},
        {"0177.0.0.1:9469", false},
        {"2130706433:9469", false},
    };
    struct endpoint endpoint, web;
    ck_assert_ptr_null(endpoint_parse("127.0.0.1:9469", &endpoint));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_msg(endpoint_is_named(&endpoint, rows[i].host) == rows[i].named, "%s",
                      rows[i].host);
    }
    ck_assert_ptr_null(endpoint_parse("[::1]:80", &web)); /* whose port goes without saying */
    ck_assert(endpoint_is_named(&web, "localhost") && endpoint_is_named(&web, "[::1]:80"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("endpoint");
    TCase *tests = tcase_create("endpoint");
    tcase_add_test(tests, an_address_of_this_machine_is_taken);
    tcase_add_test(tests, a_unix_socket_is_taken);
    tcase_add_test(tests, anything_else_is_refused_and_sets_nothing);
    tcase_add_test(tests, only_the_loopback_and_its_port_name_it);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
