/* The progress line on a terminal's last row. Whatever else goes to that terminal hides it first
 * and shows it again afterwards. */
#pragma once

#include <stdbool.h>

struct progress {
    int fd;         /* -1: nothing is ever drawn */
    char line[256]; /* safe; empty: none */
    bool drawn;
};

void progress_init(struct progress *progress, int fd);
void progress_set(struct progress *progress, const char *line); /* draws it; "" removes it */
void progress_hide(struct progress *progress);
void progress_show(struct progress *progress);
