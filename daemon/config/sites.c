/* A pattern site of the defaults, every site on top of it, then names and rings over all of them.
 * What cannot be together is reported at the setting that is closest to the site: its own before
 * that of the defaults; what is wrong with the defaults alone is said once, not for every site. */
#include "config/sites.h"

#include "config/index.h"
#include "config/private.h"
#include "config/question.h"
#include "config/timing.h"
#include "config/value.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FORM(field) offsetof(struct site_form, field)
#define SITE(field) FORM(site.field)

enum { NAME_SHOWN_BYTES = 80 };

/* ---- time limits ---- */

/* A limit that may not be over another, where it was given. */
struct limit {
    const char *name;
    size_t field;
    const char *bound_name;
    size_t bound_field;
    bool only_given; /* the bound counts only where it was given too */
};

static const struct limit limits[] = {
    {"timeout", SITE(timeout), "interval", SITE(interval), false},
    {"spread", SITE(spread), "interval", SITE(interval), false},
    {"deadline", SITE(deadline), "interval", SITE(interval), false},
    {"timeout", SITE(timeout), "deadline", SITE(deadline), true},
    {"spread", SITE(spread), "deadline", SITE(deadline), true},
};
enum { LIMITS = sizeof limits / sizeof limits[0] };

/* What is wrong with the defaults, and was said. */
struct said {
    bool limits[LIMITS];
    bool dns_timeout;
    bool in_flight;
    bool health;
    size_t unsent; /* how many sites have no settings of their own and leave samples unsent */
    struct mark unsent_mark;
    const struct site *unsent_site; /* the first of them */
    struct question_said question;
};

static nsec_t duration_at(const struct site *site, size_t field) {
    nsec_t duration;
    memcpy(&duration, (const char *)site + field - offsetof(struct site_form, site),
           sizeof duration);
    return duration;
}

static void check_limit(struct draft *draft, const struct draft_site *written,
                        const struct site *site, size_t i, struct said *said) {
    const struct limit *limit = &limits[i];
    nsec_t value = duration_at(site, limit->field), bound = duration_at(site, limit->bound_field);
    if (draft_setting_of(draft, written, limit->field) == NULL || value <= bound ||
        (limit->only_given && draft_setting_of(draft, written, limit->bound_field) == NULL)) {
        return;
    }
    bool shared;
    struct mark mark =
        draft_conflict_mark(draft, written, limit->field, limit->bound_field, &shared);
    if (shared && said->limits[i]) {
        return;
    }
    said->limits[i] |= shared;
    char value_text[VALUE_TEXT_SIZE], bound_text[VALUE_TEXT_SIZE];
    value_print_duration(value, value_text);
    value_print_duration(bound, bound_text);
    char hint[96];
    snprintf(hint, sizeof hint, "lower %s to %s at the most, or raise %s", limit->name, bound_text,
             limit->bound_name);
    messages_add(&draft->messages, MESSAGE_ERROR, mark, hint, "%s (%s) is over the %s (%s)",
                 limit->name, value_text, limit->bound_name, bound_text);
}

/* The setting that a warning about a round's time points at: the nearest one that bears on it. */
static struct mark timing_mark(const struct draft *draft, const struct draft_site *written,
                               bool *ret_shared) {
    static const size_t fields[] = {SITE(deadline), SITE(interval),    SITE(timeout),
                                    SITE(samples),  SITE(concurrency), SITE(spread)};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const struct draft_setting *own = draft_find(&written->settings, fields[i]);
        if (own != NULL) {
            *ret_shared = false;
            return own->mark;
        }
    }
    *ret_shared = true;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const struct draft_setting *given = draft_find(&draft->defaults, fields[i]);
        if (given != NULL) {
            return given->mark;
        }
    }
    return written->mark; /* not reached with the rows' defaults: they fit */
}

static void add_unsent(struct draft *draft, struct mark mark, const struct site *site,
                       size_t alike) {
    unsigned unsent = timing_unsent(site, site->concurrency), enough = timing_enough(site);
    long long most = (long long)key_find("concurrency", KEY_SITE)->max;
    char deadline[VALUE_TEXT_SIZE], more[64] = "", hint[96] = "";
    value_print_duration(site->deadline, deadline);
    if (alike > 1) {
        snprintf(more, sizeof more, "; the same holds for %zu more site%s", alike - 1,
                 alike == 2 ? "" : "s");
    }
    if (enough > 0 && enough <= most) {
        snprintf(hint, sizeof hint, "concurrency: %u is the smallest that sends all", enough);
    } else if (enough > 0) {
        snprintf(hint, sizeof hint, "no concurrency up to %lld sends all", most);
    } else {
        snprintf(hint, sizeof hint, "no concurrency sends all: the spread is as long");
    }
    messages_add(&draft->messages, MESSAGE_WARNING, mark, hint,
                 "if site \"%.*s\" hangs, %u of its %u samples cannot be sent within %s%s",
                 NAME_SHOWN_BYTES, site->name, unsent, site->samples, deadline, more);
}

