/* How far a redirect may lead. Pure. Internal to probe/. */
#pragma once

#include "probe/probe.h"

#include <stdbool.h>

/* Whether a redirect of that scope, of a site at `from`, may lead to `to`. */
bool scope_has(enum redirect_scope scope, const struct url *from, const struct url *to);

/* Whether an address is one that only the configuration may name, for a site at `from`: loopback and
 * link-local addresses when the site is elsewhere, private ones when it is public. Who answers for
 * a public site must not make us ask what stands in our own network. */
bool scope_is_nearer(const struct address *from, const struct address *to);
