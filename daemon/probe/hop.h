/* One request to one address, and what came back: a sample that follows no redirect is one hop
 * (http.c), others are a chain of them (follow.c). Internal to probe/. */
#pragma once

#include "probe/answer.h"
#include "probe/probe.h"

struct hop; /* in flight */

/* Not judged yet. Valid during the callback. */
struct hop_result {
    outcome_t outcome;
    bool exhausted; /* see struct probe_result */
    uint16_t local_port, repeated;
    nsec_t phases[PHASE_COUNT];
    nsec_t sample_began, ended;
    nsec_t wall_certificate_ends;  /* NSEC_UNKNOWN: not known */
    char words[PROBE_WORDS_BYTES]; /* the library's, or ours; escaped, empty for a status */
    struct answer *answer;         /* may be taken: what is left of it is freed afterwards */
};
typedef void hop_on_end(const struct hop_result *result, void *arg);

struct hop_request {
    /* What is asked: a site as it is, or one made for a redirect's target. Borrowed until the end,
     * as is the address. `timeout` is the whole sample's. */
    const struct site *site;
    const struct address *address;
    struct trust *trust;       /* takes references of both */
    struct identity *identity; /* NULL: none */
    bool may_keep;             /* a connection to here is worth keeping, if the lane keeps any */
    nsec_t began;              /* the sample; NSEC_UNKNOWN: with this hop */
    nsec_t absent_before;      /* the lane's count, when it did */
    hop_on_end *on_end;        /* once, on the loop, never from inside start() */
    void *arg;
};

/* As the calls of struct probe_type. */
int hop_engine_new(struct event_base *base, struct probe_engine **ret_engine);
int hop_start(struct probe_lane *lane, const struct hop_request *request, struct hop **ret_hop);
void hop_end(struct hop *hop, outcome_t forced);
