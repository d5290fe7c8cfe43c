#include "watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct watch_list {
    struct config *config;
    struct verdict verdicts[]; /* one a site, in its order */
};

static size_t index_of(const struct watch_list *list, const struct site *site) {
    return (size_t)(site - list->config->sites);
}

struct watch_list *watch_list_new(struct config *config, const struct watch_list *before) {
    struct watch_list *list = calloc(1, sizeof *list + config->n_sites * sizeof list->verdicts[0]);
    if (list == NULL) {
        return NULL;
    }
    list->config = config_ref(config);
    for (size_t i = 0; i < config->n_sites; i++) {
        const struct site *site = &config->sites[i];
        const struct site *old = before != NULL ? config_find(before->config, site->name) : NULL;
        if (old != NULL && config_same_question(old, site)) {
            list->verdicts[i] = before->verdicts[index_of(before, old)];
        } else {
            verdict_init(&list->verdicts[i]);
        }
    }
    return list;
}

void watch_list_free(struct watch_list *list) {
    if (list != NULL) {
        config_unref(list->config);
        free(list);
    }
}

static void explain(const struct report *report, char *ret_why, size_t why_size) {
    const struct verdict_result *verdict = &report->verdict;
    int n =
        snprintf(ret_why, why_size, "%u of %u samples failed in this round, %u of %u lately",
                 report->failed, report->judged, verdict->window_failed, verdict->window_samples);
    outcome_t most = OUTCOME_NONE;
    unsigned count = 0;
    for (size_t i = 0; i < report->tally.n; i++) {
        const struct tally_row *row = &report->tally.rows[i];
        bool met = outcome_is_status(row->outcome) &&
                   status_set_has(report->site->expect.status, row->outcome);
        if (!met && outcome_is_judged(row->outcome) && row->count > count) {
            most = row->outcome;
            count = row->count;
        }
    }
    if (count == 0 || n < 0 || (size_t)n >= why_size) {
        return;
    }
    if (outcome_is_status(most)) {
        snprintf(ret_why + n, why_size - (size_t)n, "; most often %u", most);
    } else {
        snprintf(ret_why + n, why_size - (size_t)n, "; most often %s", outcome_class_name(most));
    }
}

bool watch_judge(struct watch_list *list, struct report *report, nsec_t began, char *ret_why,
                 size_t why_size) {
    const struct site *site = config_find(list->config, report->site->name);
    if (site == NULL || !config_same_question(site, report->site)) {
        return false;
    }
    struct verdict *verdict = &list->verdicts[index_of(list, site)];
    verdict_judge(verdict, began, site->interval, report->planned, report->judged, report->failed,
                  &report->verdict);
    report->has_verdict = true;
    if (!verdict_is_change(&report->verdict)) {
        return false;
    }
    explain(report, ret_why, why_size);
    return true;
}