static void check_timing(struct draft *draft, const struct draft_site *written,
                         const struct site *site, struct said *said) {
    const struct draft_setting *dns = draft_setting_of(draft, written, SITE(dns_timeout));
    bool shared = draft_find(&written->settings, SITE(dns_timeout)) == NULL;
    if (dns != NULL && site->dns_timeout > site->deadline && !(shared && said->dns_timeout)) {
        char dns_text[VALUE_TEXT_SIZE], deadline[VALUE_TEXT_SIZE];
        value_print_duration(site->dns_timeout, dns_text);
        value_print_duration(site->deadline, deadline);
        said->dns_timeout |= shared;
        messages_add(&draft->messages, MESSAGE_WARNING, dns->mark,
                     "lower dns_timeout, or raise deadline",
                     "dns_timeout (%s) is over a round's deadline (%s), which ends the look-up",
                     dns_text, deadline);
    }
    if (!site->enabled || timing_unsent(site, site->concurrency) == 0) {
        return;
    }
    struct mark mark = timing_mark(draft, written, &shared);
    if (!shared) {
        add_unsent(draft, mark, site, 1);
    } else if (said->unsent++ == 0) {
        said->unsent_mark = mark;
        said->unsent_site = site;
    }
}

static void check_in_flight(struct draft *draft, const struct config *config,
                            const struct draft_site *written, const struct site *site,
                            struct said *said) {
    const struct draft_setting *setting = draft_setting_of(draft, written, SITE(concurrency));
    unsigned most = site->samples < site->concurrency ? site->samples : site->concurrency;
    if (most <= config->max_in_flight) {
        return;
    }
    bool shared = draft_find(&written->settings, SITE(concurrency)) == NULL;
    if (shared && said->in_flight) {
        return;
    }
    said->in_flight |= shared;
    messages_add(&draft->messages, MESSAGE_WARNING, setting != NULL ? setting->mark : written->mark,
                 "lower concurrency, or raise max_in_flight",
                 "concurrency (%u) is over max_in_flight (%u), which holds samples back",
                 site->concurrency, config->max_in_flight);
}

/* What one round adds is no more than what fills the bucket: a default is lowered to that. */
static void settle_health(struct draft *draft, const struct draft_site *written, struct site *site,
                          struct said *said) {
    struct health_config *health = &site->health;
    if (health->round_max <= health->degraded_at) {
        return;
    }
    if (draft_setting_of(draft, written, SITE(health.round_max)) == NULL) {
        health->round_max = health->degraded_at;
        return;
    }
    bool shared;
    struct mark mark = draft_conflict_mark(draft, written, SITE(health.round_max),
                                           SITE(health.degraded_at), &shared);
    if (!shared || !said->health) {
        messages_add(&draft->messages, MESSAGE_ERROR, mark, "lower round_max, or raise degraded_at",
                     "round_max (%g) is over degraded_at (%g), beyond which nothing counts",
                     health->round_max / 1000.0, health->degraded_at / 1000.0);
    }
    said->health |= shared;
}

/* ---- sites ---- */

static void fill_site(const struct draft *draft, struct draft_site *written,
                      const struct site_form *pattern, struct site_form *ret_form) {
    *ret_form = *pattern;
    question_replace(ret_form, &written->settings);
    draft_store(&written->settings, ret_form);
    struct site *site = &ret_form->site;
    site->url = written->url; /* the value's from now on */
    written->url = (struct url){0};
    site->url_given = written->url_given;
    if (site->name == NULL) {
        site->name = written->url_given != NULL ? written->url_given : "";
    }
    site->labels = written->labels;
    site->n_labels = written->n_labels;
    site->timeout_given = draft_setting_of(draft, written, SITE(timeout)) != NULL;
    site->spread_given = draft_setting_of(draft, written, SITE(spread)) != NULL;
    site->deadline_given = draft_setting_of(draft, written, SITE(deadline)) != NULL;
}

static void check_site(struct draft *draft, const struct config *config,
                       const struct draft_site *written, struct site *site, struct said *said) {
    if (written->faulty || draft->defaults_faulty) {
        return; /* a default stands in the place of what was refused: no ground to accuse the rest */
    }
    size_t faults = draft->messages.counts[MESSAGE_ERROR];
    for (size_t k = 0; k < LIMITS; k++) {
        check_limit(draft, written, site, k, said);
    }
    if (draft->messages.counts[MESSAGE_ERROR] == faults) {
        timing_settle(site, draft_setting_of(draft, written, SITE(dns_timeout)) != NULL);
        check_timing(draft, written, site, said);
        check_in_flight(draft, config, written, site, said);
    }
    settle_health(draft, written, site, said);
    question_check(draft, written, site, &said->question);
}

