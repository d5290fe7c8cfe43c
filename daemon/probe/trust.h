/* The certificates that are trusted: one OpenSSL store for a loop and a set of CAs, instead of one
 * parsed anew for every connection (30 ms of CPU each). See trust.c for how libcurl is made to use
 * it, and nothing else; which sites share one, and when it is read anew, is tls.h's. */
#pragma once

#include <stddef.h>

struct source;
struct trust; /* belongs to one loop at a time: OpenSSL's own counts are thread-safe, libcurl's use
                 of a store is not */

/* The bundle that is meant: `file`, or for NULL SSL_CERT_FILE if set, else the system's. */
const char *trust_path(const char *file);

/* Reads that file. 0; -errno with a sentence in ret_why. */
int trust_read(const char *file, struct source **ret_source, char *ret_why, size_t why_size);
/* A PEM bundle; `file` is its name for messages. 0; -errno with a sentence in ret_why: it holds no
 * certificate, it is damaged (a certificate that does not parse refuses the whole file: half a bundle is
 * a wrong bundle). */
int trust_parse(const char *file, const char *bytes, size_t n, struct trust **ret_trust,
                char *ret_why, size_t why_size);
/* One more owner on the same loop: a sample that has yet to shake hands outlives a reload. NULL:
 * NULL. */
struct trust *trust_ref(struct trust *trust);
/* Gives up one reference; connections under way keep what they need. NULL does nothing. */
void trust_free(struct trust *trust);

/* For http.c: an SSL_CTX made by libcurl trusts this store from now on. */
void trust_apply(struct trust *trust, void *ssl_ctx);
