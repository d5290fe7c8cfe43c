/* How a round's time limits fit one another and the interval. Pure. */
#pragma once

#include "config/config.h"

/* The time that a round takes at the most when nothing bounds it: its look-up and all its samples
 * run into their timeouts. */
nsec_t timing_need(const struct site *site);

/* Works out spread and deadline where they are not given, and lowers the default timeout and
 * dns_timeout to what bounds them. What is given is left alone. */
void timing_settle(struct site *site, bool dns_timeout_given);

/* How many of a round's samples could not start before the deadline if each of them ran into its
 * timeout (and the look-up took no time), with that concurrency. */
unsigned timing_unsent(const struct site *site, unsigned concurrency);
/* The smallest concurrency that leaves none unsent; 0: there is none. */
unsigned timing_enough(const struct site *site);
