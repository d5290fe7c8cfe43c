/* From settings to the value, in the order in which they depend on one another. */
#include "config/draft.h"

#include "config/commands.h"
#include "config/private.h"
#include "config/sinks.h"
#include "config/sites.h"
#include "config/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    free(draft->commands);
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

void draft_store(const struct draft_settings *settings, void *record) {
    for (size_t i = 0; i < settings->n; i++) {
        key_store(settings->list[i].key, &settings->list[i].value, record);
    }
}

const struct draft_setting *draft_setting_of(const struct draft *draft,
                                             const struct draft_site *written, size_t field) {
    const struct draft_setting *own = draft_find(&written->settings, field);
    return own != NULL ? own : draft_find(&draft->defaults, field);
}

struct mark draft_conflict_mark(const struct draft *draft, const struct draft_site *written,
                                size_t field, size_t other, bool *ret_shared) {
    const struct draft_setting *own = draft_find(&written->settings, field);
    if (own == NULL) {
        own = draft_find(&written->settings, other);
    }
    *ret_shared = own == NULL;
    if (own == NULL) {
        own = draft_find(&draft->defaults, field);
    }
    if (own == NULL) {
        own = draft_find(&draft->defaults, other);
    }
    return own->mark;
}

const char *draft_path(const struct draft *draft, struct arena *arena, const char *path) {
    const char *directory = draft->directory != NULL && path[0] != '/' ? draft->directory : "";
    size_t n = strlen(directory), size = n + strlen(path) + 2;
    char *absolute = arena_take(arena, size);
    if (absolute != NULL) {
        bool slash = path[0] == '/' || (n > 0 && directory[n - 1] == '/');
        snprintf(absolute, size, "%s%s%s", directory, slash ? "" : "/", path);
    }
    return absolute;
}

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
    int r = key_store_fallbacks(KEY_TOP | KEY_RESOLVER | KEY_STATUS_SERVER, arena, config);
    if (r == 0) {
        draft_store(&draft->top, config);
        r = fill_servers(draft, config);
    }
    if (r == 0) {
        r = sinks_fill(draft, config);
    }
    if (r == 0) {
        r = commands_fill(draft, config);
    }
    if (r == 0) {
        r = sites_fill(draft, config);
    }
    if (r == 0 && draft->n_sites == 0 && draft->messages.counts[MESSAGE_ERROR] == 0) {
        messages_add_whole(&draft->messages, MESSAGE_ERROR, draft->sources[0]->name,
                           "there are no sites; the file wants one at least: "
                           "sites: [ https://example.org/ ]");
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
