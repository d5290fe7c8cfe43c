/* Runs the commands of `on_change`, on the loop that `base` is of: for each entry a queue, and one run
 * at a time. What it does, and what it gives up, it says in the log. All calls on that loop. */
#pragma once

#include "config/config.h"
#include "news.h"

#include <stdbool.h>

struct event_base;
struct teller;

#define TELLER_QUEUE_MOST 1000               /* changes that wait for one entry */
#define TELLER_STOP_LIMIT (3 * NSEC_PER_SEC) /* for what runs at a stop; then SIGTERM, */
#define TELLER_GRACE      (2 * NSEC_PER_SEC) /* and so long later, whenever that was, SIGKILL */

/* `on_ended` when all has come to its end after teller_stop(); once. NULL: out of memory. */
struct teller *teller_new(struct event_base *base, void (*on_ended)(void *arg), void *arg);
void teller_free(struct teller *teller); /* kills what runs; NULL does nothing */

/* Keeps a reference. An entry that has the command of one before is that one: it keeps its queue. Out
 * of memory: the entries before stay, and it is said. */
void teller_configure(struct teller *teller, struct config *config);
void teller_tell(struct teller *teller, struct news *news); /* takes the reference over */
void teller_stop(struct teller *teller, bool now);
