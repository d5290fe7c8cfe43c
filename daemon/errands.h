/* Changes of state that one command is still to tell: a queue, the oldest first, with a pause after a
 * failed try. Pure: time is an argument. */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct errand {
    TAILQ_ENTRY(errand) link; /* the queue's */
    const char *site;         /* its name; valid as long as the errand */
    void *what;               /* the owner's */
    unsigned tries;           /* so far */
    unsigned replaced; /* older changes of the site that were not told, and for which it stands */
    nsec_t due;
};

struct errands {
    TAILQ_HEAD(, errand) waiting;
    size_t n, most;
};

void errands_init(struct errands *errands, size_t most);

/* Takes `errand` over, due at once. What has to go for it is the caller's again: the waiting one of
 * the same site, whose place it takes, or the oldest of all where there would be more than `most`. At
 * most one of the two is not NULL. */
void errands_add(struct errands *errands, struct errand *errand, nsec_t now,
                 struct errand **ret_replaced, struct errand **ret_dropped);

/* The oldest that is due, the caller's from then on; NULL: none is. */
struct errand *errands_take(struct errands *errands, nsec_t now);
bool errands_next(const struct errands *errands,
                  nsec_t *ret_at); /* when one is; false: none waits */

enum errands_fate {
    ERRANDS_AGAIN,    /* it waits again */
    ERRANDS_SPENT,    /* it was tried `most` times; the caller's */
    ERRANDS_OVERTAKEN /* a newer change of its site waits, and stands for it now; the caller's */
};
/* After a try of one that was taken has failed. */
enum errands_fate errands_retry(struct errands *errands, struct errand *errand, unsigned most,
                                nsec_t now);

/* The oldest, whenever it is due; NULL: none waits. */
struct errand *errands_pop(struct errands *errands);
