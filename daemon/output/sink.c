/* Records wait in the backlog and are taken, numbered and formatted one at a time, when the log can
 * be written: so the numbers stand in the log in order, and a gap has its numbers by its place. One
 * record is one write(2), and is finished before the next (target.c).
 *
 * A regular file fails for a while (disk full, I/O error): the sink tries again after 50 ms, then
 * after twice as long each time up to 1 s, so it recovers within a second. Meanwhile records wait,
 * the oldest beyond SINK_BACKLOG_MOST are dropped, and the gap is stated as one `lost` record where
 * they would have stood. The daemon's own log hears of it twice: when it began, and when the sink
 * has caught up. A format without places cannot state a gap, so that log does it too.
 *
 * A stream fails for good (reader gone, terminal hung up): the writer is told once, and records are
 * dropped and counted from then on. When its reader stalls, it is a log that fails for a while.
 *
 * The repair of a torn line takes the next number, before any record that waits; one that was
 * already numbered, and is written nowhere whole, gives its number back. Formats without places
 * take no numbers, so that a log which gets another format begins at 1. */
#include "output/sink.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "output/backlog.h"
#include "output/target.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>

#define BACKOFF_FIRST (50 * NSEC_PER_MSEC)
#define BACKOFF_MOST  NSEC_PER_SEC

enum {
    TURN_RECORDS = 64, /* written before other sinks and the mailbox have their turn */
};

/* What is being written: taken from the backlog; numbered and formatted once `line` is set. */
struct current {
    bool taken;
    struct backlog_item item;
    uint64_t seq_before;
    char *line;
    size_t n;
};

struct sink {
    struct sink_shared *shared;
    enum sink_kind kind;
    char *path; /* NULL: stdout */
    const struct format *format;
    enum sink_only only;
    bool active;
    uint64_t seq; /* the last one given */
    struct backlog backlog;
    struct current current;
    struct target target;

    struct event *turn;     /* there is more to write, but others first */
    struct event *retry;    /* a wait after a failure */
    struct event *writable; /* a stream has no room; NULL: no stream */
    nsec_t backoff;         /* the last wait; 0: the last write succeeded */
    const char *failing;    /* why records cannot be written just now; NULL: they can */
    bool broken;
    uint64_t lost_before; /* the backlog's count when it began to fail */
    uint64_t lost_told;   /* of it, what `shared` knows */
};

static const char *sink_name(const struct sink *sink) {
    return sink->kind == SINK_JOURNAL ? "the journal"
           : sink->path != NULL       ? sink->path
                                      : "standard output";
}

/* Static storage, which strerror() does not promise. */
static const char *describe(int error) {
    const char *known = error == ENOSPC ? "disk full" : strerrordesc_np(error);
    return known != NULL ? known : "unknown error";
}

/* Failing and well again: counted for readiness, and said once each. */

static void begin_failing(struct sink *sink, const char *why) {
    if (sink->failing != NULL) {
        return;
    }
    sink->failing = why;
    atomic_fetch_add(&sink->shared->failing, 1);
    sink->lost_before = sink->backlog.lost;
    if (!sink->broken) { /* which on_broken() tells */
        log_error("%s: %s; records wait in memory, then the oldest are dropped", sink_name(sink),
                  why);
    }
}

static void end_failing(struct sink *sink) {
    if (sink->failing != NULL) {
        sink->failing = NULL;
        atomic_fetch_sub(&sink->shared->failing, 1);
    }
}

static void wait_for(struct sink *sink, nsec_t duration) {
    struct timeval time = loop_timeval(duration);
    /* it can fail for want of memory alone; then the next record tries again */
    (void)event_add(sink->retry, &time);
}

/* A failure that may pass. */
static void back_off(struct sink *sink, int error) {
    begin_failing(sink, describe(error));
    sink->backoff = sink->backoff == 0 ? BACKOFF_FIRST : 2 * sink->backoff;
    if (sink->backoff > BACKOFF_MOST) {
        sink->backoff = BACKOFF_MOST;
    }
    wait_for(sink, sink->backoff);
}

static void end_current(struct sink *sink) {
    struct current *current = &sink->current;
    if (current->item.record != NULL && --current->item.record->refs == 0) {
        record_free(current->item.record);
    }
    free(current->line);
    *current = (struct current){0};
}

