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
void loop_run(struct loop *loop);  /* in the calling thread, until loop_stop(); may come again */
void loop_stop(struct loop *loop); /* from any thread; loop_run() returns after the turn at hand */
void loop_join(struct loop *loop); /* waits for the end of a started loop; else does nothing */

/* From any thread, in order per sender. Mail posted to a loop that has stopped stays in its mailbox
 * until loop_free(). */
void loop_post(struct loop *loop, struct mail *mail);

/* How late the loop is: the time by which its own timer, due five times a second, came late when it last
 * came, or is overdue now. From any thread; 0 before it runs. */
nsec_t loop_lag(const struct loop *loop);
/* When that timer came last; 0: it does not run. From any thread. */
nsec_t loop_turned(const struct loop *loop);

/* A loop that has not turned for so long was away: the process was stopped or starved, or a callback
 * of its own held it up. What it should have heard meanwhile it hears too late. */
#define LOOP_AWAY (1 * NSEC_PER_SEC)

/* On the loop's own thread. The absence that ended last, if it ended after `since`: its length; 0: there
 * was none. An absence has ended with the first thing that is done after it, so that whatever begins
 * then, and asks with the time of its beginning, is not touched by it. */
nsec_t loop_absence(struct loop *loop, nsec_t since);

struct timeval loop_timeval(nsec_t duration); /* for libevent; a negative duration becomes 0 */
