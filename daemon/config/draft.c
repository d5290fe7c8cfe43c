/* From settings to the value, in the order in which they depend on one another: a pattern site of
 * the defaults, every site on top of it, names and rings over all sites, then sinks. What cannot be
 * together is reported at the setting that is closest to the site: its own before that of the
 * defaults; what is wrong with the defaults alone is said once, not for every site. */
#include "config/draft.h"

#include "config/index.h"
#include "config/private.h"
#include "config/timing.h"
#include "config/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SITE(field) offsetof(struct site, field)
#define SINK(field) offsetof(struct sink_config, field)

enum { NAME_SHOWN_BYTES = 80 };

void draft_clear(struct draft *draft) {
    for (size_t i = 0; i < draft->n_sites; i++) {
        url_clear(&draft->sites[i].url);
    }
    for (size_t i = 0; i < draft->n_sources; i++) {
        source_free(draft->sources[i]);
    }
    free(draft->sources);
    free(draft->directory);
    free(draft->sites);
    free(draft->sinks);
    free(draft->servers.list);
    free(draft->includes.list);
    messages_clear(&draft->messages);
    arena_clear(&draft->keep);
    arena_clear(&draft->scratch);
    *draft = (struct draft){0};
}

const struct draft_setting *draft_find(const struct draft_settings *settings, size_t field) {
    for (size_t i = 0; i < settings->n; i++) {
        if (settings->list[i].key->field == field) {
            return &settings->list[i];
        }
    }
    return NULL;
}

static void store_all(const struct draft_settings *settings, void *record) {
    for (size_t i = 0; i < settings->n; i++) {
        key_store(settings->list[i].key, &settings->list[i].value, record);
    }
}

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
    size_t unsent; /* how many sites have no settings of their own and leave samples unsent */
    struct mark unsent_mark;
    const struct site *unsent_site; /* the first of them */
};

static nsec_t duration_at(const struct site *site, size_t field) {
    nsec_t duration;
    memcpy(&duration, (const char *)site + field, sizeof duration);
    return duration;
}

/* The setting of a field at a site: its own, or that of the defaults, or NULL. */
static const struct draft_setting *setting_of(const struct draft *draft,
                                              const struct draft_site *written, size_t field) {
    const struct draft_setting *own = draft_find(&written->settings, field);
    return own != NULL ? own : draft_find(&draft->defaults, field);
}

/* Where a conflict of two fields is shown; *ret_shared: it is between the defaults alone. */
static struct mark conflict_mark(const struct draft *draft, const struct draft_site *written,
                                 size_t field, size_t bound_field, bool *ret_shared) {
    const struct draft_setting *own = draft_find(&written->settings, field);
    if (own == NULL) {
        own = draft_find(&written->settings, bound_field);
    }
    *ret_shared = own == NULL;
    if (own == NULL) {
        own = draft_find(&draft->defaults, field);
    }
    return own->mark;
}

