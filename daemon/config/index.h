/* Finds the elements of an array by a key that lies in them: a hash table of indices. */
#pragma once

#include "config/arena.h"

#include <stddef.h>
#include <stdint.h>

struct index_key {
    const void *bytes;
    size_t n;
};

struct index {
    uint32_t *slots; /* an index + 1; 0: free */
    size_t mask;
    struct index_key (*key_of)(const void *array, size_t i);
};

#define INDEX_NONE SIZE_MAX

/* Room for `n` elements (at most UINT32_MAX - 1), in the arena. 0 or -ENOMEM. */
int index_init(struct index *index, struct arena *arena, size_t n,
               struct index_key (*key_of)(const void *array, size_t i));
/* Element `i`, unless one with the same key is in it. Returns which has the key now. */
size_t index_add(struct index *index, const void *array, size_t i);
size_t index_find(const struct index *index, const void *array, struct index_key key);
