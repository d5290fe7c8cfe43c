/* Scalars as the configuration and the command line write them. Pure: text in, value out. Nothing
 * is ever silently something else: one notation per value, and whatever another tool might read
 * differently (010, 1:30, 1e3, 0x10, 5m30s) is refused.
 *
 * All return 0, or -EINVAL with *ret_why set to what is wrong with the text (a predicate in static
 * storage); the value is untouched then. */
#pragma once

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "250ms", "5s", "1.5h"; the units are ns us ms s m h d. With `bare_seconds` a number without a
 * unit is seconds. What is finer than a nanosecond is refused. */
int value_parse_duration(const char *text, bool bare_seconds, nsec_t *ret_duration,
                         const char **ret_why);
/* "16KiB", "1.5MiB", "10kB"; the units are B kB MB GB KiB MiB GiB. Whole bytes. */
int value_parse_size(const char *text, int64_t *ret_bytes, const char **ret_why);
/* "0", "20"; decimal digits without sign, leading zero or separator. */
int value_parse_integer(const char *text, int64_t *ret_integer, const char **ret_why);
/* "4", "2.5": in thousandths. */
int value_parse_decimal(const char *text, int64_t *ret_thousandths, const char **ret_why);
/* "95%", "99.5%": in thousandths of the whole. */
int value_parse_percent(const char *text, int64_t *ret_thousandths, const char **ret_why);
/* yes no true false on off, in lower case. */
int value_parse_bool(const char *text, bool *ret_bool, const char **ret_why);

/* Statuses as they are listed: those that are named, less those that are negated. */
struct status_terms {
    struct status_set named, negated;
    bool any_named; /* else all are, but the negated */
};
/* Adds "200", "200-399", "2xx", or one of them after "not ". */
int value_parse_status(const char *text, struct status_terms *terms, const char **ret_why);
/* False: nothing is left. */
bool status_terms_settle(const struct status_terms *terms, struct status_set *ret_set);
/* "ADDRESS", "ADDRESS:PORT", "[V6]:PORT" of a name server. */
int value_check_server(const char *text, const char **ret_why);
/* "HOST", "HOST:PORT", "[V6]", "[V6]:PORT" or ":PORT". The host (to be freed) is as in a URL that
 * is parsed, NULL where there is none; a port that is not there is 0. -ENOMEM too. */
int value_parse_connect(const char *text, char **ret_host, uint16_t *ret_port,
                        const char **ret_why);
/* "http://HOST:PORT" of a proxy. -ENOMEM too. */
int value_parse_proxy(const char *text, struct url *ret_url, const char **ret_why);

/* NULL, or what is wrong with a text (a predicate in static storage). */
const char *value_check_token(const char *text); /* RFC 9110 5.6.2 */
const char *value_check_method(const char *text);
const char *value_check_user(const char *text); /* of basic authentication */
const char *value_check_credential(const char *text);
const char *value_check_host_name(const char *text);
const char *value_check_endpoint(const char *text);
const char *value_check_request_header(const char *name);

/* What may have been meant by a URL that is refused (a sentence in static storage); NULL: nothing
 * comes to mind. */
const char *value_url_hint(const char *text);

/* Whether YAML reads the plain scalar as a truth value or as nothing at all ("no", "on", "~",
 * "null", ""), in any of its versions: such a word is text only in quotes. */
bool value_is_yaml_word(const char *text);

/* The shortest notation that is exact and that value_parse_duration() reads back: "250ms", "90s",
 * "5m", "1.5s". */
#define VALUE_TEXT_SIZE 32
void value_print_duration(nsec_t duration, char ret_text[VALUE_TEXT_SIZE]);
void value_print_size(int64_t bytes, char ret_text[VALUE_TEXT_SIZE]);
