/* Values that are a list of scalars, or one of them. All functions return false when there is no going
 * on with this file; *ret_ok is false where a message says what is wrong. */
#pragma once

#include "config/reading.h"

/* A KEY_WORDS. */
bool lists_read_words(struct reader *reader, const struct key *key, const struct node *first,
                      struct key_value *ret_value, bool *ret_ok);
/* A KEY_COMMAND. */
bool lists_read_command(struct reader *reader, const struct key *key, const struct node *first,
                        struct key_value *ret_value, bool *ret_ok);
