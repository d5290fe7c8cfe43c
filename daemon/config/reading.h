/* What the files that read one file's nodes share. Internal to reader.c, maps.c and rules.c; all
 * functions return false when there is no going on with this file. */
#pragma once

#include "config/draft.h"
#include "config/nodes.h"

enum { READING_QUOTED_BYTES = 80 }; /* of a value, in a message */

/* The settings of one record, while its map is being read. */
struct collected {
    struct draft_setting list[KEYS_MOST];
    size_t n;
};

struct reader {
    struct draft *draft;
    struct source *source;
    struct nodes *nodes;
    struct collected top;
    struct collected record; /* below the top there is one at a time: defaults, a site, a sink */
    struct collected inner;  /* within it too: a secret's origin, a rule */
};

#define reading_error(reader, mark, hint, ...)                                                     \
    messages_add(&(reader)->draft->messages, MESSAGE_ERROR, mark, hint, __VA_ARGS__)

bool reading_out_of_memory(struct reader *reader);

/* Notes that `node` is of the wrong kind, unless that is said already, and passes over it. */
bool reading_refuse_node(struct reader *reader, const struct node *node, const char *name,
                         const char *wanted);
/* Reads a key's value by key_read(); *ret_ok is false where a message says what is wrong. */
bool reading_read_scalar(struct reader *reader, const struct key *key, const struct node *node,
                         struct key_value *ret_value, bool *ret_ok);
/* The rest of a map whose begin was read; labels go to `site`. */
bool reading_read_map(struct reader *reader, enum key_place place, struct collected *to,
                      struct draft_site *site);

/* The next entry of a list; *ret_more is false at its end. */
bool reading_next_entry(struct reader *reader, struct node *ret_node, bool *ret_more);
/* Notes that a list has more or fewer entries than its row allows. */
void reading_check_entries(struct reader *reader, const struct key *key, struct mark mark,
                           size_t n);
