/* Client certificates: what is taken, and how what is not is told. */
#include "probe/identity.h"

#include "certificates.h"
#include "scratch.h"

#include "config/source.h"
#include "probe/trust.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char why[512];

static int load(const char *cert, const char *key, struct identity **ret_identity) {
    struct source *sources[2] = {NULL, NULL};
    int r = identity_read(cert, key, &sources[0], &sources[1], why, sizeof why);
    if (r == 0) {
        r = identity_parse(sources[0], sources[1], ret_identity, why, sizeof why);
    }
    source_free(sources[0]);
    source_free(sources[1]);
    return r;
}

static void refused(const char *cert, const char *key, const char *named, const char *words) {
    struct identity *identity = NULL;
    ck_assert_int_lt(load(cert, key, &identity), 0);
    ck_assert_ptr_null(identity);
    ck_assert_msg(strstr(why, named) != NULL && strstr(why, words) != NULL, "%s", why);
}

START_TEST(a_certificate_its_chain_and_its_key_are_shown) {
    struct issued ca = issued_new("CA", NULL), leaf = issued_new("leaf", &ca);
    const char *cert = scratch("cert"), *key = scratch("key");
    issued_write(cert, &leaf);
    FILE *file = fopen(cert, "a");
    PEM_write_X509(file, ca.certificate);
    fclose(file);
    issued_write_key(key, &leaf, NULL);
    struct identity *identity = NULL;
    ck_assert_int_eq(load(cert, key, &identity), 0);
    SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_client_method());
    ck_assert(identity_apply(identity, ssl_ctx));
    ck_assert_ptr_eq(identity_ref(identity), identity);
    identity_free(identity);
    identity_free(identity); /* what is in the SSL_CTX stays */
    ck_assert_int_eq(X509_cmp(SSL_CTX_get0_certificate(ssl_ctx), leaf.certificate), 0);
    ck_assert_int_eq(EVP_PKEY_eq(SSL_CTX_get0_privatekey(ssl_ctx), leaf.key), 1);
    STACK_OF(X509) *chain = NULL;
    SSL_CTX_get0_chain_certs(ssl_ctx, &chain);
    ck_assert_int_eq(sk_X509_num(chain), 1);
    ck_assert_int_eq(X509_cmp(sk_X509_value(chain, 0), ca.certificate), 0);
    SSL_CTX_free(ssl_ctx);
    issued_clear(&leaf);
    issued_clear(&ca);
}
END_TEST

START_TEST(what_cannot_be_used_is_refused_with_its_name) {
    struct issued a = issued_new("A", NULL), b = issued_new("B", NULL);
    const char *cert = scratch("cert"), *key = scratch("key"), *other = scratch("other"),
               *locked = scratch("locked"), *empty = scratch("empty"), *cut = scratch("cut");
    issued_write(cert, &a);
    issued_write_key(key, &a, NULL);
    issued_write_key(other, &b, NULL);
    issued_write_key(locked, &a, "password");
    scratch_write(empty, "", 0);
    scratch_write(cut, "-----BEGIN PRIVATE KEY-----\nMIGH", 32);
    chmod(empty, 0600);
    chmod(cut, 0600);
    refused(cert, other, other, "do not belong together");
    refused(cert, locked, locked, "encrypted");
    refused(cert, empty, empty, "holds no private key");
    refused(cert, cut, cut, "is damaged");
    refused(cert, cert, cert, "open to everybody"); /* as scratch files are */
    chmod(cert, 0600);
    refused(cert, cert, cert, "holds no private key");
    refused(empty, key, empty, "holds no certificate");
    refused(key, key, key, "holds no certificate");
    scratch_write(cut, "-----BEGIN CERTIFICATE-----\nMIGH", 32);
    refused(cut, key, cut, "is damaged");
    refused("/nonexistent/cert", key, "/nonexistent/cert", strerror(ENOENT));
    refused(cert, "/nonexistent/key", "/nonexistent/key", strerror(ENOENT));
    refused("/dev/zero", key, "/dev/zero", "not a regular file");
    chmod(key, 0604);
    refused(cert, key, key, "open to everybody");
    issued_clear(&a);
    issued_clear(&b);
}
END_TEST

/* As under DynamicUser=, whose user is not that of the files. */
START_TEST(a_file_that_only_root_reads_is_told_with_what_to_do) {
    struct issued a = issued_new("A", NULL);
    const char *cert = scratch("cert"), *key = scratch("key");
    issued_write(cert, &a);
    issued_write_key(key, &a, NULL);
    chmod(key, geteuid() == 0 ? 0600 : 0);
    chmod(scratch("."), 0711);
    chmod(scratch(".."), 0711);
    if (geteuid() == 0) {
        ck_assert_int_eq(seteuid(65534), 0);
    }
    refused(cert, key, key,
            "Permission denied; tallyd's user must read it; a service has {credential");
    struct source *bundle = NULL;
    ck_assert_int_eq(trust_read(key, &bundle, why, sizeof why), -EACCES);
    ck_assert_msg(strstr(why, "; tallyd's user must read it; ") != NULL, "%s", why);
    ck_assert_int_eq(seteuid(getuid()), 0);
    issued_clear(&a);
}
END_TEST

START_TEST(an_issuer_that_is_damaged_refuses_the_file) {
    struct issued ca = issued_new("CA", NULL), leaf = issued_new("leaf", &ca);
    const char *cert = scratch("cert"), *key = scratch("key");
    issued_write(cert, &leaf);
    FILE *file = fopen(cert, "a");
    fputs("-----BEGIN CERTIFICATE-----\nMIGH\n-----END CERTIFICATE-----\n", file);
    fclose(file);
    issued_write_key(key, &leaf, NULL);
    refused(cert, key, cert, "is damaged");
    issued_clear(&leaf);
    issued_clear(&ca);
}
END_TEST

int main(void) {
    scratch_make();
    Suite *suite = suite_create("identity");
    TCase *tests = tcase_create("identity");
    tcase_add_test(tests, a_certificate_its_chain_and_its_key_are_shown);
    tcase_add_test(tests, what_cannot_be_used_is_refused_with_its_name);
    tcase_add_test(tests, a_file_that_only_root_reads_is_told_with_what_to_do);
    tcase_add_test(tests, an_issuer_that_is_damaged_refuses_the_file);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failures > 0 ? 1 : 0;
}