static void check_limit(struct draft *draft, const struct draft_site *written,
                        const struct site *site, size_t i, struct said *said) {
    const struct limit *limit = &limits[i];
    nsec_t value = duration_at(site, limit->field), bound = duration_at(site, limit->bound_field);
    if (setting_of(draft, written, limit->field) == NULL || value <= bound ||
        (limit->only_given && setting_of(draft, written, limit->bound_field) == NULL)) {
        return;
    }
    bool shared;
    struct mark mark = conflict_mark(draft, written, limit->field, limit->bound_field, &shared);
    if (shared && said->limits[i]) {
        return;
    }
    said->limits[i] |= shared;
    char value_text[VALUE_TEXT_SIZE], bound_text[VALUE_TEXT_SIZE];
    value_print_duration(value, value_text);
    value_print_duration(bound, bound_text);
    messages_add(&draft->messages, MESSAGE_ERROR, mark, NULL, "%s (%s) is over the %s (%s)",
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
    const struct draft_setting *dns = setting_of(draft, written, SITE(dns_timeout));
    bool shared = draft_find(&written->settings, SITE(dns_timeout)) == NULL;
    if (dns != NULL && site->dns_timeout > site->deadline && !(shared && said->dns_timeout)) {
        char dns_text[VALUE_TEXT_SIZE], deadline[VALUE_TEXT_SIZE];
        value_print_duration(site->dns_timeout, dns_text);
        value_print_duration(site->deadline, deadline);
        said->dns_timeout |= shared;
        messages_add(&draft->messages, MESSAGE_WARNING, dns->mark, NULL,
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
    const struct draft_setting *setting = setting_of(draft, written, SITE(concurrency));
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
                 NULL, "concurrency (%u) is over max_in_flight (%u), which holds samples back",
                 site->concurrency, config->max_in_flight);
}

/* ---- sites ---- */

static void fill_site(const struct draft *draft, struct draft_site *written,
                      const struct site *pattern, struct site *ret_site) {
    *ret_site = *pattern;
    store_all(&written->settings, ret_site);
    ret_site->url = written->url; /* the value's from now on */
    written->url = (struct url){0};
    ret_site->url_given = written->url_given;
    if (ret_site->name == NULL) {
        ret_site->name = written->url_given != NULL ? written->url_given : "";
    }
    ret_site->labels = written->labels;
    ret_site->n_labels = written->n_labels;
    ret_site->timeout_given = setting_of(draft, written, SITE(timeout)) != NULL;
    ret_site->spread_given = setting_of(draft, written, SITE(spread)) != NULL;
    ret_site->deadline_given = setting_of(draft, written, SITE(deadline)) != NULL;
}

static int fill_sites(struct draft *draft, struct config *config) {
    struct arena *arena = &config->private_->arena;
    struct site pattern = {0};
    struct said said = {0};
    int r = key_store_fallbacks(KEY_SITE | KEY_EXPECT, arena, &pattern);
    config->sites = arena_take_array(arena, draft->n_sites, sizeof *config->sites);
    if (r < 0 || config->sites == NULL) {
        return -ENOMEM;
    }
    store_all(&draft->defaults, &pattern);
    size_t n_enabled = 0;
    for (size_t i = 0; i < draft->n_sites; i++) {
        struct draft_site *written = &draft->sites[i];
        struct site *site = &config->sites[i];
        fill_site(draft, written, &pattern, site);
        config->n_sites = i + 1;
        n_enabled += site->enabled;
        size_t faults = draft->messages.counts[MESSAGE_ERROR];
        for (size_t k = 0; k < LIMITS; k++) {
            check_limit(draft, written, site, k, &said);
        }
        if (draft->messages.counts[MESSAGE_ERROR] == faults) {
            timing_settle(site, setting_of(draft, written, SITE(dns_timeout)) != NULL);
            check_timing(draft, written, site, &said);
            check_in_flight(draft, config, written, site, &said);
        }
    }
    if (said.unsent > 0) {
        add_unsent(draft, said.unsent_mark, said.unsent_site, said.unsent);
    }
    if (n_enabled == 0 && draft->n_sites > 0) {
        messages_add(&draft->messages, MESSAGE_WARNING, draft->sites[0].mark, NULL,
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
                     name != NULL ? NULL : "give this site a name of its own",
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

/* ---- sinks ---- */

/* The path with its directory's true name, so that two ways to one file are seen to be one. NULL:
 * out of memory. */
static char *canonical_path(struct arena *arena, const char *path) {
    const char *slash = strrchr(path, '/'); /* the path is absolute */
    char *directory = strndup(path, (size_t)(slash - path) + 1);
    if (directory == NULL) {
        return NULL;
    }
    char *real = realpath(directory, NULL); /* NULL: it is not there; then the text must do */
    const char *shown = real != NULL ? real : directory;
    size_t size = strlen(shown) + strlen(slash) + 2;
    char *canonical = arena_take(arena, size);
    if (canonical != NULL) {
        size_t n = strlen(shown);
        snprintf(canonical, size, "%s%s%s", shown, shown[n - 1] == '/' ? "" : "/", slash + 1);
    }
    free(real);
    free(directory);
    return canonical;
}

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return strcmp(a, b) == 0 ||
           (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

static int fill_path(struct draft *draft, struct config *config, const struct draft_setting *path,
                     struct sink_config *sink) {
    const char *text = path->value.pointer;
    size_t n = strlen(text);
    if (text[n - 1] == '/' || strcmp(text, ".") == 0 || strcmp(text, "..") == 0) {
        messages_add(&draft->messages, MESSAGE_ERROR, path->mark, NULL, "path names a directory");
    }
    const char *directory = draft->directory != NULL ? draft->directory : "";
    size_t size = strlen(directory) + n + 2;
    char *absolute = arena_take(&config->private_->arena, size);
    if (absolute == NULL) {
        return -ENOMEM;
    }
    if (text[0] == '/') {
        strcpy(absolute, text);
    } else {
        n = strlen(directory);
        snprintf(absolute, size, "%s%s%s", directory, n > 0 && directory[n - 1] == '/' ? "" : "/",
                 text);
    }
    sink->path = absolute;
    return 0;
}

static int fill_sink(struct draft *draft, struct config *config, const struct draft_sink *written,
                     struct sink_config *sink) {
    const struct draft_setting *to = draft_find(&written->settings, SINK(kind));
    const struct draft_setting *path = draft_find(&written->settings, SINK(path));
    int r = key_store_fallbacks(KEY_REPORT, &config->private_->arena, sink);
    if (r < 0) {
        return r;
    }
    store_all(&written->settings, sink);
    sink->path = NULL;
    if (path != NULL) {
        r = fill_path(draft, config, path, sink);
    }
    if (written->faulty) {
        return r; /* what seems to be missing may be what was refused */
    }
    if (to == NULL) {
        messages_add(&draft->messages, MESSAGE_ERROR, written->mark, NULL,
                     "an entry of reports needs a \"to\": file or stdout");
    } else if (sink->kind == SINK_FILE && path == NULL) {
        messages_add(&draft->messages, MESSAGE_ERROR, to->mark, NULL, "to: file needs a path");
    } else if (sink->kind == SINK_STDOUT && path != NULL) {
        messages_add(&draft->messages, MESSAGE_ERROR, path->mark, NULL,
                     "path belongs to a file, not to stdout");
    }
    return r;
}

/* Two sinks on one place would write into each other's lines. */
static int check_sinks(struct draft *draft, const struct config *config) {
    const char *paths[64] = {NULL}; /* as many as the row allows */
    size_t first_stdout = SIZE_MAX;
    for (size_t i = 0; i < config->n_sinks && i < sizeof paths / sizeof paths[0]; i++) {
        const struct sink_config *sink = &config->sinks[i];
        if (sink->kind == SINK_STDOUT && first_stdout != SIZE_MAX) {
            messages_add(&draft->messages, MESSAGE_ERROR, draft->sinks[i].mark, NULL,
                         "two entries of reports go to stdout; first in line %u",
                         draft->sinks[first_stdout].mark.line + 1);
        } else if (sink->kind == SINK_STDOUT) {
            first_stdout = i;
        } else if (sink->path != NULL) {
            paths[i] = canonical_path(&draft->scratch, sink->path);
            if (paths[i] == NULL) {
                return -ENOMEM;
            }
        }
        for (size_t k = 0; k < i && paths[i] != NULL; k++) {
            if (paths[k] != NULL && same_file(paths[i], paths[k])) {
                messages_add(&draft->messages, MESSAGE_ERROR,
                             draft_find(&draft->sinks[i].settings, SINK(path))->mark, NULL,
                             "the file of this path is that of line %u",
                             draft_find(&draft->sinks[k].settings, SINK(path))->mark.line + 1);
                break;
            }
        }
    }
    return 0;
}

static int fill_sinks(struct draft *draft, struct config *config) {
    size_t n = draft->n_sinks > 0 ? draft->n_sinks : 1;
    struct arena *arena = &config->private_->arena;
    config->sinks = arena_take_array(arena, n, sizeof *config->sinks);
    if (config->sinks == NULL) {
        return -ENOMEM;
    }
    config->n_sinks = n;
    if (draft->n_sinks == 0) {
        config->sinks[0].kind = SINK_STDOUT;
        return key_store_fallbacks(KEY_REPORT, arena, &config->sinks[0]);
    }
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = fill_sink(draft, config, &draft->sinks[i], &config->sinks[i]);
    }
    return r == 0 ? check_sinks(draft, config) : r;
}

/* ---- all ---- */

static int fill_servers(struct draft *draft, struct config *config) {
    char **servers = arena_take_array(&config->private_->arena, draft->servers.n, sizeof *servers);
    if (servers == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < draft->servers.n; i++) {
        const struct draft_text *server = &draft->servers.list[i];
        const char *why;
        if (value_check_server(server->text, &why) < 0) {
            messages_add(&draft->messages, MESSAGE_ERROR, server->mark, NULL,
                         "servers: \"%.*s\" %s", NAME_SHOWN_BYTES, server->text, why);
        }
        servers[i] = arena_copy(&config->private_->arena, server->text);
        if (servers[i] == NULL) {
            return -ENOMEM;
        }
    }
    config->resolver_servers = servers;
    config->n_resolver_servers = draft->servers.n;
    return 0;
}

static int fill(struct draft *draft, struct config *config) {
    struct arena *arena = &config->private_->arena;
    int r = key_store_fallbacks(KEY_TOP | KEY_RESOLVER, arena, config);
    if (r == 0) {
        store_all(&draft->top, config);
        r = fill_servers(draft, config);
    }
    if (r == 0) {
        r = fill_sinks(draft, config);
    }
    if (r == 0) {
        r = fill_sites(draft, config);
    }
    if (r == 0) {
        r = index_sites(draft, config);
    }
    if (r == 0 && draft->n_sites == 0 && draft->messages.counts[MESSAGE_ERROR] == 0) {
        messages_add_whole(&draft->messages, MESSAGE_ERROR, draft->sources[0]->name,
                           "there are no sites");
    }
    return draft->messages.out_of_memory ? -ENOMEM : r;
}

int draft_finish(struct draft *draft, struct config **ret_config) {
    struct config *config = config_new();
    if (config == NULL) {
        return -ENOMEM;
    }
    /* from here on it owns what the settings point to */
    config->private_->arena = draft->keep;
    draft->keep = (struct arena){0};
    int r = draft->n_sources > 0 ? fill(draft, config) : -EINVAL;
    if (r == 0 && draft->messages.counts[MESSAGE_ERROR] > 0) {
        r = -EINVAL;
    }
    if (r < 0) {
        config_unref(config);
        return r;
    }
    *ret_config = config;
    return 0;
}
