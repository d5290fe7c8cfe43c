/* Whose a closed round is: the site's, or ours. Says once when this machine gets into trouble and once
 * when it is out of it, and keeps rounds back for which the canary's word is not known yet. On the
 * control loop alone. */
#pragma once

#include "engine.h"
#include "watch.h"

struct judge;

/* `settled` is called for each round that it is given, once it is known whose the round is; its report
 * says so (report_disown()). Where the round was kept it is released afterwards. */
struct judge *judge_new(struct engine *engine,
                        void (*settled)(const struct round *round, struct report *report,
                                        void *arg),
                        void *arg);   /* NULL: out of memory; the engine outlives it */
void judge_free(struct judge *judge); /* nothing is kept any more: see judge_release() */

/* The configuration in force, and what is remembered of its sites, which is borrowed until the next
 * call. Where the canary is another one now, or none, nothing waits for the old one. */
void judge_configure(struct judge *judge, const struct config *config, struct watch_list *watched);

/* A round has closed. True: it is kept until the canary's word is known, at most for an interval and a
 * deadline of the canary. */
bool judge_close(struct judge *judge, struct round *round, struct report *report);

/* Nothing waits for the canary any more, now or later: the daemon stops. */
void judge_release(struct judge *judge);

const struct trouble_list *judge_troubles(const struct judge *judge); /* for whoever looks on */
