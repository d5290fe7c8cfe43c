/* The status server as the configuration wants it, or none: the control loop's side of it. */
#pragma once

#include "engine.h"
#include "watch.h"

struct display;

/* Shows nothing yet. All must outlive it. NULL: out of memory. */
struct display *display_new(const struct engine *engine, const struct trouble_list *troubles,
                            const struct vitals_reloads *reloads);
void display_free(struct display *display); /* NULL does nothing */

/* Makes ready for `config` (at the start, or a reload) what it wants to listen on, beside what there is.
 * 0; or -errno with *ret_why, a sentence (heap; NULL: out of memory), and nothing has changed. To be
 * followed by one of the next two. */
int display_prepare(struct display *display, const struct config *config, char **ret_why);
void display_commit(struct display *display, struct config *config,
                    const struct watch_list *watched);
void display_rollback(struct display *display);

/* A closed round, judged (nothing is done where display is NULL); its report does not change any more. */
void display_add(struct display *display, struct report *report, const struct watch_list *watched);
