/* A text that the configuration is read from, whole in memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct source {
    char *name;  /* as the operator knows it */
    char *bytes; /* not terminated */
    size_t n;
    bool numbered;  /* a file: messages give line and column; else it is one line by itself */
    unsigned order; /* messages are sorted by it first */
    dev_t device;   /* a file's identity */
    ino_t inode;

    unsigned
        seen_line; /* where source_line() was last: a look-up of a later line goes on from it */
    size_t seen_at;
};

/* A place in it; both count from 0, the column in characters. */
struct mark {
    struct source *source;
    unsigned line, column;
};

/* Reads a regular file, which nothing changed meanwhile, of at most `most_bytes`; what
 * a larger one is, says `too_large`. Never blocks on what is no regular file. On failure *ret_why says what is wrong with it (a predicate in static
 * storage): with -EINVAL all of it, with another -errno to be followed by strerror. */
int source_read(const char *path, size_t most_bytes, const char *too_large,
                struct source **ret_source, const char **ret_why);
/* From memory, copied; NULL: out of memory. */
struct source *source_new(const char *name, const char *bytes, size_t n, bool numbered);
void source_free(struct source *source);

/* The bytes of a line without its end; an empty one past the last. */
void source_line(struct source *source, unsigned line, const char **ret_text, size_t *ret_n);

/* Looks for what may not stand in a configuration file: anything but UTF-8 text in lines that end
 * in \n or \r\n. NULL, or what is wrong (a noun in static storage) and where. */
const char *source_find_fault(struct source *source, struct mark *ret_mark);
