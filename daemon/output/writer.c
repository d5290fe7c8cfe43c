/* The control loop posts; the writer's loop writes. What crosses is mail, and who may touch which
 * member stands in struct writer. Requests are embedded in the writer, as at most one of a kind is
 * under way, so asking needs no memory and cannot fail. An answer may still be in the control
 * loop's mailbox when the writer is freed: it is an allocation of its own, and outlives it then.
 *
 * A write(2) to a dead disk can block for ever, and with it this loop. So nothing on the control
 * loop ever waits for it: when too many records are under way, further ones are counted instead
 * and the next that goes through carries the count (struct record, `missed`); the limit of a drain
 * is kept by the control loop; and readiness is read from atomics.
 *
 * A reload has two steps. Preparing opens what is new, beside everything that runs, and cannot
 * change that; so a file that is locked, or not ours, refuses the whole reload. Committing only
 * switches. Where a reload changes a sink's format or filter, records that wait were chosen by the
 * old filter and are written in the new format.
 *
 * In `tallyd sample` (no boot) records have no places in which a loss could be stated, and there
 * are only as many as there were arguments: nothing is dropped. */
#include "output/writer.h"

#include "base/log.h"
#include "output/sink_set.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define UNREADY_AFTER (5 * NSEC_PER_SEC)
#define STUCK_AFTER   NSEC_PER_SEC

enum {
    UNDER_WAY_MOST = 8192, /* records posted and not yet seen by the writer's loop */
};

/* Goes to the control loop. */
struct answer {
    struct mail mail;      /* first */
    struct writer *writer; /* NULL: it was freed meanwhile */
    atomic_bool posted;    /* by the writer's loop, and not yet received */
    char *why;
    uint64_t unwritten;
    int error;
};

struct writer {
    /* the control loop's */
    struct loop *control;
    struct loop *loop;
    uint64_t missed[SINK_ONLY_CHANGES + 1]; /* since the last record that went through */
    void (*on_broken)(int error, void *arg);
    void *broken_arg;
    void (*on_prepared)(const char *why_not, void *arg);
    void *prepared_arg;
    bool preparing;
    bool drain_asked;
    void (*on_drained)(uint64_t unwritten, void *arg); /* NULL: no drain, or it is over */
    void *drained_arg;
    struct event *drain_limit;

    /* requests: filled in by the control loop, the writer's loop's while under way */
    struct mail prepare, commit, roll_back, drain, draw;
    struct config *prepare_config; /* a reference */
    uint64_t drain_missed[SINK_ONLY_CHANGES + 1];
    struct answer *prepared, *drained, *broken;

    /* shared */
    atomic_uint under_way;     /* records posted and not yet seen */
    atomic_bool drain_seen;    /* drain_missed is among the unwritten */
    atomic_bool reopening;     /* asked for and not yet seen */
    struct mail reopen;        /* under way meanwhile */
    _Atomic(char *) progress;  /* to be drawn; `draw` is under way while it is not NULL */
    struct sink_shared shared; /* its atomics */

    /* the writer's loop's, before it starts and after it ended the control loop's */
    struct sink_set sinks;
    bool draining;
    bool stopped;       /* mail is only freed */
    struct event *tidy; /* runs when a sink has settled */
};

/* Answers. */

/* On the writer's loop. */
static void post_answer(struct writer *writer, struct answer *answer,
                        void (*deliver)(struct mail *mail, void *receiver)) {
    answer->posted = true;
    answer->mail.deliver = deliver;
    loop_post(writer->control, &answer->mail);
}

/* On the control loop. NULL: the writer is gone, and the answer with it. */
static struct writer *receive(struct answer *answer) {
    struct writer *writer = answer->writer;
    answer->posted = false;
    if (writer == NULL) {
        free(answer->why);
        free(answer);
    }
    return writer;
}

static struct answer *answer_new(struct writer *writer) {
    struct answer *answer = calloc(1, sizeof *answer);
    if (answer != NULL) {
        answer->writer = writer;
    }
    return answer;
}

