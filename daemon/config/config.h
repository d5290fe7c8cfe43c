/* The configuration: an immutable, reference-counted value. Whoever keeps a pointer into it holds a
 * reference; the last one frees everything at once. Reading YAML is reader.c's business alone, and
 * the keys, their bounds and defaults are the rows of keys.c. */
#pragma once

#include "base/clock.h"
#include "base/url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum addresses_mode {
    ADDRESSES_ROTATE, /* sample k of round r goes to address (r * N + k) mod n */
    ADDRESSES_FIRST,  /* the first by bytes, always */
};

enum family {
    FAMILY_ANY,
    FAMILY_IPV4,
    FAMILY_IPV6,
};

struct label {
    const char *name; /* [A-Za-z_][A-Za-z0-9_]* */
    const char *value;
};

/* Status codes 100..999 that meet an expectation, a bit each. */
struct status_set {
    uint64_t bits[15];
};
bool status_set_has(const struct status_set *set, unsigned status);

struct site {
    const char *name; /* unique in its configuration */
    struct url url;
    const char *url_given; /* as the operator wrote it: what reports show */
    const struct label *labels;
    size_t n_labels;
    bool enabled;
    bool spread_given, deadline_given, timeout_given; /* explicit, or lowered silently to fit */

    nsec_t interval;
    nsec_t timeout;     /* one sample's whole life */
    nsec_t dns_timeout; /* one round's lookup */
    nsec_t deadline;    /* one round's whole life; at most the interval */
    nsec_t spread;      /* over which a round's samples start; 0 is a burst */
    unsigned samples;   /* planned in a round */
    unsigned concurrency;
    unsigned ring; /* sites of one interval share it; numbered from 0 in order of appearance */

    enum addresses_mode addresses;
    enum family family;
    size_t body_limit_bytes;
    const char *user_agent;
    const struct status_set *expect_status;
};

enum sink_kind {
    SINK_FILE,
    SINK_STDOUT,
};

enum sink_only {
    SINK_ONLY_ALL,
    SINK_ONLY_FAILED,  /* reports with a failed sample; events and losses too */
    SINK_ONLY_CHANGES, /* reports of rounds that changed the site's state; events and losses too */
};

struct sink_config {
    enum sink_kind kind;
    const char *path;   /* NULL unless SINK_FILE */
    const char *format; /* "text", "line" or "json" */
    enum sink_only only;
};

struct config {
    struct site *sites; /* in configuration order, disabled ones too */
    size_t n_sites;
    nsec_t *ring_intervals;
    size_t n_rings;
    struct sink_config *sinks;
    size_t n_sinks;
    char **resolver_servers; /* "ADDRESS" or "ADDRESS:PORT" or "[V6]:PORT"; none: the system's */
    size_t n_resolver_servers;
    nsec_t resolver_timeout; /* of one try */
    unsigned resolver_tries;
    unsigned max_in_flight; /* samples, over all workers */
    unsigned workers;
    int64_t max_removed; /* -1: not given */
    const char *ca_file; /* PEM bundle, or NULL: the system's (see probe/trust.h) */
    struct config_private *private_;
};

struct config *config_ref(struct config *config); /* thread-safe; returns its argument */
void config_unref(struct config *config);         /* thread-safe; NULL does nothing */

/* The site of that name, or NULL. O(1). */
const struct site *config_find(const struct config *config, const char *name);

/* What reading found out, in order of appearance; each entry is complete and printable (several
 * lines: "FILE:LINE:COLUMN: error: …", the line, the caret, a hint), ending in a newline. */
struct config_messages {
    char **errors;
    size_t n_errors;
    char **warnings;
    size_t n_warnings;
};
void config_messages_clear(struct config_messages *messages);
void config_messages_print(const struct config_messages *messages, FILE *to); /* errors, warnings */

/* Reads and checks a file with all its includes. 0 with *ret_config (one reference) and perhaps
 * warnings; -EINVAL with at least one error; -ENOMEM, with what was found until then. */
int config_load(const char *path, struct config_messages *ret_messages, struct config **ret_config);

/* The same from memory; `include` is an error there. */
int config_load_memory(const char *name, const char *bytes, size_t n,
                       struct config_messages *ret_messages, struct config **ret_config);

/* A configuration for `tallyd sample`: one ring, spread 0, one sink on stdout, no two names equal
 * (the same URL may come twice). Negative or zero settings mean the default. */
struct config_urls {
    const char *const *urls;
    const char *const
        *origins; /* where each URL stands, for messages: "argument 2", "sites.txt:7" */
    size_t n_urls;
    unsigned samples, concurrency, max_in_flight;
    nsec_t timeout;
    const char *format;
    const char *ca_file;
};
int config_from_urls(const struct config_urls *urls, struct config_messages *ret_messages,
                     struct config **ret_config);

/* "250ms", "5s", "5m", "2h", "1d", "1.5s"; one number, one unit. 0 or -EINVAL. With `bare_seconds`
 * a number without a unit is seconds (the command line's rule). */
int config_parse_duration(const char *text, bool bare_seconds, nsec_t *ret_duration);
