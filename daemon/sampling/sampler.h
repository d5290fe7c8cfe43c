/* A sampling loop: its resolver, its share of the samples in flight, and the rounds of the sites
 * that belong to it. The control loop makes all calls here; each is a mail to the loop. */
#pragma once

#include "base/loop.h"
#include "config/config.h"
#include "probe/probe.h"
#include "probe/tls.h"
#include "sampling/round.h"

#include <stdbool.h>

struct sampler;

struct sampler_options {
    const char *name;                       /* of the thread; at most 15 bytes */
    struct loop *control;                   /* where closed rounds go */
    void (*on_closed)(struct round *round); /* there; the round is the receiver's */
    const struct probe_type *probe;         /* how samples are made */
    struct config *config;                  /* for the resolver; nothing of it is kept */
    unsigned max_in_flight;                 /* this loop's share; at least 1 */
    struct tls_set *tls;                    /* taken over, also on failure; NULL: no https site */
};

int sampler_new(const struct sampler_options *options,
                struct sampler **ret_sampler); /* 0, -errno */
void sampler_free(struct sampler *sampler);    /* ends its loop; every round has come back */

/* The round is the sampler's until it comes back through on_closed, which it always does. Rounds
 * wait for their turn in the order in which they were handed over. */
void sampler_begin(struct sampler *sampler, struct round *round);

/* New settings, for rounds that begin from now on (CAs and client certificates: for samples). `tls`
 * is taken over. -ENOMEM: nothing changed. */
int sampler_configure(struct sampler *sampler, struct config *config, unsigned max_in_flight,
                      struct tls_set *tls);

enum sampler_stop {
    SAMPLER_STOP_SOON, /* no sample starts any more; those in flight end by themselves */
    SAMPLER_STOP_NOW,  /* those in flight end now, as aborted */
};
void sampler_stop(struct sampler *sampler, enum sampler_stop how);

struct loop *sampler_loop(const struct sampler *sampler);  /* borrowed */
unsigned sampler_in_flight(const struct sampler *sampler); /* samples, now; from any thread */
uint64_t sampler_ended(const struct sampler *sampler);     /* samples, ever; from any thread */
/* How many more samples rounds have than their sites' settings said: with addresses: each that is
 * known only after the lookup. From any thread. */
uint64_t sampler_added(const struct sampler *sampler);
