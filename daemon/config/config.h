/* The configuration: an immutable, reference-counted value. Whoever keeps a pointer into it holds a
 * reference; the last one frees everything at once. Reading YAML is reader.c's business alone, and
 * the keys, their bounds and defaults are the rows of rows.c. */
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
    ADDRESSES_EACH,   /* every address gets all N samples, and its own concurrency */
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

/* A text that must never be seen: read from a file or a systemd credential, never from the
 * configuration itself. Lies in memory of its own, wiped with the configuration. */
struct secret {
    const char *bytes; /* terminated; without the line's end; no control character */
    size_t n;
    const char *path; /* where it was read; may be shown */
};

struct header { /* of a request */
    const char *name;
    const char *value;           /* NULL: the secret's */
    const struct secret *secret; /* NULL: a plain value */
};

/* What a sample asks beyond its URL. */
struct request_config {
    const char *method; /* NULL: GET, or POST where there is a body */
    const struct header *headers;
    size_t n_headers;
    const char *body; /* NULL: none; not terminated */
    size_t body_bytes;
    const char *body_path;  /* where it was read; NULL: it stands in the configuration */
    const char *basic_user; /* NULL: no basic authentication */
    const struct secret *basic_password;
    const struct secret *bearer; /* NULL: none */
    struct url *proxy;           /* http only; NULL: none (never from the environment) */
    bool compressed;             /* ask for a compressed answer, and unpack it */
};

enum tls_version {
    TLS_VERSION_1_0,
    TLS_VERSION_1_1,
    TLS_VERSION_1_2,
    TLS_VERSION_1_3,
};

struct tls_config {
    const char *ca;          /* PEM bundle instead of the configuration's; NULL: that */
    const char *cert, *key;  /* client certificate (chain) and its key, PEM; both or none */
    const char *server_name; /* for SNI and verification; NULL: the URL's host */
    enum tls_version min_version;
    bool verify;
};

enum connection_mode {
    CONNECTION_FRESH, /* one for each sample */
    CONNECTION_REUSE, /* the site keeps its connections from sample to sample and round to round */
};

/* Descriptors that a worker holds for kept connections between rounds, of all sites together; and
 * connections that a round may keep idle beside those in use. */
#define CONNECTIONS_KEPT_MOST 512
#define CONNECTIONS_IDLE_MOST 16

struct pattern; /* base/pattern.h */

enum rule_kind {
    RULE_PRESENT, /* headers only, as the next */
    RULE_ABSENT,
    RULE_EQUALS,
    RULE_CONTAINS,
    RULE_MATCHES,
    RULE_NOT_MATCHES,
};

/* One expectation of a header's value, or of the body. */
struct rule {
    enum rule_kind kind;
    const char *header;            /* NULL: the body */
    const char *text;              /* as written; NULL: RULE_PRESENT, RULE_ABSENT */
    const struct pattern *pattern; /* RULE_MATCHES, RULE_NOT_MATCHES */
};

/* What an answer must be. */
struct expect_config {
    const struct status_set *status;
    const struct rule *headers; /* in the order in which they are asked */
    size_t n_headers;
    const struct rule *body;
    size_t n_body;
    nsec_t latency;     /* a sample takes less than this; 0: any */
    nsec_t certificate; /* it is valid for at least so long; 0: any */
};

enum redirect_scope {
    REDIRECT_SAME_ORIGIN, /* scheme, host and port stay */
    REDIRECT_SAME_SITE,   /* the registrable domain stays (public suffix list) */
    REDIRECT_ANY,
};

struct redirects_config {
    unsigned follow; /* hops at most; 0: a redirect is the outcome */
    enum redirect_scope to;
};

/* How counts become a state: the rule of report/verdict.c. */
struct health_config {
    unsigned forgive;     /* good samples that make up for one failure */
    unsigned degraded_at; /* failures that fill the bucket, in thousandths */
    unsigned round_max;   /* failures that one round adds at most, in thousandths */
    unsigned down_at;     /* share of a round's samples, in thousandths */
    unsigned down_rounds; /* 0: two, or three where a round is small */
};
bool config_same_health(const struct health_config *a, const struct health_config *b);

/* What names the server behind an address: one of the two, or none. */
struct backend_config {
    const char *header;
    const char *cookie;
};

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
    struct request_config request;
    struct tls_config tls;
    enum connection_mode connection;
    struct expect_config expect;
    struct redirects_config redirects;
    struct backend_config backend;
    struct health_config health;
    const char *connect_host; /* connect there instead of to the URL's host; NULL: to that */
    uint16_t connect_port;    /* 0: the URL's */
};

enum sink_kind {
    SINK_FILE,
    SINK_STDOUT,
    SINK_JOURNAL,
};

