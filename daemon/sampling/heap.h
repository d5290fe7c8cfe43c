/* Sites by the time when each is to be looked at, the earliest on top; at equal times in the order
 * of the configuration. Pure. */
#pragma once

#include "base/clock.h"

#include <stddef.h>

struct heap_node {
    nsec_t at;
    size_t site; /* index */
};

struct heap {
    struct heap_node *nodes; /* [0] is on top */
    size_t n;
    size_t size; /* allocated */
};

int heap_init(struct heap *heap, size_t size); /* room for that many; 0 or -ENOMEM */
void heap_clear(struct heap *heap);

void heap_push(struct heap *heap, nsec_t at, size_t site); /* there must be room */
void heap_pop(struct heap *heap);                          /* not from an empty one */
void heap_move_top(struct heap *heap, nsec_t at);          /* gives the top another time */
