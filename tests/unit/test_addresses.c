/* What a list of addresses takes, and what it leaves. */
#include "probe/addresses.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct addresses addresses;

static void setup(void) {
    addresses = (struct addresses){0};
}

static void teardown(void) {
    addresses_clear(&addresses);
}

static void add(const char *text) {
    ck_assert_int_eq(addresses_add_literal(&addresses, text), 0);
}

START_TEST(an_address_is_taken_once) {
    add("192.0.2.1");
    add("2001:db8::1");
    add("192.0.2.1");
    add("2001:0db8:0::1");
    ck_assert_uint_eq(addresses.n, 2);
    ck_assert_str_eq(addresses.list[0].text, "192.0.2.1");
    ck_assert_str_eq(addresses.list[1].text, "2001:db8::1");
    ck_assert_int_eq(addresses_add_literal(&addresses, "192.0.2"), -EINVAL);
}
END_TEST

START_TEST(the_unspecified_address_is_none) {
    add("0.0.0.0");
    add("::");
    add("::ffff:0.0.0.0"); /* a socket would connect to ::ffff:127.0.0.1 */
    ck_assert_uint_eq(addresses.n, 0);
    add("::ffff:0.0.0.1");
    add("::1");
    ck_assert_uint_eq(addresses.n, 2);
}
END_TEST

static void add_number(uint32_t number) {
    number = htonl(0x0a000000 + number);
    ck_assert_int_eq(addresses_add(&addresses, AF_INET, &number), 0);
}

START_TEST(of_too_many_the_same_stay_in_whatever_order_they_come) {
    enum { ALL = 1000 };
    static const uint32_t steps[] = {1, 7, 223, 501, 999}; /* without a divisor in common with it */
    const unsigned char v6[16] = {0xfd};
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        ck_assert_int_eq(addresses_add(&addresses, AF_INET6, v6), 0);
        for (uint32_t i = 0; i < ALL; i++) {
            add_number(i * steps[k] % ALL);
        }
        addresses_sort(&addresses);
        ck_assert_uint_eq(addresses.n, ADDRESSES_MOST);
        for (uint32_t i = 0; i < ADDRESSES_MOST; i++) {
            uint32_t expected = htonl(0x0a000000 + i);
            ck_assert_int_eq(addresses.list[i].family, AF_INET);
            ck_assert_int_eq(memcmp(addresses.list[i].bytes, &expected, 4), 0);
        }
        ck_assert_str_eq(addresses.list[255].text, "10.0.0.255");
        addresses_clear(&addresses);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("addresses");
    TCase *tests = tcase_create("all");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, an_address_is_taken_once);
    tcase_add_test(tests, the_unspecified_address_is_none);
    tcase_add_test(tests, of_too_many_the_same_stay_in_whatever_order_they_come);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
