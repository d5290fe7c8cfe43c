/* Whether this machine could send to an address at all. */
#pragma once

#include "probe/probe.h"

#include <stdbool.h>

/* False only when the kernel says so: no route, or no local address of that family. Three system
 * calls, no packet. */
bool route_exists(const struct address *address);
