/* libcurl's multi interface on libevent: a lane is one multi handle, leased to a round while
 * samples of it are in flight, and the engine is the pool that it comes from. Internal to probe/.
 */
#pragma once

#include "probe/keep.h"
#include "probe/probe.h"

#include <curl/curl.h>
#include <event2/event_struct.h>
#include <stdbool.h>

struct hop;

struct probe_engine {
    struct event_base *base;
    struct probe_lane *idle; /* a list */
    unsigned n_idle;
    unsigned n_leased;
    struct keep keep;  /* lanes that belong to a site while they have connections */
    struct event tick; /* while lanes are leased: whether the loop turns */
    nsec_t ticked, absent;
    /* follow.c's: samples whose answer waits to be judged, and what comes back to them */
    struct probe_run *first_unjudged, *last_unjudged;
    struct event turn;
    /* Both are called outside of libcurl's callbacks: for each transfer that libcurl ended, and after
     * libcurl has read from a socket. */
    void (*on_done)(CURL *easy, CURLcode code);
    void (*on_read)(struct probe_lane *lane, int fd);
};

int lane_engine_new(struct event_base *base, void (*on_done)(CURL *, CURLcode),
                    void (*on_read)(struct probe_lane *, int), struct probe_engine **ret_engine);
void lane_engine_free(struct probe_engine *engine);
/* For samples of that site: of the pool, or with `connection: reuse` the one that it keeps. */
int lane_open(struct probe_engine *engine, const struct site *site, struct probe_lane **ret_lane);
void lane_close(struct probe_lane *lane);
void lane_engine_configure(struct probe_engine *engine, const struct config *config);

/* For keep.c: of a parked lane, and of none else. */
void lane_discard(struct probe_lane *lane);
struct kept *lane_kept(const struct probe_lane *lane); /* NULL: connections are not kept */

/* For the probe type's own use: the first of what it has in flight here. Outlives every socket of
 * the lane, unlike what is in flight. */
struct hop **lane_hops(struct probe_lane *lane);

/* For how long, in all, the loop has not turned (a SIGSTOP, a starved CPU) while lanes were leased: the
 * difference of two calls tells of the time between them. Absences under 100 ms are not noticed. */
nsec_t lane_absent(const struct probe_lane *lane, nsec_t now);

/* Whether what came for a sample that took too long may have been there in time: there was no memory to
 * watch a socket, or libcurl failed. */
bool lane_is_deaf(const struct probe_lane *lane);

struct event_base *lane_base(const struct probe_lane *lane);
struct probe_engine *lane_engine(const struct probe_lane *lane);
int lane_add(struct probe_lane *lane, CURL *easy); /* 0 or -errno; starts on the loop's next turn */
void lane_remove(struct probe_lane *lane, CURL *easy);
