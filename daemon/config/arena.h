/* Memory that is freed all at once: a configuration's strings and arrays, and what else it owns. Not
 * thread-safe. */
#pragma once

#include <stddef.h>

struct arena_chunk;
struct arena_owned;

struct arena { /* all zeros is an empty one */
    struct arena_chunk *chunks;
    struct arena_owned *owned;
};

void arena_clear(struct arena *arena);

/* Zeroed and aligned for any type; NULL: out of memory. */
void *arena_take(struct arena *arena, size_t bytes);
void *arena_take_array(struct arena *arena, size_t n, size_t bytes_each);
char *arena_copy(struct arena *arena, const char *text);
/* Takes `thing` over: arena_clear() releases it, before any memory goes; on failure it is released
 * at once. 0 or -ENOMEM. */
int arena_own(struct arena *arena, void *thing, void (*release)(void *thing));
