/* Four children a node: half as deep as a binary heap, and four nodes of 16 bytes are a cache line.
 */
#include "sampling/heap.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

enum { ARITY = 4 };

int heap_init(struct heap *heap, size_t size) {
    *heap = (struct heap){.size = size};
    heap->nodes = calloc(size + 1, sizeof *heap->nodes); /* + 1: no room is not out of memory */
    return heap->nodes == NULL ? -ENOMEM : 0;
}

void heap_clear(struct heap *heap) {
    free(heap->nodes);
    *heap = (struct heap){0};
}

static bool before(const struct heap_node *a, const struct heap_node *b) {
    return a->at != b->at ? a->at < b->at : a->site < b->site;
}

/* Puts `node` at the place `i`, or below it where it belongs. */
static void sink(struct heap *heap, size_t i, struct heap_node node) {
    for (;;) {
        size_t child = i * ARITY + 1;
        if (child >= heap->n) {
            break;
        }
        size_t end = child + ARITY < heap->n ? child + ARITY : heap->n;
        size_t least = child;
        while (++child < end) {
            if (before(&heap->nodes[child], &heap->nodes[least])) {
                least = child;
            }
        }
        if (!before(&heap->nodes[least], &node)) {
            break;
        }
        heap->nodes[i] = heap->nodes[least];
        i = least;
    }
    heap->nodes[i] = node;
}

void heap_push(struct heap *heap, nsec_t at, size_t site) {
    assert(heap->n < heap->size);
    struct heap_node node = {.at = at, .site = site};
    size_t i = heap->n++;
    while (i > 0 && before(&node, &heap->nodes[(i - 1) / ARITY])) {
        heap->nodes[i] = heap->nodes[(i - 1) / ARITY];
        i = (i - 1) / ARITY;
    }
    heap->nodes[i] = node;
}

void heap_pop(struct heap *heap) {
    assert(heap->n > 0);
    heap->n--;
    if (heap->n > 0) {
        sink(heap, 0, heap->nodes[heap->n]);
    }
}

void heap_move_top(struct heap *heap, nsec_t at) {
    assert(heap->n > 0);
    sink(heap, 0, (struct heap_node){.at = at, .site = heap->nodes[0].site});
}
