/* A gap is kept with the record that comes after it (or at the end), so neighbouring losses are one
 * gap by construction: losing a record means adding it, and the gap before it, to the next one's.
 * Sequence numbers are not kept here. They are given in the order in which things are taken, so a
 * gap of n has its n numbers reserved by its place alone. */
#include "output/backlog.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 16 };

void backlog_init(struct backlog *backlog, size_t most) {
    assert(most > 0);
    *backlog = (struct backlog){.most = most};
}

static void drop_reference(struct record *record) {
    if (record != NULL && --record->refs == 0) {
        record_free(record);
    }
}

void backlog_clear(struct backlog *backlog) {
    for (size_t i = 0; i < backlog->n; i++) {
        drop_reference(backlog->items[(backlog->first + i) % backlog->size].record);
    }
    free(backlog->items);
    *backlog = (struct backlog){.most = backlog->most, .lost = backlog->lost};
}

static void gap_add(struct backlog_gap *gap, uint64_t count, nsec_t wall_began, const char *why) {
    if (gap->count == 0) {
        gap->wall_began = wall_began;
        gap->why = why;
    }
    gap->count += count;
}

static void lose_oldest(struct backlog *backlog, nsec_t wall_now, const char *why) {
    struct backlog_item oldest = backlog->items[backlog->first];
    backlog->first = (backlog->first + 1) % backlog->size;
    backlog->n--;
    gap_add(&oldest.gap, 1, wall_now, why);
    struct backlog_gap *next = backlog->n > 0 ? &backlog->items[backlog->first].gap : &backlog->end;
    oldest.gap.count += next->count; /* what was lost first says when and why */
    *next = oldest.gap;
    backlog->lost++;
    drop_reference(oldest.record);
}

/* False: out of memory. */
static bool make_room(struct backlog *backlog) {
    if (backlog->n < backlog->size) {
        return true;
    }
    size_t size = backlog->size == 0 ? FIRST_SIZE : 2 * backlog->size;
    struct backlog_item *items = calloc(size, sizeof *items);
    if (items == NULL) {
        return false;
    }
    for (size_t i = 0; i < backlog->n; i++) {
        items[i] = backlog->items[(backlog->first + i) % backlog->size];
    }
    free(backlog->items);
    backlog->items = items;
    backlog->size = size;
    backlog->first = 0;
    return true;
}

void backlog_push(struct backlog *backlog, struct record *record, nsec_t wall_now,
                  const char *why) {
    if (backlog_is_full(backlog)) {
        lose_oldest(backlog, wall_now, why);
    }
    if (!make_room(backlog)) {
        backlog_miss(backlog, 1, wall_now, "out of memory");
        return;
    }
    record->refs++;
    backlog->items[(backlog->first + backlog->n++) % backlog->size] =
        (struct backlog_item){.record = record, .gap = backlog->end};
    backlog->end = (struct backlog_gap){0};
}

void backlog_miss(struct backlog *backlog, uint64_t count, nsec_t wall_now, const char *why) {
    if (count > 0) {
        gap_add(&backlog->end, count, wall_now, why);
        backlog->lost += count;
    }
}

bool backlog_take(struct backlog *backlog, struct backlog_item *ret_item) {
    struct backlog_item *first = backlog->n > 0 ? &backlog->items[backlog->first] : NULL;
    struct backlog_gap *gap = first != NULL ? &first->gap : &backlog->end;
    if (gap->count > 0) {
        *ret_item = (struct backlog_item){.gap = *gap};
        *gap = (struct backlog_gap){0};
        return true;
    }
    if (first == NULL) {
        return false;
    }
    *ret_item = (struct backlog_item){.record = first->record};
    backlog->first = (backlog->first + 1) % backlog->size;
    backlog->n--;
    return true;
}

bool backlog_is_full(const struct backlog *backlog) {
    return backlog->n >= backlog->most;
}

bool backlog_is_empty(const struct backlog *backlog) {
    return backlog->n == 0 && backlog->end.count == 0;
}
