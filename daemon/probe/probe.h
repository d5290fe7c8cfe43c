/* One sample, as seen from the outside: a request to one address, and what came of it. A probe type
 * (http.c) knows how to make one; who decides when, how many and what they mean lives further down.
 */
#pragma once

#include "base/clock.h"
#include "config/config.h"
#include "probe/outcome.h"

#include <netinet/in.h>
#include <stddef.h>

struct address {
    int family;                  /* AF_INET or AF_INET6 */
    unsigned char bytes[16];     /* network order; 4 or 16 of them */
    char text[INET6_ADDRSTRLEN]; /* canonical */
};

enum phase {
    PHASE_DNS, /* of the round's lookup; a sample has none of its own */
    PHASE_CONNECT,
    PHASE_TLS,
    PHASE_FIRST_BYTE, /* from the request to the first byte of the final answer's head */
    PHASE_TRANSFER,
    PHASE_COUNT,
};
const char *phase_name(enum phase phase); /* "dns", "connect", "tls", "first_byte", "transfer" */

#define SAMPLE_NO_ADDRESS UINT16_MAX

struct sample {
    outcome_t outcome;
    uint16_t reason;     /* enum reason */
    uint16_t address;    /* index into its round's addresses, or SAMPLE_NO_ADDRESS: never started */
    uint16_t local_port; /* 0: not known */
    nsec_t at;           /* its start, after the round's; NSEC_UNKNOWN: never started */
    nsec_t took;         /* from its start to its end; NSEC_UNKNOWN: never started */
    nsec_t phases[PHASE_COUNT]; /* NSEC_UNKNOWN where not reached or not applicable */
};
