/* A round goes through two states: it resolves its name, then it samples; when every planned sample
 * has its outcome it closes. Each sample ends in one function, end_sample().
 *
 * Who may start when: sample k of a round not before k * spread / planned after the round's begin,
 * at most `concurrency` of a round in flight, at most max_in_flight of the loop. A round that could
 * start a sample but for the loop's limit joins a line, which is kept in the order in which the
 * rounds were handed over: the oldest takes all it may before the next gets any.
 *
 * With `addresses: each` every address is a row of its own: sample k goes to address k mod n, and
 * `concurrency` holds for each row, not for the round. So an address that swallows every packet
 * keeps its own places and nobody else's, and the deadline, worked out for N samples at that
 * concurrency, is enough for n times N of them. Otherwise a round is a single row.
 *
 * The deadline ends what is in flight as the time-out of its phase, which is the site's, and what
 * never started as not_sent, which is ours. A stop makes that `aborted`.
 *
 * What a round shows of this machine is noted where it is seen, and judged elsewhere: a loop that was
 * away, what ran out, and, when something could not be reached, whether the kernel has a way to go at
 * all, asked in that very moment, for a route may be back when the round closes.
 *
 * A lane (descriptors, memory) is held only while samples are in flight. */
#include "sampling/sampler.h"

#include "base/log.h"
#include "base/text.h"
#include "probe/resolver.h"
#include "probe/route.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A sample of a running round. */
struct flight {
    struct round_run *round_run;
    struct probe_run *probe_run; /* NULL: not in flight */
};

/* Samples that share `concurrency`, in their order: of n rows, row r has r, r + n, r + 2n … */
struct row {
    unsigned started; /* the first of them that have started, or never will */
    unsigned in_flight;
};

struct round_run {
    struct sampler *sampler;
    struct round *round;
    struct round_run *next, *previous;                 /* of all that run */
    struct round_run *next_waiting, *previous_waiting; /* of those that wait for the loop's limit */
    bool waiting;
    uint64_t order; /* in which rounds were handed over */
    struct resolver_lookup *lookup;
    struct probe_lane *lane;
    struct tls_use tls;
    struct event start;     /* of the next sample */
    struct event deadline;  /* of the round */
    struct flight *flights; /* of every planned sample */
    struct row *rows;
    unsigned n_rows;
    unsigned in_flight;
    unsigned open; /* samples without an outcome */
    bool ending;   /* end_in_flight() is at it */
};

struct sampler {
    struct loop *loop;
    struct loop *control;
    void (*on_closed)(struct round *round);
    const struct probe_type *probe;
    struct probe_engine *engine;
    struct resolver *resolver;
    struct tls_set *tls;
    unsigned in_flight, max_in_flight;
    uint64_t order;
    struct round_run *running;
    struct round_run *first_waiting, *last_waiting;
    bool stopping;
    struct mail stop_mails[2]; /* by enum sampler_stop */
    _Atomic uint64_t ended;    /* samples; for whoever looks on */
    _Atomic uint64_t added;    /* to what was planned, by lookups */
    atomic_uint shown;         /* in_flight */
};

static void pump(struct round_run *run);

static void show_in_flight(struct sampler *sampler) {
    atomic_store_explicit(&sampler->shown, sampler->in_flight, memory_order_relaxed);
}

/* ---- the line of rounds that wait for the loop's limit ---- */

static void wait_in_line(struct round_run *run) {
    struct sampler *sampler = run->sampler;
    if (run->waiting) {
        return;
    }
    struct round_run *after = sampler->last_waiting;
    while (after != NULL && after->order > run->order) {
        after = after->previous_waiting;
    }
    struct round_run *before = after != NULL ? after->next_waiting : sampler->first_waiting;
    run->previous_waiting = after;
    run->next_waiting = before;
    *(after != NULL ? &after->next_waiting : &sampler->first_waiting) = run;
    *(before != NULL ? &before->previous_waiting : &sampler->last_waiting) = run;
    run->waiting = true;
}

