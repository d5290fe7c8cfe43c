/* Texts that must never be seen, read from files and systemd credentials. */
#pragma once

#include "config/arena.h"
#include "config/config.h"

#include <stdbool.h>

/* Where a secret stands: one of the two. */
struct secret_origin {
    const char *file;       /* absolute */
    const char *credential; /* a name in $CREDENTIALS_DIRECTORY */
};

/* Where the next one goes. All zeros is an empty one; the arena owns the memory. */
struct secrets {
    char *room;
    size_t used, size;
    size_t all_bytes;
};

/* Reads one into memory that core files leave out and arena_clear() wipes, and sees to it that
 * this process writes no core file from now on. 0; -ENOMEM; or -EINVAL with *ret_why (a predicate
 * about *ret_path, which may live in `room`) and *ret_hint, what to do (NULL: nothing to add).
 * *ret_path is in the arena; NULL: the credential has none. */
#define SECRET_WHY_SIZE 256
int secret_read(struct secrets *secrets, struct arena *arena, const struct secret_origin *origin,
                const struct secret **ret_secret, const char **ret_path, char room[SECRET_WHY_SIZE],
                const char **ret_why, const char **ret_hint);

/* Where the origin's bytes are, in *ret_path, which lives as long as the arena and the origin. The
 * rest is as above; a credential must be there, a file is found missing when it is opened. */
int secret_find_path(struct arena *arena, const struct secret_origin *origin, const char **ret_path,
                     const char **ret_why, const char **ret_hint);

/* What to do about a file that we may not read. */
extern const char secret_unreadable[];

/* Both NULL, or of the same content. */
bool secret_is_same(const struct secret *a, const struct secret *b);
