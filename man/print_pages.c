/* Prints a manual page from its source: a comment line of mdoc that says `print keys` or `print
 * outcomes` is followed by what the program's own tables say, and @VERSION@ is its version.
 * `print_pages --keys` prints config/keys.md. A tool of the build. */
#include "config/page.h"
#include "probe/outcome.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_outcomes(FILE *to) {
    fputs(".Bl -tag -width connect_unreachable\n", to);
    for (outcome_t outcome = 1; outcome < OUTCOME_CLASSES; outcome++) { /* 0: has not ended */
        fprintf(to, ".It Er %s\n", outcome_class_name(outcome));
        page_print_mdoc_text(outcome_class_help(outcome), to);
        if (!outcome_is_judged(outcome)) {
            fputs("It is our own fault and says nothing of the site.\n", to);
        }
    }
    fputs(".El\n", to);
}

static void print_line(const char *line, FILE *to) {
    static const char version[] = "@VERSION@";
    const char *at;
    while ((at = strstr(line, version)) != NULL) {
        fprintf(to, "%.*s" TALLYD_VERSION, (int)(at - line), line);
        line = at + sizeof version - 1;
    }
    fputs(line, to);
}

static int print_page(const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return EXIT_FAILURE;
    }
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0) {
        if (strcmp(line, ".\\\" print keys\n") == 0) {
            page_print_mdoc(stdout);
        } else if (strcmp(line, ".\\\" print outcomes\n") == 0) {
            print_outcomes(stdout);
        } else {
            print_line(line, stdout);
        }
    }
    int status = ferror(file) ? EXIT_FAILURE : EXIT_SUCCESS;
    free(line);
    fclose(file);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fputs("usage: print_pages FILE | --keys\n", stderr);
        return EXIT_FAILURE;
    }
    int status = EXIT_SUCCESS;
    if (strcmp(argv[1], "--keys") == 0) {
        page_print_markdown(stdout);
    } else {
        status = print_page(argv[1]);
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? status : EXIT_FAILURE;
}
