/* A loop: one event base, one mailbox, and the thread that runs them. Loops share nothing; what
 * crosses from one to another is a mail whose ownership moves with it. */
#pragma once

#include "base/clock.h"

#include <stddef.h>

struct event_base;
struct timeval;

/* Embedded in a message as its first member, so that posting needs no memory and cannot fail. */
struct mail {
    struct mail *next; /* the mailbox's, while it is under way */
    /* Called on the receiving loop, which owns the message from then on. */
    void (*deliver)(struct mail *mail, void *receiver);
};

/* Once, before the first loop: what libevent has to say goes to our log, and where it would exit(1)
 * the process ends with status 3. */
void loop_prepare(void);

struct loop;

/* `name` (at most 15 bytes) names the thread in ps and in a debugger; `receiver` is handed to every
 * deliver(). 0, or -errno (-ENOMEM, -EMFILE). */
int loop_new(const char *name, void *receiver, struct loop **ret_loop);
/* The loop must not be running. Mail that was not delivered is delivered now, on this thread, so
 * that its owner can free it. */
void loop_free(struct loop *loop);

struct event_base *loop_base(struct loop *loop); /* borrowed; for use on the loop's own thread */

int loop_start(struct loop *loop); /* in a thread of its own, all signals blocked; 0 or -errno */
void loop_run(struct loop *loop);  /* in the calling thread, until loop_stop() */
void loop_stop(struct loop *loop); /* from any thread; loop_run() returns after the turn at hand */
void loop_join(struct loop *loop); /* waits for the end of a started loop; else does nothing */

/* From any thread, in order per sender. Mail posted to a loop that has stopped stays in its mailbox
 * until loop_free(). */
void loop_post(struct loop *loop, struct mail *mail);

struct timeval loop_timeval(nsec_t duration); /* for libevent; a negative duration becomes 0 */
