/* A configuration file is read once, whole, and never looked at again: what was checked is what is
 * used. Its size, time and identity before and after the reading must agree, so that the half of a
 * file that somebody is writing is not taken for the file. (A writer who changes bytes in place,
 * within the file system's clock tick and without changing the size, is not noticed.) */
#include "config/source.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct source *source_new(const char *name, const char *bytes, size_t n, bool numbered) {
    struct source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return NULL;
    }
    source->numbered = numbered;
    source->n = n;
    source->name = strdup(name);
    source->bytes = malloc(n + 1); /* one more: never of size 0 */
    if (source->name == NULL || source->bytes == NULL) {
        source_free(source);
        return NULL;
    }
    if (bytes != NULL) {
        memcpy(source->bytes, bytes, n);
    }
    return source;
}

void source_free(struct source *source) {
    if (source == NULL) {
        return;
    }
    free(source->name);
    free(source->bytes);
    free(source);
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Fills source->bytes; one byte more is asked for than there should be, to see a file grow. */
static int read_all(int fd, struct source *source, const char **ret_why) {
    size_t got = 0;
    while (got < source->n + 1) {
        ssize_t n = read(fd, source->bytes + got, source->n + 1 - got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            *ret_why = "cannot be read";
            return -errno;
        }
        if (n == 0) {
            break;
        }
        got += (size_t)n;
    }
    if (got != source->n) {
        *ret_why = "changed while it was being read; try again";
        return -EINVAL;
    }
    return 0;
}

static int read_open(int fd, const char *path, size_t most_bytes, const char *too_large,
                     struct source **ret_source, const char **ret_why) {
    struct stat before, after;
    if (fstat(fd, &before) != 0) {
        *ret_why = "cannot be read";
        return -errno;
    }
    *ret_why = S_ISDIR(before.st_mode)              ? "is a directory"
               : !S_ISREG(before.st_mode)           ? "is not a regular file"
               : before.st_size > (off_t)most_bytes ? too_large
                                                    : NULL;
    if (*ret_why != NULL) {
        return -EINVAL;
    }
    struct source *source = source_new(path, NULL, (size_t)before.st_size, true);
    if (source == NULL) {
        *ret_why = "cannot be read";
        return -ENOMEM;
    }
    source->device = before.st_dev;
    source->inode = before.st_ino;
    int r = read_all(fd, source, ret_why);
    /* by its path this time: the file may have been replaced by another */
    if (r == 0 && (stat(path, &after) != 0 || !same_file(&before, &after))) {
        *ret_why = "changed while it was being read; try again";
        r = -EINVAL;
    }
    if (r < 0) {
        source_free(source);
        return r;
    }
    *ret_source = source;
    return 0;
}

int source_read(const char *path, size_t most_bytes, const char *too_large,
                struct source **ret_source, const char **ret_why) {
    /* O_NONBLOCK: opening a FIFO nobody writes to would wait for ever */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        *ret_why = "cannot be opened";
        return -errno;
    }
    int r = read_open(fd, path, most_bytes, too_large, ret_source, ret_why);
    close(fd);
    return r;
}

void source_line(struct source *source, unsigned line, const char **ret_text, size_t *ret_n) {
    if (line < source->seen_line) {
        source->seen_line = 0;
        source->seen_at = 0;
    }
    const char *end = source->bytes + source->n;
    const char *at = source->bytes + source->seen_at;
    while (source->seen_line < line) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (newline == NULL) {
            *ret_text = end;
            *ret_n = 0;
            return;
        }
        at = newline + 1;
        source->seen_line++;
        source->seen_at = (size_t)(at - source->bytes);
    }
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    size_t n = (size_t)((newline != NULL ? newline : end) - at);
    if (newline != NULL && n > 0 && at[n - 1] == '\r') {
        n--;
    }
    *ret_text = at;
    *ret_n = n;
}

static bool line_is_safe(const char *text, size_t n) {
    while (n > 0) {
        const char *tab = memchr(text, '\t', n);
        size_t part = tab != NULL ? (size_t)(tab - text) : n;
        if (!text_is_safe(text, part)) {
            return false;
        }
        part += tab != NULL ? 1 : 0;
        text += part;
        n -= part;
    }
    return true;
}

/* The first character of an unsafe line that is not safe: its byte; *ret_column is its place. */
static unsigned char first_unsafe(const char *text, size_t n, unsigned *ret_column) {
    size_t at = 0;
    for (unsigned column = 0;; column++) {
        size_t length = text[at] == '\t' ? 0 : 1;
        while (length > 0 && !text_is_safe(text + at, length)) {
            length++;
            if (length > 4 || at + length > n) {
                *ret_column = column;
                return (unsigned char)text[at];
            }
        }
        at += length > 0 ? length : 1;
    }
}

const char *source_find_fault(struct source *source, struct mark *ret_mark) {
    *ret_mark = (struct mark){.source = source};
    const char *at = source->bytes;
    const char *end = at + source->n;
    if (source->n >= 2 && (memcmp(at, "\xff\xfe", 2) == 0 || memcmp(at, "\xfe\xff", 2) == 0)) {
        return "UTF-16; the file must be UTF-8";
    }
    if (source->n >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) {
        at += 3; /* a byte order mark */
    }
    for (; at < end; ret_mark->line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((newline != NULL ? newline : end) - at);
        size_t shown = newline != NULL && n > 0 && at[n - 1] == '\r' ? n - 1 : n;
        if (!line_is_safe(at, shown)) {
            unsigned char byte = first_unsafe(at, shown, &ret_mark->column);
            return byte == 0                     ? "a NUL byte"
                   : byte < 0x20 || byte == 0x7f ? "a control character"
                                                 : "an invisible control character, or a byte that "
                                                   "is not UTF-8";
        }
        at += n + (newline != NULL ? 1 : 0);
    }
    return NULL;
}