/* A failure that will not. */
static void break_off(struct sink *sink, int error) {
    sink->broken = true;
    begin_failing(sink, describe(error));
    end_current(sink);
    backlog_clear(&sink->backlog);
    sink->shared->on_broken(error, sink->shared->arg);
}

/* Numbering and formatting. */

/* The line that stands at `seq`. 0 or -ENOMEM. */
static int make_line(const struct sink *sink, const struct record *record,
                     const struct format_loss *loss, uint64_t seq, char **ret_line, size_t *ret_n) {
    struct format_place place = {.boot = sink->shared->boot, .seq = seq};
    bool placed = sink->shared->boot != NULL && sink->format->has_places;
    return format_make_line(sink->format, record, loss, placed ? &place : NULL, ret_line, ret_n);
}

static void give_numbers(struct sink *sink, uint64_t count) {
    if (sink->format->has_places) {
        sink->seq += count;
    }
}

/* 0 or -ENOMEM */
static int format_gap(struct sink *sink) {
    struct current *current = &sink->current;
    const struct backlog_gap *gap = &current->item.gap;
    if (sink->shared->boot == NULL || !sink->format->has_places) {
        log_error("%s: %" PRIu64 " records were lost: %s", sink_name(sink), gap->count, gap->why);
        end_current(sink); /* they stay counted as unwritten */
        return 0;
    }
    struct format_loss loss = {
        .wall_time = gap->wall_began,
        .from_seq = sink->seq + 1,
        .to_seq = sink->seq + gap->count,
        .count = gap->count,
        .why = gap->why,
    };
    current->seq_before = sink->seq;
    int r = make_line(sink, NULL, &loss, loss.to_seq + 1, &current->line, &current->n);
    if (r == 0) {
        give_numbers(sink, gap->count + 1);
    }
    return r;
}

/* What costs the record at hand alone. */
static void lose_current(struct sink *sink, int error) {
    end_current(sink);
    sink->current.taken = true;
    sink->current.item.gap =
        (struct backlog_gap){.count = 1, .wall_began = clock_wall_now(), .why = describe(error)};
    sink->backlog.lost++;
}

static void format_record(struct sink *sink) {
    struct current *current = &sink->current;
    struct record *record = current->item.record;
    if (record_is_event(record) && !sink->format->has_places) {
        /* queued before the format became one without events */
        atomic_fetch_sub(&sink->shared->unwritten, 1);
        end_current(sink);
        return;
    }
    current->seq_before = sink->seq;
    if (make_line(sink, record, NULL, sink->seq + 1, &current->line, &current->n) == 0) {
        give_numbers(sink, 1);
        return;
    }
    lose_current(sink, ENOMEM);
}