static void leave_line(struct round_run *run) {
    struct sampler *sampler = run->sampler;
    if (!run->waiting) {
        return;
    }
    *(run->previous_waiting != NULL ? &run->previous_waiting->next_waiting
                                    : &sampler->first_waiting) = run->next_waiting;
    *(run->next_waiting != NULL ? &run->next_waiting->previous_waiting : &sampler->last_waiting) =
        run->previous_waiting;
    run->waiting = false;
}

static void pump_line(struct sampler *sampler) {
    while (sampler->first_waiting != NULL && sampler->in_flight < sampler->max_in_flight) {
        struct round_run *run = sampler->first_waiting;
        leave_line(run);
        pump(run);
    }
}

/* ---- the end of a sample, and of a round ---- */

static void keep_evidence(struct round *round, unsigned index, const char *words) {
    const struct sample *sample = &round->samples[index];
    if (sample->reason == REASON_NONE && outcome_is_status(sample->outcome)) {
        return;
    }
    unsigned alike = 0;
    for (size_t i = 0; i < round->n_evidence; i++) {
        const struct sample *other = &round->samples[round->evidence[i].sample];
        alike += other->outcome == sample->outcome && other->reason == sample->reason;
    }
    if (alike >= ROUND_EVIDENCE_EACH || round->n_evidence >= ROUND_EVIDENCE_MOST) {
        return;
    }
    struct round_evidence *more =
        realloc(round->evidence, (round->n_evidence + 1) * sizeof *round->evidence);
    if (more == NULL) {
        return; /* the sample counts without it */
    }
    round->evidence = more;
    struct round_evidence *evidence = &more[round->n_evidence++];
    evidence->sample = index;
    text_escape(words, strlen(words), evidence->words, sizeof evidence->words);
}

/* Every sample ends here, started or not. */
static void end_sample(struct round_run *run, unsigned index, outcome_t outcome, enum reason reason,
                       const char *words) {
    struct round *round = run->round;
    struct sample *sample = &round->samples[index];
    assert(sample->outcome == OUTCOME_NONE && outcome != OUTCOME_NONE);
    sample->outcome = outcome;
    sample->reason = (uint16_t)reason;
    keep_evidence(round, index, words);
    run->open--;
    atomic_fetch_add_explicit(&run->sampler->ended, 1, memory_order_relaxed);
}

static void end_unstarted(struct round_run *run, outcome_t outcome, const char *words) {
    enum reason reason = outcome_is_judged(outcome) ? REASON_ERROR : REASON_NONE;
    for (unsigned i = 0; i < run->round->planned; i++) {
        struct row *row = &run->rows[i % run->n_rows];
        if (row->started == i / run->n_rows) {
            row->started++;
            end_sample(run, i, outcome, reason, words);
        }
    }
}

static void run_free(struct round_run *run) {
    event_del(&run->start);
    event_del(&run->deadline);
    tls_use_clear(&run->tls);
    free(run->flights);
    free(run->rows);
    free(run);
}

static void on_closed_delivered(struct mail *mail, void *receiver) {
    struct round *round = (struct round *)mail;
    (void)receiver;
    void (*on_closed)(struct round *) = round->on_closed;
    on_closed(round);
}

static void hand_back(struct sampler *sampler, struct round *round) {
    round->on_closed = sampler->on_closed;
    round->mail.deliver = on_closed_delivered;
    loop_post(sampler->control, &round->mail);
}

static void close_if_done(struct round_run *run) {
    struct sampler *sampler = run->sampler;
    struct round *round = run->round;
    if (run->in_flight == 0 && run->lane != NULL) {
        sampler->probe->lane_close(run->lane);
        run->lane = NULL;
    }
    if (run->open > 0) {
        return;
    }
    assert(run->in_flight == 0);
    leave_line(run);
    if (run->lookup != NULL) {
        resolver_abandon(run->lookup);
    }
    *(run->previous != NULL ? &run->previous->next : &sampler->running) = run->next;
    if (run->next != NULL) {
        run->next->previous = run->previous;
    }
    round->run = NULL;
    round->signs.absence = loop_absence(sampler->loop, round->began);
    round->ended = clock_now();
    run_free(run);
    hand_back(sampler, round);
}

static nsec_t start_of(const struct round *round, unsigned index) {
    return round->began + round->site->spread / round->planned * index;
}

