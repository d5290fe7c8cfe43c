#include "urls.h"

#include "base/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int urls_add_file(struct urls *urls, const char *path) {
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    if (is_stdin) {
        path = "stdin";
    }
    if (file == NULL) {
        log_error("%s: %s", path, strerror(errno));
        return -errno;
    }
    char *line = NULL;
    size_t size = 0;
    int r = 0;
    ssize_t n = 0;
    for (size_t number = 1; r == 0 && (errno = 0, n = getline(&line, &size, file)) >= 0; number++) {
        if (memchr(line, '\0', (size_t)n) != NULL) {
            log_error("%s:%zu: holds a NUL byte; is it a list of URLs?", path, number);
            r = -EINVAL;
        } else {
            r = add_line(urls, path, number, line);
        }
    }
    if (r == 0 && ferror(file)) {
        r = errno != 0 ? -errno : -EIO;
        log_error("%s: %s", path, strerror(-r));
    }
    free(line);
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
