#include "output/format.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct format *const formats[] = {
    &format_text,
    &format_line,
    &format_json,
    &format_full,
};

const struct format *format_at(size_t i) {
    return i < sizeof formats / sizeof *formats ? formats[i] : NULL;
}

const struct format *format_find(const char *name) {
    for (size_t i = 0; format_at(i) != NULL; i++) {
        if (strcmp(formats[i]->name, name) == 0) {
            return formats[i];
        }
    }
    return NULL;
}

int format_make_line(const struct format *format, const struct record *record,
                     const struct format_loss *loss, const struct format_place *place,
                     char **ret_line, size_t *ret_n) {
    char *line = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&line, &n);
    if (to == NULL) {
        return -ENOMEM;
    }
    int r;
    if (loss != NULL) {
        r = format->loss(loss, place, to);
    } else if (record->kind == RECORD_EVENT) {
        r = format->event(&record->event, place, to);
    } else if (record->kind == RECORD_TROUBLE) {
        r = format->trouble(&record->trouble, place, to);
    } else {
        r = format->report(record->report, place, to);
    }
    if (ferror(to)) {
        r = -ENOMEM; /* the only way in which memory can fail */
    }
    if (fclose(to) != 0 || line == NULL) { /* glibc's fclose() does not say */
        r = -ENOMEM;
    }
    if (r < 0) {
        free(line);
        return r;
    }
    *ret_line = line;
    *ret_n = n;
    return 0;
}

void format_time(nsec_t wall_time, char ret_text[FORMAT_TIME_BYTES]) {
    time_t seconds = (time_t)(wall_time / NSEC_PER_SEC);
    nsec_t rest = wall_time % NSEC_PER_SEC;
    if (rest < 0) { /* before 1970: a clock that was never set */
        seconds--;
        rest += NSEC_PER_SEC;
    }
    struct tm utc;
    struct tm *known = gmtime_r(&seconds, &utc);
    assert(known != NULL); /* 64 bits of nanoseconds end in the year 2262 */
    (void)known;
    size_t n = strftime(ret_text, FORMAT_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(ret_text + n, FORMAT_TIME_BYTES - n, ".%03uZ", (unsigned)(rest / NSEC_PER_MSEC));
}

char *format_escape(const char *text) {
    size_t n = strlen(text);
    size_t size = text_is_safe(text, n) ? n + 1 : TEXT_ESCAPED_SIZE(n);
    char *safe = malloc(size);
    if (safe != NULL) {
        text_escape(text, n, safe, size);
    }
    return safe;
}

static bool is_plain(const char *text) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "._:/@%+,-";
    return *text != '\0' && text[strspn(text, plain)] == '\0';
}

char *format_word(const char *text) {
    char *safe = format_escape(text);
    if (safe == NULL || is_plain(safe)) {
        return safe;
    }
    json_t *string = json_string(safe);
    char *quoted = string == NULL ? NULL : json_dumps(string, JSON_ENCODE_ANY);
    json_decref(string);
    free(safe);
    return quoted;
}

unsigned format_columns(const char *text) {
    unsigned columns = 0;
    for (; *text != '\0'; text++) {
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return columns;
}

const char *format_outcome(outcome_t outcome, char ret_text[FORMAT_OUTCOME_BYTES]) {
    if (outcome_is_status(outcome)) {
        snprintf(ret_text, FORMAT_OUTCOME_BYTES, "%u", (unsigned)outcome);
    } else {
        snprintf(ret_text, FORMAT_OUTCOME_BYTES, "%s", outcome_class_name(outcome));
    }
    return ret_text;
}

const char *format_ms(nsec_t duration, char ret_text[FORMAT_MS_BYTES]) {
    double ms = (double)duration / (double)NSEC_PER_MSEC;
    if (duration == NSEC_UNKNOWN) {
        snprintf(ret_text, FORMAT_MS_BYTES, "-");
    } else {
        int digits = ms < 0.9995 ? 3 : ms < 9.995 ? 2 : ms < 99.95 ? 1 : 0;
        snprintf(ret_text, FORMAT_MS_BYTES, "%.*f", digits, ms);
    }
    return ret_text;
}

const char *format_health(bool in_trouble) {
    return in_trouble ? "impaired" : "ok";
}