static void answer_free(struct answer *answer) {
    if (answer == NULL) {
        return;
    }
    if (answer->posted) {
        answer->writer = NULL; /* receive() frees it */
    } else {
        free(answer->why);
        free(answer);
    }
}

static void deliver_prepared(struct mail *mail, void *receiver) {
    (void)receiver;
    struct answer *answer = (struct answer *)mail;
    struct writer *writer = receive(answer);
    if (writer == NULL) {
        return;
    }
    char *why = answer->why;
    answer->why = NULL;
    if (answer->error != 0) {
        writer->preparing = false;
    }
    writer->on_prepared(answer->error == 0 ? NULL : (why != NULL ? why : "out of memory"),
                        writer->prepared_arg);
    free(why);
}

static void end_drain(struct writer *writer, uint64_t unwritten) {
    void (*done)(uint64_t, void *) = writer->on_drained;
    writer->on_drained = NULL;
    if (done != NULL) {
        evtimer_del(writer->drain_limit);
        done(unwritten, writer->drained_arg);
    }
}

static void deliver_drained(struct mail *mail, void *receiver) {
    (void)receiver;
    struct answer *answer = (struct answer *)mail;
    struct writer *writer = receive(answer);
    if (writer != NULL) {
        end_drain(writer, answer->unwritten);
    }
}

static void deliver_broken(struct mail *mail, void *receiver) {
    (void)receiver;
    struct answer *answer = (struct answer *)mail;
    struct writer *writer = receive(answer);
    if (writer != NULL && writer->on_broken != NULL) {
        writer->on_broken(answer->error, writer->broken_arg);
    }
}

/* What the sinks tell, on the writer's loop. */

static void on_sink_settled(void *arg) {
    struct writer *writer = arg;
    event_active(writer->tidy, 0, 0); /* not now: the sink is in the middle of it */
}

static void on_sink_broken(int error, void *arg) {
    struct writer *writer = arg;
    if (!writer->broken->posted) {
        writer->broken->error = error;
        post_answer(writer, writer->broken, deliver_broken);
    }
}

static void on_tidy(evutil_socket_t fd, short what, void *arg) {
    struct writer *writer = arg;
    (void)fd;
    (void)what;
    bool all_settled = sink_set_tidy(&writer->sinks);
    if (writer->draining && all_settled) {
        writer->draining = false;
        writer->drained->unwritten = atomic_load(&writer->shared.unwritten);
        post_answer(writer, writer->drained, deliver_drained);
    }
}

/* Requests, on the writer's loop. */

static void deliver_prepare(struct mail *mail, void *receiver) {
    (void)mail;
    struct writer *writer = receiver;
    struct config *config = writer->prepare_config;
    writer->prepare_config = NULL; /* before the answer, after which another request may come */
    struct answer *answer = NULL;
    if (!writer->stopped) {
        answer = writer->prepared;
        answer->error = sink_set_prepare(&writer->sinks, config, &answer->why);
    }
    config_unref(config);
    if (answer != NULL) {
        post_answer(writer, answer, deliver_prepared);
    }
}

static void deliver_commit(struct mail *mail, void *receiver) {
    (void)mail;
    struct writer *writer = receiver;
    if (!writer->stopped) {
        sink_set_commit(&writer->sinks);
        event_active(writer->tidy, 0, 0); /* what was removed may have nothing left to write */
    }
}

static void deliver_roll_back(struct mail *mail, void *receiver) {
    (void)mail;
    struct writer *writer = receiver;
    if (!writer->stopped) {
        sink_set_roll_back(&writer->sinks);
        event_active(writer->tidy, 0, 0); /* tidying has waited */
    }
}

static void deliver_reopen(struct mail *mail, void *receiver) {
    (void)mail;
    struct writer *writer = receiver;
    atomic_store(&writer->reopening, false);
    if (!writer->stopped) {
        sink_set_reopen(&writer->sinks);
    }
}

