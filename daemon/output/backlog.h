/* What a sink has still to write: records in order, and between them the gaps where records were
 * lost. Pure. Bounded: when it is full, the oldest record becomes part of a gap. */
#pragma once

#include "report/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backlog_gap {
    uint64_t count;    /* records lost; 0: no gap */
    nsec_t wall_began; /* when the first of them was lost */
    const char *why;   /* static storage */
};

/* A record, or (`record` is NULL) a gap. */
struct backlog_item {
    struct record *record;
    struct backlog_gap gap;
};

struct backlog {
    struct backlog_item *items; /* a ring; each is a record and the gap before it */
    size_t size, first, n, most;
    struct backlog_gap end; /* after the last record */
    uint64_t lost;          /* records, ever */
};

void backlog_init(struct backlog *backlog, size_t most); /* `most` > 0; SIZE_MAX: no bound */
void backlog_clear(struct backlog *backlog);             /* drops its references; may be used on */

/* Takes a reference on `record`. When there is no room, the oldest record is lost (`why` says what
 * keeps them from leaving); without memory for more room, this one. */
void backlog_push(struct backlog *backlog, struct record *record, nsec_t wall_now, const char *why);
/* Records that were lost on their way here. */
void backlog_miss(struct backlog *backlog, uint64_t count, nsec_t wall_now, const char *why);
/* The next thing to write, a reference with it; false: nothing. */
bool backlog_take(struct backlog *backlog, struct backlog_item *ret_item);

bool backlog_is_full(const struct backlog *backlog); /* the next push drops a record */
bool backlog_is_empty(const struct backlog *backlog);
