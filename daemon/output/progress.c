#include "output/progress.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CLEAR "\r\033[K"

/* Nothing follows from a terminal that does not take it: the line is a courtesy. */
static void put(int fd, const char *text, size_t n) {
    ssize_t written = write(fd, text, n);
    (void)written;
}

void progress_init(struct progress *progress, int fd) {
    *progress = (struct progress){.fd = fd};
}

void progress_hide(struct progress *progress) {
    if (progress->drawn) {
        put(progress->fd, CLEAR, strlen(CLEAR));
        progress->drawn = false;
    }
}

void progress_show(struct progress *progress) {
    if (progress->fd < 0 || progress->drawn || *progress->line == '\0') {
        return;
    }
    /* a line that wraps could not be cleared; bytes are never fewer than columns */
    size_t room = sizeof progress->line;
    struct winsize window;
    if (ioctl(progress->fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 &&
        window.ws_col < room) {
        room = window.ws_col; /* one column stays free: text_escape() counts its NUL */
    }
    char drawn[sizeof CLEAR + sizeof progress->line] = CLEAR;
    size_t length = strlen(CLEAR);
    length += text_escape(progress->line, strlen(progress->line), drawn + length, room);
    put(progress->fd, drawn, length);
    progress->drawn = true;
}

void progress_set(struct progress *progress, const char *line) {
    text_escape(line, strlen(line), progress->line, sizeof progress->line);
    if (*progress->line == '\0') {
        progress_hide(progress);
    } else {
        progress->drawn = false;
        progress_show(progress);
    }
}
