/* What a site asks and expects, as a whole. */
#pragma once

#include "config/draft.h"

/* What was said of the defaults, so that it is said once. */
struct question_said {
    size_t unverified; /* sites without verification because of the defaults */
    bool login, client_cert, proxy, latency, headers, head, body;
};

/* Before a site's own settings are stored over the defaults in `form`: takes away what they
 * exclude. */
void question_replace(struct site_form *form, const struct draft_settings *own);
/* What the form has collected becomes part of its site. 0 or -ENOMEM. */
int question_settle(struct site_form *form, bool body_limit_given, struct arena *arena);
/* Notes what of a settled site cannot be together, or is not as it seems. */
void question_check(struct draft *draft, const struct draft_site *written, const struct site *site,
                    struct question_said *said);
/* After the last site. */
void question_conclude(struct draft *draft, const struct question_said *said);
