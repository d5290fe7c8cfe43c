/* What the daemon remembers of each site from round to round: its verdict and since when, and the
 * addresses of its last round. Kept over reloads by name, as long as the site asks the same question. Pure. */
#pragma once

#include "config/config.h"
#include "report/change.h"
#include "report/report.h"

struct watch_list;

/* For every site of `config` (a reference is kept); what `before` knew of sites that ask the same
 * URL for the same expectation is carried over. `before` may be NULL, and stays the caller's. NULL:
 * out of memory. */
struct watch_list *watch_list_new(struct config *config, const struct watch_list *before);
void watch_list_free(struct watch_list *list);

/* Judges a closed round, which began at `began`, and puts the verdict into its report, and which of
 * its addresses appeared or went since the site's last round with a whole lookup. True: the
 * site's state changed in a way to tell (not from unknown to up), and how is in `ret_change`. A round of a site that is gone, or asks something else by now, is not judged. */
bool watch_judge(struct watch_list *list, struct report *report, nsec_t began, nsec_t wall_now,
                 struct change *ret_change);
