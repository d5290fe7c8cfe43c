/* What reading found out, as it is collected. See config.h for what comes of it. */
#pragma once

#include "config/config.h"
#include "config/source.h"

enum message_kind {
    MESSAGE_ERROR,
    MESSAGE_WARNING,
    MESSAGE_KINDS,
};

struct message;

struct messages {
    struct message *list; /* all zeros is an empty one */
    size_t n, size;
    size_t counts[MESSAGE_KINDS]; /* also of those left out because there were too many */
    bool out_of_memory;
};

void messages_clear(struct messages *messages);

/* The text without newline; `hint` (may be NULL) is a line of its own. Whatever it quotes is made
 * safe for a terminal, and a user and password in a URL are masked. Lack of memory is noted. */
void messages_add(struct messages *messages, enum message_kind kind, struct mark mark,
                  const char *hint, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The same, for a value that may hold a secret: where its line does not show a mask, the line is
 * cut off at the mark. */
void messages_add_secret(struct messages *messages, enum message_kind kind, struct mark mark,
                         const char *hint, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Of a file as a whole, without line and column. */
void messages_add_whole(struct messages *messages, enum message_kind kind, const char *name,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Hands them over in order of appearance; `messages` is empty then. 0 or -ENOMEM. */
int messages_take(struct messages *messages, struct config_messages *ret_messages);
