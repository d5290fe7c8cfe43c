/* The commands of `on_change`. They are run on a loop of their own, which waits for the disk that a
 * program is read from, and for nobody else. All calls on the control loop's thread. */
#pragma once

#include "config/config.h"
#include "report/change.h"

#include <stdbool.h>

struct loop;
struct on_change;

/* `on_ended` on the control loop, when on_change_stop() has come to its end. NULL: out of memory. */
struct on_change *on_change_new(struct loop *control, void (*on_ended)(void *arg), void *arg);
/* After it has ended, or was never configured; NULL does nothing. */
void on_change_free(struct on_change *on_change);

/* The entries of `config` are in force from now on. What waits for a command that is there no more is
 * given up, and said; what waits for one that stays is told as the new entry has it; one that runs
 * goes on. 0; or -errno, and all is as it was. */
int on_change_configure(struct on_change *on_change, struct config *config);

/* Has the change told by all entries that want it. What becomes of it is said in the log. */
void on_change_tell(struct on_change *on_change, const struct site *site,
                    const struct change *change);

/* Nothing is started any more. What waits is given up, and said; what runs has a few seconds, or with
 * `now` none, and no more. May be called again with `now`. */
void on_change_stop(struct on_change *on_change, bool now);
bool on_change_has_ended(const struct on_change *on_change);
/* It hangs in the start of a program, and on_change_free() would wait for it, perhaps for ever. */
bool on_change_is_stuck(const struct on_change *on_change);
