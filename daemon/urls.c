#include "urls.h"

#include "base/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 16 << 10 };

/* Takes both strings over, also on failure. */
static int add(struct urls *urls, char *text, char *origin) {
    if (urls->n == urls->size) {
        size_t size = urls->size > 0 ? urls->size * 2 : 64;
        char **texts = realloc(urls->texts, size * sizeof *texts);
        if (texts != NULL) {
            urls->texts = texts;
        }
        char **origins = realloc(urls->origins, size * sizeof *origins);
        if (origins != NULL) {
            urls->origins = origins;
        }
        if (texts != NULL && origins != NULL) {
            urls->size = size;
        }
    }
    if (urls->n == urls->size || text == NULL || origin == NULL) {
        free(text);
        free(origin);
        log_error("out of memory");
        return -ENOMEM;
    }
    urls->texts[urls->n] = text;
    urls->origins[urls->n++] = origin;
    return 0;
}

int urls_add_argument(struct urls *urls, const char *text) {
    char *origin;
    if (asprintf(&origin, "argument %zu", ++urls->arguments) < 0) {
        origin = NULL;
    }
    return add(urls, strdup(text), origin);
}

static int add_line(struct urls *urls, const char *path, size_t number, char *line) {
    line += strspn(line, " \t");
    line[strcspn(line, "\r\n")] = '\0';
    for (size_t n = strlen(line); n > 0 && strchr(" \t", line[n - 1]) != NULL; n--) {
        line[n - 1] = '\0';
    }
    if (*line == '\0' || *line == '#') {
        return 0;
    }
    char *origin;
    if (asprintf(&origin, "%s:%zu", path, number) < 0) {
        origin = NULL;
    }
    return add(urls, strdup(line), origin);
}

/* Reads one line without its end. 1; 0 at the end of the file; -errno, said. */
static int read_line(FILE *file, const char *path, size_t number, char line[LINE_BYTES]) {
    size_t n = 0;
    int c;
    while ((c = getc_unlocked(file)) != EOF && c != '\n') {
        if (c == '\0') {
            log_error("%s:%zu: holds a NUL byte; is it a list of URLs?", path, number);
            return -EINVAL;
        }
        if (n == LINE_BYTES - 1) {
            log_error("%s:%zu: is longer than %d bytes; is it a list of URLs?", path, number,
                      LINE_BYTES - 1);
            return -EINVAL;
        }
        line[n++] = (char)c;
    }
    line[n] = '\0';
    if (c == EOF && ferror(file)) {
        int error = errno != 0 ? errno : EIO;
        log_error("%s: %s", path, strerror(error));
        return -error;
    }
    return c != EOF || n > 0 ? 1 : 0;
}

int urls_add_file(struct urls *urls, const char *path) {
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    if (is_stdin) {
        path = "stdin";
    }
    if (file == NULL) {
        int error = errno;
        log_error("%s: %s", path, strerror(error));
        return -error;
    }
    char line[LINE_BYTES];
    int r;
    for (size_t number = 1; (r = read_line(file, path, number, line)) > 0; number++) {
        r = add_line(urls, path, number, line);
        if (r != 0) {
            break;
        }
    }
    if (!is_stdin) {
        fclose(file);
    }
    return r;
}

void urls_clear(struct urls *urls) {
    for (size_t i = 0; i < urls->n; i++) {
        free(urls->texts[i]);
        free(urls->origins[i]);
    }
    free(urls->texts);
    free(urls->origins);
    *urls = (struct urls){0};
}
