/* Reads a log as its readers would: every line is whole and parses, and the numbers have no gap,
 * duplicate or inversion but what a `lost` record states exactly. */
#pragma once

#include <check.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct log_check {
    long from;                              /* where in a file it begins to read */
    uint64_t seq;                           /* the last */
    uint64_t reports, events, losses, torn; /* records; torn: losses without a count */
    uint64_t lost;                          /* records that the losses state */
    uint64_t first_round, last_round;       /* of the reports; rounds must ascend */
    char why[64];                           /* of the last loss with a count */
    bool ends_in_loss;
};

static inline int64_t log_integer(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_integer(value), "no %s", key);
    return json_integer_value(value);
}

static inline void log_check_loss(struct log_check *check, const json_t *object, uint64_t seq) {
    check->losses++;
    if (json_object_get(object, "count") == NULL) {
        ck_assert_ptr_null(json_object_get(object, "from_seq"));
        ck_assert_ptr_null(json_object_get(object, "to_seq"));
        check->torn++;
        return;
    }
    uint64_t count = (uint64_t)log_integer(object, "count");
    ck_assert_uint_gt(count, 0);
    ck_assert_uint_eq(log_integer(object, "from_seq"), check->seq + 1);
    ck_assert_uint_eq(log_integer(object, "to_seq"), check->seq + count);
    ck_assert_uint_eq(seq, check->seq + count + 1);
    check->lost += count;
    check->seq += count;
    snprintf(check->why, sizeof check->why, "%s",
             json_string_value(json_object_get(object, "why")));
}

static inline void log_check_line(struct log_check *check, const char *line, size_t n,
                                  const char *boot) {
    json_error_t error;
    json_t *object = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(object != NULL, "a torn line: %.*s", (int)n, line);
    const char *of_boot = json_string_value(json_object_get(object, "boot"));
    if (boot == NULL || strcmp(of_boot, boot) == 0) {
        const char *kind = json_string_value(json_object_get(object, "record"));
        uint64_t seq = (uint64_t)log_integer(object, "seq");
        check->ends_in_loss = strcmp(kind, "lost") == 0;
        if (check->ends_in_loss) {
            log_check_loss(check, object, seq);
        } else if (strcmp(kind, "report") == 0) {
            uint64_t round = (uint64_t)log_integer(object, "round");
            ck_assert_uint_gt(round, check->last_round);
            check->first_round = check->reports == 0 ? round : check->first_round;
            check->last_round = round;
            check->reports++;
        } else {
            ck_assert_str_eq(kind, "event");
            check->events++;
        }
        ck_assert_msg(seq == check->seq + 1, "seq %" PRIu64 " after %" PRIu64, seq, check->seq);
        check->seq = seq;
    }
    json_decref(object);
}

/* Goes on with a check in a further file. `boot` NULL: of all there is one. */
static inline void log_check_file(struct log_check *check, const char *path, const char *boot) {
    FILE *from = fopen(path, "r");
    ck_assert_msg(from != NULL, "no %s", path);
    ck_assert_int_eq(fseek(from, check->from, SEEK_SET), 0);
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    while ((n = getline(&line, &size, from)) > 0) {
        ck_assert_msg(line[n - 1] == '\n', "%s: the last line has no end: %s", path, line);
        log_check_line(check, line, (size_t)n, boot);
    }
    free(line);
    fclose(from);
}

static inline struct log_check log_check(const char *path) {
    struct log_check check = {0};
    log_check_file(&check, path, NULL);
    return check;
}
