/* What a sample saw: a status code as the server sent it (100..999), or an error class (below 100).
 * One table holds name, meaning and whose fault it is. Classes are numbered in the order of their
 * names, so that a sort by number is a sort by name. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef uint16_t outcome_t;

enum outcome {
    OUTCOME_NONE, /* not ended yet; never in a closed round */
    OUTCOME_ABORTED,
    OUTCOME_CONNECT_FAILURE,
    OUTCOME_CONNECT_REFUSED,
    OUTCOME_CONNECT_TIMEOUT,
    OUTCOME_CONNECT_UNREACHABLE,
    OUTCOME_DNS_FAILURE,
    OUTCOME_DNS_NXDOMAIN,
    OUTCOME_DNS_TIMEOUT,
    OUTCOME_EMPTY_REPLY,
    OUTCOME_FIRST_BYTE_TIMEOUT,
    OUTCOME_LOCAL_RESOURCE,
    OUTCOME_NOT_SENT,
    OUTCOME_PROTOCOL,
    OUTCOME_PROXY,
    OUTCOME_REDIRECT,
    OUTCOME_RESET,
    OUTCOME_TLS_HANDSHAKE,
    OUTCOME_TLS_TIMEOUT,
    OUTCOME_TLS_VERIFY,
    OUTCOME_TOO_LARGE,
    OUTCOME_TRANSFER_TIMEOUT,
    OUTCOME_TRUNCATED,
    OUTCOME_CLASSES, /* how many, with NONE */

    OUTCOME_STATUS_MIN = 100,
    OUTCOME_STATUS_MAX = 999,
};

/* Why a judged sample did not meet its site's expectation; exactly one, the first that applies in
 * this order. */
enum reason {
    REASON_NONE, /* it did, or it was not judged */
    REASON_ERROR,
    REASON_STATUS,
    REASON_HEADER,
    REASON_BODY,
    REASON_CERTIFICATE,
    REASON_LATENCY,
    REASON_COUNT,
};

bool outcome_is_status(outcome_t outcome);
bool outcome_is_judged(outcome_t outcome);         /* false: our own fault, never the site's */
const char *outcome_class_name(outcome_t outcome); /* of a class; NULL for a status */
const char *outcome_class_help(
    outcome_t outcome); /* when it is used, a sentence; NULL for a status */
const char *reason_name(enum reason reason);
