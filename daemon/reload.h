/* Reading the configuration anew, aside: on a thread of its own, so that a slow disk or the parsing of
 * 100,000 sites moves no round's start. Comparing and applying it is the control loop's, and costs it
 * time in proportion to the number of sites. */
#pragma once

#include "base/loop.h"
#include "config/config.h"
#include "engine.h"

struct reload;

/* What was read. */
struct reload_result {
    struct config *config; /* a reference, the receiver's; NULL: it cannot be used */
    struct config_messages messages;
    struct engine_trust trust; /* the receiver's; empty (n = 0): out of memory */
};

/* Starts reading; `done` on `control` with the result, which it empties. 0 or -errno. */
int reload_start(const char *path, unsigned workers, struct loop *control,
                 void (*done)(struct reload_result *result, void *arg), void *arg,
                 struct reload **ret_reload);
/* Waits for the reading to end; `done` will not be called any more. NULL does nothing. */
void reload_abandon(struct reload *reload);
/* From `done` on; or after reload_abandon() and the end of `control`, whose mailbox may still hold
 * it. NULL does nothing. */
void reload_free(struct reload *reload);
