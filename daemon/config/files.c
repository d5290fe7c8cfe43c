/* The file that was named, then those that it includes, in the order of its list. Each is read once
 * into memory before anything is made of it; an included one includes nothing itself.
 *
 * A byte order mark and lines that end in \r\n are accepted; other encodings than UTF-8 are not. */
#include "config/files.h"

#include "config/reader.h"
#include "config/source.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILES_MOST = 10000,
    FILES_BYTES = 64 * 1024 * 1024, /* of all together */
};

static const char not_ours[] = "the user that tallyd runs as must be able to read it";
static const char too_large[] = "is too large; all files together may have 64 MiB";

/* Text without an end of its last line may be the beginning of a longer text. */
static void check_last_line(struct draft *draft, struct source *source) {
    if (source->n == 0 || source->bytes[source->n - 1] == '\n') {
        return;
    }
    struct mark mark = {.source = source};
    for (size_t i = 0; i < source->n; i++) {
        bool ends = source->bytes[i] == '\n';
        mark.line += ends;
        mark.column = ends ? 0 : mark.column + (((unsigned char)source->bytes[i] & 0xc0) != 0x80);
    }
    messages_add(&draft->messages, MESSAGE_WARNING, mark,
                 "if its end is missing, put it there; if not, end the last line",
                 "no newline at the end of the file; is it whole?");
}

/* Takes `source` over. 0 or -ENOMEM. */
static int read_source(struct draft *draft, struct source *source, bool included) {
    struct source **sources =
        reallocarray(draft->sources, draft->n_sources + 1, sizeof(struct source *));
    if (sources == NULL) {
        source_free(source);
        return -ENOMEM;
    }
    draft->sources = sources;
    source->order = (unsigned)draft->n_sources;
    draft->sources[draft->n_sources++] = source;

    struct mark fault_mark;
    const char *fault = source_find_fault(source, &fault_mark);
    if (fault != NULL) {
        messages_add(&draft->messages, MESSAGE_ERROR, fault_mark, NULL, "there is %s", fault);
        return 0;
    }
    check_last_line(draft, source);
    return reader_read(source, included, draft);
}

static size_t bytes_left(const struct draft *draft) {
    size_t used = 0;
    for (size_t i = 0; i < draft->n_sources; i++) {
        used += draft->sources[i]->n;
    }
    return used < FILES_BYTES ? FILES_BYTES - used : 0;
}

static const struct source *find_source(const struct draft *draft, const struct source *other) {
    for (size_t i = 0; i < draft->n_sources; i++) {
        if (draft->sources[i]->device == other->device &&
            draft->sources[i]->inode == other->inode) {
            return draft->sources[i];
        }
    }
    return NULL;
}

/* One included file; faults of the file as such are shown where it is included. */
static int include_file(struct draft *draft, struct mark mark, const char *path) {
    if (draft->n_sources >= FILES_MOST) {
        messages_add(&draft->messages, MESSAGE_ERROR, mark, "put the sites of several into one",
                     "more than %d files", FILES_MOST);
        return 0;
    }
    struct source *source;
    const char *why;
    int r = source_read(path, bytes_left(draft), too_large, &source, &why);
    if (r == -ENOMEM) {
        return r;
    }
    if (r < 0) {
        messages_add(&draft->messages, MESSAGE_ERROR, mark, r == -EACCES ? not_ours : NULL,
                     "\"%s\" %s%s%s", path, why, r == -EINVAL ? "" : ": ",
                     r == -EINVAL ? "" : strerror(-r));
        return 0;
    }
    const struct source *same = find_source(draft, source);
    if (same != NULL) {
        messages_add(&draft->messages, MESSAGE_ERROR, mark, "include it once",
                     "\"%s\" is read already, as %s", path, same->name);
        source_free(source);
        return 0;
    }
    return read_source(draft, source, true);
}