/* The sample that starts next: the first of all rows that have a place free. False: there is none.
 */
static bool find_next(const struct round_run *run, unsigned *ret_index) {
    const struct round *round = run->round;
    if (run->lookup != NULL) {
        return false;
    }
    unsigned next = round->planned;
    for (unsigned r = 0; r < run->n_rows; r++) {
        const struct row *row = &run->rows[r];
        unsigned index = row->started * run->n_rows + r;
        if (row->in_flight < round->site->concurrency && index < next) {
            next = index;
        }
    }
    *ret_index = next;
    return next < round->planned;
}

/* Whether it has a sample that could start now, but for the loop's limit. */
static bool may_start(const struct round_run *run) {
    const struct round *round = run->round;
    nsec_t now = clock_now();
    unsigned next;
    return find_next(run, &next) && now >= start_of(round, next) &&
           now - round->began < round->site->deadline;
}

static void note_certificate(struct round *round, nsec_t wall_ends) {
    if (wall_ends != NSEC_UNKNOWN && (round->wall_certificate_ends == NSEC_UNKNOWN ||
                                      wall_ends < round->wall_certificate_ends)) {
        round->wall_certificate_ends = wall_ends;
    }
}

/* An address that could not be reached may lie where no way leads to from here. */
static void note_route(struct round *round, const struct sample *sample) {
    if (sample->outcome != OUTCOME_CONNECT_UNREACHABLE || round->signs.no_route) {
        return;
    }
    const struct address *address = &round->addresses[sample->address];
    round->signs.no_route = !route_exists(address) && !route_out(address->family);
}

static void on_sample_end(const struct probe_result *result, void *arg) {
    struct flight *flight = arg;
    struct round_run *run = flight->round_run;
    struct sampler *sampler = run->sampler;
    unsigned index = (unsigned)(flight - run->flights);
    struct sample *sample = &run->round->samples[index];
    flight->probe_run = NULL;
    sample->took = result->took;
    sample->local_port = result->local_port;
    memcpy(sample->phases, result->phases, sizeof sample->phases);
    sample->repeated = result->repeated;
    sample->backend = round_find_backend(run->round, result->backend);
    note_certificate(run->round, result->wall_certificate_ends);
    end_sample(run, index, result->outcome, result->reason, result->words);
    run->round->signs.exhausted += result->exhausted;
    run->round->signs.silent |= result->silent;
    note_route(run->round, sample);
    run->rows[index % run->n_rows].in_flight--;
    run->in_flight--;
    sampler->in_flight--;
    show_in_flight(sampler);
    if (!run->ending) { /* else whoever ends them closes the round */
        if (may_start(run)) {
            wait_in_line(run); /* the place goes to the oldest that waits, perhaps itself */
        } else {
            pump(run);
        }
    }
    pump_line(sampler);
}

/* ---- starting samples ---- */

/* round numbers start at 1, turns at 0 */
static uint64_t turn_of(const struct round *round, unsigned index) {
    return (round->number - 1) * round->planned + index;
}

static uint16_t address_of(const struct round *round, unsigned index) {
    switch (round->site->addresses) {
    case ADDRESSES_FIRST:
        return 0;
    case ADDRESSES_EACH:
        return (uint16_t)(index % round->n_addresses);
    case ADDRESSES_ROTATE:
        break;
    }
    return (uint16_t)(turn_of(round, index) % round->n_addresses);
}

