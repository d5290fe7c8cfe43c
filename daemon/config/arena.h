/* Memory that is freed all at once: a configuration's strings and arrays. Not thread-safe. */
#pragma once

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* all zeros is an empty arena */
};

void arena_clear(struct arena *arena);

/* Zeroed and aligned for any type; NULL: out of memory. */
void *arena_take(struct arena *arena, size_t bytes);
void *arena_take_array(struct arena *arena, size_t n, size_t bytes_each);
char *arena_copy(struct arena *arena, const char *text);
size_t arena_bytes(const struct arena *arena); /* held from the system */
