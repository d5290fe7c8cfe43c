/* A beat is a mail that is embedded here, so asking cannot fail, and one flag that the loop clears
 * when it takes the mail: until then it is not asked again. A loop that hangs in one callback, or in
 * one write(2) to a dead disk, takes none. */
#include "base/pulse.h"

#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/time.h>

struct beat {
    struct mail mail; /* first */
    struct loop *loop;
    atomic_bool under_way;
    nsec_t asked_at;
};

struct pulse {
    nsec_t period;
    struct event *timer;
    void (*on_beat)(void *arg);
    void *arg;
    unsigned n;
    struct beat beats[];
};

static void deliver(struct mail *mail, void *receiver) {
    (void)receiver;
    struct beat *beat = (struct beat *)mail;
    atomic_store(&beat->under_way, false);
}

static void ask(struct pulse *pulse) {
    nsec_t now = clock_now();
    for (unsigned i = 0; i < pulse->n; i++) {
        struct beat *beat = &pulse->beats[i];
        if (!atomic_load(&beat->under_way)) {
            atomic_store(&beat->under_way, true);
            beat->asked_at = now;
            loop_post(beat->loop, &beat->mail);
        }
    }
    struct timeval delay = loop_timeval(pulse->period);
    event_add(pulse->timer, &delay);
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    struct pulse *pulse = arg;
    (void)fd;
    (void)what;
    if (pulse->on_beat != NULL && pulse_silence(pulse) == 0) {
        pulse->on_beat(pulse->arg);
    }
    ask(pulse);
}

int pulse_new(struct loop *control, struct loop *const *loops, unsigned n, nsec_t period,
              void (*on_beat)(void *arg), void *arg, struct pulse **ret_pulse) {
    struct pulse *pulse = calloc(1, sizeof *pulse + n * sizeof *pulse->beats);
    if (pulse == NULL) {
        return -ENOMEM;
    }
    pulse->timer = evtimer_new(loop_base(control), on_timer, pulse);
    if (pulse->timer == NULL) {
        free(pulse);
        return -ENOMEM;
    }
    pulse->period = period;
    pulse->on_beat = on_beat;
    pulse->arg = arg;
    pulse->n = n;
    for (unsigned i = 0; i < n; i++) {
        pulse->beats[i] = (struct beat){.mail.deliver = deliver, .loop = loops[i]};
    }
    ask(pulse);
    *ret_pulse = pulse;
    return 0;
}

void pulse_stop(struct pulse *pulse) {
    if (pulse != NULL && pulse->timer != NULL) {
        event_free(pulse->timer);
        pulse->timer = NULL;
    }
}

void pulse_free(struct pulse *pulse) {
    pulse_stop(pulse);
    free(pulse);
}

nsec_t pulse_silence(const struct pulse *pulse) {
    nsec_t now = clock_now(), longest = 0;
    for (unsigned i = 0; i < pulse->n; i++) {
        const struct beat *beat = &pulse->beats[i];
        if (atomic_load(&beat->under_way)) {
            nsec_t silence = now - beat->asked_at;
            longest = silence > longest ? silence : longest;
        }
    }
    return longest;
}