/* Afterwards it is in flight, or it has ended as our own failure. */
static void start_sample(struct round_run *run, unsigned index) {
    struct sampler *sampler = run->sampler;
    struct round *round = run->round;
    struct row *row = &run->rows[index % run->n_rows];
    struct sample *sample = &round->samples[index];
    row->started++;
    int r = 0;
    if (run->lane == NULL) {
        r = sampler->probe->lane_open(sampler->engine, round->site, &run->lane);
    }
    if (r == 0) {
        sample->address = address_of(round, index);
        sample->at = clock_now() - round->began;
        struct flight *flight = &run->flights[index];
        struct probe_request request = {
            .site = round->site,
            .address = &round->addresses[sample->address],
            .trust = tls_use_trust(&run->tls),
            .identity = tls_use_identity(&run->tls),
            .resolver = sampler->resolver,
            .turn = turn_of(round, index),
            .on_end = on_sample_end,
            .arg = flight,
        };
        r = sampler->probe->start(run->lane, &request, &flight->probe_run);
        if (r == 0) {
            row->in_flight++;
            run->in_flight++;
            sampler->in_flight++;
            show_in_flight(sampler);
            return;
        }
        sample->address = SAMPLE_NO_ADDRESS;
        sample->at = NSEC_UNKNOWN;
    }
    round->signs.exhausted += r == -ENOMEM || r == -EMFILE || r == -ENFILE;
    end_sample(run, index, OUTCOME_LOCAL_RESOURCE, REASON_NONE, strerror(-r));
}

/* Starts every sample that may start now, and sees to it that somebody comes back for the rest.
 * Closes the round when nothing is open any more: `run` may be gone afterwards. */
static void pump(struct round_run *run) {
    struct sampler *sampler = run->sampler;
    struct round *round = run->round;
    unsigned next;
    while (find_next(run, &next)) {
        nsec_t now = clock_now();
        if (now - round->began >= round->site->deadline) {
            break; /* on_deadline() is due, and late itself */
        }
        nsec_t wait = start_of(round, next) - now;
        if (wait > 0) {
            struct timeval delay = loop_timeval(wait);
            if (event_add(&run->start, &delay) != 0) {
                end_unstarted(run, OUTCOME_LOCAL_RESOURCE, "no memory for a timer");
            }
            break;
        }
        if (sampler->in_flight >= sampler->max_in_flight) {
            wait_in_line(run);
            break;
        }
        start_sample(run, next);
    }
    close_if_done(run);
}

static void on_start_due(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    pump(arg);
}

static void end_in_flight(struct round_run *run, outcome_t forced) {
    run->ending = true; /* they shall not close the round */
    for (unsigned i = 0; i < run->round->planned; i++) {
        if (run->flights[i].probe_run != NULL) {
            run->sampler->probe->end(run->flights[i].probe_run, forced);
        }
    }
}

static void on_deadline(evutil_socket_t fd, short what, void *arg) {
    struct round_run *run = arg;
    (void)fd;
    (void)what;
    nsec_t left = run->round->began + run->round->site->deadline - clock_now();
    struct timeval again = loop_timeval(left);
    /* libevent counts from when its turn began, which may be long before the round did */
    if (left > 0 && event_add(&run->deadline, &again) == 0) {
        return;
    }
    leave_line(run);
    run->ending = true;
    if (run->lookup != NULL) {
        resolver_end(run->lookup); /* a name that is not known by now is what they saw */
    }
    end_unstarted(run, OUTCOME_NOT_SENT, "no turn before the round's deadline");
    end_in_flight(run, OUTCOME_NONE);
    close_if_done(run);
}

/* Makes room for what is planned. 0 or -ENOMEM: as before. */
static int make_room(struct round_run *run, unsigned n_rows) {
    unsigned planned = run->round->planned;
    struct flight *flights = calloc(planned, sizeof *flights);
    struct row *rows = calloc(n_rows, sizeof *rows);
    if (flights == NULL || rows == NULL) {
        free(flights);
        free(rows);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < planned; i++) {
        flights[i].round_run = run;
    }
    free(run->flights);
    free(run->rows);
    run->flights = flights;
    run->rows = rows;
    run->n_rows = n_rows;
    run->open = planned;
    return 0;
}

/* The addresses are known, and so is how many samples there are. Without room for so
 * many there are as many as before, and all end. */
static void plan(struct round_run *run) {
    struct round *round = run->round;
    unsigned before = round->planned;
    int r = round_plan_addresses(round);
    if (r == 0 && round->planned > before) {
        r = make_room(run, (unsigned)round->n_addresses);
    }
    if (r == 0) {
        atomic_fetch_add_explicit(&run->sampler->added, round->planned - before,
                                  memory_order_relaxed);
        return;
    }
    char words[128];
    snprintf(words, sizeof words, "%u samples for each of %zu addresses: %s", before,
             round->n_addresses, r == -E2BIG ? "too many for a round" : strerror(-r));
    round->planned = before; /* if there was room for the samples alone */
    end_unstarted(run, OUTCOME_LOCAL_RESOURCE, words);
}

