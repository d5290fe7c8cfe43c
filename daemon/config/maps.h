/* Values that are maps of names that no row knows, and what else is more than a scalar. See
 * reading.h for what the functions return; *ret_ok is false where a message says what is wrong. */
#pragma once

#include "config/reading.h"

bool maps_read_labels(struct reader *reader, const struct key *key, const struct node *first,
                      struct draft_site *site);
bool maps_read_headers(struct reader *reader, const struct key *key, const struct node *first,
                       struct key_value *ret_value, bool *ret_ok);
/* `name` is what a message calls it. */
bool maps_read_secret(struct reader *reader, const char *name, const struct node *first,
                      struct key_value *ret_value, bool *ret_ok);
/* The path of a file that is named as such, or as where a secret stands. It is not opened. */
bool maps_read_file(struct reader *reader, const struct key *key, const struct node *first,
                    struct key_value *ret_value, bool *ret_ok);
bool maps_read_body_file(struct reader *reader, const struct key *key, const struct node *node,
                         struct key_value *ret_value, bool *ret_ok);

/* Reads all of a map: each name, then by `read_entry` its value. The name's text is gone when the
 * value is read. */
bool maps_read_names(struct reader *reader, const struct key *key, const struct node *first,
                     const char *wanted,
                     bool (*read_entry)(struct reader *reader, const struct key *key,
                                        const struct node *name, void *to),
                     void *to);
/* Moves a list to the configuration. */
bool maps_keep_list(struct reader *reader, const void *list, size_t n, size_t bytes_each,
                    struct key_value *ret_value);
/* A text in a map; `name` is what a message calls it. */
bool maps_read_text(struct reader *reader, const struct key *key, const char *name,
                    const struct node *node, struct key_value *ret_value, bool *ret_ok);
bool maps_is_empty(const struct node *node); /* a scalar that is not there */
