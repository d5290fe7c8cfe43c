/* From what libcurl and the kernel say of one transfer to its outcome. Pure; the one place where a
 * CURLcode becomes a class. */
#pragma once

#include "probe/outcome.h"

#include <stdbool.h>

/* How far a transfer had come, by our own stamps. */
enum progress {
    PROGRESS_CONNECT, /* no TCP connection yet; through a proxy, no tunnel */
    PROGRESS_TLS,     /* TCP done, TLS not */
    PROGRESS_REQUEST, /* ready; no byte of the final answer yet */
    PROGRESS_ANSWER,  /* some of it, perhaps all */
};

struct classify_input {
    int code; /* CURLcode; CURLE_OPERATION_TIMEDOUT when our own timer ran out */
    enum progress progress;
    int error;           /* errno of the socket call that failed; 0: none, or not known */
    bool tls;            /* the URL is https */
    bool proxied;        /* the connection is to a proxy, or through it */
    long status;         /* CURLINFO_RESPONSE_CODE */
    bool head_complete;  /* the blank line of the final head was seen */
    bool head_too_large; /* we ended it: more than the limit of head bytes */
    bool body_stopped;   /* we ended it: enough of the body was read */
    bool memory_failed;  /* our own allocator failed during the transfer */
};

outcome_t classify(const struct classify_input *input);
