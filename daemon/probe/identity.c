/* libcurl could load the files by their names, and would do so for every connection: a disk access
 * and the parsing of a key in each, and a file that is broken meanwhile would be the site's
 * failure. So they are read with the configuration, and given to each connection's SSL_CTX.
 *
 * What is loaded has been tried on an SSL_CTX of its own: what `check` accepts can be used. */
#include "probe/identity.h"

#include "config/secret.h"
#include "config/source.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { FILE_BYTES_MOST = 1 << 20 };

struct identity {
    X509 *certificate;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
    unsigned refs; /* of its one loop */
};

static int read_file(const char *what, const char *path, struct source **ret_source, char *ret_why,
                     size_t why_size) {
    const char *why = NULL;
    int r = source_read(path, FILE_BYTES_MOST, "is larger than 1 MiB", ret_source, &why);
    if (r == -EINVAL) {
        snprintf(ret_why, why_size, "%s %s %s", what, path, why);
    } else if (r != 0) {
        snprintf(ret_why, why_size, "%s %s %s: %s%s%s", what, path, why, strerror(-r),
                 r == -EACCES ? "; " : "", r == -EACCES ? secret_unreadable : "");
    }
    return r;
}

int identity_read(const char *cert, const char *key, struct source **ret_cert,
                  struct source **ret_key, char *ret_why, size_t why_size) {
    struct stat status;
    if (stat(key, &status) == 0 && (status.st_mode & S_IRWXO) != 0) {
        snprintf(ret_why, why_size, "key %s is open to everybody: chmod o= it", key);
        return -EINVAL;
    }
    if (prctl(PR_SET_DUMPABLE, 0) != 0) { /* as for every secret: see config/secret.c */
        snprintf(ret_why, why_size, "key %s cannot be kept out of core files: %s", key,
                 strerror(errno));
        return -EINVAL;
    }
    struct source *source = NULL;
    int r = read_file("client certificate", cert, &source, ret_why, why_size);
    if (r != 0) {
        return r;
    }
    r = read_file("key", key, ret_key, ret_why, why_size);
    if (r != 0) {
        source_free(source);
        return r;
    }
    *ret_cert = source;
    return 0;
}

/* The end of the text, or else something in it that does not parse. */
static bool is_at_end(void) {
    unsigned long error = ERR_peek_last_error();
    ERR_clear_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static int parse_certificates(struct identity *identity, const struct source *source, char *why,
                              size_t why_size) {
    BIO *from = BIO_new_mem_buf(source->bytes, (int)source->n);
    identity->chain = sk_X509_new_null();
    if (from == NULL || identity->chain == NULL) {
        BIO_free(from);
        snprintf(why, why_size, "client certificate %s: out of memory", source->name);
        return -ENOMEM;
    }
    ERR_clear_error();
    identity->certificate = PEM_read_bio_X509_AUX(from, NULL, NULL, NULL);
    X509 *issuer = NULL;
    bool kept = true;
    while (kept && identity->certificate != NULL &&
           (issuer = PEM_read_bio_X509(from, NULL, NULL, NULL)) != NULL) {
        kept = sk_X509_push(identity->chain, issuer) > 0;
    }
    BIO_free(from);
    if (!kept) {
        X509_free(issuer);
        snprintf(why, why_size, "client certificate %s: out of memory", source->name);
        return -ENOMEM;
    }
    bool at_end = is_at_end();
    if (at_end && identity->certificate != NULL) {
        return 0;
    }
    snprintf(why, why_size,
             at_end ? "client certificate %s: holds no certificate in PEM form"
                    : "client certificate %s: is damaged",
             source->name);
    return -EINVAL;
}

/* Nobody is there to be asked. */
static int on_password(char *password, int size, int writing, void *arg) {
    bool *asked = arg;
    (void)password;
    (void)size;
    (void)writing;
    *asked = true;
    return -1;
}

static int parse_key(struct identity *identity, const struct source *source, char *why,
                     size_t why_size) {
    bool encrypted = false;
    BIO *from = BIO_new_mem_buf(source->bytes, (int)source->n);
    if (from == NULL) {
        snprintf(why, why_size, "key %s: out of memory", source->name);
        return -ENOMEM;
    }
    ERR_clear_error();
    identity->key = PEM_read_bio_PrivateKey(from, NULL, on_password, &encrypted);
    BIO_free(from);
    if (identity->key != NULL) {
        return 0;
    }
    ERR_clear_error();
    static const char mark[] = "PRIVATE KEY-----";
    bool none = memmem(source->bytes, source->n, mark, sizeof mark - 1) == NULL;
    snprintf(why, why_size,
             encrypted ? "key %s: is encrypted, and nobody is there to be asked for its password; "
                         "store it without one, readable by tallyd alone"
             : none    ? "key %s: holds no private key in PEM form"
                       : "key %s: is damaged",
             source->name);
    return -EINVAL;
}

/* OpenSSL's own words. */
static const char *words_of_error(void) {
    const char *words = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return words != NULL ? words : "OpenSSL does not say why";
}

static int try_out(struct identity *identity, const struct source *cert, char *why,
                   size_t why_size) {
    SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_client_method());
    if (ssl_ctx == NULL) {
        snprintf(why, why_size, "client certificate %s: out of memory", cert->name);
        return -ENOMEM;
    }
    bool usable = identity_apply(identity, ssl_ctx);
    SSL_CTX_free(ssl_ctx);
    if (!usable) {
        snprintf(why, why_size, "client certificate %s: cannot be used: %s", cert->name,
                 words_of_error());
        return -EINVAL;
    }
    return 0;
}

int identity_parse(const struct source *cert, const struct source *key,
                   struct identity **ret_identity, char *ret_why, size_t why_size) {
    struct identity *identity = calloc(1, sizeof *identity);
    if (identity == NULL) {
        snprintf(ret_why, why_size, "client certificate %s: out of memory", cert->name);
        return -ENOMEM;
    }
    identity->refs = 1;
    int r = parse_certificates(identity, cert, ret_why, why_size);
    if (r == 0) {
        r = parse_key(identity, key, ret_why, why_size);
    }
    if (r == 0 && X509_check_private_key(identity->certificate, identity->key) != 1) {
        ERR_clear_error();
        snprintf(ret_why, why_size, "client certificate %s and key %s do not belong together",
                 cert->name, key->name);
        r = -EINVAL;
    }
    if (r == 0) {
        r = try_out(identity, cert, ret_why, why_size);
    }
    if (r != 0) {
        identity_free(identity);
        return r;
    }
    *ret_identity = identity;
    return 0;
}

struct identity *identity_ref(struct identity *identity) {
    if (identity != NULL) {
        identity->refs++;
    }
    return identity;
}

void identity_free(struct identity *identity) {
    if (identity != NULL && --identity->refs == 0) {
        X509_free(identity->certificate);
        sk_X509_pop_free(identity->chain, X509_free);
        EVP_PKEY_free(identity->key);
        free(identity);
    }
}

bool identity_apply(struct identity *identity, void *ssl_ctx) {
    return SSL_CTX_use_certificate(ssl_ctx, identity->certificate) == 1 &&
           SSL_CTX_set1_chain(ssl_ctx, identity->chain) == 1 &&
           SSL_CTX_use_PrivateKey(ssl_ctx, identity->key) == 1;
}
