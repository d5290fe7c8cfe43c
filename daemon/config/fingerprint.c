/* Goes over what config_same_question() compares, in the same order: a setting that is added there is
 * added here.
 *
 * Secrets count by their content, and the fingerprint is written to a file that may end up in a backup
 * or a bug report. A hash of a password, however good or slow, lets whoever has it try passwords until
 * one fits. So of a secret only 16 bits of a hash count: one change in 65,536 goes unnoticed, which
 * costs no more than a site keeping its state over it; and of a million passwords some 15 fit. It is
 * the same 16 bits wherever and as often as they are written, without salt, so that many files tell no
 * more than one. The request's body, which may be a login, is treated alike. */
#include "config/config.h"

#include "base/hash.h"

#include <string.h>

static uint64_t add_number(uint64_t hash, uint64_t number) {
    unsigned char bytes[8]; /* the lowest first, on every machine */
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(number >> 8 * i);
    }
    return hash_bytes(hash, bytes, sizeof bytes);
}

static uint64_t add_bytes(uint64_t hash, const void *bytes, size_t n) {
    return hash_bytes(add_number(hash, n), bytes, n);
}

static uint64_t add_text(uint64_t hash, const char *text) {
    /* no text is not an empty one */
    return text == NULL ? add_number(hash, UINT64_MAX) : add_bytes(hash, text, strlen(text));
}

static uint64_t add_hidden(uint64_t hash, const char *bytes, size_t n) {
    if (bytes == NULL) {
        return add_number(hash, UINT64_MAX);
    }
    uint64_t of = hash_bytes(HASH_BEGIN, bytes, n);
    return add_number(hash, (of ^ of >> 16 ^ of >> 32 ^ of >> 48) & 0xffff);
}

static uint64_t add_secret(uint64_t hash, const struct secret *secret) {
    return secret == NULL ? add_hidden(hash, NULL, 0) : add_hidden(hash, secret->bytes, secret->n);
}

static uint64_t add_request(uint64_t hash, const struct request_config *request) {
    hash = add_number(hash, request->n_headers);
    for (size_t i = 0; i < request->n_headers; i++) {
        hash = add_text(hash, request->headers[i].name);
        hash = add_text(hash, request->headers[i].value);
        hash = add_secret(hash, request->headers[i].secret);
    }
    hash = add_text(hash, request->method);
    hash = add_text(hash, request->basic_user);
    hash = add_secret(hash, request->basic_password);
    hash = add_secret(hash, request->bearer);
    hash = add_text(hash, request->proxy != NULL ? request->proxy->text : NULL);
    hash = add_hidden(hash, request->body, request->body_bytes);
    return add_number(hash, request->compressed);
}

static uint64_t add_tls(uint64_t hash, const struct tls_config *tls) {
    hash = add_text(hash, tls->ca);
    hash = add_text(hash, tls->cert);
    hash = add_text(hash, tls->key);
    hash = add_text(hash, tls->server_name);
    hash = add_number(hash, tls->min_version);
    return add_number(hash, tls->verify);
}

static uint64_t add_rules(uint64_t hash, const struct rule *rules, size_t n) {
    hash = add_number(hash, n);
    for (size_t i = 0; i < n; i++) {
        hash = add_number(hash, rules[i].kind);
        hash = add_text(hash, rules[i].header);
        hash = add_text(hash, rules[i].text);
    }
    return hash;
}

static uint64_t add_expect(uint64_t hash, const struct expect_config *expect) {
    for (size_t i = 0; i < sizeof expect->status->bits / sizeof expect->status->bits[0]; i++) {
        hash = add_number(hash, expect->status->bits[i]);
    }
    hash = add_rules(hash, expect->headers, expect->n_headers);
    hash = add_rules(hash, expect->body, expect->n_body);
    hash = add_number(hash, (uint64_t)expect->latency);
    return add_number(hash, (uint64_t)expect->certificate);
}

uint64_t config_fingerprint(const struct site *site) {
    uint64_t hash = add_text(HASH_BEGIN, site->url_given);
    /* the default names the version: an upgrade is not another question */
    bool by_default = strcmp(site->user_agent, "tallyd/" TALLYD_VERSION) == 0;
    hash = add_text(hash, by_default ? NULL : site->user_agent);
    hash = add_request(hash, &site->request);
    hash = add_tls(hash, &site->tls);
    hash = add_number(hash, site->redirects.follow);
    hash = add_number(hash, site->redirects.to);
    hash = add_text(hash, site->connect_host);
    hash = add_number(hash, site->connect_port);
    return add_expect(hash, &site->expect);
}
