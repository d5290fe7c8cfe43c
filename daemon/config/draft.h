/* A configuration on its way from a file to its value: the settings as they were written, each with
 * its place, and all that was found wrong so far. */
#pragma once

#include "config/arena.h"
#include "config/keys.h"
#include "config/messages.h"
#include "config/secret.h"

#include <stdbool.h>
#include <stddef.h>

struct draft_setting {
    const struct key *key;
    struct mark mark; /* of its value */
    struct key_value value;
};

struct draft_settings {
    struct draft_setting *list; /* no key twice */
    size_t n;
};

struct draft_site {
    struct mark mark;
    bool faulty; /* something in it was refused, or not read */
    struct draft_settings settings;
    bool has_url; /* or what was to be one */
    struct mark url_mark;
    struct url url; /* text is NULL: a message says why */
    const char *url_given;
    struct label *labels;
    size_t n_labels;
};

struct draft_sink {
    struct mark mark;
    bool faulty; /* something in it was refused, or not read */
    struct draft_settings settings;
};

struct draft_command { /* an entry of on_change */
    struct mark mark;
    bool faulty; /* something in it was refused, or not read */
    struct draft_settings settings;
};

struct draft_text {
    struct mark mark;
    const char *text;
};

struct draft_texts {
    struct draft_text *list;
    size_t n;
};

struct draft {
    struct arena keep;    /* what the configuration will point to */
    struct arena scratch; /* what it will not */
    struct messages messages;
    struct source **sources;
    size_t n_sources;
    char *directory; /* of the file, absolute: paths are below it */

    struct secrets secrets;
    bool without_secrets;   /* none is looked for, and all are empty */
    size_t body_file_bytes; /* of all together */

    struct draft_settings top, defaults;
    bool defaults_faulty;
    struct draft_site *sites;
    size_t n_sites, sites_size;
    struct draft_sink *sinks;
    size_t n_sinks, sinks_size;
    struct draft_command *commands;
    size_t n_commands, commands_size;
    struct draft_texts servers, includes;
};

void draft_clear(struct draft *draft);

/* NULL: not set. By the field, as two rows may share a name. */
const struct draft_setting *draft_find(const struct draft_settings *settings, size_t field);

/* The setting of a field at a site: its own, or that of the defaults, or NULL. */
const struct draft_setting *draft_setting_of(const struct draft *draft,
                                             const struct draft_site *written, size_t field);
/* Where a conflict of two fields of a site is shown, at least one of them set; *ret_shared: it is
 * between the defaults alone. */
struct mark draft_conflict_mark(const struct draft *draft, const struct draft_site *written,
                                size_t field, size_t other, bool *ret_shared);

/* Puts all of them into the struct of their place. */
void draft_store(const struct draft_settings *settings, void *record);

/* `path`, or where it lies below the file's directory if it is not absolute. NULL: out of memory. */
const char *draft_path(const struct draft *draft, struct arena *arena, const char *path);

/* Checks everything against everything and makes the value. 0 with *ret_config, unless there are
 * errors among the messages: -EINVAL; -ENOMEM. The draft is for clearing afterwards. */
int draft_finish(struct draft *draft, struct config **ret_config);
