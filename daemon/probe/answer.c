/* Bytes are counted here, since libcurl's own limits leak: heads and trailers together to 64 KiB,
 * the body to the site's limit, after which the transfer is ended on purpose and its status stands.
 *
 * What is kept is kept only where somebody will look at it. The header lines of the final head stand
 * one after the other, each ended by LF alone, with a folded line (RFC 9112 5.2) joined to the one
 * that it continues; interim heads and trailers are not kept, as neither belongs to what is
 * expected of the answer. */
#include "probe/answer.h"

#include "probe/fields.h"

#include "base/clock.h"
#include "base/pattern.h"
#include "base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(ANSWER_BODY_BYTES_KEPT <= PATTERN_TEXT_BYTES_MOST, "what is kept can be matched");

enum { KEPT_BYTES_FIRST = 1 << 10 };

void answer_init(struct answer *answer, CURL *easy, const struct site *site) {
    *answer = (struct answer){.easy = easy, .site = site, .first_byte = NSEC_UNKNOWN};
}

void answer_clear(struct answer *answer) {
    free(answer->fields.bytes);
    free(answer->body.bytes);
    answer->fields = answer->body = (struct excerpt){0};
}

static bool keep(struct excerpt *excerpt, const char *bytes, size_t n) {
    if (n > excerpt->room - excerpt->n) {
        size_t room = excerpt->room == 0 ? KEPT_BYTES_FIRST : excerpt->room;
        while (n > room - excerpt->n) {
            room *= 2; /* at most twice of the kept limits, so it does not overflow */
        }
        char *grown = realloc(excerpt->bytes, room);
        if (grown == NULL) {
            return false;
        }
        excerpt->bytes = grown;
        excerpt->room = room;
    }
    if (n > 0) {
        memcpy(excerpt->bytes + excerpt->n, bytes, n);
        excerpt->n += n;
    }
    return true;
}

static bool wants_fields(const struct site *site) {
    return site->expect.n_headers > 0 || site->redirects.follow > 0 ||
           site->backend.header != NULL || site->backend.cookie != NULL;
}

/* One line of the final head, after its status line. */
static bool keep_field(struct answer *answer, const char *line, size_t n) {
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) {
        n--;
    }
    struct excerpt *fields = &answer->fields;
    if (n > 0 && (line[0] == ' ' || line[0] == '\t')) {
        if (fields->n == 0) {
            return true; /* it continues nothing */
        }
        fields->n--;
    }
    return keep(fields, line, n) && keep(fields, "\n", 1);
}

size_t answer_on_header(char *line, size_t size, size_t n, void *arg) {
    struct answer *answer = arg;
    size_t bytes = size * n;
    answer->head_bytes += bytes;
    if (answer->head_bytes > ANSWER_HEAD_BYTES_MOST) {
        answer->head_too_large = true;
        return 0;
    }
    bool blank =
        bytes > 0 && (line[0] == '\n' || (bytes > 1 && line[0] == '\r' && line[1] == '\n'));
    switch (answer->head) {
    case HEAD_BEGIN: {
        long status = 0;
        curl_easy_getinfo(answer->easy, CURLINFO_RESPONSE_CODE, &status);
        answer->interim = status >= 100 && status < 200;
        if (!answer->interim) {
            answer->first_byte = clock_now();
        }
        answer->head = HEAD_LINES;
        break;
    }
    case HEAD_LINES:
        if (blank) {
            answer->head = answer->interim ? HEAD_BEGIN : HEAD_DONE;
        } else if (!answer->interim && wants_fields(answer->site) &&
                   !keep_field(answer, line, bytes)) {
            answer->memory_failed = true;
            return 0;
        }
        break;
    case HEAD_DONE:
        break;
    }
    return bytes;
}

size_t answer_on_body(char *bytes, size_t size, size_t n, void *arg) {
    struct answer *answer = arg;
    const struct site *site = answer->site;
    size_t most = site->body_limit_bytes < ANSWER_BODY_BYTES_KEPT ? site->body_limit_bytes
                                                                  : ANSWER_BODY_BYTES_KEPT;
    if (site->expect.n_body > 0 && answer->body.n < most) {
        size_t room = most - answer->body.n;
        if (!keep(&answer->body, bytes, size * n < room ? size * n : room)) {
            answer->memory_failed = true;
            return 0;
        }
    }
    answer->body_bytes += size * n;
    if (answer->body_bytes > site->body_limit_bytes) {
        answer->body_stopped = true;
        return 0;
    }
    return size * n;
}

bool answer_body_cut(const struct answer *answer) {
    return answer->body_bytes > answer->body.n;
}

void answer_backend(const struct answer *answer, char *ret_text, size_t size) {
    const struct backend_config *backend = &answer->site->backend;
    const struct excerpt *fields = &answer->fields;
    struct field field = {0};
    size_t at = 0;
    if (backend->header != NULL) {
        fields_find(fields->bytes, fields->n, &at, backend->header, &field);
    } else if (backend->cookie != NULL) {
        fields_cookie(fields->bytes, fields->n, backend->cookie, &field);
    }
    text_escape(field.value, field.value_bytes, ret_text, size);
}
