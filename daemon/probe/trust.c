/* libcurl 7.88.1 parses the CA bundle for every connection on Debian, because CAPATH has a default
 * and that switches its cache off; and with CAPATH unset it caches the first store for 24 h in the
 * multi handle and puts it back over another. So every easy handle has CAINFO and CAPATH NULL and
 * CA_CACHE_TIMEOUT 0 (request.c), and gets this store in CURLOPT_SSL_CTX_FUNCTION. Without that call
 * nothing is trusted: it fails closed.
 *
 * Flags are those that libcurl gives its own store: trusted certificates first, and an intermediate
 * in the bundle may end a chain. */
#include "probe/trust.h"

#include "config/secret.h"
#include "config/source.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUNDLE_BYTES_MOST = 64 << 20 };

static const char system_bundle[] = "/etc/ssl/certs/ca-certificates.crt";

struct trust {
    X509_STORE *store;
    unsigned refs; /* of its one loop */
};

const char *trust_path(const char *file) {
    if (file == NULL) {
        file = getenv("SSL_CERT_FILE");
    }
    return file == NULL || *file == '\0' ? system_bundle : file;
}

static int read_certificates(X509_STORE *store, BIO *from, const char *file, char *why,
                             size_t why_size) {
    unsigned n = 0;
    ERR_clear_error();
    for (;;) {
        X509 *certificate = PEM_read_bio_X509_AUX(from, NULL, NULL, NULL);
        if (certificate == NULL) {
            break;
        }
        int added = X509_STORE_add_cert(store, certificate); /* takes a reference; twice is fine */
        X509_free(certificate);
        if (added != 1) {
            snprintf(why, why_size, "CA bundle %s: certificate %u cannot be used", file, n + 1);
            return -EINVAL;
        }
        n++;
    }
    unsigned long error = ERR_peek_last_error();
    bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (!at_end) {
        snprintf(why, why_size, "CA bundle %s: certificate %u is damaged", file, n + 1);
        return -EINVAL;
    }
    if (n == 0) {
        snprintf(why, why_size, "CA bundle %s: holds no certificate in PEM form", file);
        return -EINVAL;
    }
    return 0;
}

int trust_parse(const char *file, const char *bytes, size_t n, struct trust **ret_trust,
                char *ret_why, size_t why_size) {
    int r = -ENOMEM;
    struct trust *trust = calloc(1, sizeof *trust);
    BIO *from = BIO_new_mem_buf(bytes, (int)n);
    if (trust == NULL || from == NULL || (trust->store = X509_STORE_new()) == NULL) {
        snprintf(ret_why, why_size, "CA bundle %s: out of memory", file);
        goto fail;
    }
    trust->refs = 1;
    X509_STORE_set_flags(trust->store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    r = read_certificates(trust->store, from, file, ret_why, why_size);
    if (r != 0) {
        goto fail;
    }
    BIO_free(from);
    *ret_trust = trust;
    return 0;

fail:
    BIO_free(from);
    trust_free(trust);
    return r;
}

int trust_read(const char *file, struct source **ret_source, char *ret_why, size_t why_size) {
    const char *why = NULL;
    int r = source_read(file, BUNDLE_BYTES_MOST, "is larger than 64 MiB", ret_source, &why);
    if (r != 0) {
        const char *hint = strcmp(file, system_bundle) == 0
                               ? "install ca-certificates, or name a bundle in SSL_CERT_FILE"
                           : r == -EACCES ? secret_unreadable
                                          : "";
        snprintf(ret_why, why_size, "CA bundle %s %s%s%s%s%s", file, why, r == -EINVAL ? "" : ": ",
                 r == -EINVAL ? "" : strerror(-r), *hint != '\0' ? "; " : "", hint);
    }
    return r;
}

struct trust *trust_ref(struct trust *trust) {
    if (trust != NULL) {
        trust->refs++;
    }
    return trust;
}

void trust_free(struct trust *trust) {
    if (trust != NULL && (trust->refs == 0 || --trust->refs == 0)) {
        X509_STORE_free(trust->store);
        free(trust);
    }
}

void trust_apply(struct trust *trust, void *ssl_ctx) {
    SSL_CTX_set1_cert_store(ssl_ctx, trust->store);
}
