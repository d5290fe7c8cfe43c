/* Sets of what TLS rests on: read once, shared by those that name the same, followed by the next. */
#include "probe/tls.h"

#include "certificates.h"
#include "scratch.h"

#include "probe/trust.h"

#include <check.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

enum { SITES = 4 };

static struct site sites[SITES];
static struct config config, before;
static const char *a_file, *b_file, *cert, *key;
static struct issued a, b, client;

static void setup(void) {
    for (size_t i = 0; i < SITES; i++) {
        sites[i] = (struct site){.name = "site", .url.tls = true, .tls.verify = true};
    }
    config = (struct config){.sites = sites, .n_sites = SITES};
    a_file = scratch("a.pem");
    b_file = scratch("b.pem");
    cert = scratch("cert");
    key = scratch("key");
    a = issued_new("A", NULL);
    b = issued_new("B", NULL);
    client = issued_new("client", &a);
    issued_write(a_file, &a);
    issued_write(b_file, &b);
    issued_write(cert, &client);
    issued_write_key(key, &client, NULL);
    setenv("SSL_CERT_FILE", b_file, 1);
}

static void teardown(void) {
    issued_clear(&a);
    issued_clear(&b);
    issued_clear(&client);
}

static struct tls_set *load(void) {
    struct tls_set *set = NULL;
    ck_assert_int_eq(tls_sets_load(&config, 1, &set), 0);
    return set;
}

static const char *fault(const struct tls_set *set, bool *ret_had_it) {
    size_t at = 0;
    return tls_set_fault(set, &at, &before, ret_had_it);
}

static struct tls_use use(const struct tls_set *set, const struct site *site) {
    struct tls_use used = {0};
    ck_assert(tls_set_use(set, &config, site, &used));
    return used;
}

/* Certificates that a connection would trust. */
static int count(struct trust *trust) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    trust_apply(trust, context);
    int n = sk_X509_OBJECT_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(context)));
    SSL_CTX_free(context);
    return n;
}

START_TEST(sites_that_name_the_same_share_it_and_loops_do_not) {
    sites[0].tls.ca = a_file; /* the others mean SSL_CERT_FILE */
    sites[3].tls.verify = false;
    struct tls_set *sets[2];
    ck_assert_int_eq(tls_sets_load(&config, 2, sets), 0);
    struct tls_use used[2][SITES];
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < SITES; i++) {
            used[k][i] = use(sets[k], &sites[i]);
        }
        ck_assert_ptr_ne(tls_use_trust(&used[k][0]), tls_use_trust(&used[k][1]));
        ck_assert_ptr_eq(tls_use_trust(&used[k][1]), tls_use_trust(&used[k][2]));
        ck_assert_ptr_null(tls_use_trust(&used[k][3]));
        ck_assert_ptr_null(tls_use_identity(&used[k][0]));
    }
    ck_assert_ptr_ne(tls_use_trust(&used[0][0]), tls_use_trust(&used[1][0]));
    for (size_t k = 0; k < 2; k++) {
        tls_set_free(sets[k]); /* what is in use lives on */
        ck_assert_int_eq(count(tls_use_trust(&used[k][0])), 1);
        for (size_t i = 0; i < SITES; i++) {
            tls_use_clear(&used[k][i]);
        }
    }
}
END_TEST

START_TEST(a_plain_site_needs_nothing_unless_a_redirect_may_lead_it_to_https) {
    for (size_t i = 0; i < SITES; i++) {
        sites[i].url.tls = false;
    }
    setenv("SSL_CERT_FILE", "/nonexistent/bundle", 1);
    struct tls_set *set = load();
    bool had_it;
    ck_assert_ptr_null(fault(set, &had_it));
    struct tls_use used = use(set, &sites[0]);
    ck_assert_ptr_null(used.bundle);
    sites[1].redirects.follow = 1;
    ck_assert(!tls_set_use(set, &config, &sites[1], &used));
    tls_set_free(set);
    set = load();
    ck_assert(strstr(fault(set, &had_it), "/nonexistent/bundle") != NULL);
    tls_set_free(set);
}
END_TEST

START_TEST(every_file_that_cannot_be_used_is_told_once) {
    sites[0].tls.ca = sites[1].tls.ca = sites[2].tls.ca = "/nonexistent/a";
    sites[2].tls.cert = sites[3].tls.cert = "/nonexistent/cert";
    sites[2].tls.key = sites[3].tls.key = key;
    config.ca_file = b_file;
    struct tls_set *set = load();
    before = (struct config){.sites = &sites[0], .n_sites = 1};
    size_t at = 0;
    bool had_it = false;
    const char *why = tls_set_fault(set, &at, &before, &had_it);
    ck_assert(strstr(why, "/nonexistent/a") != NULL && had_it);
    why = tls_set_fault(set, &at, &before, &had_it);
    ck_assert(strstr(why, "/nonexistent/cert") != NULL && !had_it);
    ck_assert_ptr_null(tls_set_fault(set, &at, &before, &had_it));
    struct tls_use used = {0};
    ck_assert(!tls_set_use(set, &config, &sites[0], &used));
    ck_assert(!tls_set_use(set, &config, &sites[2], &used));
    ck_assert_ptr_null(used.bundle); /* nothing is held of what did not come to be */
    tls_set_free(set);
}
END_TEST

