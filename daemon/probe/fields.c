#include "probe/fields.h"

#include <string.h>
#include <strings.h>

static bool is_space(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\r';
}

/* Without what is blank at both ends. */
static void trim(const char **bytes, size_t *n) {
    while (*n > 0 && is_space((*bytes)[*n - 1])) {
        (*n)--;
    }
    while (*n > 0 && is_space(**bytes)) {
        (*bytes)++;
        (*n)--;
    }
}

bool fields_next(const char *head, size_t n, size_t *at, struct field *ret_field) {
    while (*at < n) {
        const char *line = head + *at;
        const char *end = memchr(line, '\n', n - *at);
        size_t length = end != NULL ? (size_t)(end - line) : n - *at;
        *at += length + (end != NULL ? 1 : 0);
        const char *colon = memchr(line, ':', length);
        if (colon == NULL) {
            continue;
        }
        struct field field = {
            .name = line,
            .name_bytes = (size_t)(colon - line),
            .value = colon + 1,
            .value_bytes = length - (size_t)(colon - line) - 1,
        };
        trim(&field.name, &field.name_bytes);
        trim(&field.value, &field.value_bytes);
        if (field.name_bytes > 0) {
            *ret_field = field;
            return true;
        }
    }
    return false;
}

bool fields_find(const char *head, size_t n, size_t *at, const char *name,
                 struct field *ret_field) {
    size_t name_bytes = strlen(name);
    struct field field;
    while (fields_next(head, n, at, &field)) {
        if (field.name_bytes == name_bytes && strncasecmp(field.name, name, name_bytes) == 0) {
            *ret_field = field;
            return true;
        }
    }
    return false;
}

bool fields_cookie(const char *head, size_t n, const char *name, struct field *ret_cookie) {
    size_t name_bytes = strlen(name);
    size_t at = 0;
    struct field field;
    while (fields_find(head, n, &at, "Set-Cookie", &field)) {
        const char *semicolon = memchr(field.value, ';', field.value_bytes);
        size_t pair = semicolon != NULL ? (size_t)(semicolon - field.value) : field.value_bytes;
        const char *equals = memchr(field.value, '=', pair);
        if (equals == NULL) {
            continue;
        }
        struct field cookie = {
            .name = field.value,
            .name_bytes = (size_t)(equals - field.value),
            .value = equals + 1,
            .value_bytes = pair - (size_t)(equals - field.value) - 1,
        };
        trim(&cookie.name, &cookie.name_bytes);
        trim(&cookie.value, &cookie.value_bytes);
        if (cookie.name_bytes == name_bytes && memcmp(cookie.name, name, name_bytes) == 0) {
            *ret_cookie = cookie;
            return true;
        }
    }
    return false;
}
