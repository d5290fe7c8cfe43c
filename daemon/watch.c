/* Addresses appear and go only between two whole answers: a lookup that failed, or of which one
 * family stayed unanswered, is neither compared nor remembered, and a family that this machine has no
 * route for is left out of the comparison, as it is out of the round. */
#include "watch.h"

#include <stdlib.h>
#include <string.h>

/* The addresses of a round. */
struct known {
    char (*texts)[INET6_ADDRSTRLEN]; /* sorted as texts; NULL: no round yet */
    size_t n;
    bool left_out_ipv4, left_out_ipv6;
};

struct watch {
    struct verdict verdict;
    nsec_t wall_since; /* when its state began; NSEC_UNKNOWN: before anybody looked */
    struct watch_mark mark;
    struct known known;
    uint64_t round; /* the last that closed, whatever it asked; 0: none */
    nsec_t began;   /* that round; before a restart perhaps below zero */
};

struct watch_list {
    struct config *config;
    struct watch watches[]; /* one a site, in its order */
};

static int compare_texts(const void *a, const void *b) {
    return strcmp(a, b);
}

static bool has_address(const struct known *known, const char *text) {
    return bsearch(text, known->texts, known->n, sizeof *known->texts, compare_texts) != NULL;
}

static bool is_left_out(const struct known *known, const char *text) {
    return strchr(text, ':') == NULL ? known->left_out_ipv4 : known->left_out_ipv6;
}

/* Without memory there is nothing in it. */
static struct known known_copy(const struct known *known) {
    struct known copy = *known;
    copy.texts = known->n > 0 ? calloc(known->n, sizeof *copy.texts) : NULL;
    if (copy.texts == NULL) {
        return (struct known){0};
    }
    memcpy(copy.texts, known->texts, known->n * sizeof *copy.texts);
    return copy;
}

static struct known known_of(const struct report *report) {
    struct known known = {
        .texts = calloc(report->n_addresses, sizeof *known.texts),
        .left_out_ipv4 = report->left_out_ipv4,
        .left_out_ipv6 = report->left_out_ipv6,
    };
    if (known.texts == NULL) {
        return known;
    }
    known.n = report->n_addresses;
    for (size_t i = 0; i < known.n; i++) {
        memcpy(known.texts[i], report->addresses[i].text, sizeof known.texts[i]);
    }
    qsort(known.texts, known.n, sizeof *known.texts, compare_texts);
    return known;
}

/* Those of `of` that `other` has not, of the families that both would have. */
static void list_new(const struct known *of, const struct known *other,
                     char (**ret_texts)[INET6_ADDRSTRLEN], size_t *ret_n) {
    char(*texts)[INET6_ADDRSTRLEN] = calloc(of->n, sizeof *texts);
    size_t n = 0;
    for (size_t i = 0; i < of->n && texts != NULL; i++) {
        if (!is_left_out(other, of->texts[i]) && !has_address(other, of->texts[i])) {
            memcpy(texts[n++], of->texts[i], sizeof *texts);
        }
    }
    *ret_texts = texts;
    *ret_n = n;
}

/* Out of memory costs the news of this round, not the round. */
static void compare_addresses(struct watch *watch, struct report *report) {
    if (report->n_addresses == 0 || report->lookup_incomplete) {
        return;
    }
    struct known now = known_of(report);
    if (now.texts == NULL) {
        return;
    }
    if (watch->known.texts != NULL) {
        list_new(&now, &watch->known, &report->appeared, &report->n_appeared);
        list_new(&watch->known, &now, &report->gone, &report->n_gone);
    }
    free(watch->known.texts);
    watch->known = now;
}

static size_t index_of(const struct watch_list *list, const struct site *site) {
    return (size_t)(site - list->config->sites);
}

/* What is known of a site from now on: all that was, where it asks the same as `old` did; `old` and
 * `before` may be NULL. */
static void begin(struct watch *watch, const struct site *site, const struct site *old,
                  const struct watch *before) {
    watch->wall_since = NSEC_UNKNOWN;
    if (old != NULL) {
        watch->round = before->round;
        watch->began = before->began;
        watch->mark = before->mark;
    }
    if (old == NULL || old->enabled != site->enabled || !config_same_question(old, site)) {
        verdict_init(&watch->verdict);
        if (!site->enabled) {
            verdict_pause(&watch->verdict);
        }
        return;
    }
    watch->verdict = before->verdict;
    watch->wall_since = before->wall_since;
    if (!config_same_health(&old->health, &site->health)) {
        verdict_convert(&watch->verdict, &old->health, &site->health);
    }
    if (old->family == site->family) {
        watch->known = known_copy(&before->known);
    }
}