static int make_sites(struct draft *draft, struct config *config) {
    struct arena *arena = &config->private_->arena;
    struct site_form pattern = {0}, form;
    struct said said = {0};
    int r = key_store_fallbacks(KEY_ALL_OF_SITE, arena, &pattern);
    config->sites = arena_take_array(arena, draft->n_sites, sizeof *config->sites);
    if (r < 0 || config->sites == NULL) {
        return -ENOMEM;
    }
    draft_store(&draft->defaults, &pattern);
    size_t n_enabled = 0;
    for (size_t i = 0; i < draft->n_sites; i++) {
        struct draft_site *written = &draft->sites[i];
        struct site *site = &config->sites[i];
        fill_site(draft, written, &pattern, &form);
        r = question_settle(&form, draft_setting_of(draft, written, SITE(body_limit_bytes)) != NULL,
                            arena);
        *site = form.site;
        config->n_sites = i + 1;
        if (r < 0) {
            return r;
        }
        n_enabled += site->enabled;
        check_site(draft, config, written, site, &said);
    }
    if (said.unsent > 0) {
        add_unsent(draft, said.unsent_mark, said.unsent_site, said.unsent);
    }
    question_conclude(draft, &said.question);
    if (n_enabled == 0 && draft->n_sites > 0) {
        messages_add(&draft->messages, MESSAGE_WARNING, draft->sites[0].mark,
                     "nothing is sent anywhere; take `enabled: no` away where it stands",
                     "no site is enabled");
    }
    return 0;
}

static struct index_key url_of(const void *sites, size_t i) {
    const char *text = ((const struct site *)sites)[i].url.text;
    return (struct index_key){text, strlen(text)};
}

/* "line 3", or with its file where that is another one. */
static void print_place(const struct mark *mark, const struct mark *from, char *ret_text,
                        size_t size) {
    if (mark->source == from->source) {
        snprintf(ret_text, size, "in line %u", mark->line + 1);
    } else {
        snprintf(ret_text, size, "in %s:%u", mark->source->name, mark->line + 1);
    }
}

static void check_name(struct draft *draft, const struct site *sites, size_t i, size_t same_name,
                       size_t same_url) {
    const struct draft_setting *name = draft_find(&draft->sites[i].settings, SITE(name));
    struct mark mark = name != NULL ? name->mark : draft->sites[i].url_mark;
    char place[512];
    if (same_name != i) {
        const struct draft_site *first = &draft->sites[same_name];
        const struct draft_setting *first_name = draft_find(&first->settings, SITE(name));
        print_place(first_name != NULL ? &first_name->mark : &first->url_mark, &mark, place,
                    sizeof place);
        messages_add(&draft->messages, MESSAGE_ERROR, mark,
                     name != NULL ? "give one of the two another"
                                  : "give this site a name of its own",
                     "the name \"%.*s\" is taken %s", NAME_SHOWN_BYTES, sites[i].name, place);
    } else if (same_url != i && name == NULL) {
        print_place(&draft->sites[same_url].url_mark, &mark, place, sizeof place);
        messages_add(&draft->messages, MESSAGE_ERROR, mark, "give this site a name of its own",
                     "the URL stands already %s", place);
    }
}

static int index_sites(struct draft *draft, struct config *config) {
    struct index urls;
    struct index *names = &config->private_->names;
    if (index_init(names, &config->private_->arena, config->n_sites, config_name_of) < 0 ||
        index_init(&urls, &draft->scratch, config->n_sites, url_of) < 0) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < config->n_sites; i++) {
        const struct site *site = &config->sites[i];
        if (site->url.text != NULL) { /* else a message says what is wrong */
            check_name(draft, config->sites, i, index_add(names, config->sites, i),
                       index_add(&urls, config->sites, i));
        }
    }
    return config_number_rings(config);
}

static void check_canary(struct draft *draft, const struct config *config) {
    const struct draft_setting *canary = draft_find(&draft->top, offsetof(struct config, canary));
    if (canary == NULL) {
        return;
    }
    const struct site *site = config_find(config, config->canary);
    if (site == NULL) {
        messages_add(&draft->messages, MESSAGE_ERROR, canary->mark,
                     "it is the name of one of the sites, or its url where it has no name",
                     "canary: no site is called \"%.*s\"", NAME_SHOWN_BYTES, config->canary);
    } else if (!site->enabled) {
        messages_add(&draft->messages, MESSAGE_WARNING, canary->mark,
                     "enable it, name another, or take canary away",
                     "canary: the site \"%.*s\" is not enabled, and says nothing", NAME_SHOWN_BYTES,
                     config->canary);
    }
}

int sites_fill(struct draft *draft, struct config *config) {
    int r = make_sites(draft, config);
    r = r == 0 ? index_sites(draft, config) : r;
    if (r == 0) {
        check_canary(draft, config);
    }
    return r;
}
