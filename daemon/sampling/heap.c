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

/* Without a branch; see least_of(). */
static bool before(const struct heap_node *a, const struct heap_node *b) {
    return (a->at < b->at) | ((a->at == b->at) & (a->site < b->site));
}

/* Of four children that are all there, in pairs: which is least is computed and not branched on, as a
 * processor would guess wrong half the time (measured: a fifth of the schedule's time). */
static_assert(ARITY == 4, "least_of() knows four");
static size_t least_of(const struct heap_node *nodes, size_t first) {
    const struct heap_node *child = nodes + first;
    size_t left = before(&child[1], &child[0]), right = 2 + (size_t)before(&child[3], &child[2]);
    return first + (before(&child[right], &child[left]) ? right : left);
}

/* Puts `node` at the place `i`, or below it where it belongs. */
static void sink(struct heap *heap, size_t i, struct heap_node node) {
    struct heap_node *nodes = heap->nodes;
    for (;;) {
        size_t child = i * ARITY + 1;
        size_t least = child;
        if (child + ARITY <= heap->n) {
            least = least_of(nodes, child);
        } else {
            if (child >= heap->n) {
                break;
            }
            while (++child < heap->n) {
                least = before(&nodes[child], &nodes[least]) ? child : least;
            }
        }
        if (!before(&nodes[least], &node)) {
            break;
        }
        nodes[i] = nodes[least];
        i = least;
    }
    nodes[i] = node;
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
