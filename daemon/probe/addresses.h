/* The addresses that a name has, as they come in. Internal to probe/. */
#pragma once

#include "probe/probe.h"

#include <stdbool.h>
#include <stddef.h>

enum { ADDRESSES_MOST = 256 }; /* the first by bytes; more are not sampled */

struct addresses { /* all zeros is an empty list */
    struct address *list;
    size_t n;
};

/* `bytes` are 4 or 16, by the family. One that is known already and the unspecified address (a sinkhole's
 * answer: the kernel would connect to ourselves), also as ::ffff:0.0.0.0, are passed over; beyond the
 * most, the last by bytes is. 0 or -ENOMEM. */
int addresses_add(struct addresses *addresses, int family, const void *bytes);
/* The address that `text` spells. 0; -EINVAL: it is none; -ENOMEM. */
int addresses_add_literal(struct addresses *addresses, const char *text);
void addresses_clear(struct addresses *addresses);

/* Where there are addresses of both families and one of them has no route on this machine, leaves
 * that family out and says so. Where there are only those, they stay: samples say what happens. */
void addresses_leave_out_unrouted(struct addresses *addresses, bool *ret_left_out_ipv4,
                                  bool *ret_left_out_ipv6);
/* By bytes, IPv4 first: so that turns go on from round to round. */
void addresses_sort(struct addresses *addresses);
