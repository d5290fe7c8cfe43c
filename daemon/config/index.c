#include "config/index.h"

#include "base/hash.h"

#include <errno.h>
#include <string.h>

/* the keys are the operator's own */
static uint64_t hash(struct index_key key) {
    uint64_t value = hash_bytes(HASH_BEGIN, key.bytes, key.n);
    return value ^ value >> 32;
}

int index_init(struct index *index, struct arena *arena, size_t n,
               struct index_key (*key_of)(const void *array, size_t i)) {
    size_t size = 8;
    while (size < 2 * n) { /* at most half full */
        size *= 2;
    }
    index->slots = arena_take_array(arena, size, sizeof *index->slots);
    index->mask = size - 1;
    index->key_of = key_of;
    return index->slots == NULL ? -ENOMEM : 0;
}

/* The slot of the key: with its element, or free. */
static uint32_t *find_slot(const struct index *index, const void *array, struct index_key key) {
    for (size_t at = hash(key) & index->mask;; at = (at + 1) & index->mask) {
        uint32_t *slot = &index->slots[at];
        if (*slot == 0) {
            return slot;
        }
        struct index_key other = index->key_of(array, *slot - 1);
        if (other.n == key.n && memcmp(other.bytes, key.bytes, key.n) == 0) {
            return slot;
        }
    }
}

size_t index_add(struct index *index, const void *array, size_t i) {
    uint32_t *slot = find_slot(index, array, index->key_of(array, i));
    if (*slot == 0) {
        *slot = (uint32_t)i + 1;
    }
    return *slot - 1;
}

size_t index_find(const struct index *index, const void *array, struct index_key key) {
    uint32_t slot = *find_slot(index, array, key);
    return slot == 0 ? INDEX_NONE : slot - 1;
}
