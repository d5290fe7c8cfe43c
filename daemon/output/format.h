/* How a record is written: a table of formats, a file each. Adding one is a new file and a row. */
#pragma once

#include "report/record.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Where in its log a record stands. NULL in `tallyd sample`, whose records have no such place. */
struct format_place {
    const char *boot; /* 32 hex digits, one a start of the daemon */
    uint64_t seq;     /* from 1 */
};

/* Records that were lost. With count 0 nobody knows how many, nor which: a line torn by a crash. */
struct format_loss {
    nsec_t wall_time;
    uint64_t from_seq, to_seq, count;
    const char *why;
};

struct format {
    const char *name;
    bool has_places; /* false: records carry neither seq nor boot; there are no events, no losses */
    /* Each writes one record with its final newline to `to`. 0 or -ENOMEM; errors of `to` itself
     * are for the caller to see (ferror). `event` and `trouble` are NULL without places, and `loss`
     * then serves for a torn line alone; all are NULL in a format that is only for a terminal. */
    int (*report)(const struct report *report, const struct format_place *place, FILE *to);
    int (*event)(const struct event_record *event, const struct format_place *place, FILE *to);
    int (*trouble)(const struct trouble_record *trouble, const struct format_place *place,
                   FILE *to);
    int (*loss)(const struct format_loss *loss, const struct format_place *place, FILE *to);
    /* Whether `n` bytes could be the beginning of a line of ours, however short. */
    bool (*resembles)(const char *line, size_t n);
};

extern const struct format format_text, format_line, format_json, format_full;
extern const struct format format_journal; /* of the journal alone: not to be found by name */

const struct format *format_find(const char *name); /* NULL: unknown */
const struct format *format_at(size_t i);           /* NULL past the end */

/* The line of a record or, where `loss` is not NULL, of a loss: *ret_line is heap. 0 or -ENOMEM. */
int format_make_line(const struct format *format, const struct record *record,
                     const struct format_loss *loss, const struct format_place *place,
                     char **ret_line, size_t *ret_n);

/* For the formats themselves. */

#define FORMAT_TIME_BYTES sizeof "2026-11-22T10:06:00.123Z"
void format_time(nsec_t wall_time, char ret_text[FORMAT_TIME_BYTES]); /* UTC, milliseconds */

/* The text as it may be shown (text_escape()); the caller's to free. NULL: out of memory. */
char *format_escape(const char *text);

/* The text as one word: as it is where it has no other bytes than [A-Za-z0-9._:/@%+,-], else as a
 * JSON string. The caller's to free. NULL: out of memory. */
char *format_word(const char *text);

/* What an event without a site is about: "ok", or "impaired" while this machine is in trouble. */
const char *format_health(bool in_trouble);

/* The report as every text begins: its URL, and each outcome with its count. 0 or -ENOMEM. */
int format_classic(const struct report *report, FILE *to);

/* Samples as `tallyd sample -v` shows them: for each kind an empty line, its samples, what was said of
 * them, and their curl lines, each of these once. 0 or -ENOMEM. */
int format_evidence(const struct report_evidence *list, size_t n, FILE *to);

#define FORMAT_COLUMNS 80 /* of a terminal */

/* How many of them a safe text takes; wide characters count as one. */
unsigned format_columns(const char *text);

#define FORMAT_OUTCOME_BYTES 32
const char *format_outcome(outcome_t outcome, char ret_text[FORMAT_OUTCOME_BYTES]);

/* Milliseconds with three digits that count; "-" for NSEC_UNKNOWN. */
#define FORMAT_MS_BYTES 24
const char *format_ms(nsec_t duration, char ret_text[FORMAT_MS_BYTES]);
