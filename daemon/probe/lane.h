/* libcurl's multi interface on libevent: a lane is one multi handle, leased to a round while
 * samples of it are in flight, and the engine is the pool that it comes from. Internal to probe/.
 */
#pragma once

#include "probe/probe.h"

#include <curl/curl.h>
#include <stdbool.h>

struct probe_engine {
    struct event_base *base;
    struct probe_lane *idle; /* a list */
    unsigned n_idle;
    unsigned n_leased;
    /* Called for each transfer that libcurl ended, outside of libcurl's callbacks. */
    void (*on_done)(CURL *easy, CURLcode code);
};

int lane_engine_new(struct event_base *base, void (*on_done)(CURL *, CURLcode),
                    struct probe_engine **ret_engine);
void lane_engine_free(struct probe_engine *engine);
int lane_open(struct probe_engine *engine, struct probe_lane **ret_lane);
void lane_close(struct probe_lane *lane);

/* For the probe type's own use: the first of what it has in flight here. Outlives every socket of
 * the lane, unlike what is in flight. */
struct probe_run **lane_runs(struct probe_lane *lane);

struct event_base *lane_base(const struct probe_lane *lane);
int lane_add(struct probe_lane *lane, CURL *easy); /* 0 or -errno; starts on the loop's next turn */
void lane_remove(struct probe_lane *lane, CURL *easy);