static void deliver_drain(struct mail *mail, void *receiver) {
    (void)mail;
    struct writer *writer = receiver;
    if (!writer->stopped) {
        sink_set_miss(&writer->sinks, writer->drain_missed);
        atomic_store(&writer->drain_seen, true);
        writer->draining = true;
        event_active(writer->tidy, 0, 0);
    }
}

static void deliver_draw(struct mail *mail, void *receiver) {
    (void)mail;
    struct writer *writer = receiver;
    char *line = atomic_exchange(&writer->progress, NULL);
    if (!writer->stopped) {
        progress_set(&writer->shared.progress, line);
    }
    free(line);
}

static void deliver_record(struct mail *mail, void *receiver) {
    struct record *record = (struct record *)mail;
    struct writer *writer = receiver;
    atomic_fetch_sub(&writer->under_way, 1);
    if (!writer->stopped) {
        sink_set_miss(&writer->sinks, record->missed);
        sink_set_push(&writer->sinks, record);
    }
    if (--record->refs == 0) {
        record_free(record);
    }
}

/* The control loop's side. */

uint64_t writer_unwritten(const struct writer *writer) {
    bool drain_unseen = writer->drain_asked && !atomic_load(&writer->drain_seen);
    return atomic_load(&writer->shared.unwritten) + atomic_load(&writer->under_way) +
           writer->missed[SINK_ONLY_ALL] + (drain_unseen ? writer->drain_missed[SINK_ONLY_ALL] : 0);
}

static void on_drain_limit(evutil_socket_t fd, short what, void *arg) {
    struct writer *writer = arg;
    (void)fd;
    (void)what;
    end_drain(writer, writer_unwritten(writer));
}

static int start(struct writer *writer, struct config *config, char **ret_why) {
    *ret_why = NULL;
    writer->prepared = answer_new(writer);
    writer->drained = answer_new(writer);
    writer->broken = answer_new(writer);
    writer->drain_limit = evtimer_new(loop_base(writer->control), on_drain_limit, writer);
    if (writer->prepared == NULL || writer->drained == NULL || writer->broken == NULL ||
        writer->drain_limit == NULL) {
        return -ENOMEM;
    }
    int r = loop_new("writer", writer, &writer->loop);
    if (r < 0) {
        return r;
    }
    writer->shared.base = loop_base(writer->loop);
    writer->tidy = evtimer_new(writer->shared.base, on_tidy, writer);
    if (writer->tidy == NULL) {
        return -ENOMEM;
    }
    r = sink_set_prepare(&writer->sinks, config, ret_why);
    if (r < 0) {
        return r;
    }
    sink_set_commit(&writer->sinks);
    return loop_start(writer->loop);
}

int writer_new(const struct writer_options *options, struct config *config,
               struct writer **ret_writer, char **ret_why) {
    struct writer *writer = calloc(1, sizeof *writer);
    *ret_why = NULL;
    if (writer == NULL) {
        return -ENOMEM;
    }
    sink_set_init(&writer->sinks, &writer->shared);
    writer->control = options->control;
    writer->on_broken = options->on_broken;
    writer->broken_arg = options->arg;
    writer->shared.boot = options->boot;
    writer->shared.on_settled = on_sink_settled;
    writer->shared.on_broken = on_sink_broken;
    writer->shared.arg = writer;
    progress_init(&writer->shared.progress, options->progress ? STDERR_FILENO : -1);
    int r = start(writer, config, ret_why);
    if (r < 0) {
        if (*ret_why == NULL &&
            asprintf(ret_why, "the writer cannot be started: %s", strerror(-r)) < 0) {
            *ret_why = NULL;
        }
        writer_free(writer);
        return r;
    }
    *ret_writer = writer;
    return 0;
}

void writer_free(struct writer *writer) {
    if (writer == NULL) {
        return;
    }
    if (writer->loop != NULL) {
        loop_stop(writer->loop);
        loop_join(writer->loop);
    }
    writer->stopped = true;
    progress_hide(&writer->shared.progress);
    sink_set_clear(&writer->sinks);
    if (writer->tidy != NULL) {
        event_free(writer->tidy);
    }
    loop_free(writer->loop); /* delivers what is left, to be freed */
    if (writer->drain_limit != NULL) {
        event_free(writer->drain_limit);
    }
    answer_free(writer->prepared);
    answer_free(writer->drained);
    answer_free(writer->broken);
    free(writer);
}