/* Makes the line of what is to be written now, if there is anything. 0 or -ENOMEM. */
static int format_current(struct sink *sink) {
    struct current *current = &sink->current;
    while (current->line == NULL) {
        if (!current->taken) {
            current->taken = backlog_take(&sink->backlog, &current->item);
            if (!current->taken) {
                return 0;
            }
        }
        if (current->item.record != NULL) {
            format_record(sink);
            continue;
        }
        int r = format_gap(sink);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Writing. */

static void line_is_out(struct sink *sink) {
    const struct backlog_item *item = &sink->current.item;
    atomic_fetch_sub(&sink->shared->unwritten, item->record != NULL ? 1 : item->gap.count);
    sink->backoff = 0;
    end_current(sink);
}

static int repair(struct sink *sink) {
    struct current *current = &sink->current;
    if (current->line != NULL) {
        sink->seq = current->seq_before;
        free(current->line);
        current->line = NULL;
    }
    struct format_loss loss = {.wall_time = clock_wall_now(), .why = "a torn line"};
    char *line;
    size_t n;
    int r = make_line(sink, NULL, &loss, sink->seq + 1, &line, &n);
    if (r < 0) {
        return r;
    }
    r = target_repair(&sink->target, line, n);
    free(line);
    if (r == 0) {
        give_numbers(sink, 1);
        sink->backoff = 0;
        log_warning("%s: it ended in a torn line, which is marked now", sink_name(sink));
    }
    return r;
}

/* Writes one line, or finds that nothing is to be written. 0 or -errno. */
static int write_next(struct sink *sink, bool ask_now) {
    struct current *current = &sink->current;
    int r = target_check(&sink->target, ask_now, current->line, current->n);
    if (r == 1) {
        line_is_out(sink);
        r = 0;
    }
    if (r == 0 && target_is_torn(&sink->target)) {
        r = repair(sink);
    }
    if (r == 0) {
        r = format_current(sink);
    }
    if (r < 0 || current->line == NULL) {
        return r;
    }
    if (sink->kind == SINK_STDOUT) {
        progress_hide(&sink->shared->progress);
    }
    r = target_write(&sink->target, current->line, current->n);
    if (r == 0) {
        line_is_out(sink);
    } else if (r == -EMSGSIZE && current->item.record != NULL) {
        sink->seq = current->seq_before;
        lose_current(sink, EMSGSIZE);
        r = 0;
    }
    return r;
}

/* Arranges when to go on after an error. */
static void handle_error(struct sink *sink, int error) {
    if (error == EAGAIN && sink->writable != NULL) {
        if (event_add(sink->writable, NULL) != 0) {
            break_off(sink, ENOMEM);
        }
    } else if (error == EAGAIN && sink->kind == SINK_JOURNAL) {
        wait_for(sink, TARGET_ROOM_WAIT);
    } else if (error == EAGAIN && sink->target.gone) {
        wait_for(sink, TARGET_GONE_WAIT);
    } else if (error != ENOMEM && target_fails_for_good(&sink->target)) {
        break_off(sink, error);
    } else {
        back_off(sink, error);
    }
}

/* A timer, as an event made active from a callback runs before the loop looks at anything else. */
static void go_on_later(struct sink *sink) {
    struct timeval now = {0};
    if (event_add(sink->turn, &now) != 0) {
        event_active(sink->turn, 0, 0);
    }
}

static bool has_work(const struct sink *sink) {
    return sink->current.taken || !backlog_is_empty(&sink->backlog) ||
           target_is_torn(&sink->target);
}

static bool is_stalled(const struct sink *sink) {
    return sink->writable != NULL && event_pending(sink->writable, EV_WRITE, NULL);
}

/* Writes what it may. */
static void tell_lost(struct sink *sink) {
    atomic_fetch_add(&sink->shared->lost, sink->backlog.lost - sink->lost_told);
    sink->lost_told = sink->backlog.lost;
}

static void work(struct sink *sink, bool ask_now) {
    tell_lost(sink); /* also where nothing can be written */
    if (!sink_is_open(sink) || sink->broken || is_stalled(sink) ||
        evtimer_pending(sink->retry, NULL)) {
        return;
    }
    atomic_store(&sink->shared->busy_since, clock_now());
    int r = 0;
    for (int i = 0; r == 0 && i < TURN_RECORDS && (has_work(sink) || ask_now); i++) {
        r = write_next(sink, ask_now);
        ask_now = false;
    }
    atomic_store(&sink->shared->busy_since, 0);
    tell_lost(sink);
    if (r < 0) {
        handle_error(sink, -r);
    } else if (has_work(sink)) {
        go_on_later(sink);
    } else if (sink->failing != NULL) {
        end_failing(sink);
        log_notice("%s: written again; %" PRIu64 " records were lost", sink_name(sink),
                   sink->backlog.lost - sink->lost_before);
    }
    if (sink->kind == SINK_STDOUT && !target_is_midway(&sink->target)) {
        progress_show(&sink->shared->progress);
    }
    if (sink_is_settled(sink)) {
        sink->shared->on_settled(sink->shared->arg);
    }
}

static void on_due(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    work(arg, false);
}

/* Records come in. */

void sink_push(struct sink *sink, struct record *record) {
    if (!sink->active || !record_matches(record, sink->only) ||
        (record_is_event(record) && !sink->format->has_places)) {
        return;
    }
    atomic_fetch_add(&sink->shared->unwritten, 1);
    if (sink->broken) {
        return;
    }
    if (backlog_is_full(&sink->backlog)) {
        work(sink, false); /* it may be a burst that is on its way out */
    }
    if (backlog_is_full(&sink->backlog)) {
        begin_failing(sink, is_stalled(sink) || sink->kind == SINK_JOURNAL
                                ? "the reader is too slow"
                                : "the log file is gone");
    }
    backlog_push(&sink->backlog, record, clock_wall_now(),
                 sink->failing != NULL ? sink->failing : describe(ENOMEM));
    work(sink, false);
}

void sink_miss(struct sink *sink, const uint64_t missed[SINK_ONLY_CHANGES + 1]) {
    if (!sink->active || missed[sink->only] == 0) {
        return;
    }
    atomic_fetch_add(&sink->shared->unwritten, missed[sink->only]);
    if (!sink->broken) {
        backlog_miss(&sink->backlog, missed[sink->only], clock_wall_now(), "the writer was stuck");
        work(sink, false);
    }
}

void sink_reopen(struct sink *sink) {
    if (sink->active && sink->target.kind == TARGET_FILE) {
        evtimer_del(sink->retry); /* somebody may have made room */
        sink->target.refusing = false;
        work(sink, true);
    }
}

bool sink_is_settled(const struct sink *sink) {
    return sink->broken || !(sink->current.taken || !backlog_is_empty(&sink->backlog));
}

/* Life. */

struct sink *sink_new(const struct sink_config *config, struct sink_shared *shared) {
    struct sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL) {
        return NULL;
    }
    sink->shared = shared;
    sink->kind = config->kind;
    backlog_init(&sink->backlog, shared->boot != NULL ? SINK_BACKLOG_MOST : SIZE_MAX);
    sink->turn = evtimer_new(shared->base, on_due, sink);
    sink->retry = evtimer_new(shared->base, on_due, sink);
    bool named = true;
    if (config->kind != SINK_STDOUT) {
        sink->path = strdup(config->path != NULL ? config->path : TARGET_JOURNAL_PATH);
        named = sink->path != NULL;
    }
    if (sink->turn == NULL || sink->retry == NULL || !named) {
        sink_free(sink);
        return NULL;
    }
    return sink;
}

void sink_free(struct sink *sink) {
    if (sink == NULL) {
        return;
    }
    sink_close(sink);
    if (sink->turn != NULL) {
        event_free(sink->turn);
    }
    if (sink->retry != NULL) {
        event_free(sink->retry);
    }
    free(sink->path);
    free(sink);
}

/* Whether two absolute paths name one entry of one directory, however they are spelled. What the
 * entry is at the moment does not matter: a log that was renamed is opened again by its name. */
static bool same_place(const char *a, const char *b) {
    const char *a_name = strrchr(a, '/') + 1, *b_name = strrchr(b, '/') + 1;
    if (strcmp(a, b) == 0 || strcmp(a_name, b_name) != 0) {
        return strcmp(a, b) == 0;
    }
    char *a_directory = strndup(a, (size_t)(a_name - a));
    char *b_directory = strndup(b, (size_t)(b_name - b));
    struct stat x, y;
    bool same = a_directory != NULL && b_directory != NULL && stat(a_directory, &x) == 0 &&
                stat(b_directory, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
    free(a_directory);
    free(b_directory);
    return same;
}

bool sink_is_for(const struct sink *sink, const struct sink_config *config) {
    if (config->kind != SINK_FILE || sink->kind != SINK_FILE) {
        return config->kind == sink->kind; /* of those there is one */
    }
    return same_place(sink->path, config->path);
}

int sink_open(struct sink *sink, const struct format *format, char **ret_why) {
    assert(!sink_is_open(sink));
    *ret_why = NULL;
    int r = target_open(&sink->target, sink->kind, sink->path, ret_why);
    if (r < 0) {
        return r;
    }
    sink->format = format;
    if (target_is_stream(&sink->target)) {
        sink->writable = event_new(sink->shared->base, sink->target.fd, EV_WRITE, on_due, sink);
        if (sink->writable == NULL) {
            target_close(&sink->target);
            return -ENOMEM;
        }
    }
    work(sink, false); /* mends a torn line; a full disk is no reason not to start */
    return 0;
}

void sink_close(struct sink *sink) {
    if (!sink_is_open(sink)) {
        return;
    }
    end_current(sink);
    backlog_clear(&sink->backlog);
    end_failing(sink);
    evtimer_del(sink->turn);
    evtimer_del(sink->retry);
    if (sink->writable != NULL) {
        event_free(sink->writable);
        sink->writable = NULL;
    }
    target_close(&sink->target);
    sink->active = false;
    sink->backoff = 0;
    sink->broken = false;
}

bool sink_is_open(const struct sink *sink) {
    return sink->target.kind != TARGET_CLOSED;
}

void sink_activate(struct sink *sink, const struct format *format, enum sink_only only) {
    assert(sink_is_open(sink));
    sink->format = format;
    sink->only = only;
    sink->active = true;
}

void sink_retire(struct sink *sink) {
    sink->active = false;
}

bool sink_is_active(const struct sink *sink) {
    return sink->active;
}
