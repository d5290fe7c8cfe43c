#include "config/arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 64 * 1024 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size, used;
    alignas(max_align_t) unsigned char bytes[];
};

struct arena_owned {
    struct arena_owned *next;
    void *thing;
    void (*release)(void *thing);
};

void arena_clear(struct arena *arena) {
    for (; arena->owned != NULL; arena->owned = arena->owned->next) {
        arena->owned->release(arena->owned->thing);
    }
    while (arena->chunks != NULL) {
        struct arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk);
    }
}

static struct arena_chunk *chunk_new(size_t size) {
    struct arena_chunk *chunk = calloc(1, sizeof *chunk + size);
    if (chunk != NULL) {
        chunk->size = size;
    }
    return chunk;
}

static void *take(struct arena *arena, size_t bytes, size_t alignment) {
    struct arena_chunk *chunk = arena->chunks;
    if (chunk != NULL) {
        size_t at = (chunk->used + alignment - 1) & ~(alignment - 1);
        if (at <= chunk->size && bytes <= chunk->size - at) {
            chunk->used = at + bytes;
            return chunk->bytes + at;
        }
    }
    if (bytes > SIZE_MAX / 2) {
        return NULL;
    }
    struct arena_chunk *fresh = chunk_new(bytes > CHUNK_BYTES / 4 ? bytes : CHUNK_BYTES);
    if (fresh == NULL) {
        return NULL;
    }
    fresh->used = bytes;
    if (bytes > CHUNK_BYTES / 4 &&
        chunk != NULL) { /* what is left of the current one stays of use */
        fresh->next = chunk->next;
        chunk->next = fresh;
    } else {
        fresh->next = chunk;
        arena->chunks = fresh;
    }
    return fresh->bytes;
}

void *arena_take(struct arena *arena, size_t bytes) {
    return take(arena, bytes, alignof(max_align_t));
}

void *arena_take_array(struct arena *arena, size_t n, size_t bytes_each) {
    size_t bytes;
    if (__builtin_mul_overflow(n, bytes_each, &bytes)) {
        return NULL;
    }
    return arena_take(arena, bytes);
}

char *arena_copy(struct arena *arena, const char *text) {
    size_t n = strlen(text) + 1;
    char *copy = take(arena, n, 1);
    if (copy != NULL) {
        memcpy(copy, text, n);
    }
    return copy;
}

int arena_own(struct arena *arena, void *thing, void (*release)(void *thing)) {
    struct arena_owned *owned = arena_take(arena, sizeof *owned);
    if (owned == NULL) {
        release(thing);
        return -ENOMEM;
    }
    *owned = (struct arena_owned){arena->owned, thing, release};
    arena->owned = owned;
    return 0;
}
