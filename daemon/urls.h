/* The URLs of a command line: arguments, and files with one a line. */
#pragma once

#include <stddef.h>

struct urls {
    char **texts;
    char **origins; /* where each stands, for messages: "argument 2", "sites.txt:7" */
    size_t n;
    size_t size;      /* allocated */
    size_t arguments; /* how many of them */
};

/* 0; -errno, then the reason was said on stderr. */
int urls_add_argument(struct urls *urls, const char *text);
int urls_add_file(struct urls *urls, const char *path); /* "-" is stdin */
void urls_clear(struct urls *urls);
