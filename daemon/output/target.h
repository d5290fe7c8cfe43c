/* Where a sink's bytes go: a log file that is followed when its path becomes another file, the
 * journal, or stdout, whatever that is. Writes never wait for a reader. See target.c. */
#pragma once

#include "base/clock.h"
#include "config/config.h"
#include "output/file.h"

#include <stdbool.h>
#include <stddef.h>

enum target_kind {
    TARGET_CLOSED,
    TARGET_FILE,    /* a log file: locked, mended, followed */
    TARGET_JOURNAL, /* a line is a message */
    TARGET_REGULAR, /* stdout is a regular file */
    TARGET_PIPE,    /* stdout is a pipe or a terminal */
    TARGET_SOCKET,  /* stdout is a socket: the journal's */
    TARGET_DEVICE,  /* stdout is another device, which epoll refuses: /dev/null */
};

struct target {
    enum target_kind kind;
    const char *path; /* borrowed; of the journal's socket; NULL: stdout */
    int fd;           /* -1: closed, or a journal that has gone */
    struct file file; /* TARGET_FILE */
    nsec_t looked_at; /* when the path was last compared with the file */
    bool gone;        /* that found nothing */
    bool refusing;    /* what is at the path could not be opened, and that was said */
    size_t done;      /* of the line in work, how much is written */
    off_t part_end;   /* the file's size after that part */
};

/* How long to wait after -EAGAIN from target_check(), and from target_write() to a journal. */
#define TARGET_GONE_WAIT (100 * NSEC_PER_MSEC)
#define TARGET_ROOM_WAIT (10 * NSEC_PER_MSEC)

#define TARGET_JOURNAL_PATH "/run/systemd/journal/socket"

/* 0, or -errno with *ret_why set to a sentence (heap; NULL without memory). Then it is closed. */
int target_open(struct target *target, enum sink_kind kind, const char *path, char **ret_why);
void target_close(struct target *target);

/* Whether it may be written now, to be asked before each line: notices (at most once a second, or
 * now if `ask_now`) that a log file's path has become another file, and moves on to that. `line`
 * (n bytes) is what target_write() was given last and did not finish; NULL: nothing. 0; 1: the
 * same, and that line is all out; -errno; or -EAGAIN: ask again in TARGET_GONE_WAIT. */
int target_check(struct target *target, bool ask_now, const char *line, size_t n);

/* Whether the file ends in a torn line, which must be repaired before anything is written. */
bool target_is_torn(const struct target *target);
int target_repair(struct target *target, const char *line, size_t n); /* 0 or -errno */

/* Writes what is not yet written of the line. 0: it is all out, and the next line may come; or
 * -errno: call again with the same line. -EAGAIN: a stream has no room; wait until it is writable, or
 * for a journal some time. -EMSGSIZE: a journal will never take it. */
int target_write(struct target *target, const char *line, size_t n);
bool target_is_midway(const struct target *target); /* a part of the line is out */

bool target_is_stream(const struct target *target);      /* to be waited for with EV_WRITE */
bool target_fails_for_good(const struct target *target); /* an error on it will not pass */
