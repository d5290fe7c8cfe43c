/* A sample: its hops one after the other, and what is made of them. Redirects are followed here and
 * not by libcurl, which would look names up by itself, try all of their addresses, and knows no
 * scope.
 *
 * What is asked at a hop is a site too: the sample's own, or a copy of it for the place that a
 * redirect leads to. Away from the site's origin, and ever after, the copy has no headers, no
 * credentials, no client certificate and no body; where the origin is another, connect_to and
 * server_name do not hold either. The proxy holds everywhere: it is the way out, and it looks names
 * up.
 *
 * The site's own host has been looked up by the round, and a sample stays with the address that it
 * is for; another host is looked up for each sample. The address of the site decides what another
 * may be (scope.h); behind a proxy nobody knows.
 *
 * An answer with patterns to be searched for is not judged where it ended, but in its turn: a loop
 * that came to fifty such answers at once would be away for seconds, and it would be other sites'
 * samples that took long. So they wait in a line, and between two of them (or 10 ms of them) the loop
 * sees to everything else. The sample has ended before: waiting is no part of its time.
 *
 * The timeout is that of all hops and lookups together, and so is `took`; phases are sums. The
 * outcome is that of the last hop, or that of what kept the next from being made. */
#include "probe/expect.h"
#include "probe/hop.h"
#include "probe/identity.h"
#include "probe/lane.h"
#include "probe/mask.h"
#include "probe/probe.h"
#include "probe/redirect.h"
#include "probe/resolver.h"
#include "probe/scope.h"
#include "probe/trust.h"
#include "probe/words.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TURN  (10 * NSEC_PER_MSEC)
#define HURRY (1 * NSEC_PER_MSEC) /* for each, when all must be judged now */

struct probe_run {
    struct probe_lane *lane;
    struct probe_run *next_unjudged, *previous_unjudged;
    bool unjudged;                  /* it waits in that line */
    struct answer answer;           /* the last hop's, once it has ended */
    struct probe_request request;   /* with references to trust and identity */
    struct hop *hop;                /* one of these two, */
    struct resolver_lookup *lookup; /* but for moments */
    nsec_t began, absent_before;    /* began: NSEC_UNKNOWN during the first hop */
    nsec_t lookup_began;
    nsec_t ended; /* what came last */
    bool ending;  /* no further hop */

    struct site site;       /* of the hop, once it is a redirect's */
    struct header *headers; /* the site's, without those of a body */
    struct address address; /* of the hop */
    struct probe_result result;
    unsigned n_stations;
    struct station stations[]; /* the first is the site's own; at most redirects.follow more */
};

static void run_free(struct probe_run *run) {
    for (unsigned i = 1; i < run->n_stations; i++) {
        url_clear(&run->stations[i].url);
    }
    free(run->headers);
    answer_clear(&run->answer);
    trust_free(run->request.trust);
    identity_free(run->request.identity);
    free(run);
}

/* ---- the end ---- */

static nsec_t sum(nsec_t a, nsec_t b) {
    return a == NSEC_UNKNOWN ? b : b == NSEC_UNKNOWN ? a : a + b;
}

/* After a redirect, which request it was that went wrong. Latency and certificate are all hops'. */
static void name_hop(const struct probe_run *run, enum reason reason, char *words, size_t size) {
    if (run->n_stations == 1 || *words == '\0' || reason == REASON_CERTIFICATE ||
        reason == REASON_LATENCY) {
        return;
    }
    char what[PROBE_WORDS_BYTES];
    snprintf(what, sizeof what, "%s", words);
    struct words line;
    words_init(&line, words, size);
    words_add(&line, "hop %u, ", run->n_stations - 1);
    redirect_quote(&line, &run->stations[run->n_stations - 1].url);
    words_add(&line, ": ");
    words_append(&line, what);
}

/* Every sample ends here. */
static void conclude(struct probe_run *run, nsec_t patience) {
    struct probe_result *result = &run->result;
    const struct answer *answer = &run->answer;
    nsec_t ends = result->wall_certificate_ends, now = clock_wall_now();
    struct expect_answer judged = {
        .outcome = result->outcome,
        .took = result->took,
        .head = answer->fields.bytes,
        .head_bytes = answer->fields.n,
        .body = answer->body.bytes,
        .body_bytes = answer->body.n,
        .body_cut = answer_body_cut(answer),
        .certificate_left = ends == NSEC_UNKNOWN ? NSEC_UNKNOWN
                            : ends > now         ? ends - now
                                                 : 0,
        .patience = patience,
    };
    result->reason =
        expect_judge(&run->request.site->expect, &judged, result->words, sizeof result->words);
    name_hop(run, result->reason, result->words, sizeof result->words);
    mask_secrets(&run->request.site->request, result->words);
    mask_secrets(&run->request.site->request, result->backend);
    struct probe_result last = *result;
    probe_on_end *on_end = run->request.on_end;
    void *arg = run->request.arg;
    run_free(run);
    on_end(&last, arg);
}

