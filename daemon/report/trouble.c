/* Most troubles show in the round itself, because whoever made the samples looked for them (struct
 * round_signs). A trouble that was seen excuses no other round: a site that answered 503 while the
 * resolver was silent has answered, and one whose name alone nobody answers for is found out by the
 * question that any server answers. So nothing has to be guessed over sites, but for what no round can
 * see by itself: a network that is broken further away. That is what the canary is for.
 *
 * The order of the causes is that of their reach: a process that did not run saw nothing at all, and
 * where there is no route the resolver cannot be reached either.
 *
 * What is told, though, is told once for all sites: a trouble begins with the first round that shows
 * it. It is over when every site that showed it has had a round that does not, or else a process that was
 * stopped for some seconds would be in trouble and out of it as often as its sites come by. A site that
 * is sampled once a day, or gone, shall not keep it up, hence a limit of five minutes; but a route can be
 * missing for good, to the one site that has IPv6 addresses alone, and that limit is two rounds of it.
 * Episodes are numbered so that marks of sites that are gone, or late, do not count for the next.
 *
 * The canary's word on a round is that of its rounds that saw the same time: any of them that failed, and
 * had not ended when the round began, excuses the site. To clear us takes one that began late enough: what
 * failed from its beginning on was failing by then, so one that began so early will do; else the trouble may
 * have come at the round's very end, and only one that began after that can tell. Until there is such a
 * round nobody knows, and the round waits.
 *
 * It is asked for rounds that weigh: those that count for down, and those that fill a site's bucket as far as
 * a round can. For a trouble begins in the middle of rounds and ends in the middle of others, and two such
 * are enough to degrade a site. */
#include "report/trouble.h"

#include "report/report.h"
#include "sampling/round.h"

#include <assert.h>

static const nsec_t quiet_limit = 300 * NSEC_PER_SEC;

static const struct {
    const char *name, *words;
} rows[] = {
    {"none", "nothing is wrong"},
    {"lag", "tallyd itself was not running"},
    {"no_route", "this machine has no route"},
    {"no_resolver", "no DNS server answers"},
    {"resources", "descriptors, memory or ports ran out"},
    {"canary", "the canary fails too"},
};
static_assert(sizeof rows / sizeof *rows == TROUBLE_COUNT, "a row per trouble");

const char *trouble_name(enum trouble trouble) {
    assert((unsigned)trouble < TROUBLE_COUNT);
    return rows[trouble].name;
}

const char *trouble_words(enum trouble trouble) {
    assert((unsigned)trouble < TROUBLE_COUNT);
    return rows[trouble].words;
}

enum trouble trouble_of(const struct round *round) {
    const struct round_signs *signs = &round->signs;
    return signs->absence > 0     ? TROUBLE_LAG
           : signs->no_route      ? TROUBLE_NO_ROUTE
           : signs->silent        ? TROUBLE_NO_RESOLVER
           : signs->exhausted > 0 ? TROUBLE_RESOURCES
                                  : TROUBLE_NONE;
}

/* ---- when it begins and when it is over ---- */

static bool is_any_active(const struct trouble_list *list) {
    for (unsigned i = 0; i < TROUBLE_COUNT; i++) {
        if (list->states[i].active) {
            return true;
        }
    }
    return false;
}

static void change(struct trouble_list *list, enum trouble trouble, bool begins, nsec_t now,
                   struct trouble_change *ret_change) {
    struct trouble_state *state = &list->states[trouble];
    *ret_change = (struct trouble_change){
        .trouble = trouble,
        .begins = begins,
        .before = is_any_active(list),
        .rounds = state->rounds,
        .lasted = now - state->since,
    };
    state->active = begins;
    ret_change->after = is_any_active(list);
    if (begins) {
        ret_change->rounds = 0;
        ret_change->lasted = 0;
        state->episode++;
        state->since = now;
        state->rounds = 0;
        state->sites = 0;
    }
}

size_t trouble_note(struct trouble_list *list, struct trouble_mark *mark, enum trouble trouble,
                    nsec_t now, nsec_t interval, struct trouble_change ret_changes[TROUBLE_COUNT]) {
    size_t n = 0;
    if (trouble != TROUBLE_NONE && !list->states[trouble].active) {
        change(list, trouble, true, now, &ret_changes[n++]);
    }
    struct trouble_state *before = &list->states[mark->trouble];
    if (mark->trouble != TROUBLE_NONE && mark->episode == before->episode && before->sites > 0) {
        before->sites--;
    }
    *mark = (struct trouble_mark){.trouble = trouble};
    if (trouble != TROUBLE_NONE) {
        struct trouble_state *state = &list->states[trouble];
        mark->episode = state->episode;
        state->sites++;
        state->rounds++;
        nsec_t rounds = trouble == TROUBLE_NO_ROUTE ? 2 * interval : 0;
        nsec_t until = now + (rounds > quiet_limit ? rounds : quiet_limit);
        state->until = until > state->until ? until : state->until;
        list->rounds[trouble]++;
    }
    for (unsigned i = TROUBLE_NONE + 1; i < TROUBLE_COUNT; i++) {
        struct trouble_state *state = &list->states[i];
        if (state->active && (state->sites == 0 || now > state->until)) {
            change(list, (enum trouble)i, false, now, &ret_changes[n++]);
        }
    }
    return n;
}

/* ---- the canary ---- */

void trouble_hear(struct trouble_canary *canary, const struct round *round,
                  const struct report *report, enum trouble trouble) {
    bool failed =
        trouble != TROUBLE_NONE || (report->judged > 0 && report->failed == report->judged);
    if (failed) {
        canary->failed_ended = round->ended;
        canary->known = true;
    } else if (report->judged > 0) {
        canary->fine_began = round->began;
        canary->known = true;
    }
}

static bool failed_as_a_whole(const struct report *report) {
    return report->judged > 0 && (uint64_t)report->failed * 1000 >=
                                     (uint64_t)report->judged * report->site->health.down_at;
}

bool trouble_asks(const struct report *report) {
    return failed_as_a_whole(report) || (report->failed > 0 && (uint64_t)report->failed * 1000 >=
                                                                   report->site->health.round_max);
}

enum trouble_word trouble_word(const struct trouble_canary *canary, const struct round *round,
                               const struct report *report) {
    if (canary->known && canary->failed_ended >= round->began) {
        return TROUBLE_WORD_FAILS;
    }
    nsec_t enough = round->ended;
    if (failed_as_a_whole(report)) {
        enough = round->began + round->site->spread / 1000 * (1000 - report->site->health.down_at);
    }
    return canary->known && canary->fine_began >= enough ? TROUBLE_WORD_FINE : TROUBLE_WORD_NONE;
}
