/* The resolver against a small DNS server in a thread of this process. */
#include "probe/resolver.h"

#include "base/loop.h"

#include "name_server.h"

#include <check.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the resolver ---- */

static struct loop *loop;
static struct resolver *resolver;
static char csv[32];
static char *servers[] = {csv};
static struct config config = {.resolver_servers = servers,
                               .n_resolver_servers = 1,
                               .resolver_timeout = 200 * NSEC_PER_MSEC,
                               .resolver_tries = 2};

static struct {
    struct resolver_result result;
    unsigned ended, expected;
} seen;

static void on_end(struct resolver_result *result, void *arg) {
    (void)arg;
    free(seen.result.addresses);
    seen.result = *result;
    if (++seen.ended == seen.expected) {
        event_base_loopbreak(loop_base(loop));
    }
}

static void setup(void) {
    ck_assert_int_eq(probe_global_init(), 0);
    server_start();
    snprintf(csv, sizeof csv, "127.0.0.1:%u", server.port);
    ck_assert_int_eq(loop_new("test", NULL, &loop), 0);
    ck_assert_int_eq(resolver_new(loop_base(loop), &resolver), 0);
    ck_assert_int_eq(resolver_configure(resolver, &config), 0);
}

static void teardown(void) {
    resolver_free(resolver);
    loop_free(loop);
    server_stop();
    free(seen.result.addresses);
    probe_global_clear();
}

/* Our own limit, for tries that outlast it. A loop that is late by a quarter of it is our failure, so
 * it is more than a busy machine takes away. */
static const nsec_t our_limit = 2 * NSEC_PER_SEC;

static void set_long_tries(void) {
    struct config once = config;
    once.resolver_timeout = 50 * NSEC_PER_SEC;
    once.resolver_tries = 1;
    ck_assert_int_eq(resolver_configure(resolver, &once), 0);
}

static struct resolver_lookup *begin(const char *host, enum family family, nsec_t limit) {
    struct resolver_lookup *lookup;
    unsigned before = seen.ended;
    ck_assert_int_eq(resolver_start(resolver, host, family, limit, on_end, NULL, &lookup), 0);
    ck_assert_uint_eq(seen.ended, before); /* never from inside the call */
    return lookup;
}

static void wait_for_all(unsigned expected) {
    seen.expected = expected;
    if (seen.ended < expected) {
        event_base_loop(loop_base(loop), EVLOOP_NO_EXIT_ON_EMPTY);
    }
    ck_assert_uint_eq(seen.ended, expected);
}

static const struct resolver_result *look_up(const char *host, enum family family, nsec_t limit) {
    begin(host, family, limit);
    wait_for_all(seen.ended + 1);
    return &seen.result;
}

static const nsec_t long_enough = 10 * NSEC_PER_SEC;

START_TEST(literals_are_never_asked_for) {
    static const char *const literals[] = {"127.0.0.1", "192.0.2.77", "::1", "2001:db8::5"};
    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++) {
        const struct resolver_result *result = look_up(literals[i], FAMILY_ANY, long_enough);
        ck_assert_uint_eq(result->outcome, OUTCOME_NONE);
        ck_assert_uint_eq(result->n_addresses, 1);
        ck_assert_str_eq(result->addresses[0].text, literals[i]);
        ck_assert(!result->incomplete);
        ck_assert_int_eq(result->took, NSEC_UNKNOWN);
    }
    ck_assert_uint_eq(atomic_load(&server.questions), 0);
}
END_TEST

START_TEST(addresses_are_sorted_by_bytes) {
    const struct resolver_result *result = look_up("thirty.test.", FAMILY_ANY, long_enough);
    ck_assert_uint_eq(result->n_addresses, 30);
    for (size_t i = 1; i < 30; i++) {
        ck_assert_int_lt(memcmp(result->addresses[i - 1].bytes, result->addresses[i].bytes, 4), 0);
    }
    ck_assert_int_ge(result->took, 0);
    ck_assert_uint_eq(atomic_load(&server.questions), 2); /* A and AAAA, once each */
}
END_TEST

START_TEST(both_families_are_asked_and_one_can_be_chosen) {
    const struct resolver_result *result = look_up("both.test.", FAMILY_ANY, long_enough);
    ck_assert_uint_eq(result->n_addresses, 2 - (result->left_out_ipv6 ? 1 : 0));
    ck_assert(!result->incomplete);
    ck_assert_int_eq(result->addresses[0].family, AF_INET);
    result = look_up("both.test.", FAMILY_IPV4, long_enough);
    ck_assert_uint_eq(result->n_addresses, 1);
    ck_assert_int_eq(result->addresses[0].family, AF_INET);
    result = look_up("both.test.", FAMILY_IPV6, long_enough);
    ck_assert_uint_eq(result->n_addresses, 1);
    ck_assert_str_eq(result->addresses[0].text, "::1");
    ck_assert_uint_eq(atomic_load(&server.questions), 4);
}
END_TEST