static void take_missed(struct writer *writer, uint64_t ret_missed[SINK_ONLY_CHANGES + 1]) {
    memcpy(ret_missed, writer->missed, sizeof writer->missed);
    memset(writer->missed, 0, sizeof writer->missed);
}

void writer_post(struct writer *writer, struct record *record) {
    if (writer->shared.boot != NULL && atomic_load(&writer->under_way) >= UNDER_WAY_MOST) {
        for (int only = SINK_ONLY_ALL; only <= SINK_ONLY_CHANGES; only++) {
            writer->missed[only] += record_matches(record, (enum sink_only)only) ? 1 : 0;
        }
        record_free(record);
        return;
    }
    take_missed(writer, record->missed);
    atomic_fetch_add(&writer->under_way, 1);
    record->mail.deliver = deliver_record;
    loop_post(writer->loop, &record->mail);
}

void writer_prepare(struct writer *writer, struct config *config,
                    void (*done)(const char *why_not, void *arg), void *arg) {
    assert(!writer->preparing);
    writer->preparing = true;
    writer->on_prepared = done;
    writer->prepared_arg = arg;
    writer->prepare_config = config_ref(config);
    writer->prepare.deliver = deliver_prepare;
    loop_post(writer->loop, &writer->prepare);
}

void writer_commit(struct writer *writer) {
    assert(writer->preparing);
    writer->preparing = false;
    writer->commit.deliver = deliver_commit;
    loop_post(writer->loop, &writer->commit);
}

void writer_rollback(struct writer *writer) {
    assert(writer->preparing);
    writer->preparing = false;
    writer->roll_back.deliver = deliver_roll_back;
    loop_post(writer->loop, &writer->roll_back);
}

void writer_reopen(struct writer *writer) {
    if (!atomic_exchange(&writer->reopening, true)) {
        writer->reopen.deliver = deliver_reopen;
        loop_post(writer->loop, &writer->reopen);
    }
}

void writer_drain(struct writer *writer, nsec_t limit, void (*done)(uint64_t unwritten, void *arg),
                  void *arg) {
    assert(!writer->drain_asked);
    writer->drain_asked = true;
    writer->on_drained = done;
    writer->drained_arg = arg;
    struct timeval time = loop_timeval(limit);
    if (limit != WRITER_NO_LIMIT && event_add(writer->drain_limit, &time) != 0) {
        log_warning("without memory for a timer the logs are waited for without a limit");
    }
    take_missed(writer, writer->drain_missed);
    writer->drain.deliver = deliver_drain;
    loop_post(writer->loop, &writer->drain);
}

void writer_progress(struct writer *writer, const char *line) {
    char *copy = strdup(line);
    if (copy == NULL) {
        return; /* the next one will be drawn */
    }
    char *unseen = atomic_exchange(&writer->progress, copy);
    if (unseen != NULL) {
        free(unseen);
    } else {
        writer->draw.deliver = deliver_draw;
        loop_post(writer->loop, &writer->draw);
    }
}

static bool is_busy_for(const struct writer *writer, nsec_t duration) {
    nsec_t busy_since = atomic_load(&writer->shared.busy_since);
    return busy_since != 0 && clock_now() - busy_since >= duration;
}

uint64_t writer_lost(const struct writer *writer) {
    return atomic_load(&writer->shared.lost);
}

bool writer_is_stuck(const struct writer *writer) {
    return is_busy_for(writer, STUCK_AFTER);
}

struct loop *writer_loop(const struct writer *writer) {
    return writer->loop;
}

bool writer_is_ready(const struct writer *writer) {
    return atomic_load(&writer->shared.failing) == 0 && !is_busy_for(writer, UNREADY_AFTER);
}
