/* One sample, as seen from the outside: a request to one address, and what came of it. A probe type
 * (follow.c) knows how to make one; who decides when, how many and what they mean lives further down.
 */
#pragma once

#include "base/clock.h"
#include "config/config.h"
#include "probe/outcome.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct address {
    int family;                  /* AF_INET or AF_INET6 */
    unsigned char bytes[16];     /* network order; 4 or 16 of them */
    char text[INET6_ADDRSTRLEN]; /* canonical */
};

enum phase {
    PHASE_DNS, /* of a round: its lookup; of a sample: those of the redirects that it followed */
    PHASE_CONNECT,
    PHASE_TLS,
    PHASE_FIRST_BYTE, /* from the request to the first byte of the final answer's head */
    PHASE_TRANSFER,
    PHASE_COUNT,
};
const char *phase_name(enum phase phase); /* "dns", "connect", "tls", "first_byte", "transfer" */

#define SAMPLE_NO_ADDRESS UINT16_MAX
#define SAMPLE_NO_BACKEND UINT16_MAX

struct sample {
    outcome_t outcome;
    uint16_t reason;     /* enum reason */
    uint16_t address;    /* index into its round's addresses, or SAMPLE_NO_ADDRESS: never started */
    uint16_t backend;    /* index into its round's backends, or SAMPLE_NO_BACKEND: did not say */
    uint16_t local_port; /* 0: not known */
    uint16_t repeated;   /* requests that libcurl sent again by itself, on a connection kept */
    nsec_t at;           /* its start, after the round's; NSEC_UNKNOWN: never started */
    nsec_t took;         /* from its start to its end; NSEC_UNKNOWN: never started */
    nsec_t phases[PHASE_COUNT]; /* NSEC_UNKNOWN where not reached or not applicable */
};

#define PROBE_WORDS_BYTES   256
#define PROBE_BACKEND_BYTES 64

/* What came of one sample, judged by its site's expectation. Valid during the callback. */
struct probe_result {
    outcome_t outcome;
    enum reason reason;
    uint16_t local_port; /* 0: not known */
    uint16_t repeated;   /* see struct sample */
    bool silent;         /* a lookup of its own failed, and no DNS server says anything */
    bool
        exhausted; /* OUTCOME_LOCAL_RESOURCE, and it was descriptors, memory or ports that ran out */
    nsec_t took;
    nsec_t phases[PHASE_COUNT];   /* of all hops together; NSEC_UNKNOWN: no hop came so far */
    nsec_t wall_certificate_ends; /* of all chains of all hops, the certificate that ends first;
                                     NSEC_UNKNOWN: none */
    /* What went wrong: the library's own words, or the expectation that was not met; escaped, empty
     * where nothing did. The request's secrets are masked here, and in the next. */
    char words[PROBE_WORDS_BYTES];
    char backend[PROBE_BACKEND_BYTES]; /* who answered, escaped and cut; empty: it did not say */
};

/* Whom a site's samples connect to, which need not be its URL's host: its proxy, or where
 * `connect_to` says. The addresses of a round are this host's. */
const char *probe_host(const struct site *site);
uint16_t probe_port(const struct site *site);

struct event_base;
struct identity;
struct resolver;
struct trust;
struct probe_engine; /* a type's state for one loop */
struct probe_lane; /* what the samples of one round share while any is in flight; costs descriptors
                    */
struct probe_run;  /* a sample in flight */

typedef void probe_on_end(const struct probe_result *result, void *arg);

struct probe_request {
    const struct site *site;       /* borrowed until the end */
    const struct address *address; /* borrowed until the end */
    /* For https; start() takes references. */
    struct trust *trust;       /* what certificates are checked against; NULL: they are not */
    struct identity *identity; /* the client certificate; NULL: none */
    /* For the hosts that redirects lead to; NULL: the site follows none. */
    struct resolver *resolver;
    uint64_t turn; /* of their addresses the sample takes that with this number, counted round */
    probe_on_end *on_end; /* once, on the loop, never from inside start() */
    void *arg;
};

/* All calls for an engine are made on the loop that it was made for. */
struct probe_type {
    int (*engine_new)(struct event_base *base, struct probe_engine **ret_engine);
    void (*engine_free)(struct probe_engine *engine); /* every lane closed */
    /* What is kept for sites that are gone from it, or have changed, is given up. */
    void (*engine_configure)(struct probe_engine *engine, const struct config *config);
    int (*lane_open)(struct probe_engine *engine, const struct site *site,
                     struct probe_lane **ret_lane);
    void (*lane_close)(struct probe_lane *lane); /* nothing in flight in it */
    /* 0 or -errno: then it never began, for want of our own resources. */
    int (*start)(struct probe_lane *lane, const struct probe_request *request,
                 struct probe_run **ret_run);
    /* Ends a sample now; its on_end is called before this returns. `forced` is its outcome;
     * OUTCOME_NONE: the timeout class of the phase that it is in. */
    void (*end)(struct probe_run *run, outcome_t forced);
};

extern const struct probe_type probe_http;

/* Process-wide: once, before any thread starts, and after the last has ended. 0 or -errno. */
int probe_global_init(void);
void probe_global_clear(void);