START_TEST(failures_have_their_names) {
    ck_assert_uint_eq(look_up("nx.test.", FAMILY_ANY, long_enough)->outcome, OUTCOME_DNS_NXDOMAIN);
    ck_assert_uint_eq(look_up("fail.test.", FAMILY_ANY, long_enough)->outcome, OUTCOME_DNS_FAILURE);
    ck_assert_uint_eq(look_up("zero.test.", FAMILY_ANY, long_enough)->outcome, OUTCOME_DNS_FAILURE);
    ck_assert_uint_eq(look_up("none.test.", FAMILY_ANY, long_enough)->outcome, OUTCOME_DNS_FAILURE);
    ck_assert_str_eq(seen.result.words, "the name has no address to connect to");
    /* c-ares gives up after its tries, or our limit comes first */
    ck_assert_uint_eq(look_up("silent.test.", FAMILY_ANY, long_enough)->outcome,
                      OUTCOME_DNS_TIMEOUT);
    set_long_tries();
    ck_assert_uint_eq(look_up("silent.test.", FAMILY_ANY, our_limit)->outcome, OUTCOME_DNS_TIMEOUT);
    ck_assert_int_ge(seen.result.took, our_limit);
}
END_TEST

START_TEST(at_the_limit_what_is_known_is_used) {
    set_long_tries();
    const struct resolver_result *result = look_up("drop6.test.", FAMILY_ANY, our_limit);
    ck_assert_uint_eq(result->outcome, OUTCOME_NONE);
    ck_assert_uint_eq(result->n_addresses, 1);
    ck_assert(result->incomplete);
    ck_assert_int_ge(result->took, our_limit);
}
END_TEST

START_TEST(no_more_than_its_places_are_asked_at_a_time) {
    set_long_tries();
    enum { PLACES = 64, LOOKUPS = 100 };
    struct resolver_lookup *holding[PLACES / 2];
    char host[64];
    for (unsigned i = 0; i < PLACES / 2; i++) { /* two queries each */
        holding[i] = begin("silent.test.", FAMILY_ANY, 1000 * NSEC_PER_SEC);
    }
    for (unsigned i = 0; i < LOOKUPS; i++) {
        snprintf(host, sizeof host, "a.n%u.test.", i);
        begin(host, FAMILY_ANY, 20 * NSEC_PER_MSEC);
    }
    wait_for_all(LOOKUPS);
    /* those that never had a turn are ours, not the name's */
    ck_assert_uint_eq(seen.result.outcome, OUTCOME_LOCAL_RESOURCE);
    /* a place comes free when nobody waits for its answer any more, however long that takes */
    for (unsigned i = 0; i < PLACES / 2; i++) {
        resolver_abandon(holding[i]);
    }
    for (unsigned i = 0; i < LOOKUPS; i++) {
        snprintf(host, sizeof host, "a.m%u.test.", i);
        begin(host, FAMILY_ANY, long_enough);
    }
    wait_for_all(2 * LOOKUPS);
    ck_assert_uint_eq(seen.result.outcome, OUTCOME_NONE);
}
END_TEST

START_TEST(an_abandoned_lookup_is_silent) {
    struct resolver_lookup *waiting[80];
    for (size_t i = 0; i < 80; i++) {
        waiting[i] = begin("silent.test.", FAMILY_ANY, long_enough);
    }
    for (size_t i = 0; i < 80; i++) {
        resolver_abandon(waiting[i]);
    }
    ck_assert_uint_eq(look_up("a.test.", FAMILY_ANY, long_enough)->outcome, OUTCOME_NONE);
    ck_assert_uint_eq(seen.ended, 1);
    /* some may still be under way when the resolver is freed */
    resolver_abandon(begin("silent.test.", FAMILY_ANY, long_enough));
}
END_TEST

START_TEST(new_settings_leave_lookups_under_way_alone) {
    begin("silent.test.", FAMILY_ANY, long_enough);
    ck_assert_int_eq(resolver_configure(resolver, &config), 0);
    begin("a.test.", FAMILY_ANY, long_enough);
    wait_for_all(1);
    ck_assert_uint_eq(seen.result.outcome, OUTCOME_NONE);
    wait_for_all(2);
    ck_assert_uint_eq(seen.result.outcome, OUTCOME_DNS_TIMEOUT);
    ck_assert_int_eq(resolver_configure(resolver, &config), 0); /* lets the old one go */
}
END_TEST

