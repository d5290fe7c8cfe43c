/* Values that are maps of names that no row knows, and what else is more than a scalar. See
 * reading.h for what the functions return; *ret_ok is false where a message says what is wrong. */
#pragma once

#include "config/reading.h"

bool maps_read_labels(struct reader *reader, const struct key *key, const struct node *first,
                      struct draft_site *site);
bool maps_read_headers(struct reader *reader, const struct key *key, const struct node *first,
                       struct key_value *ret_value, bool *ret_ok);
bool maps_read_header_rules(struct reader *reader, const struct key *key, const struct node *first,
                            struct key_value *ret_value, bool *ret_ok);
bool maps_read_body_rules(struct reader *reader, const struct key *key, const struct node *first,
                          struct key_value *ret_value, bool *ret_ok);
/* `name` is what a message calls it. */
bool maps_read_secret(struct reader *reader, const char *name, const struct node *first,
                      struct key_value *ret_value, bool *ret_ok);
bool maps_read_body_file(struct reader *reader, const struct key *key, const struct node *node,
                         struct key_value *ret_value, bool *ret_ok);
