/* The line has the rate of the last minute, as sites that are sampled once a minute would make that of
 * some seconds jump. It is made every few seconds, and sent when it is another one.
 *
 * The watchdog is fed when a beat finds that every loop has turned since the last one that found so
 * (base/loop.c; the control loop has, as it beats). So a writer that hangs in one write(2) to a dead
 * disk for as long as WatchdogSec= gets the daemon killed: all the reports that it could still take
 * would end in memory. Loops say that they turn five times a second, each at times of its own: with a
 * WatchdogSec= under a second it takes several beats until all have. */
#include "herald.h"

#include "base/clock.h"
#include "base/loop.h"
#include "service/notify.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static const nsec_t line_period = 3 * NSEC_PER_SEC;
static const nsec_t beat_period = NSEC_PER_SEC;
/* What a stop takes beside the longest sample: the logs, the states, and some grace. */
static const nsec_t stop_rest = 12 * NSEC_PER_SEC;
enum { MARKS = 20, LINE_BYTES = 512, NUMBER_BYTES = 32 };

/* How many samples there were at a time. */
struct mark {
    nsec_t at;
    uint64_t samples;
};

struct herald {
    struct engine *engine;
    const struct vitals_reloads *reloads;
    const struct watch_list *(*watched)(void *arg);
    void *arg;
    struct notify *notify;
    struct event *timer, *beat; /* the latter where there is a watchdog */
    nsec_t turned_at;           /* the last beat that found all loops turning */
    nsec_t fed_at;
    struct mark marks[MARKS]; /* a ring */
    unsigned first, n;
    bool ready;
    char line[LINE_BYTES]; /* as it was sent last */
};

/* 1,234,567 */
static const char *group(uint64_t number, char ret_text[NUMBER_BYTES]) {
    char digits[NUMBER_BYTES];
    int n = snprintf(digits, sizeof digits, "%" PRIu64, number);
    char *to = ret_text;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0) {
            *to++ = ',';
        }
        *to++ = digits[i];
    }
    *to = '\0';
    return ret_text;
}

static double measure_rate(struct herald *herald) {
    struct mark now = {.at = clock_now(), .samples = engine_samples(herald->engine)};
    if (herald->n == MARKS) {
        herald->first = (herald->first + 1) % MARKS;
        herald->n--;
    }
    herald->marks[(herald->first + herald->n++) % MARKS] = now;
    const struct mark *then = &herald->marks[herald->first];
    return now.at > then->at ? (double)(now.samples - then->samples) /
                                   ((double)(now.at - then->at) / (double)NSEC_PER_SEC)
                             : 0;
}

static void make_line(struct herald *herald, char ret_line[LINE_BYTES]) {
    struct watch_counts counts;
    char number[NUMBER_BYTES], rate_text[NUMBER_BYTES];
    double rate = measure_rate(herald);
    if (rate < 9.95) {
        snprintf(rate_text, sizeof rate_text, "%.1f", rate);
    } else {
        group((uint64_t)(rate + 0.5), rate_text);
    }
    watch_count(herald->watched(herald->arg), &counts);
    size_t n = (size_t)snprintf(ret_line, LINE_BYTES, "%s site%s", group(counts.enabled, number),
                                counts.enabled == 1 ? "" : "s");
    static const enum state told[] = {STATE_DEGRADED, STATE_DOWN, STATE_UNKNOWN};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        size_t count = counts.of_state[told[i]];
        if (count > 0 || told[i] != STATE_UNKNOWN) {
            n += (size_t)snprintf(ret_line + n, LINE_BYTES - n, ", %s %s", group(count, number),
                                  state_name(told[i]));
        }
    }
    n += (size_t)snprintf(ret_line + n, LINE_BYTES - n, "; %s samples/s", rate_text);
    if (*herald->reloads->why_refused != '\0') {
        snprintf(ret_line + n, LINE_BYTES - n, "; the last reload was refused: %s",
                 herald->reloads->why_refused);
    }
}

static void arm(struct event *timer, nsec_t after) {
    struct timeval delay = loop_timeval(after);
    event_add(timer, &delay);
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    struct herald *herald = arg;
    (void)fd;
    (void)what;
    char line[LINE_BYTES];
    make_line(herald, line);
    if (herald->ready && strcmp(line, herald->line) != 0) {
        strcpy(herald->line, line);
        notify_status(herald->notify, line);
    }
    arm(herald->timer, line_period);
}

static void on_beat(evutil_socket_t fd, short what, void *arg) {
    struct herald *herald = arg;
    (void)fd;
    (void)what;
    nsec_t feed = notify_watchdog(herald->notify) / 4, now = clock_now();
    if (engine_turned(herald->engine) > herald->turned_at) {
        herald->turned_at = now;
        if (now - herald->fed_at >= feed) {
            herald->fed_at = now;
            notify_alive(herald->notify);
        }
    }
    arm(herald->beat, feed < beat_period ? feed : beat_period);
}

int herald_new(struct engine *engine, const struct vitals_reloads *reloads,
               const struct watch_list *(*watched)(void *arg), void *arg,
               struct herald **ret_herald) {
    struct event_base *base = loop_base(engine_loop(engine));
    struct herald *herald = calloc(1, sizeof *herald);
    if (herald == NULL) {
        return -ENOMEM;
    }
    herald->engine = engine;
    herald->reloads = reloads;
    herald->watched = watched;
    herald->arg = arg;
    int r = notify_new(base, &herald->notify);
    herald->timer = event_new(base, -1, 0, on_timer, herald);
    herald->beat = event_new(base, -1, 0, on_beat, herald);
    if (r < 0 || herald->timer == NULL || herald->beat == NULL) {
        herald_free(herald);
        return -ENOMEM;
    }
    if (notify_watchdog(herald->notify) > 0) {
        arm(herald->beat, 0);
    }
    *ret_herald = herald;
    return 0;
}

void herald_free(struct herald *herald) {
    if (herald == NULL) {
        return;
    }
    if (herald->timer != NULL) {
        event_free(herald->timer);
    }
    if (herald->beat != NULL) {
        event_free(herald->beat);
    }
    notify_free(herald->notify);
    free(herald);
}

void herald_ready(struct herald *herald) {
    herald->ready = true;
    make_line(herald, herald->line);
    notify_ready(herald->notify, herald->line);
    arm(herald->timer, line_period);
}

void herald_reloading(struct herald *herald) {
    herald->ready = false;
    notify_reloading(herald->notify);
}

void herald_stopping(struct herald *herald) {
    const struct config *config = engine_config(herald->engine);
    nsec_t longest = 0;
    for (size_t i = 0; i < config->n_sites; i++) {
        longest = config->sites[i].timeout > longest ? config->sites[i].timeout : longest;
    }
    herald->ready = false;
    event_del(herald->timer);
    notify_stopping(herald->notify, longest + stop_rest);
}
