/* What the rows of rows.c mean: finding one by its name, reading a value by it, storing that. */
#include "config/keys.h"

#include "config/nearest.h"
#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(enum family) == sizeof(unsigned), "key_store() writes enums as unsigned");

const char *key_place_name(enum key_place place) {
    switch (place) {
    case KEY_TOP:
        return "at the top level";
    case KEY_INCLUDED:
        return "in an included file";
    case KEY_DEFAULTS:
        return "in defaults";
    case KEY_SITE:
        return "in a site";
    case KEY_RESOLVER:
        return "in resolver";
    case KEY_REPORT:
        return "in an entry of reports";
    case KEY_EXPECT:
        return "in expect";
    case KEY_REQUEST:
        return "in request";
    case KEY_BASIC:
        return "in basic";
    case KEY_TLS:
        return "in tls";
    case KEY_REDIRECTS:
        return "in redirects";
    case KEY_BACKEND:
        return "in backend";
    case KEY_IN_SECRET:
        return "where a secret belongs";
    case KEY_HEALTH:
        return "in health";
    case KEY_STATUS_SERVER:
        return "in status";
    case KEY_IN_RULE:
        return "in the rule of a header";
    case KEY_ON_CHANGE:
        return "in on_change";
    case KEY_ALL_OF_SITE:
        break;
    }
    return NULL;
}