static void on_resolved(struct resolver_result *result, void *arg) {
    struct round_run *run = arg;
    struct round *round = run->round;
    run->lookup = NULL;
    round->dns_took = result->took;
    round->addresses = result->addresses;
    round->n_addresses = result->n_addresses;
    round->left_out_ipv4 = result->left_out_ipv4;
    round->left_out_ipv6 = result->left_out_ipv6;
    round->lookup_incomplete = result->incomplete;
    if (result->outcome != OUTCOME_NONE) {
        round->signs.silent = result->silent;
        round->signs.exhausted += result->exhausted;
        round->signs.no_route =
            (result->outcome == OUTCOME_DNS_TIMEOUT || result->outcome == OUTCOME_DNS_FAILURE) &&
            !route_anywhere();
        end_unstarted(run, result->outcome, result->words);
    } else {
        plan(run);
    }
    if (!run->ending) {
        pump(run);
    }
}

/* ---- the beginning of a round ---- */

static struct round_run *run_new(struct sampler *sampler, struct round *round) {
    struct round_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return NULL;
    }
    run->sampler = sampler;
    run->round = round;
    run->order = sampler->order++;
    event_assign(&run->start, loop_base(sampler->loop), -1, 0, on_start_due, run);
    event_assign(&run->deadline, loop_base(sampler->loop), -1, 0, on_deadline, run);
    struct timeval deadline = loop_timeval(round->site->deadline);
    if (make_room(run, 1) != 0 || event_add(&run->deadline, &deadline) != 0) {
        run_free(run);
        return NULL;
    }
    run->next = sampler->running;
    if (run->next != NULL) {
        run->next->previous = run;
    }
    sampler->running = run;
    round->run = run;
    return run;
}

/* For a round that cannot even run. */
static void close_unrun(struct sampler *sampler, struct round *round, outcome_t outcome) {
    for (unsigned i = 0; i < round->planned; i++) {
        round->samples[i].outcome = outcome;
    }
    round->ended = clock_now();
    hand_back(sampler, round);
}

static void begin(struct mail *mail, void *receiver) {
    struct round *round = (struct round *)mail;
    struct sampler *sampler = receiver;
    (void)loop_absence(sampler->loop, 0); /* one that ends only now is before the round */
    round->began = clock_now();
    round->wall_began = clock_wall_now();
    if (sampler->stopping) {
        close_unrun(sampler, round, OUTCOME_ABORTED);
        return;
    }
    struct round_run *run = run_new(sampler, round);
    if (run == NULL) {
        log_error("%s: out of memory for a round", round->site->name);
        close_unrun(sampler, round, OUTCOME_LOCAL_RESOURCE);
        return;
    }
    if (!tls_set_use(sampler->tls, round->config, round->site, &run->tls)) {
        end_unstarted(run, OUTCOME_LOCAL_RESOURCE, "no CA bundle or client certificate was loaded");
        close_if_done(run);
        return;
    }
    if (resolver_start(sampler->resolver, probe_host(round->site), round->site->family,
                       round->site->dns_timeout, on_resolved, run, &run->lookup) != 0) {
        end_unstarted(run, OUTCOME_LOCAL_RESOURCE, "out of memory for a lookup");
        close_if_done(run);
    }
}

void sampler_begin(struct sampler *sampler, struct round *round) {
    round->mail.deliver = begin;
    loop_post(sampler->loop, &round->mail);
}

/* ---- settings and stop ---- */

struct settings {
    struct mail mail;
    struct config *config; /* a reference */
    unsigned max_in_flight;
    struct tls_set *tls; /* NULL: as before */
};

static void configure(struct mail *mail, void *receiver) {
    struct settings *settings = (struct settings *)mail;
    struct sampler *sampler = receiver;
    int r = resolver_configure(sampler->resolver, settings->config);
    if (r != 0) {
        log_error("DNS settings stay as they were: %s", strerror(-r));
    }
    if (settings->tls != NULL) {
        tls_set_follow(settings->tls, sampler->tls);
        sampler->tls = settings->tls;
    }
    sampler->probe->engine_configure(sampler->engine, settings->config);
    sampler->max_in_flight = settings->max_in_flight;
    config_unref(settings->config);
    free(settings);
    pump_line(sampler);
}