struct watch_list *watch_list_new(struct config *config, const struct watch_list *before) {
    struct watch_list *list = calloc(1, sizeof *list + config->n_sites * sizeof list->watches[0]);
    if (list == NULL) {
        return NULL;
    }
    list->config = config_ref(config);
    for (size_t i = 0; i < config->n_sites; i++) {
        const struct site *site = &config->sites[i];
        const struct site *old = before != NULL ? config_find(before->config, site->name) : NULL;
        begin(&list->watches[i], site, old,
              old != NULL ? &before->watches[index_of(before, old)] : NULL);
    }
    return list;
}

void watch_list_tell_paused(struct watch_list *list, const struct watch_list *before,
                            nsec_t wall_now,
                            void (*tell)(struct config *config, const struct site *site,
                                         const struct change *change, void *arg),
                            void *arg) {
    for (size_t i = 0; i < list->config->n_sites; i++) {
        const struct site *site = &list->config->sites[i];
        const struct site *old = config_find(before->config, site->name);
        if (old == NULL || old->enabled == site->enabled) {
            continue;
        }
        list->watches[i].wall_since = wall_now;
        if (!site->enabled) {
            const struct watch *watch = &before->watches[index_of(before, old)];
            struct change change;
            change_init_paused(&change, watch->verdict.state, wall_now, watch->wall_since);
            tell(list->config, site, &change, arg);
        }
    }
}

void watch_list_free(struct watch_list *list) {
    if (list == NULL) {
        return;
    }
    for (size_t i = 0; i < list->config->n_sites; i++) {
        free(list->watches[i].known.texts);
    }
    config_unref(list->config);
    free(list);
}

struct watch_mark *watch_mark(struct watch_list *list, const char *name) {
    const struct site *site = config_find(list->config, name);
    return site != NULL ? &list->watches[index_of(list, site)].mark : NULL;
}

void watch_count(const struct watch_list *list, struct watch_counts *ret_counts) {
    *ret_counts = (struct watch_counts){0};
    for (size_t i = 0; i < list->config->n_sites; i++) {
        if (list->config->sites[i].enabled) {
            ret_counts->enabled++;
            ret_counts->of_state[list->watches[i].verdict.state]++;
        }
    }
}

bool watch_judge(struct watch_list *list, struct report *report, nsec_t began, nsec_t wall_now,
                 struct change *ret_change) {
    const struct site *site = config_find(list->config, report->site->name);
    if (site == NULL) {
        return false;
    }
    struct watch *watch = &list->watches[index_of(list, site)];
    watch->round = report->round;
    watch->began = began;
    if (!config_same_question(site, report->site)) {
        return false;
    }
    compare_addresses(watch, report);
    verdict_judge(&watch->verdict, &site->health, began, site->interval, report->planned,
                  report->judged, report->failed, &report->verdict);
    report->has_verdict = true;
    nsec_t wall_since = watch->wall_since;
    if (report->verdict.from != report->verdict.to) {
        watch->wall_since = wall_now;
    }
    if (!verdict_is_change(&report->verdict)) {
        return false;
    }
    change_init(ret_change, report, wall_now, wall_since);
    return true;
}

struct board_state watch_state(const struct watch_list *list, size_t i) {
    const struct verdict *verdict = &list->watches[i].verdict;
    return (struct board_state){
        .state = verdict->state,
        .level = (double)verdict->level / verdict_full(&list->config->sites[i].health),
        .wall_since = list->watches[i].wall_since,
    };
}

bool watch_find_state(const struct watch_list *list, const char *name,
                      struct board_state *ret_state) {
    const struct site *site = config_find(list->config, name);
    if (site == NULL) {
        return false;
    }
    *ret_state = watch_state(list, index_of(list, site));
    return true;
}

uint64_t watch_round(const struct watch_list *list, const struct site *site) {
    const struct watch *watch = &list->watches[index_of(list, site)];
    return watch->mark.number > watch->round ? watch->mark.number : watch->round;
}

/* ---- over a restart ---- */