const struct key *key_find(const char *name, enum key_place place) {
    for (size_t i = 0; i < keys_n; i++) {
        if ((keys[i].places & place) != 0 && strcmp(keys[i].name, name) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

const struct key *key_first(enum key_place place) {
    size_t i = 0;
    while (i < keys_n && (keys[i].places & place) == 0) {
        i++;
    }
    assert(i < keys_n);
    return &keys[i];
}

const struct key *key_nearest(const char *name, enum key_place place) {
    const struct key *nearest = NULL;
    unsigned least = 0;
    for (size_t i = 0; i < keys_n; i++) {
        unsigned far = 2 * nearest_distance(name, keys[i].name);
        if (far > 2 * nearest_limit(keys[i].name)) {
            continue;
        }
        far +=
            (keys[i].places & place) == 0 ? 3 : 0; /* one slip in a key of this place is nearer */
        if (nearest == NULL || far < least) {
            nearest = &keys[i];
            least = far;
        }
    }
    return nearest;
}

static int fail(const char *why, const char **ret_why) {
    *ret_why = why;
    return -EINVAL;
}

void key_print_number(const struct key *key, int64_t number, char ret_text[VALUE_TEXT_SIZE]) {
    if (key->kind == KEY_DURATION) {
        value_print_duration(number, ret_text);
    } else if (key->kind == KEY_SIZE) {
        value_print_size(number, ret_text);
    } else if (key->kind == KEY_DECIMAL) {
        snprintf(ret_text, VALUE_TEXT_SIZE, "%.10g", (double)number / 1000);
    } else if (key->kind == KEY_PERCENT) {
        snprintf(ret_text, VALUE_TEXT_SIZE, "%.10g%%", (double)number / 10);
    } else {
        snprintf(ret_text, VALUE_TEXT_SIZE, "%lld", (long long)number);
    }
}

/* The bound that was passed, in the notation that the file would use. */
static int fail_bound(const struct key *key, bool low, char room[KEY_WHY_SIZE],
                      const char **ret_why) {
    int64_t bound = low ? key->min : key->max;
    char text[VALUE_TEXT_SIZE];
    key_print_number(key, bound, text);
    snprintf(room, KEY_WHY_SIZE, low ? "is less than the least, %s" : "is more than the most, %s",
             text);
    return fail(room, ret_why);
}

static int read_number(const struct key *key, const char *text, int64_t *ret_number,
                       char room[KEY_WHY_SIZE], const char **ret_why) {
    int64_t number;
    int r = key->kind == KEY_DURATION  ? value_parse_duration(text, false, &number, ret_why)
            : key->kind == KEY_SIZE    ? value_parse_size(text, &number, ret_why)
            : key->kind == KEY_DECIMAL ? value_parse_decimal(text, &number, ret_why)
            : key->kind == KEY_PERCENT ? value_parse_percent(text, &number, ret_why)
                                       : value_parse_integer(text, &number, ret_why);
    if (r < 0) {
        if (strcmp(*ret_why, "has no unit") == 0) {
            snprintf(room, KEY_WHY_SIZE, "has no unit; is it %.32s%s?", text,
                     key->kind == KEY_DURATION  ? "s"
                     : key->kind == KEY_PERCENT ? "%"
                                                : "B");
            *ret_why = room;
        }
        return r;
    }
    if (number < key->min || number > key->max) {
        return fail_bound(key, number < key->min, room, ret_why);
    }
    *ret_number = number;
    return 0;
}

static int read_word(const struct key *key, const char *text, struct key_value *ret_value,
                     char room[KEY_WHY_SIZE], const char **ret_why) {
    for (size_t i = 0; key->words[i] != NULL; i++) {
        if (strcmp(key->words[i], text) == 0) {
            ret_value->number = (int64_t)i;
            ret_value->pointer = key->words[i];
            return 0;
        }
    }
    size_t used = (size_t)snprintf(room, KEY_WHY_SIZE, "is not one of");
    for (size_t i = 0; key->words[i] != NULL && used < KEY_WHY_SIZE; i++) {
        used += (size_t)snprintf(room + used, KEY_WHY_SIZE - used, "%s %s", i == 0 ? "" : ",",
                                 key->words[i]);
    }
    return fail(room, ret_why);
}

static int read_text(const struct key *key, const char *text, bool plain, struct arena *arena,
                     struct key_value *ret_value, char room[KEY_WHY_SIZE], const char **ret_why) {
    if (plain && value_is_yaml_word(text)) {
        snprintf(room, KEY_WHY_SIZE, "is not text to YAML; put it in quotes");
        return fail(room, ret_why);
    }
    size_t n = strlen(text);
    bool is_entry = key->kind == KEY_TEXTS || key->kind == KEY_COMMAND ||
                    key->kind == KEY_BODY_RULES || key->kind == KEY_HEADERS ||
                    key->kind == KEY_HEADER_RULES;
    bool may_be_empty =
        is_entry ? key->kind != KEY_TEXTS && key->kind != KEY_BODY_RULES : key->min == 0;
    size_t most = is_entry ? KEY_LIST_TEXT_BYTES : (size_t)key->max;
    if (n == 0 && !may_be_empty) {
        return fail("is empty", ret_why);
    }
    if (n > most) {
        snprintf(room, KEY_WHY_SIZE, "is longer than %zu bytes", most);
        return fail(room, ret_why);
    }
    const char *why = key->check != NULL ? key->check(text) : NULL;
    if (why != NULL) {
        return fail(why, ret_why);
    }
    ret_value->pointer = arena_copy(arena, text);
    return ret_value->pointer == NULL ? -ENOMEM : 0;
}

static int read_status(const char *text, struct arena *arena, struct key_value *ret_value,
                       const char **ret_why) {
    struct status_terms terms = {0};
    int r = value_parse_status(text, &terms, ret_why);
    if (r < 0) {
        return r;
    }
    struct status_set *set = arena_take(arena, sizeof *set);
    if (set == NULL) {
        return -ENOMEM;
    }
    ret_value->pointer = set;
    return status_terms_settle(&terms, set) ? 0 : fail("leaves no status", ret_why);
}

static int read_body(const struct key *key, const char *text, bool plain, struct arena *arena,
                     struct key_value *ret_value, char room[KEY_WHY_SIZE], const char **ret_why) {
    struct key_value whole = {0};
    int r = read_text(key, text, plain, arena, &whole, room, ret_why);
    struct request_body *body = r == 0 ? arena_take(arena, sizeof *body) : NULL;
    if (r < 0 || body == NULL) {
        return r < 0 ? r : -ENOMEM;
    }
    *body = (struct request_body){.bytes = whole.pointer, .n = strlen(text)};
    ret_value->pointer = body;
    return 0;
}

static void release_url(void *url) {
    url_clear(url);
}

static int read_proxy(const char *text, struct arena *arena, struct key_value *ret_value,
                      const char **ret_why) {
    struct url *url = arena_take(arena, sizeof *url);
    if (url == NULL) {
        return -ENOMEM;
    }
    int r = value_parse_proxy(text, url, ret_why);
    if (r == 0) {
        ret_value->pointer = url;
        r = arena_own(arena, url, release_url);
    }
    return r;
}

static int read_connect(const char *text, struct arena *arena, struct key_value *ret_value,
                        const char **ret_why) {
    char *host;
    uint16_t port;
    int r = value_parse_connect(text, &host, &port, ret_why);
    if (r < 0) {
        return r;
    }
    struct connect_to *to = arena_take(arena, sizeof *to);
    const char *kept = host != NULL && to != NULL ? arena_copy(arena, host) : NULL;
    r = to == NULL || (host != NULL && kept == NULL) ? -ENOMEM : 0;
    free(host);
    if (r == 0) {
        *to = (struct connect_to){kept, port};
        ret_value->pointer = to;
    }
    return r;
}

int key_read(const struct key *key, const char *text, bool plain, struct arena *arena,
             struct key_value *ret_value, char room[KEY_WHY_SIZE], const char **ret_why) {
    struct key_value value = {0};
    bool truth = false;
    int r = -EINVAL;
    switch (key->kind) {
    case KEY_DURATION:
    case KEY_SIZE:
    case KEY_INTEGER:
    case KEY_LONG:
    case KEY_DECIMAL:
    case KEY_PERCENT:
        r = read_number(key, text, &value.number, room, ret_why);
        break;
    case KEY_BOOL:
        r = plain ? value_parse_bool(text, &truth, ret_why)
                  : fail("is text; write yes or no without quotes", ret_why);
        value.number = truth;
        break;
    case KEY_WORD:
    case KEY_NAME:
    case KEY_WORDS:
        r = read_word(key, text, &value, room, ret_why);
        if (key->kind == KEY_WORDS) {
            value.number = INT64_C(1) << value.number;
        }
        break;
    case KEY_TEXT:
    case KEY_PATH:
    case KEY_FILE:
    case KEY_BODY_FILE:
    case KEY_TEXTS:
    case KEY_COMMAND:
    case KEY_HEADERS:
    case KEY_HEADER_RULES:
    case KEY_BODY_RULES:
        r = read_text(key, text, plain, arena, &value, room, ret_why);
        break;
    case KEY_BODY:
        r = read_body(key, text, plain, arena, &value, room, ret_why);
        break;
    case KEY_PROXY:
        r = read_proxy(text, arena, &value, ret_why);
        break;
    case KEY_CONNECT:
        r = read_connect(text, arena, &value, ret_why);
        break;
    case KEY_STATUS:
        r = read_status(text, arena, &value, ret_why);
        break;
    case KEY_URL:
    case KEY_LABELS:
    case KEY_SECRET:
    case KEY_SECTION:
    case KEY_ENTRIES:
        *ret_why = "is a single value where a list or map belongs";
        break;
    }
    if (r == 0) {
        *ret_value = value;
    }
    return r;
}

void key_store(const struct key *key, const struct key_value *value, void *record) {
    if (key->field == KEY_NOWHERE) {
        return;
    }
    void *field = (char *)record + key->field;
    switch (key->kind) {
    case KEY_DURATION:
        *(nsec_t *)field = value->number;
        break;
    case KEY_SIZE:
        *(size_t *)field = (size_t)value->number;
        break;
    case KEY_INTEGER:
    case KEY_DECIMAL:
    case KEY_PERCENT:
    case KEY_WORDS:
        *(unsigned *)field = (unsigned)value->number;
        break;
    case KEY_LONG:
        *(int64_t *)field = value->number;
        break;
    case KEY_BOOL:
        *(bool *)field = value->number != 0;
        break;
    case KEY_WORD: {
        unsigned number = (unsigned)value->number;
        memcpy(field, &number, sizeof number);
        break;
    }
    case KEY_NAME:
    case KEY_TEXT:
    case KEY_PATH:
    case KEY_FILE:
    case KEY_URL:
        *(const char **)field = value->pointer;
        break;
    case KEY_COMMAND:
        *(const char *const **)field = value->pointer;
        break;
    case KEY_PROXY:
        *(const struct url **)field = value->pointer;
        break;
    case KEY_SECRET:
        *(const struct secret **)field = value->pointer;
        break;
    case KEY_BODY:
    case KEY_BODY_FILE:
        *(const struct request_body **)field = value->pointer;
        break;
    case KEY_CONNECT:
        *(const struct connect_to **)field = value->pointer;
        break;
    case KEY_STATUS:
        *(const struct status_set **)field = value->pointer;
        break;
    case KEY_HEADERS:
    case KEY_HEADER_RULES:
    case KEY_BODY_RULES:
        *(struct key_list *)field = (struct key_list){value->pointer, (size_t)value->number};
        break;
    case KEY_LABELS:
    case KEY_TEXTS:
    case KEY_SECTION:
    case KEY_ENTRIES:
        break;
    }
}

int key_store_fallbacks(unsigned places, struct arena *arena, void *record) {
    for (size_t i = 0; i < keys_n; i++) {
        if ((keys[i].places & places) == 0 || keys[i].fallback == NULL) {
            continue;
        }
        struct key_value value;
        char room[KEY_WHY_SIZE];
        const char *why;
        int r = key_read(&keys[i], keys[i].fallback, true, arena, &value, room, &why);
        if (r == -ENOMEM) {
            return r;
        }
        assert(r == 0); /* a row's own default keeps its bounds */
        key_store(&keys[i], &value, record);
    }
    return 0;
}