START_TEST(a_name_that_nobody_answers_for_is_told_from_servers_that_do_not_answer) {
    ck_assert_uint_eq(look_up("silent.test.", FAMILY_ANY, long_enough)->outcome,
                      OUTCOME_DNS_TIMEOUT);
    ck_assert(!seen.result.silent); /* they were asked for something else */
    ck_assert_uint_eq(look_up("fail.test.", FAMILY_ANY, long_enough)->outcome, OUTCOME_DNS_FAILURE);
    ck_assert(!seen.result.silent); /* that is an answer */

    atomic_store(&server.silent, true);
    ck_assert_uint_eq(look_up("a.test.", FAMILY_ANY, long_enough)->outcome, OUTCOME_DNS_TIMEOUT);
    ck_assert(seen.result.silent);

    atomic_store(&server.silent, false);
    ck_assert_uint_eq(look_up("silent.test.", FAMILY_ANY, long_enough)->outcome,
                      OUTCOME_DNS_TIMEOUT);
    ck_assert(!seen.result.silent); /* it is not remembered */
}
END_TEST

START_TEST(so_it_is_where_our_own_limit_comes_first) {
    set_long_tries();
    ck_assert_uint_eq(look_up("silent.test.", FAMILY_ANY, our_limit)->outcome, OUTCOME_DNS_TIMEOUT);
    ck_assert(!seen.result.silent);
    atomic_store(&server.silent, true);
    ck_assert_uint_eq(look_up("a.test.", FAMILY_ANY, our_limit)->outcome, OUTCOME_DNS_TIMEOUT);
    ck_assert(seen.result.silent);
}
END_TEST

START_TEST(an_answer_to_another_lookup_is_proof_enough) {
    begin("silent.test.", FAMILY_ANY, long_enough);
    begin("nx.test.", FAMILY_ANY, long_enough);
    wait_for_all(1);
    atomic_store(&server.silent, true);
    wait_for_all(2);
    ck_assert_uint_eq(seen.result.outcome, OUTCOME_DNS_TIMEOUT);
    ck_assert(!seen.result.silent);
}
END_TEST

START_TEST(a_server_that_is_not_there_is_silent) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, size), 0);
    getsockname(fd, (struct sockaddr *)&at, &size);
    snprintf(csv, sizeof csv, "127.0.0.1:%u", ntohs(at.sin_port));
    ck_assert_int_eq(resolver_configure(resolver, &config), 0);
    close(fd);
    ck_assert_uint_eq(look_up("a.test.", FAMILY_ANY, long_enough)->outcome, OUTCOME_DNS_FAILURE);
    ck_assert(seen.result.silent);
    ck_assert(!seen.result.exhausted);
}
END_TEST

START_TEST(without_descriptors_the_site_is_not_blamed) {
    int held[4096];
    unsigned n = 0;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 200;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0); /* of this test's own process */
    while (n < 4096 && (held[n] = dup(0)) >= 0) {
        n++;
    }
    ck_assert_uint_eq(look_up("a.test.", FAMILY_ANY, long_enough)->outcome, OUTCOME_LOCAL_RESOURCE);
    ck_assert(seen.result.exhausted && !seen.result.silent);
    while (n > 0) {
        close(held[--n]);
    }
    ck_assert_uint_eq(look_up("a.test.", FAMILY_ANY, long_enough)->outcome, OUTCOME_NONE);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("resolver");
    TCase *tests = tcase_create("resolver");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, literals_are_never_asked_for);
    tcase_add_test(tests, addresses_are_sorted_by_bytes);
    tcase_add_test(tests, both_families_are_asked_and_one_can_be_chosen);
    tcase_add_test(tests, failures_have_their_names);
    tcase_add_test(tests, at_the_limit_what_is_known_is_used);
    tcase_add_test(tests, no_more_than_its_places_are_asked_at_a_time);
    tcase_add_test(tests, an_abandoned_lookup_is_silent);
    tcase_add_test(tests, new_settings_leave_lookups_under_way_alone);
    tcase_add_test(tests, a_name_that_nobody_answers_for_is_told_from_servers_that_do_not_answer);
    tcase_add_test(tests, so_it_is_where_our_own_limit_comes_first);
    tcase_add_test(tests, an_answer_to_another_lookup_is_proof_enough);
    tcase_add_test(tests, a_server_that_is_not_there_is_silent);
    tcase_add_test(tests, without_descriptors_the_site_is_not_blamed);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0 ? 1 : 0;
}
