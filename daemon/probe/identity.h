/* Who we are to a server that asks: a client certificate with its chain and its key. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct source;
struct identity; /* belongs to one loop */

/* What stands in the two files, which may be one and the same. A key that everybody may read is
 * refused. 0, or -errno with a sentence in ret_why. The sources are the caller's, to be wiped. */
int identity_read(const char *cert, const char *key, struct source **ret_cert,
                  struct source **ret_key, char *ret_why, size_t why_size);
/* PEM: the certificate first, what issued it after it; and its key, which must not be encrypted.
 * 0, or -errno with a sentence. */
int identity_parse(const struct source *cert, const struct source *key,
                   struct identity **ret_identity, char *ret_why, size_t why_size);
/* One more owner on the same loop; NULL: NULL. */
struct identity *identity_ref(struct identity *identity);
void identity_free(struct identity *identity); /* gives up one reference; NULL does nothing */

/* For http.c: an SSL_CTX made by libcurl shows it from now on. False: OpenSSL would not have it. */
bool identity_apply(struct identity *identity, void *ssl_ctx);
