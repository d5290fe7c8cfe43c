/* Whether this machine could send to an address at all. */
#pragma once

#include "probe/probe.h"

#include <stdbool.h>

/* False only when the kernel says so: no route, or no local address of that family. Three system
 * calls, no packet. */
bool route_exists(const struct address *address);

/* Whether there is a way from here to the world: a route to where no route but the default one leads.
 * Without an answer of the kernel's, true. */
bool route_out(int family);

/* Whether this machine could send to anybody but itself: it has a way out, or an interface that is up
 * and has an address. */
bool route_anywhere(void);
