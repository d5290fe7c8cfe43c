/* A round that shows a trouble by itself is ours at once. One that the canary is asked about waits for its
 * word, where there is one, and with it whatever its site closes meanwhile, for a site's rounds are
 * judged in their order. When the canary's word is out, all that wait are looked at again, the oldest
 * first. Without a canary nothing ever waits. */
#include "judge.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    struct kept *next;
    struct round *round;
    struct report *report;
    enum trouble trouble; /* that it shows by itself */
};

struct judge {
    struct engine *engine;
    struct watch_list *watched; /* of the configuration in force */
    struct trouble_list troubles;
    struct trouble_canary canary;
    char *canary_name; /* NULL: there is none */
    struct kept *first, **last;
    uint64_t pass;
    bool stopping;
    void (*settled)(const struct round *round, struct report *report, void *arg);
    void *arg;
};

/* ---- what is said ---- */

static void describe(enum trouble trouble, const struct round *round, char *ret_text, size_t size) {
    if (trouble == TROUBLE_LAG) {
        snprintf(ret_text, size, "%s for %.1f s", trouble_words(trouble),
                 (double)round->signs.absence / NSEC_PER_SEC);
    } else {
        snprintf(ret_text, size, "%s", trouble_words(trouble));
    }
}

static void say(struct judge *judge, const struct trouble_change *change,
                const struct round *round) {
    char what[100], why[200];
    if (change->begins) {
        describe(change->trouble, round, what, sizeof what);
        snprintf(why, sizeof why, "%s; first seen at %.60s", what, round->site->name);
        log_warning("%s: what samples see meanwhile is ours, and no site's state changes for it "
                    "(first seen at %s)",
                    what, round->site->name);
    } else {
        snprintf(why, sizeof why, "over after %.0f s: %s; %" PRIu64 " round%s did not count",
                 (double)change->lasted / NSEC_PER_SEC, trouble_words(change->trouble),
                 change->rounds, change->rounds == 1 ? "" : "s");
        log_notice("%s", why);
    }
    engine_trouble(judge->engine, change, why);
}

/* ---- a round is settled ---- */

static void note(struct judge *judge, const struct round *round, enum trouble trouble) {
    struct watch_mark *mark = watch_mark(judge->watched, round->site->name);
    if (mark == NULL) {
        return; /* the site is gone, and concerns nobody */
    }
    struct trouble_change changes[TROUBLE_COUNT];
    size_t n = trouble_note(&judge->troubles, &mark->trouble, trouble, round->ended,
                            round->site->interval, changes);
    for (size_t i = 0; i < n; i++) {
        say(judge, &changes[i], round);
    }
}

static void settle(struct judge *judge, struct round *round, struct report *report,
                   enum trouble trouble) {
    if (trouble != TROUBLE_NONE) {
        report_disown(report, trouble);
    }
    note(judge, round, trouble);
    judge->settled(round, report, judge->arg);
}

/* ---- the canary ---- */

static bool is_canary(const struct judge *judge, const struct round *round) {
    return judge->canary_name != NULL && strcmp(judge->canary_name, round->site->name) == 0;
}

/* Whether its time has come, and then whose it is. */
static bool decide(const struct judge *judge, const struct round *round,
                   const struct report *report, enum trouble *trouble) {
    if (*trouble != TROUBLE_NONE || judge->stopping || judge->canary_name == NULL ||
        is_canary(judge, round) || !trouble_asks(report)) {
        return true;
    }
    switch (trouble_word(&judge->canary, round, report)) {
    case TROUBLE_WORD_NONE:
        return false;
    case TROUBLE_WORD_FINE:
        break;
    case TROUBLE_WORD_FAILS:
        *trouble = TROUBLE_CANARY;
        break;
    }
    return true;
}

static void forget_kept(struct watch_mark *mark) {
    if (mark != NULL && mark->kept > 0) {
        mark->kept--;
    }
}

/* Settles what can be settled of all that wait. */
static void look_again(struct judge *judge) {
    judge->pass++;
    struct kept **at = &judge->first;
    while (*at != NULL) {
        struct kept *kept = *at;
        struct watch_mark *mark = watch_mark(judge->watched, kept->round->site->name);
        bool in_turn = mark == NULL || mark->skipped != judge->pass;
        if (!in_turn || !decide(judge, kept->round, kept->report, &kept->trouble)) {
            if (mark != NULL) {
                mark->skipped = judge->pass;
            }
            at = &kept->next;
            continue;
        }
        *at = kept->next;
        if (*at == NULL) {
            judge->last = at;
        }
        forget_kept(mark);
        settle(judge, kept->round, kept->report, kept->trouble);
        engine_release(judge->engine, kept->round, kept->report);
        free(kept);
    }
}

static bool keep(struct judge *judge, struct round *round, struct report *report,
                 enum trouble trouble, struct watch_mark *mark) {
    struct kept *kept = malloc(sizeof *kept);
    if (kept == NULL) {
        return false; /* without the canary's word, then */
    }
    *kept = (struct kept){.round = round, .report = report, .trouble = trouble};
    *judge->last = kept;
    judge->last = &kept->next;
    mark->kept++;
    mark->number = round->number;
    return true;
}

bool judge_close(struct judge *judge, struct round *round, struct report *report) {
    enum trouble trouble = trouble_of(round);
    if (is_canary(judge, round)) {
        trouble_hear(&judge->canary, round, report, trouble);
    }
    struct watch_mark *mark = watch_mark(judge->watched, round->site->name);
    bool waits = mark != NULL && (mark->kept > 0 || !decide(judge, round, report, &trouble));
    bool kept = waits && keep(judge, round, report, trouble, mark);
    if (!kept) {
        settle(judge, round, report, trouble);
    }
    if (is_canary(judge, round)) {
        look_again(judge);
    }
    return kept;
}

/* ---- a judge ---- */

struct judge *judge_new(struct engine *engine,
                        void (*settled)(const struct round *round, struct report *report,
                                        void *arg),
                        void *arg) {
    struct judge *judge = calloc(1, sizeof *judge);
    if (judge != NULL) {
        judge->engine = engine;
        judge->last = &judge->first;
        judge->settled = settled;
        judge->arg = arg;
    }
    return judge;
}

void judge_free(struct judge *judge) {
    if (judge == NULL) {
        return;
    }
    free(judge->canary_name);
    free(judge);
}

/* 0 or -ENOMEM */
static int set_canary(struct judge *judge, const char *name) {
    bool same = name == NULL || judge->canary_name == NULL ? name == judge->canary_name
                                                           : strcmp(name, judge->canary_name) == 0;
    if (same) {
        return 0;
    }
    char *copy = name != NULL ? strdup(name) : NULL;
    if (name != NULL && copy == NULL) {
        return -ENOMEM;
    }
    free(judge->canary_name);
    judge->canary_name = NULL;
    look_again(judge);
    judge->canary_name = copy;
    judge->canary = (struct trouble_canary){0};
    return 0;
}

void judge_configure(struct judge *judge, const struct config *config, struct watch_list *watched) {
    judge->watched = watched;
    const struct site *canary = config->canary != NULL ? config_find(config, config->canary) : NULL;
    if (set_canary(judge, canary != NULL && canary->enabled ? canary->name : NULL) != 0) {
        log_error("out of memory: the canary stays as it was");
    }
}

void judge_release(struct judge *judge) {
    judge->stopping = true;
    look_again(judge);
}

const struct trouble_list *judge_troubles(const struct judge *judge) {
    return &judge->troubles;
}