static bool copy_window(const struct watch *watch, const struct health_config *health, nsec_t now,
                        struct arena *arena, struct verdict_past *ret_past) {
    struct verdict_past_cell cells[VERDICT_WINDOW_CELLS];
    const struct verdict *verdict = &watch->verdict;
    *ret_past = (struct verdict_past){
        .state = verdict->state,
        .level = verdict_failures(verdict, health),
        .bad_rounds = verdict->bad_rounds,
        .recovered_rounds = verdict->recovered_rounds,
        .n_cells = verdict_window(verdict, now, cells),
    };
    struct verdict_past_cell *copy = arena_take_array(arena, ret_past->n_cells, sizeof *copy);
    if (copy != NULL) {
        memcpy(copy, cells, ret_past->n_cells * sizeof *copy);
    }
    ret_past->cells = copy;
    return copy != NULL;
}

static bool copy_site(const struct watch *watch, const struct site *site, nsec_t now,
                      struct snapshot *snapshot) {
    const struct known *known = &watch->known;
    struct snapshot_site *copy = &snapshot->sites[snapshot->n_sites];
    *copy = (struct snapshot_site){
        .name = site->name,
        .of = site,
        .family = site->family,
        .interval = site->interval,
        .ago = now - watch->began,
        .round = watch->round,
        .wall_since = watch->wall_since,
        .n_addresses = known->n < SNAPSHOT_ADDRESSES_MOST ? known->n : SNAPSHOT_ADDRESSES_MOST,
        .left_out_ipv4 = known->left_out_ipv4,
        .left_out_ipv6 = known->left_out_ipv6,
    };
    copy->addresses =
        arena_take_array(&snapshot->arena, copy->n_addresses, sizeof *copy->addresses);
    if (copy->addresses == NULL ||
        !copy_window(watch, &site->health, now, &snapshot->arena, &copy->verdict)) {
        return false;
    }
    if (copy->n_addresses > 0) {
        memcpy(copy->addresses, known->texts, copy->n_addresses * sizeof *copy->addresses);
    }
    snapshot->n_sites++;
    return true;
}

struct snapshot *watch_list_snapshot(const struct watch_list *list, nsec_t now) {
    struct snapshot *snapshot = snapshot_new();
    if (snapshot == NULL) {
        return NULL;
    }
    snapshot->config = config_ref(list->config);
    snapshot->sites =
        arena_take_array(&snapshot->arena, list->config->n_sites, sizeof *snapshot->sites);
    bool whole = snapshot->sites != NULL;
    for (size_t i = 0; i < list->config->n_sites && whole; i++) {
        const struct watch *watch = &list->watches[i];
        const struct site *site = &list->config->sites[i];
        if (watch->round > 0 && now - watch->began <= snapshot_age_most(site->interval)) {
            whole = copy_site(watch, site, now, snapshot);
        }
    }
    if (!whole) {
        snapshot_free(snapshot);
        return NULL;
    }
    return snapshot;
}

static void restore(struct watch *watch, const struct site *site, const struct snapshot_site *from,
                    nsec_t then) {
    struct verdict_past past = from->verdict;
    if (from->interval != site->interval) {
        past.n_cells = 0;
    }
    verdict_restore(&watch->verdict, &site->health, &past, then, site->interval);
    watch->wall_since = from->wall_since;
    if (from->n_addresses > 0 && from->family == site->family) {
        free(watch->known.texts);
        watch->known = known_copy(&(struct known){.texts = from->addresses,
                                                  .n = from->n_addresses,
                                                  .left_out_ipv4 = from->left_out_ipv4,
                                                  .left_out_ipv6 = from->left_out_ipv6});
    }
}

void watch_list_restore(struct watch_list *list, const struct snapshot *snapshot, nsec_t then,
                        nsec_t now, struct watch_restored *ret_restored) {
    struct watch_restored restored = {0};
    for (size_t i = 0; i < snapshot->n_sites; i++) {
        const struct snapshot_site *from = &snapshot->sites[i];
        const struct site *site = config_find(list->config, from->name);
        if (site == NULL) {
            continue;
        }
        if (now - then > snapshot_age_most(site->interval) - from->ago) {
            restored.too_old++;
            continue;
        }
        struct watch *watch = &list->watches[index_of(list, site)];
        watch->round = from->round;
        watch->began = then - from->ago;
        if (!site->enabled || from->verdict.state == STATE_PAUSED) {
            continue; /* its state is the configuration's to say, or begins anew */
        }
        if (from->question == config_fingerprint(site)) {
            restore(watch, site, from, then);
            restored.known++;
        } else {
            restored.other++;
        }
    }
    *ret_restored = restored;
}