/* ---- the line of answers that wait to be judged ---- */

static void leave_line(struct probe_run *run) {
    struct probe_engine *engine = lane_engine(run->lane);
    *(run->previous_unjudged != NULL ? &run->previous_unjudged->next_unjudged
                                     : &engine->first_unjudged) = run->next_unjudged;
    *(run->next_unjudged != NULL ? &run->next_unjudged->previous_unjudged
                                 : &engine->last_unjudged) = run->previous_unjudged;
    run->unjudged = false;
}

/* Comes back in a later turn of the loop, with all that is ready served before. */
static bool come_back(struct probe_engine *engine) {
    struct timeval at_once = {0};
    return event_pending(&engine->turn, EV_TIMEOUT, NULL) ||
           event_add(&engine->turn, &at_once) == 0;
}

static void on_turn(evutil_socket_t fd, short what, void *arg) {
    struct probe_engine *engine = arg;
    (void)fd;
    (void)what;
    nsec_t began = clock_now();
    while (engine->first_unjudged != NULL) {
        struct probe_run *run = engine->first_unjudged;
        leave_line(run);
        conclude(run, 0);
        if (clock_now() - began >= TURN && engine->first_unjudged != NULL && come_back(engine)) {
            return;
        }
    }
}

static void judge_in_turn(struct probe_run *run) {
    struct probe_engine *engine = lane_engine(run->lane);
    if (!come_back(engine)) {
        conclude(run, 0);
        return;
    }
    run->unjudged = true;
    run->previous_unjudged = engine->last_unjudged;
    *(engine->last_unjudged != NULL ? &engine->last_unjudged->next_unjudged
                                    : &engine->first_unjudged) = run;
    engine->last_unjudged = run;
}

/* The last hop has ended, or could not be made. `words` are escaped; `answer` is the last hop's, if
 * there is one, and is taken. */
static void finish(struct probe_run *run, outcome_t outcome, const char *words,
                   struct answer *answer) {
    struct probe_result *result = &run->result;
    result->outcome = outcome;
    result->took = run->ended - run->began;
    if (words != result->words) {
        snprintf(result->words, sizeof result->words, "%s", words);
    }
    if (answer != NULL) {
        run->answer = *answer;
        *answer = (struct answer){0};
    }
    if (run->ending) {
        conclude(run, HURRY);
    } else if (outcome_is_status(outcome) && expect_has_patterns(&run->request.site->expect)) {
        judge_in_turn(run);
    } else {
        conclude(run, 0);
    }
}

/* ---- one hop ---- */

static void on_hop_end(const struct hop_result *hop, void *arg);