START_TEST(a_bundle_that_changed_is_new_for_who_holds_it) {
    sites[0].tls.ca = a_file;
    struct tls_set *set = load();
    struct tls_use used = use(set, &sites[0]), system = use(set, &sites[1]);
    struct trust *was = tls_use_trust(&used), *system_was = tls_use_trust(&system);
    issued_write(a_file, &b);
    struct tls_set *next = load();
    tls_set_follow(next, set);
    ck_assert_ptr_ne(tls_use_trust(&used), was);
    /* what did not change is the same, and so are connections that were checked against it */
    ck_assert_ptr_eq(tls_use_trust(&system), system_was);
    struct tls_use again = use(next, &sites[0]);
    ck_assert_ptr_eq(again.bundle, used.bundle);
    tls_use_clear(&again);
    tls_use_clear(&used);
    tls_use_clear(&system);
    tls_set_free(next);
}
END_TEST

START_TEST(a_bundle_that_broke_stays_however_often) {
    sites[0].tls.ca = a_file;
    struct tls_set *set = load();
    struct tls_use used = use(set, &sites[0]);
    struct trust *was = tls_use_trust(&used);
    scratch_write(a_file, "garbage\n", 8);
    before = config;
    for (int i = 0; i < 3; i++) {
        struct tls_set *next = load();
        bool had_it = false;
        ck_assert(strstr(fault(next, &had_it), a_file) != NULL && had_it);
        tls_set_follow(next, set);
        set = next;
        ck_assert_ptr_eq(tls_use_trust(&used), was);
    }
    struct tls_use again = use(set, &sites[0]);
    ck_assert_ptr_eq(tls_use_trust(&again), was);
    issued_write(a_file, &b);
    struct tls_set *next = load();
    tls_set_follow(next, set);
    ck_assert_ptr_ne(tls_use_trust(&again), was);
    tls_use_clear(&again);
    tls_use_clear(&used);
    tls_set_free(next);
}
END_TEST

START_TEST(a_bundle_that_is_named_no_more_serves_who_began_with_it) {
    sites[0].tls.ca = a_file;
    struct tls_set *set = load();
    struct tls_use used = use(set, &sites[0]);
    struct trust *was = tls_use_trust(&used);
    sites[0].tls.ca = b_file;
    struct tls_set *next = load();
    tls_set_follow(next, set);
    ck_assert_ptr_eq(tls_use_trust(&used), was);
    ck_assert_int_eq(count(was), 1);
    tls_use_clear(&used);
    tls_set_free(next);
}
END_TEST

START_TEST(a_certificate_and_its_key_are_one) {
    sites[0].tls.cert = sites[1].tls.cert = cert;
    sites[0].tls.key = sites[1].tls.key = key;
    struct tls_set *set = load();
    struct tls_use used = use(set, &sites[0]), other = use(set, &sites[1]);
    struct identity *was = tls_use_identity(&used);
    ck_assert_ptr_nonnull(was);
    ck_assert_ptr_eq(tls_use_identity(&other), was);
    tls_use_clear(&other);
    /* the certificate is there already, its key not yet */
    struct issued renewed = issued_new("client", &a);
    issued_write(cert, &renewed);
    before = config;
    struct tls_set *next = load();
    bool had_it = false;
    ck_assert(strstr(fault(next, &had_it), "do not belong together") != NULL && had_it);
    tls_set_follow(next, set);
    ck_assert_ptr_eq(tls_use_identity(&used), was);
    unlink(key);
    issued_write_key(key, &renewed, NULL);
    set = next;
    next = load();
    ck_assert_ptr_null(fault(next, &had_it));
    tls_set_follow(next, set);
    ck_assert_ptr_ne(tls_use_identity(&used), was);
    tls_use_clear(&used);
    tls_set_free(next);
    issued_clear(&renewed);
}
END_TEST

int main(void) {
    scratch_make();
    Suite *suite = suite_create("tls");
    TCase *tests = tcase_create("tls");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, sites_that_name_the_same_share_it_and_loops_do_not);
    tcase_add_test(tests, a_plain_site_needs_nothing_unless_a_redirect_may_lead_it_to_https);
    tcase_add_test(tests, every_file_that_cannot_be_used_is_told_once);
    tcase_add_test(tests, a_bundle_that_changed_is_new_for_who_holds_it);
    tcase_add_test(tests, a_bundle_that_broke_stays_however_often);
    tcase_add_test(tests, a_bundle_that_is_named_no_more_serves_who_began_with_it);
    tcase_add_test(tests, a_certificate_and_its_key_are_one);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failures > 0 ? 1 : 0;
}
