/* A command that cannot be run is a warning: the file may come later, or be one that only the
 * daemon's user can reach. */
#include "config/commands.h"

#include "config/private.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHANGE(field) offsetof(struct on_change_config, field)

static const char *find_obstacle(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0 || (S_ISREG(status.st_mode) && access(path, X_OK) != 0)) {
        return strerror(errno);
    }
    return S_ISREG(status.st_mode) ? NULL : "it is no file";
}

/* What may have been meant by a command that is not there. */
static const char *find_hint(const struct draft *draft, const struct on_change_config *entry) {
    const char *directory = draft->directory != NULL ? draft->directory : "";
    if (entry->command[1] == NULL && strchr(entry->command[0], ' ') != NULL) {
        return "a single text is a path; a command with arguments is a list: [/bin/mail, -s, …]";
    }
    return strncmp(entry->command[0], directory, strlen(directory)) == 0
               ? "it is below this file's directory unless absolute, and no PATH is searched"
               : NULL;
}

static void check_file(struct draft *draft, const struct on_change_config *entry,
                       struct mark mark) {
    const char *path = entry->command[0], *why = find_obstacle(path);
    if (why != NULL) {
        messages_add(&draft->messages, MESSAGE_WARNING, mark, find_hint(draft, entry),
                     "command: \"%s\" cannot be run: %s", path, why);
    }
}

int commands_fill(struct draft *draft, struct config *config) {
    struct arena *arena = &config->private_->arena;
    config->on_change = arena_take_array(arena, draft->n_commands, sizeof *config->on_change);
    if (config->on_change == NULL) {
        return -ENOMEM;
    }
    config->n_on_change = draft->n_commands;
    for (size_t i = 0; i < draft->n_commands; i++) {
        const struct draft_command *written = &draft->commands[i];
        struct on_change_config *entry = &config->on_change[i];
        entry->when = (1U << ON_CHANGE_STATES) - 1;
        int r = key_store_fallbacks(KEY_ON_CHANGE, arena, entry);
        if (r < 0) {
            return r;
        }
        draft_store(&written->settings, entry);
        const struct draft_setting *command = draft_find(&written->settings, CHANGE(command));
        if (command != NULL) {
            check_file(draft, entry, command->mark);
        } else if (!written->faulty) {
            messages_add(&draft->messages, MESSAGE_ERROR, written->mark,
                         "add the path of a program: command: /usr/local/bin/tell",
                         "an entry of on_change needs a command");
        }
    }
    return 0;
}
