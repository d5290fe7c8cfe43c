/* PCRE2 bounds a match by a count of backtracking steps, and that is no bound of time: it begins
 * anew at each position of the text, and one step is as long as what an item consumes without
 * backtracking (/a*+b/ reads a mebibyte at every one of a mebibyte's positions, and counts
 * nothing). So every item of a pattern is compiled with a callout before it, and the callout looks
 * at the clock. Between two callouts stands one item, which reads the text once at the most and, as
 * texts are bytes, in constant time per byte; how long a text may be bounds that.
 *
 * The budget is processor time of this thread, so that a busy machine changes no result. As that
 * clock costs a system call and the monotonic one does not, the former is read when the latter says
 * that it could have run out. PCRE2's own limits of steps and of depth stay at their defaults, which
 * nothing reaches in that time; memory has a limit that it keeps.
 *
 * Texts are bytes, not characters: pages need not be UTF-8, and a class of characters is a list to
 * search, not a table. What cannot mean on bytes what it says (\p, \X, UTF mode) is refused when
 * compiled.
 *
 * PCRE2's compiler to machine code is not used: it has no callout's precision, and it needs memory
 * that is writable and executable, which the service's sandbox forbids. */
#include "base/pattern.h"

#include "base/clock.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <pcre2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    HEAP_KIBIBYTES = 16 << 10, /* (.|\n)* needs 200 bytes for each byte that it has read */
    PATTERN_BYTES = 4 << 10,   /* with callouts, PCRE2 has no room for twice as many */
    /* work, in bytes read: so much is a callout, and so much is done between two looks */
    CALLOUT_WORK = 64,
    LOOK_WORK = 16 * CALLOUT_WORK,
};

struct pattern {
    pcre2_code *code;
    bool look_always; /* with back references: a comparison reads much, and where it fails moves
                         nothing */
};

struct watch {
    bool look_always;
    size_t work, position; /* since the last look; at the last callout */
    nsec_t limit;          /* of processor time */
    nsec_t began;          /* on this thread's processor clock */
    nsec_t look_after;     /* monotonic: before, the budget cannot be spent */
};

static nsec_t processor_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

static int on_callout(pcre2_callout_block *block, void *arg) {
    struct watch *watch = arg;
    size_t position = block->current_position;
    watch->work += CALLOUT_WORK + (position > watch->position ? position - watch->position
                                                              : watch->position - position);
    watch->position = position;
    if (watch->work < LOOK_WORK && !watch->look_always) {
        return 0;
    }
    watch->work = 0;
    nsec_t now = clock_now();
    if (now < watch->look_after) {
        return 0;
    }
    nsec_t spent = processor_now() - watch->began;
    if (spent >= watch->limit) {
        return PCRE2_ERROR_CALLOUT;
    }
    watch->look_after = now + watch->limit - spent;
    return 0;
}

/* The offset of an escape that asks for characters; or the text's length. One in \Q…\E or in a
 * comment, where it would mean something else, is refused too. */
static size_t find_refused(const char *text) {
    size_t i = 0;
    while (text[i] != '\0') {
        if (text[i] != '\\' || text[i + 1] == '\0') {
            i++;
        } else if (strchr("pPX", text[i + 1]) != NULL) {
            return i;
        } else {
            i += 2;
        }
    }
    return i;
}

static int refuse(const char *why, size_t offset, char *ret_why, size_t why_size,
                  size_t *ret_offset) {
    snprintf(ret_why, why_size, "%s", why);
    *ret_offset = offset;
    return -EINVAL;
}

static int compile(const char *text, struct pattern *pattern, char *ret_why, size_t why_size,
                   size_t *ret_offset) {
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (context == NULL) {
        return -ENOMEM;
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
    int error = 0;
    PCRE2_SIZE offset = 0;
    pattern->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                                  PCRE2_AUTO_CALLOUT | PCRE2_MULTILINE | PCRE2_NEVER_UTF, &error,
                                  &offset, context);
    pcre2_compile_context_free(context);
    if (pattern->code != NULL) {
        uint32_t reference = 0;
        pcre2_pattern_info(pattern->code, PCRE2_INFO_BACKREFMAX, &reference);
        pattern->look_always = reference > 0;
        return 0;
    }
    if (error == PCRE2_ERROR_HEAP_FAILED) {
        return -ENOMEM;
    }
    PCRE2_UCHAR why[256];
    pcre2_get_error_message(error, why, sizeof why);
    return refuse((const char *)why, offset, ret_why, why_size, ret_offset);
}

int pattern_new(const char *text, struct pattern **ret_pattern, char *ret_why, size_t why_size,
                size_t *ret_offset) {
    size_t n = strlen(text);
    if (n > PATTERN_BYTES) {
        return refuse("longer than 4096 bytes", PATTERN_BYTES, ret_why, why_size, ret_offset);
    }
    size_t refused = find_refused(text);
    if (refused < n) {
        return refuse("\\p, \\P and \\X ask for characters, and texts are matched as bytes",
                      refused, ret_why, why_size, ret_offset);
    }
    struct pattern *pattern = calloc(1, sizeof *pattern);
    if (pattern == NULL) {
        return -ENOMEM;
    }
    int r = compile(text, pattern, ret_why, why_size, ret_offset);
    if (r != 0) {
        pattern_free(pattern);
        return r;
    }
    *ret_pattern = pattern;
    return 0;
}

void pattern_free(struct pattern *pattern) {
    if (pattern != NULL) {
        pcre2_code_free(pattern->code);
        free(pattern);
    }
}

enum pattern_result pattern_match(const struct pattern *pattern, const char *bytes, size_t n,
                                  nsec_t *budget, size_t *ret_at) {
    if (n > PATTERN_TEXT_BYTES_MOST || *budget <= 0) {
        return PATTERN_GAVE_UP;
    }
    struct watch watch = {
        .look_always = pattern->look_always,
        .limit = *budget,
        .began = processor_now(),
        .look_after = clock_now() + *budget,
    };
    enum pattern_result result = PATTERN_GAVE_UP;
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (context != NULL && data != NULL) {
        pcre2_set_heap_limit(context, HEAP_KIBIBYTES);
        pcre2_set_callout(context, on_callout, &watch);
        int r = pcre2_match(pattern->code, (PCRE2_SPTR)bytes, n, 0, 0, data, context);
        result = r >= 0                     ? PATTERN_MATCHES
                 : r == PCRE2_ERROR_NOMATCH ? PATTERN_DIFFERS
                                            : PATTERN_GAVE_UP;
        if (result == PATTERN_MATCHES && ret_at != NULL) {
            *ret_at = pcre2_get_ovector_pointer(data)[0];
        }
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    *budget -= processor_now() - watch.began;
    return result;
}
