/* Whether loops turn: a mail to each, again and again, and which of them have taken theirs. All calls
 * on the control loop, which turns where it calls. */
#pragma once

#include "base/clock.h"
#include "base/loop.h"

struct pulse;

/* Asks the `n` loops (borrowed) every `period`, with a timer of the control loop's. `on_beat`, if it is
 * not NULL, is called there whenever all have answered and are about to be asked anew. 0 or -ENOMEM. */
int pulse_new(struct loop *control, struct loop *const *loops, unsigned n, nsec_t period,
              void (*on_beat)(void *arg), void *arg, struct pulse **ret_pulse);
void pulse_stop(struct pulse *pulse); /* before the control loop goes; asks no more */
/* After all the loops, for its mail may still be with them. NULL does nothing. */
void pulse_free(struct pulse *pulse);

/* How long the slowest loop has not answered by now; 0: all have. */
nsec_t pulse_silence(const struct pulse *pulse);
