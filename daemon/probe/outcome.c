/* The one table of error classes. A status code needs no row: its name is its number, and it is
 * always the site's own word. */
#include "probe/outcome.h"

#include <assert.h>
#include <stddef.h>

struct class_row {
    const char *name;
    const char *help;
    bool ours; /* our own fault: says nothing about the site, so it is not judged */
};

/* By position, not by designator: a row left out anywhere changes the count that is asserted. */
static const struct class_row classes[] = {
    {"none", "The sample has not ended yet.", true},
    {"aborted", "A stop of tallyd ended the sample, or kept it from starting.", true},
    {"connect_failure", "The connection failed for a reason that has no class of its own.", false},
    {"connect_refused", "The address refused the connection.", false},
    {"connect_timeout", "The timeout ran out before there was a connection.", false},
    {"connect_unreachable", "The network said that there is no way to the address.", false},
    {"dns_failure", "The lookup of the host failed, other than by timeout or a missing name.",
     false},
    {"dns_nxdomain", "The host's name does not exist.", false},
    {"dns_timeout", "The lookup of the host did not end within its timeout.", false},
    {"empty_reply", "The connection was closed before the first byte of an answer.", false},
    {"first_byte_timeout", "The timeout ran out before the first byte of the final answer.", false},
    {"local_resource", "This machine ran out of descriptors, memory or ports.", true},
    {"not_sent", "The sample had no turn before the round's deadline.", true},
    {"protocol", "The answer is not HTTP, or is malformed.", false},
    {"proxy", "The proxy could not be used, or would not serve the request.", false},
    {"redirect", "The answer redirects in a way that cannot be followed.", false},
    {"reset", "The connection was reset by the other side.", false},
    {"tls_handshake", "The TLS handshake failed, other than over the certificate.", false},
    {"tls_timeout", "The timeout ran out during the TLS handshake.", false},
    {"tls_verify", "The server's certificate was not accepted.", false},
    {"too_large", "The heads of the answer, trailers included, exceed their limit.", false},
    {"transfer_timeout", "The timeout ran out before the answer was complete.", false},
    {"truncated", "The connection was closed in the middle of the answer.", false},
};
static_assert(sizeof classes / sizeof classes[0] == OUTCOME_CLASSES, "a row per error class");
static_assert(OUTCOME_CLASSES <= OUTCOME_STATUS_MIN, "classes and status codes share one range");

static const char *const reasons[] = {
    "none", "error", "status", "header", "body", "certificate", "latency",
};
static_assert(sizeof reasons / sizeof reasons[0] == REASON_COUNT, "a name per reason");

bool outcome_is_status(outcome_t outcome) {
    return outcome >= OUTCOME_STATUS_MIN && outcome <= OUTCOME_STATUS_MAX;
}

bool outcome_is_judged(outcome_t outcome) {
    if (outcome_is_status(outcome)) {
        return true;
    }
    assert(outcome < OUTCOME_CLASSES);
    return !classes[outcome].ours;
}

const char *outcome_class_name(outcome_t outcome) {
    return outcome < OUTCOME_CLASSES ? classes[outcome].name : NULL;
}

const char *outcome_class_help(outcome_t outcome) {
    return outcome < OUTCOME_CLASSES ? classes[outcome].help : NULL;
}

const char *reason_name(enum reason reason) {
    assert((unsigned)reason < REASON_COUNT);
    return reasons[reason];
}
