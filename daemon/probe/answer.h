/* What comes back, as it comes: heads, trailers and body of one answer, counted and bounded, and so
 * much of them kept as the site's expectation wants to see. Internal to probe/. */
#pragma once

#include "config/config.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

enum { ANSWER_HEAD_BYTES_MOST = 64 << 10 }; /* all heads of one sample together, and trailers */

enum head {
    HEAD_BEGIN, /* a status line comes next: of an interim answer or of the final one */
    HEAD_LINES,
    HEAD_DONE, /* the blank line of the final head was seen; header lines after it are trailers */
};

struct excerpt { /* grows as it comes */
    char *bytes;
    size_t n, room;
};

struct answer {
    CURL *easy;              /* borrowed */
    const struct site *site; /* borrowed */
    nsec_t first_byte;       /* NSEC_UNKNOWN: no final head has begun */
    enum head head;
    bool interim; /* of the head at hand: its status is 1xx */
    size_t head_bytes, body_bytes;
    bool head_too_large; /* we ended it */
    bool body_stopped;   /* we ended it: enough of the body was read */
    bool memory_failed;  /* we ended it: there was no room to keep it */
    /* The final head's header lines for fields.h; the body's first bytes, at most the site's limit
     * and ANSWER_BODY_BYTES_KEPT. Empty where nobody asks for them. */
    struct excerpt fields, body;
};

#define ANSWER_BODY_BYTES_KEPT ((size_t)1 << 20)

void answer_init(struct answer *answer, CURL *easy, const struct site *site);
void answer_clear(struct answer *answer);

/* libcurl's header and write functions; `arg` is the answer. */
size_t answer_on_header(char *line, size_t size, size_t n, void *arg);
size_t answer_on_body(char *bytes, size_t size, size_t n, void *arg);

/* Whether the body has more than what is kept of it. */
bool answer_body_cut(const struct answer *answer);

/* Who answered, by the site's `backend`: escaped and cut to the room; empty: it did not say. */
void answer_backend(const struct answer *answer, char *ret_text, size_t size);