static bool belongs_to_body(const char *header) {
    static const char *const names[] = {"Content-Encoding", "Content-Language", "Content-Length",
                                        "Content-Location", "Content-Type",     "Expect"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(header, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The site's request without what is there for its body's sake. */
static int drop_body(struct probe_run *run, struct request_config *request) {
    const struct request_config *own = &run->request.site->request;
    request->body = NULL;
    request->body_bytes = 0;
    if (run->headers == NULL && own->n_headers > 0) {
        run->headers = calloc(own->n_headers, sizeof *run->headers);
        if (run->headers == NULL) {
            return -ENOMEM;
        }
    }
    request->headers = run->headers;
    request->n_headers = 0;
    for (size_t i = 0; i < own->n_headers; i++) {
        if (!belongs_to_body(own->headers[i].name)) {
            run->headers[request->n_headers++] = own->headers[i];
        }
    }
    return 0;
}

/* The site for the last station. 0 or -ENOMEM. */
static int make_site(struct probe_run *run) {
    const struct site *own = run->request.site;
    const struct station *station = &run->stations[run->n_stations - 1];
    struct site *site = &run->site;
    *site = *own;
    site->url = station->url;
    if (!station->own) {
        site->request = (struct request_config){.proxy = own->request.proxy,
                                                .compressed = own->request.compressed};
    } else if (own->request.body != NULL && !station->sends_body &&
               drop_body(run, &site->request) != 0) {
        return -ENOMEM;
    }
    site->request.method = station->method;
    if (!url_same_origin(&own->url, &station->url)) {
        site->tls.server_name = NULL;
        site->connect_host = NULL;
        site->connect_port = 0;
    }
    return 0;
}

static int start_hop(struct probe_run *run) {
    bool own = run->stations[run->n_stations - 1].own;
    struct hop_request request = {
        .site = run->n_stations == 1 ? run->request.site : &run->site,
        .address = run->n_stations == 1 ? run->request.address : &run->address,
        .trust = run->request.trust,
        .identity = own ? run->request.identity : NULL,
        .may_keep = own,
        .began = run->began,
        .absent_before = run->absent_before,
        .on_end = on_hop_end,
        .arg = run,
    };
    return hop_start(run->lane, &request, &run->hop);
}

/* Of a hop that a redirect led to. */
static void start_or_finish(struct probe_run *run) {
    int r = start_hop(run);
    if (r != 0) {
        run->result.exhausted = true;
        finish(run, OUTCOME_LOCAL_RESOURCE, strerror(-r), NULL);
    }
}

/* ---- where the next hop connects to ---- */

/* Whether the site's own address is that of the last station too. */
static bool has_own_address(const struct probe_run *run) {
    const struct site *site = run->request.site;
    const struct url *url = &run->stations[run->n_stations - 1].url;
    return site->request.proxy != NULL || url_same_origin(&site->url, url) ||
           (site->connect_host == NULL && strcmp(site->url.host, url->host) == 0);
}

static void on_resolved(struct resolver_result *result, void *arg) {
    struct probe_run *run = arg;
    run->lookup = NULL;
    run->ended = clock_now();
    run->result.phases[PHASE_DNS] =
        sum(run->result.phases[PHASE_DNS], run->ended - run->lookup_began);
    if (result->outcome != OUTCOME_NONE) {
        free(result->addresses);
        run->result.silent = result->silent;
        run->result.exhausted = result->exhausted;
        bool ours = result->outcome == OUTCOME_DNS_TIMEOUT &&
                    lane_absent(run->lane, run->ended) - run->absent_before >
                        run->request.site->timeout / 4;
        finish(run, ours ? OUTCOME_LOCAL_RESOURCE : result->outcome,
               ours ? "our own loop was away" : result->words, NULL);
        return;
    }
    run->address = result->addresses[run->request.turn % result->n_addresses];
    free(result->addresses);
    if (scope_is_nearer(run->request.address, &run->address)) {
        char words[PROBE_WORDS_BYTES];
        snprintf(words, sizeof words, "a redirect to %s, nearer to us than %s", run->address.text,
                 run->request.address->text);
        finish(run, OUTCOME_REDIRECT, words, NULL);
        return;
    }
    start_or_finish(run);
}

static void go_on(struct probe_run *run) {
    if (make_site(run) != 0) {
        finish(run, OUTCOME_LOCAL_RESOURCE, strerror(ENOMEM), NULL);
        return;
    }
    if (has_own_address(run)) {
        run->address = *run->request.address;
        start_or_finish(run);
        return;
    }
    const struct site *site = &run->site;
    run->lookup_began = clock_now();
    nsec_t limit = run->began + site->timeout - run->lookup_began;
    if (limit > site->dns_timeout) {
        limit = site->dns_timeout;
    }
    if (limit < NSEC_PER_MSEC) {
        limit = NSEC_PER_MSEC; /* it shall end as a lookup does */
    }
    if (resolver_start(run->request.resolver, site->url.host, site->family, limit, on_resolved, run,
                       &run->lookup) != 0) {
        finish(run, OUTCOME_LOCAL_RESOURCE, "out of memory for a lookup", NULL);
    }
}

/* ---- from hop to hop ---- */

static void add_up(struct probe_run *run, const struct hop_result *hop) {
    struct probe_result *result = &run->result;
    for (unsigned phase = 0; phase < PHASE_COUNT; phase++) {
        result->phases[phase] = sum(result->phases[phase], hop->phases[phase]);
    }
    if (run->n_stations == 1) {
        result->local_port = hop->local_port; /* of the address that the sample is for */
    }
    result->repeated = (uint16_t)(result->repeated + hop->repeated);
    result->exhausted = hop->exhausted;
    if (hop->wall_certificate_ends != NSEC_UNKNOWN &&
        (result->wall_certificate_ends == NSEC_UNKNOWN ||
         hop->wall_certificate_ends < result->wall_certificate_ends)) {
        result->wall_certificate_ends = hop->wall_certificate_ends;
    }
    char backend[PROBE_BACKEND_BYTES];
    answer_backend(hop->answer, backend, sizeof backend);
    if (*backend != '\0') {
        memcpy(result->backend, backend, sizeof result->backend); /* the last that says */
    }
}

static void on_hop_end(const struct hop_result *hop, void *arg) {
    struct probe_run *run = arg;
    run->hop = NULL;
    run->began = hop->sample_began;
    run->ended = hop->ended;
    add_up(run, hop);
    char text[PROBE_WORDS_BYTES];
    struct words words;
    words_init(&words, text, sizeof text);
    enum redirect_verdict verdict =
        outcome_is_status(hop->outcome)
            ? redirect_next(run->request.site, run->stations, run->n_stations, hop->outcome,
                            hop->answer->fields.bytes, hop->answer->fields.n,
                            &run->stations[run->n_stations], &words)
            : REDIRECT_IS_NONE;
    switch (verdict) {
    case REDIRECT_IS_NONE:
        finish(run, hop->outcome, hop->words, hop->answer);
        break;
    case REDIRECT_REFUSED:
        finish(run, OUTCOME_REDIRECT, text, NULL);
        break;
    case REDIRECT_NO_MEMORY:
        finish(run, OUTCOME_LOCAL_RESOURCE, strerror(ENOMEM), NULL);
        break;
    case REDIRECT_FOLLOWED:
        run->n_stations++;
        if (run->ending) { /* its answer came together with the deadline */
            finish(run, OUTCOME_CONNECT_TIMEOUT, "no time left to follow the redirect", NULL);
        } else {
            go_on(run);
        }
        break;
    }
}

/* ---- the probe type ---- */

static int follow_start(struct probe_lane *lane, const struct probe_request *request,
                        struct probe_run **ret_run) {
    unsigned follow = request->site->redirects.follow;
    assert(follow == 0 || request->resolver != NULL);
    /* one more than can be followed: the station that is refused for being one too many */
    struct probe_run *run = calloc(1, sizeof *run + (follow + 2) * sizeof run->stations[0]);
    if (run == NULL) {
        return -ENOMEM;
    }
    run->lane = lane;
    run->request = *request;
    run->request.trust = trust_ref(request->trust);
    run->request.identity = identity_ref(request->identity);
    run->began = NSEC_UNKNOWN;
    run->absent_before = lane_absent(lane, clock_now());
    run->result.wall_certificate_ends = NSEC_UNKNOWN;
    for (unsigned phase = 0; phase < PHASE_COUNT; phase++) {
        run->result.phases[phase] = NSEC_UNKNOWN;
    }
    run->stations[0] = redirect_begin(request->site);
    run->n_stations = 1;
    int r = start_hop(run);
    if (r != 0) {
        run_free(run);
        return r;
    }
    *ret_run = run;
    return 0;
}

static void follow_end(struct probe_run *run, outcome_t forced) {
    run->ending = true;
    if (run->unjudged) { /* its answer came in time */
        leave_line(run);
        if (forced != OUTCOME_NONE) {
            run->result.outcome = forced;
            snprintf(run->result.words, sizeof run->result.words, "ended by tallyd");
        }
        conclude(run, HURRY);
        return;
    }
    if (run->hop != NULL) {
        hop_end(run->hop, forced);
        return;
    }
    resolver_abandon(run->lookup);
    run->ended = clock_now();
    if (forced != OUTCOME_NONE) {
        finish(run, forced, "ended by tallyd", NULL);
    } else {
        finish(run, OUTCOME_DNS_TIMEOUT, "no answer to the lookup (the round's deadline)", NULL);
    }
}

static int follow_engine_new(struct event_base *base, struct probe_engine **ret_engine) {
    struct probe_engine *engine;
    int r = hop_engine_new(base, &engine);
    if (r == 0) {
        event_assign(&engine->turn, base, -1, 0, on_turn, engine);
        *ret_engine = engine;
    }
    return r;
}

static void follow_engine_free(struct probe_engine *engine) {
    if (engine != NULL) {
        assert(engine->first_unjudged == NULL);
        event_del(&engine->turn);
    }
    lane_engine_free(engine);
}

const struct probe_type probe_http = {
    .engine_new = follow_engine_new,
    .engine_free = follow_engine_free,
    .engine_configure = lane_engine_configure,
    .lane_open = lane_open,
    .lane_close = lane_close,
    .start = follow_start,
    .end = follow_end,
};
