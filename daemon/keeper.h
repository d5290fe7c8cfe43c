/* Keeps what is known of the sites: restores it at the start, and writes it from time to time and at
 * the stop, without ever making the control loop wait for a disk. All calls on the control loop's
 * thread. */
#pragma once

#include "base/clock.h"
#include "watch.h"

#include <stdbool.h>

struct event_base;
struct keeper;

/* Takes the file and reads it, which may block: before the loops run. `watched` is asked for what to
 * keep, whenever it is time to. What cannot be read, or written, is said, and is no failure. 0 or
 * -errno. */
int keeper_new(const char *path, struct event_base *base,
               const struct watch_list *(*watched)(void *arg), void *arg,
               struct keeper **ret_keeper);
/* Does not wait for a disk that does not answer. NULL does nothing. */
void keeper_free(struct keeper *keeper);

/* Gives the list what was read, once, and says in one message what became of it. NULL does nothing. */
void keeper_restore(struct keeper *keeper, struct watch_list *list);

/* Something changed that is worth keeping. NULL does nothing. */
void keeper_touch(struct keeper *keeper);

/* Writes what there is to keep for the last time, and waits at most `limit` for it; says so when it
 * was not kept. NULL does nothing. */
void keeper_finish(struct keeper *keeper, nsec_t limit);
