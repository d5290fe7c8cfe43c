/* One run of a program: started without a shell, with an environment of its own and no descriptor but
 * the first three, bounded in time, its output read line by line. */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct child;
struct event_base;

#define CHILD_LINE_BYTES 400  /* of a line of output; what is longer is cut */
#define CHILD_LINES_MOST 20   /* that are handed over; the rest is counted */
#define CHILD_LINE_SIZE  1024 /* of a safe line (text.h) with its end */

/* How it went. */
struct child_end {
    bool exited; /* by itself, with `status`; false: by the signal `status` */
    int status;
    bool late;           /* it had not ended in time */
    bool stopped;        /* it had not when it was stopped */
    bool left_running;   /* it ended in time, but what it had started held its output open */
    uint64_t lines_more; /* lines that were not handed over */
};

struct child_options {
    struct event_base *base;  /* of the loop on which all calls are made */
    const char *const *words; /* the program's absolute path and its arguments; ends with NULL */
    const char *const *environment; /* NAME=VALUE, and nothing else; ends with NULL */
    nsec_t limit;                   /* of its time; then its process group gets SIGTERM, */
    nsec_t grace;                   /* and so long later SIGKILL */
    /* A line of what it wrote to stdout or stderr, safe to show. */
    void (*on_line)(const char *line, void *arg);
    /* The last call. The child may be freed in it, and should be soon. */
    void (*on_end)(const struct child_end *end, void *arg);
    void *arg;
};

/* What `options` points to is not needed any more afterwards. 0; or -errno: it could not be started,
 * and there will be no call. May take as long as the program's file takes to be read. */
int child_start(const struct child_options *options, struct child **ret_child);
/* Leaves it `limit` from now on, unless it has less. */
void child_stop(struct child *child, nsec_t limit);
/* One that has not ended is killed, with its process group. NULL does nothing. */
void child_free(struct child *child);
