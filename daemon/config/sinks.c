/* Sinks are few, and each is compared with each: two that write into one file would write into each
 * other's lines. */
#include "config/sinks.h"

#include "config/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SINK(field) offsetof(struct sink_config, field)

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

/* Also that of `state_file`. */
static bool check_path(struct draft *draft, const struct draft_setting *path) {
    const char *name = strrchr(path->value.pointer, '/') + 1; /* the path is absolute */
    bool usable = *name != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
    if (!usable) {
        messages_add(&draft->messages, MESSAGE_ERROR, path->mark, "name a file in it",
                     "%s names a directory", path->key->name);
    }
    return usable;
}

static const char *const kind_names[] = {
    [SINK_FILE] = "a file", [SINK_STDOUT] = "stdout", [SINK_JOURNAL] = "the journal"};

static int fill_sink(struct draft *draft, struct config *config, const struct draft_sink *written,
                     struct sink_config *sink) {
    const struct draft_setting *to = draft_find(&written->settings, SINK(kind));
    const struct draft_setting *path = draft_find(&written->settings, SINK(path));
    int r = key_store_fallbacks(KEY_REPORT, &config->private_->arena, sink);
    if (r < 0) {
        return r;
    }
    draft_store(&written->settings, sink);
    if (path != NULL) {
        check_path(draft, path);
    }
    if (written->faulty) {
        return r; /* what seems to be missing may be what was refused */
    }
    if (to == NULL) {
        messages_add(&draft->messages, MESSAGE_ERROR, written->mark, NULL,
                     "an entry of reports needs a \"to\": file, stdout or journal");
    } else if (sink->kind == SINK_FILE && path == NULL) {
        messages_add(&draft->messages, MESSAGE_ERROR, to->mark,
                     "add one: path: /var/log/tallyd/reports.log", "to: file needs a path");
    } else if (sink->kind != SINK_FILE && path != NULL) {
        messages_add(&draft->messages, MESSAGE_ERROR, path->mark,
                     "write to: file, or take path away", "path belongs to a file, not to %s",
                     kind_names[sink->kind]);
    }
    if (sink->kind == SINK_JOURNAL) {
        const struct draft_setting *format = draft_find(&written->settings, SINK(format));
        if (format != NULL) {
            messages_add(&draft->messages, MESSAGE_ERROR, format->mark, "take format away",
                         "the journal has fields of its own, and no format");
        }
        sink->format = "journal";
    }
    return r;
}

static const char one_log[] = "a log has one format and one filter: take one entry away";

/* Two sinks on one place would write into each other's lines. */
static int check_sinks(struct draft *draft, const struct config *config) {
    const char *paths[64] = {NULL}; /* as many as the row allows */
    size_t first[] = {[SINK_STDOUT] = SIZE_MAX, [SINK_JOURNAL] = SIZE_MAX};
    for (size_t i = 0; i < config->n_sinks && i < sizeof paths / sizeof paths[0]; i++) {
        const struct sink_config *sink = &config->sinks[i];
        if (sink->kind != SINK_FILE && first[sink->kind] != SIZE_MAX) {
            messages_add(&draft->messages, MESSAGE_ERROR, draft->sinks[i].mark, one_log,
                         "two entries of reports go to %s; first in line %u",
                         kind_names[sink->kind], draft->sinks[first[sink->kind]].mark.line + 1);
        } else if (sink->kind != SINK_FILE) {
            first[sink->kind] = i;
        } else if (sink->path != NULL) {
            paths[i] = canonical_path(&draft->scratch, sink->path);
            if (paths[i] == NULL) {
                return -ENOMEM;
            }
        }
        for (size_t k = 0; k < i && paths[i] != NULL; k++) {
            if (paths[k] != NULL && same_file(paths[i], paths[k])) {
                messages_add(&draft->messages, MESSAGE_ERROR,
                             draft_find(&draft->sinks[i].settings, SINK(path))->mark, one_log,
                             "the file of this path is that of line %u",
                             draft_find(&draft->sinks[k].settings, SINK(path))->mark.line + 1);
                break;
            }
        }
    }
    return 0;
}

/* What is in the place of the state file and is none is set aside as damaged: it should be nothing that
 * is wanted where it is. */
static void check_state_place(struct draft *draft, const struct draft_setting *state) {
    struct stat there;
    if (!check_path(draft, state) || stat(state->value.pointer, &there) != 0) {
        return;
    }
    if (S_ISDIR(there.st_mode)) {
        messages_add(&draft->messages, MESSAGE_ERROR, state->mark, "name a file in it",
                     "state_file names a directory");
    }
    for (size_t i = 0; i < draft->n_sources; i++) {
        const struct source *source = draft->sources[i];
        if (source->device == there.st_dev && source->inode == there.st_ino) {
            messages_add(&draft->messages, MESSAGE_ERROR, state->mark, "give it a file of its own",
                         "state_file is a file of the configuration");
        }
    }
}

/* The log at that path must be neither the state file, nor one of those that come and go beside it. */
static int check_state_log(struct draft *draft, const struct draft_setting *state,
                           const char *sink_path, struct mark sink) {
    static const char *const beside[] = {"", ".new", ".lock"};
    const char *log = canonical_path(&draft->scratch, sink_path);
    int r = log == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < sizeof beside / sizeof *beside && r == 0; i++) {
        char *name, *path = NULL;
        if (asprintf(&name, "%s%s", (const char *)state->value.pointer, beside[i]) >= 0) {
            path = canonical_path(&draft->scratch, name);
            free(name);
        }
        if (path == NULL) {
            r = -ENOMEM;
        } else if (same_file(path, log)) {
            messages_add(&draft->messages, MESSAGE_ERROR, state->mark, "give it a file of its own",
                         "state_file%s%s is the file of the reports of line %u",
                         i == 0 ? "" : " with ", beside[i], sink.line + 1);
        }
    }
    return r;
}

static int check_state_file(struct draft *draft, const struct config *config) {
    const struct draft_setting *state =
        draft_find(&draft->top, offsetof(struct config, state_file));
    if (state == NULL) {
        return 0;
    }
    check_state_place(draft, state);
    int r = 0;
    for (size_t i = 0; i < config->n_sinks && r == 0; i++) {
        if (config->sinks[i].path != NULL) {
            r = check_state_log(draft, state, config->sinks[i].path, draft->sinks[i].mark);
        }
    }
    return r;
}

int sinks_fill(struct draft *draft, struct config *config) {
    size_t n = draft->n_sinks > 0 ? draft->n_sinks : 1;
    struct arena *arena = &config->private_->arena;
    config->sinks = arena_take_array(arena, n, sizeof *config->sinks);
    if (config->sinks == NULL) {
        return -ENOMEM;
    }
    config->n_sinks = n;
    if (draft->n_sinks == 0) {
        config->sinks[0].kind = SINK_STDOUT;
        int r = key_store_fallbacks(KEY_REPORT, arena, &config->sinks[0]);
        return r == 0 ? check_state_file(draft, config) : r;
    }
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = fill_sink(draft, config, &draft->sinks[i], &config->sinks[i]);
    }
    if (r == 0) {
        r = check_sinks(draft, config);
    }
    return r == 0 ? check_state_file(draft, config) : r;
}