/* A directory that is not there holds no match; one that cannot be searched is an error. */
static int on_glob_error(const char *path, int error) {
    (void)path;
    return error != ENOENT && error != ENOTDIR;
}

static int include_pattern(struct draft *draft, struct mark mark, const char *pattern) {
    glob_t found;
    int r = glob(pattern, 0, on_glob_error, &found); /* sorted */
    if (r == GLOB_NOMATCH) {
        return 0;
    }
    if (r != 0) {
        if (r == GLOB_NOSPACE) {
            return -ENOMEM;
        }
        messages_add(&draft->messages, MESSAGE_ERROR, mark, NULL,
                     "a directory of \"%s\" cannot be "
                     "searched: %s",
                     pattern, strerror(errno));
        return 0;
    }
    for (size_t i = 0; i < found.gl_pathc && r == 0; i++) {
        r = include_file(draft, mark, found.gl_pathv[i]);
    }
    globfree(&found);
    return r;
}

/* `text` below `directory` ("" or ending in a slash); with `quoted`, the directory's own bytes
 * mean themselves in a pattern. NULL: out of memory. */
static char *below(const char *directory, const char *text, bool quoted) {
    char *path = malloc(2 * strlen(directory) + strlen(text) + 1);
    if (path == NULL) {
        return NULL;
    }
    size_t n = 0;
    for (const char *at = directory; *at != '\0' && *text != '/'; at++) {
        if (quoted && strchr("*?[]\\", *at) != NULL) {
            path[n++] = '\\';
        }
        path[n++] = *at;
    }
    strcpy(path + n, text);
    return path;
}

static int include_all(struct draft *draft, const char *directory) {
    int r = 0;
    for (size_t i = 0; i < draft->includes.n && r == 0; i++) {
        const struct draft_text *include = &draft->includes.list[i];
        bool is_pattern = strpbrk(include->text, "*?[") != NULL;
        char *path = below(directory, include->text, is_pattern);
        if (path == NULL) {
            return -ENOMEM;
        }
        r = is_pattern ? include_pattern(draft, include->mark, path)
                       : include_file(draft, include->mark, path);
        free(path);
    }
    return r;
}

int files_read(const char *path, struct draft *draft) {
    struct source *source;
    const char *why;
    int r = source_read(path, FILES_BYTES, too_large, &source, &why);
    if (r == -ENOMEM) {
        return r;
    }
    if (r < 0) {
        messages_add_whole(&draft->messages, MESSAGE_ERROR, path, "%s%s%s%s%s", why,
                           r == -EINVAL ? "" : ": ", r == -EINVAL ? "" : strerror(-r),
                           r == -EACCES ? "; " : "", r == -EACCES ? not_ours : "");
        return 0;
    }
    const char *slash = strrchr(path, '/');
    char *directory = strndup(path, slash != NULL ? (size_t)(slash - path) + 1 : 0);
    if (directory == NULL) {
        source_free(source);
        return -ENOMEM;
    }
    draft->directory = realpath(*directory == '\0' ? "." : directory, NULL);
    if (draft->directory != NULL) {
        r = read_source(draft, source, false);
    } else { /* paths in the file would be below another directory */
        r = errno == ENOMEM ? -ENOMEM : 0;
        messages_add_whole(&draft->messages, MESSAGE_ERROR, path,
                           "is in a directory that cannot be found: %s", strerror(errno));
        source_free(source);
    }
    if (r == 0) {
        r = include_all(draft, directory);
    }
    free(directory);
    return r;
}

int files_read_memory(const char *name, const char *bytes, size_t n, struct draft *draft) {
    struct source *source = source_new(name, bytes, n, true);
    if (source == NULL) {
        return -ENOMEM;
    }
    int r = read_source(draft, source, false);
    if (r == 0 && draft->includes.n > 0) {
        messages_add(&draft->messages, MESSAGE_ERROR, draft->includes.list[0].mark, NULL,
                     "include is possible in files only");
    }
    return r;
}
