/* What headers and the body of an answer must be, from maps and lists. See reading.h for what the
 * functions return; *ret_ok is false where a message says what is wrong. */
#pragma once

#include "config/reading.h"

bool rules_read_header_rules(struct reader *reader, const struct key *key, const struct node *first,
                             struct key_value *ret_value, bool *ret_ok);
bool rules_read_body_rules(struct reader *reader, const struct key *key, const struct node *first,
                           struct key_value *ret_value, bool *ret_ok);
