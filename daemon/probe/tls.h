/* What the TLS of a configuration's sites rests on, read with the configuration: CA bundles and
 * client certificates, each file once however many sites name it. See tls.c for what a reload
 * does. */
#pragma once

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

struct trust;
struct identity;
struct tls_set;  /* belongs to one loop at a time */
struct tls_slot; /* one bundle, or one certificate with its key, as it is now */

/* What a site's handshakes need. All zeros: nothing. */
struct tls_use {
    struct tls_slot *bundle, *client; /* references */
};

/* Reads and parses what `config` names, into `n` equal sets, one for each loop. 0, also when some
 * of it cannot be used: see tls_set_fault(); or -ENOMEM. */
int tls_sets_load(const struct config *config, size_t n, struct tls_set *ret_sets[]);
void tls_set_free(struct tls_set *set); /* what is in use lives on; NULL does nothing */

/* Why something in the set cannot be used, a sentence, from the place *at on, which is moved beyond
 * it; NULL: no more. ret_had_it: `before` (may be NULL) named the same. */
const char *tls_set_fault(const struct tls_set *set, size_t *at, const struct config *before,
                          bool *ret_had_it);

/* `set` follows `before` (NULL: nothing), which is freed. Slots of the same files stay the same,
 * and have from now on what is in `set`; where that cannot be used, what they had. */
void tls_set_follow(struct tls_set *set, struct tls_set *before);

/* What the site needs (`use` is all zeros). False: the set has not got it. */
bool tls_set_use(const struct tls_set *set, const struct config *config, const struct site *site,
                 struct tls_use *use);
void tls_use_clear(struct tls_use *use);

/* As it is now; borrowed, NULL where nothing is needed. */
struct trust *tls_use_trust(const struct tls_use *use);
struct identity *tls_use_identity(const struct tls_use *use);