int sampler_configure(struct sampler *sampler, struct config *config, unsigned max_in_flight,
                      struct tls_set *tls) {
    struct settings *settings = calloc(1, sizeof *settings);
    if (settings == NULL) {
        return -ENOMEM;
    }
    settings->mail.deliver = configure;
    settings->config = config_ref(config);
    settings->max_in_flight = max_in_flight;
    settings->tls = tls;
    loop_post(sampler->loop, &settings->mail);
    return 0;
}

static void stop(struct sampler *sampler, enum sampler_stop how) {
    sampler->stopping = true;
    /* all of them first: a sample that ends lets others start */
    for (struct round_run *run = sampler->running; run != NULL; run = run->next) {
        event_del(&run->start);
        leave_line(run);
        end_unstarted(run, OUTCOME_ABORTED, "tallyd was stopped");
    }
    struct round_run *next;
    for (struct round_run *run = sampler->running; run != NULL; run = next) {
        next = run->next;
        if (how == SAMPLER_STOP_NOW) {
            end_in_flight(run, OUTCOME_ABORTED);
        }
        close_if_done(run);
    }
}

static void stop_soon(struct mail *mail, void *receiver) {
    (void)mail;
    stop(receiver, SAMPLER_STOP_SOON);
}

static void stop_now(struct mail *mail, void *receiver) {
    (void)mail;
    stop(receiver, SAMPLER_STOP_NOW);
}

void sampler_stop(struct sampler *sampler, enum sampler_stop how) {
    struct mail *mail = &sampler->stop_mails[how];
    assert(mail->deliver == NULL); /* once each */
    mail->deliver = how == SAMPLER_STOP_NOW ? stop_now : stop_soon;
    loop_post(sampler->loop, mail);
}

/* ---- a sampler ---- */

int sampler_new(const struct sampler_options *options, struct sampler **ret_sampler) {
    struct sampler *sampler = calloc(1, sizeof *sampler);
    if (sampler == NULL) {
        tls_set_free(options->tls);
        return -ENOMEM;
    }
    sampler->control = options->control;
    sampler->on_closed = options->on_closed;
    sampler->probe = options->probe;
    sampler->max_in_flight = options->max_in_flight;
    sampler->tls = options->tls;
    int r = loop_new(options->name, sampler, &sampler->loop);
    if (r == 0) {
        r = sampler->probe->engine_new(loop_base(sampler->loop), &sampler->engine);
    }
    if (r == 0) {
        r = resolver_new(loop_base(sampler->loop), &sampler->resolver);
    }
    if (r == 0) {
        r = resolver_configure(sampler->resolver, options->config);
    }
    if (r == 0) {
        r = loop_start(sampler->loop);
    }
    if (r != 0) {
        sampler_free(sampler);
        return r;
    }
    *ret_sampler = sampler;
    return 0;
}

void sampler_free(struct sampler *sampler) {
    if (sampler == NULL) {
        return;
    }
    if (sampler->loop != NULL) {
        loop_stop(sampler->loop);
        loop_join(sampler->loop);
    }
    assert(sampler->running == NULL);
    resolver_free(sampler->resolver);
    if (sampler->engine != NULL) {
        sampler->probe->engine_free(sampler->engine);
    }
    loop_free(sampler->loop);
    tls_set_free(sampler->tls);
    free(sampler);
}

struct loop *sampler_loop(const struct sampler *sampler) {
    return sampler->loop;
}

unsigned sampler_in_flight(const struct sampler *sampler) {
    return atomic_load_explicit(&sampler->shown, memory_order_relaxed);
}

uint64_t sampler_ended(const struct sampler *sampler) {
    return atomic_load_explicit(&sampler->ended, memory_order_relaxed);
}

uint64_t sampler_added(const struct sampler *sampler) {
    return atomic_load_explicit(&sampler->added, memory_order_relaxed);
}