enum sink_only {
    SINK_ONLY_ALL,
    SINK_ONLY_FAILED,  /* reports with a failed sample; events and losses too */
    SINK_ONLY_CHANGES, /* reports of rounds that changed the site's state; events and losses too */
};

struct sink_config {
    enum sink_kind kind;
    const char *path;   /* NULL unless SINK_FILE */
    const char *format; /* "text", "line" or "json"; "journal": SINK_JOURNAL */
    enum sink_only only;
};

enum on_change_state { /* that a site's state may have changed to */
                       ON_CHANGE_DOWN,
                       ON_CHANGE_DEGRADED,
                       ON_CHANGE_UP,
                       ON_CHANGE_PAUSED,
                       ON_CHANGE_STATES,
};

/* A command that is run at changes of a site's state. */
struct on_change_config {
    const char *const *command; /* its words; the first is an absolute path; ends with NULL */
    unsigned when;              /* a bit for each enum on_change_state */
    nsec_t timeout;
    unsigned tries; /* that one change is worth */
};

struct config {
    struct site *sites; /* in configuration order, disabled ones too */
    size_t n_sites;
    nsec_t *ring_intervals;
    size_t n_rings;
    struct sink_config *sinks;
    size_t n_sinks;
    struct on_change_config *on_change;
    size_t n_on_change;
    char **resolver_servers; /* "ADDRESS" or "ADDRESS:PORT" or "[V6]:PORT"; none: the system's */
    size_t n_resolver_servers;
    nsec_t resolver_timeout; /* of one try */
    unsigned resolver_tries;
    const char *status_listen; /* as in base/endpoint.h; NULL: no status server */
    unsigned max_in_flight;    /* samples, over all workers */
    unsigned workers;
    int64_t max_removed;    /* -1: not given */
    const char *state_file; /* absolute, or NULL: in systemd's state directory, if there is one */
    const char *canary;     /* the site that must be reachable from here; NULL: none */
    const char *ca_file;    /* PEM bundle, or NULL: the system's (see probe/trust.h) */
    struct config_private *private_;
};

struct config *config_ref(struct config *config); /* thread-safe; returns its argument */
void config_unref(struct config *config);         /* thread-safe; NULL does nothing */

/* The site of that name, or NULL. O(1). */
const struct site *config_find(const struct config *config, const char *name);

/* The name of the site that was probably meant by one that is none, or NULL. */
const char *config_nearest(const struct config *config, const char *name);

/* Whether samples of the one can be judged together with samples of the other: the same is asked
 * (URL, request, TLS, redirects, where to connect; secrets by their content) and expected. */
bool config_same_question(const struct site *a, const struct site *b);

/* The same for sites of two processes: equal where config_same_question() holds, and, but for one in
 * 65,536 where only a secret or a body differs, only there. The User-Agent that names this version is
 * that of any version. Tells nobody a secret. */
uint64_t config_fingerprint(const struct site *site);

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

/* The same for who only asks about the sites and sends nothing: no secret is looked for, and all are
 * empty; a path that a credential would have is its name. */
int config_load_without_secrets(const char *path, struct config_messages *ret_messages,
                                struct config **ret_config);

/* As config_load(), but from memory, for tests and fuzzing; `include` is an error there. */
int config_load_memory(const char *name, const char *bytes, size_t n,
                       struct config_messages *ret_messages, struct config **ret_config);

struct key; /* config/keys.h */

/* A setting of the command line, as its key's value stands in a file, but for these: headers are
 * "Name: value" or "Name;", one a setting, statuses may be separated by commas, rules of the body are
 * one a setting too, and connect_to is curl's HOST1:PORT1:HOST2:PORT2. Of others the last one counts.
 */
struct config_setting {
    const struct key *key; /* that may stand in a site, or in a section of it */
    const char *origin;    /* what messages call it: "--request" */
    const char *value;
};

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
    const struct config_setting *settings; /* of all sites */
    size_t n_settings;
};
int config_from_urls(const struct config_urls *urls, struct config_messages *ret_messages,
                     struct config **ret_config);

/* The same for sites of a configuration, disabled ones too, in the order of the names: `urls` is for
 * its samples, concurrency, max_in_flight, timeout and format alone, which replace the sites' own where
 * they are given. 0; -ENOMEM; -ENOENT with the unknown name, and the one that was probably meant or
 * NULL. */
int config_once(struct config *config, const char *const *names, size_t n,
                const struct config_urls *urls, struct config **ret_once, const char **ret_unknown,
                const char **ret_nearest);

/* "250ms", "5s", "5m", "2h", "1d", "1.5s"; one number, one unit. 0 or -EINVAL. With `bare_seconds`
 * a number without a unit is seconds (the command line's rule). */
int config_parse_duration(const char *text, bool bare_seconds, nsec_t *ret_duration);
