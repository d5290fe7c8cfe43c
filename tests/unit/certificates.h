/* Certificates for tests, made as they are needed. */
#pragma once

#include <check.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct issued {
    X509 *certificate;
    EVP_PKEY *key;
};

/* For site.test, valid for an hour; without an issuer it is an authority. */
static inline struct issued issued_new(const char *name, const struct issued *issuer) {
    struct issued made = {X509_new(), EVP_EC_gen("P-256")};
    X509 *certificate = made.certificate;
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), issuer == NULL ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, made.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate,
                         X509_get_subject_name(issuer != NULL ? issuer->certificate : certificate));
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(
        NULL, NULL, issuer == NULL ? NID_basic_constraints : NID_subject_alt_name,
        issuer == NULL ? "critical,CA:TRUE" : "DNS:site.test");
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    X509_sign(certificate, issuer != NULL ? issuer->key : made.key, EVP_sha256());
    return made;
}

static inline void issued_clear(struct issued *issued) {
    X509_free(issued->certificate);
    EVP_PKEY_free(issued->key);
}

static inline void issued_write(const char *path, const struct issued *issued) {
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(PEM_write_X509(file, issued->certificate), 1);
    fclose(file);
}

/* Readable by its owner alone; encrypted with a password if there is one. */
static inline void issued_write_key(const char *path, const struct issued *issued,
                                    const char *password) {
    unlink(path); /* an older one may be open to others */
    mode_t before = umask(077);
    FILE *file = fopen(path, "w");
    umask(before);
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(PEM_write_PrivateKey(file, issued->key,
                                          password != NULL ? EVP_aes_128_cbc() : NULL, NULL, 0,
                                          NULL, (void *)(uintptr_t)password),
                     1);
    fclose(file);
}
