/* Whether it is us. What keeps this machine from seeing its sites says nothing of them: the samples of
 * a round that shows it are ours, and no state moves for them. Pure: no clock, no I/O. */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct report;
struct round;

enum trouble {
    TROUBLE_NONE,
    TROUBLE_LAG,
    TROUBLE_NO_ROUTE,
    TROUBLE_NO_RESOLVER,
    TROUBLE_RESOURCES,
    TROUBLE_CANARY,
    TROUBLE_COUNT,
};
const char *trouble_name(enum trouble trouble);  /* a word: "no_resolver" */
const char *trouble_words(enum trouble trouble); /* "no DNS server answers" */

/* What a closed round shows by itself. */
enum trouble trouble_of(const struct round *round);

/* What a site's last round showed. The owner's, one a site; all zeros at first. A site that is gone may
 * take its mark along: nothing refers to it. */
struct trouble_mark {
    enum trouble trouble;
    unsigned episode;
};

struct trouble_state {
    bool active;
    unsigned sites;   /* whose last round showed it */
    unsigned episode; /* marks of earlier ones no longer count */
    nsec_t since;     /* when it began last */
    nsec_t until;     /* when it is over if no round shows it */
    uint64_t rounds;  /* that showed it, since it began */
};

/* All zeros at first. May be looked at, for pages and metrics. */
struct trouble_list {
    struct trouble_state states[TROUBLE_COUNT];
    uint64_t rounds[TROUBLE_COUNT]; /* that showed it, ever */
};

/* A trouble that began or is over. */
struct trouble_change {
    enum trouble trouble;
    bool begins;
    bool before, after; /* whether there was, and is, any trouble at all */
    uint64_t rounds;    /* that did not count; of one that is over */
    nsec_t lasted;      /* the same */
};

/* A round of a site with that interval closed at `now` and showed `trouble`, or TROUBLE_NONE. A trouble
 * begins with the first round that shows it, and is over when each site that showed it has had a round
 * without, or no round has shown it for long (trouble.c). Returns how many changes there are. */
size_t trouble_note(struct trouble_list *list, struct trouble_mark *mark, enum trouble trouble,
                    nsec_t now, nsec_t interval, struct trouble_change ret_changes[TROUBLE_COUNT]);

/* ---- the canary ----
 *
 * A site that must be reachable from here. Where it fails too, rounds of other sites that failed are
 * ours. */

/* Its last rounds. All zeros: there was none. */
struct trouble_canary {
    nsec_t fine_began; /* of the last round in which it met its expectation, or some samples did */
    nsec_t failed_ended; /* of the last in which none did, or that was ours itself */
    bool known;
};

/* A round of the canary has closed, and showed `trouble` by itself. */
void trouble_hear(struct trouble_canary *canary, const struct round *round,
                  const struct report *report, enum trouble trouble);

/* A round that the canary is asked about: it failed as a whole, or fills its site's bucket as far as a
 * round can. */
bool trouble_asks(const struct report *report);

enum trouble_word {
    TROUBLE_WORD_NONE, /* it has not been sampled late enough to say */
    TROUBLE_WORD_FINE,
    TROUBLE_WORD_FAILS,
};
/* What the canary says of the time of that round. */
enum trouble_word trouble_word(const struct trouble_canary *canary, const struct round *round,
                               const struct report *report);
