/* The order of reports. Reports of one ring leave in the order in which their rounds began; rings
 * never wait for one another; a site's own reports are always in order, also when it changes its
 * ring. Pure. A place is reserved when a round begins and filled when it closes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct queue;
struct queue_ticket;

struct queue *queue_new(void); /* NULL: out of memory */
/* `discard` is called for each thing that was filled in and never popped. */
void queue_free(struct queue *queue, void (*discard)(void *thing));

/* `ring` is the interval (not the number, which changes with a reload); `site` its name, copied.
 * NULL: out of memory. */
struct queue_ticket *queue_reserve(struct queue *queue, long long ring, const char *site);
/* Fills the reserved place; NULL gives it up. The ticket is the queue's again. Ownership of `thing`
 * moves to the queue. */
void queue_fill(struct queue *queue, struct queue_ticket *ticket, void *thing);
/* The next thing that may leave, which is the caller's then; NULL: none may. */
void *queue_pop(struct queue *queue);
size_t queue_waiting(const struct queue *queue); /* filled, not popped */
