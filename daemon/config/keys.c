/* A row per key. Values are typed by their key, not by YAML: `samples: "20"` is the number 20 and
 * a label's 010 is the text "010". So that no value is something else to another reader of the
 * file, truth values are words without quotes, and a text that YAML would take for a truth value
 * or for nothing (no, on, ~, null) must stand in quotes. */
#include "config/keys.h"

#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SITE(field)   offsetof(struct site, field)
#define SINK(field)   offsetof(struct sink_config, field)
#define CONFIG(field) offsetof(struct config, field)
#define NOWHERE       SIZE_MAX
#define PER_SITE      (KEY_DEFAULTS | KEY_SITE)
#define KIBIBYTES(n)  ((int64_t)(n)*1024)
#define SECONDS(n)    ((n)*NSEC_PER_SEC)
#define DAYS(n)       ((n)*SECONDS(86400))

static const char *const addresses_words[] = {
    [ADDRESSES_ROTATE] = "rotate", [ADDRESSES_FIRST] = "first", NULL};
static const char *const family_words[] = {
    [FAMILY_ANY] = "any", [FAMILY_IPV4] = "ipv4", [FAMILY_IPV6] = "ipv6", NULL};
static const char *const to_words[] = {[SINK_FILE] = "file", [SINK_STDOUT] = "stdout", NULL};
static const char *const format_words[] = {"text", "line", "json", NULL};
static const char *const only_words[] = {
    [SINK_ONLY_ALL] = "all", [SINK_ONLY_FAILED] = "failed", [SINK_ONLY_CHANGES] = "changes", NULL};

const struct key keys[] = {
    {
        .name = "defaults",
        .places = KEY_TOP,
        .kind = KEY_SECTION,
        .inside = KEY_DEFAULTS,
        .field = NOWHERE,
        .reload = KEY_NEXT_ROUND,
        .help = "Settings of every site that does not give its own.",
    },
    {
        .name = "sites",
        .places = KEY_TOP | KEY_INCLUDED,
        .kind = KEY_ENTRIES,
        .inside = KEY_SITE,
        .field = NOWHERE,
        .reload = KEY_AT_ONCE,
        .help = "What is sampled: a list of URLs, or of maps with a url and settings.",
    },
    {
        .name = "include",
        .places = KEY_TOP,
        .kind = KEY_TEXTS,
        .field = NOWHERE,
        .min = 1,
        .max = 1000,
        .reload = KEY_LOADING,
        .help = "Files with more sites, below this file's directory unless absolute; * ? [] are "
                "patterns, which may match nothing. Their sites follow this file's, in the order "
                "of the list and by name within a pattern. They may hold sites only.",
    },
    {
        .name = "reports",
        .places = KEY_TOP,
        .kind = KEY_ENTRIES,
        .inside = KEY_REPORT,
        .field = NOWHERE,
        .min = 1,
        .max = 64,
        .computed = "to: stdout",
        .reload = KEY_AT_ONCE,
        .help = "Where reports are written; each entry gets all of them, or those of `only`.",
    },
    {
        .name = "resolver",
        .places = KEY_TOP,
        .kind = KEY_SECTION,
        .inside = KEY_RESOLVER,
        .field = NOWHERE,
        .reload = KEY_AT_ONCE,
        .help = "How host names are looked up.",
    },
    {
        .name = "max_in_flight",
        .places = KEY_TOP,
        .kind = KEY_INTEGER,
        .field = CONFIG(max_in_flight),
        .fallback = "500",
        .min = 1,
        .max = 10000,
        .reload = KEY_AT_ONCE,
        .help = "Samples in flight at a time, over all sites; more wait for their turn.",
    },
    {
        .name = "workers",
        .places = KEY_TOP,
        .kind = KEY_INTEGER,
        .field = CONFIG(workers),
        .fallback = "1",
        .min = 1,
        .max = 64,
        .reload = KEY_RESTART,
        .help = "Threads that send samples. One does some 1,000 samples a second over TLS.",
    },
    {
        .name = "max_removed",
        .places = KEY_TOP,
        .kind = KEY_LONG,
        .field = CONFIG(max_removed),
        .computed = "half of the sites, where ten or more run",
        .min = 0,
        .max = 10 * 1000 * 1000,
        .reload = KEY_LOADING,
        .help = "How many sites a reload of this file may remove. It guards against a file that "
                "was cut off, which is still valid YAML.",
    },
    {
        .name = "name",
        .places = KEY_SITE,
        .kind = KEY_TEXT,
        .field = SITE(name),
        .computed = "the url",
        .min = 1,
        .max = 255,
        .reload = KEY_NEW_SITE,
        .help = "What the site is called in reports; no two are equal. Any text on one line.",
    },
    {
        .name = "url",
        .places = KEY_SITE,
        .kind = KEY_URL,
        .field = SITE(url_given),
        .max = 8192,
        .reload = KEY_NEXT_ROUND,
        .help = "What is requested: http or https, without user and password. A site needs one.",
    },
    {
        .name = "enabled",
        .places = PER_SITE,
        .kind = KEY_BOOL,
        .field = SITE(enabled),
        .fallback = "yes",
        .reload = KEY_AT_ONCE,
        .help = "Whether the site is sampled: yes, no, true, false, on or off, without quotes.",
    },
    {
        .name = "interval",
        .places = PER_SITE,
        .kind = KEY_DURATION,
        .field = SITE(interval),
        .fallback = "60s",
        .min = 100 * NSEC_PER_MSEC,
        .max = DAYS(31),
        .reload = KEY_NEW_PHASE,
        .help = "From the start of one round of samples to the next.",
    },
    {
        .name = "samples",
        .places = PER_SITE,
        .kind = KEY_INTEGER,
        .field = SITE(samples),
        .fallback = "20",
        .min = 1,
        .max = 10000,
        .reload = KEY_NEXT_ROUND,
        .help = "Requests in a round.",
    },
    {
        .name = "concurrency",
        .places = PER_SITE,
        .kind = KEY_INTEGER,
        .field = SITE(concurrency),
        .fallback = "5",
        .min = 1,
        .max = 1000,
        .reload = KEY_NEXT_ROUND,
        .help = "Samples of a round in flight at a time.",
    },
    {
        .name = "timeout",
        .places = PER_SITE,
        .kind = KEY_DURATION,
        .field = SITE(timeout),
        .fallback = "5s",
        .min = NSEC_PER_MSEC,
        .max = DAYS(1),
        .reload = KEY_NEXT_ROUND,
        .help = "One sample's whole life, from connect to the last byte. The default is lowered "
                "to a shorter interval or deadline.",
    },
    {
        .name = "dns_timeout",
        .places = PER_SITE,
        .kind = KEY_DURATION,
        .field = SITE(dns_timeout),
        .fallback = "5s",
        .min = NSEC_PER_MSEC,
        .max = DAYS(1),
        .reload = KEY_NEXT_ROUND,
        .help = "A round's one look-up of the host. The default is lowered to a shorter interval "
                "or deadline.",
    },
    {
        .name = "deadline",
        .places = PER_SITE,
        .kind = KEY_DURATION,
        .field = SITE(deadline),
        .computed = "dns_timeout + the larger of spread + timeout and samples / concurrency x "
                    "timeout, at most the interval",
        .min = NSEC_PER_MSEC,
        .max = DAYS(31),
        .reload = KEY_NEXT_ROUND,
        .help = "A round's whole life. Samples that could not start by then count as not_sent.",
    },
    {
        .name = "spread",
        .places = PER_SITE,
        .kind = KEY_DURATION,
        .field = SITE(spread),
        .computed = "a quarter of the interval, or of a given deadline that leaves less room",
        .min = 0,
        .max = DAYS(31),
        .reload = KEY_NEXT_ROUND,
        .help = "The time over which a round's samples start. 0s sends them in a burst.",
    },
    {
        .name = "addresses",
        .places = PER_SITE,
        .kind = KEY_WORD,
        .field = SITE(addresses),
        .fallback = "rotate",
        .words = addresses_words,
        .reload = KEY_NEXT_ROUND,
        .help = "Which of a host's addresses get samples: all in turn, or the first by bytes.",
    },
    {
        .name = "family",
        .places = PER_SITE,
        .kind = KEY_WORD,
        .field = SITE(family),
        .fallback = "any",
        .words = family_words,
        .reload = KEY_NEXT_ROUND,
        .help = "Addresses of which kind: any, ipv4 or ipv6.",
    },
    {
        .name = "body_limit",
        .places = PER_SITE,
        .kind = KEY_SIZE,
        .field = SITE(body_limit_bytes),
        .fallback = "16KiB",
        .min = 0,
        .max = KIBIBYTES(1024 * 1024),
        .reload = KEY_NEXT_ROUND,
        .help = "How much of an answer's body is read; then the transfer is ended and its status "
                "stands.",
    },
    {
        .name = "user_agent",
        .places = PER_SITE,
        .kind = KEY_TEXT,
        .field = SITE(user_agent),
        .fallback = "tallyd/" TALLYD_VERSION,
        .min = 1,
        .max = 255,
        .reload = KEY_NEXT_ROUND,
        .help = "The User-Agent header of a sample.",
    },
    {
        .name = "expect",
        .places = PER_SITE,
        .kind = KEY_SECTION,
        .inside = KEY_EXPECT,
        .field = NOWHERE,
        .reload = KEY_NEXT_ROUND,
        .help = "What an answer must be; a sample that got another one has failed.",
    },
    {
        .name = "status",
        .places = KEY_EXPECT,
        .kind = KEY_STATUS,
        .field = SITE(expect.status),
        .fallback = "200-399",
        .min = 1,
        .max = 100,
        .reload = KEY_NEXT_ROUND,
        .help = "Statuses that meet the expectation: 204, 200-399, 2xx, or a list of such.",
    },
    {
        .name = "labels",
        .places = KEY_SITE,
        .kind = KEY_LABELS,
        .field = NOWHERE,
        .max = 64,
        .reload = KEY_NEXT_ROUND,
        .help = "Names and texts that are copied to the site's reports. A name has letters, "
                "digits and _.",
    },
    {
        .name = "to",
        .places = KEY_REPORT,
        .kind = KEY_WORD,
        .field = SINK(kind),
        .words = to_words,
        .reload = KEY_AT_ONCE,
        .help = "The kind of place: file or stdout. An entry needs one.",
    },
    {
        .name = "path",
        .places = KEY_REPORT,
        .kind = KEY_PATH,
        .field = SINK(path),
        .min = 1,
        .max = 4000,
        .reload = KEY_AT_ONCE,
        .help = "The file, below the directory of the configuration unless absolute.",
    },
    {
        .name = "format",
        .places = KEY_REPORT,
        .kind = KEY_NAME,
        .field = SINK(format),
        .fallback = "line",
        .words = format_words,
        .reload = KEY_AT_ONCE,
        .help = "How a report is written: text, line or json.",
    },
    {
        .name = "only",
        .places = KEY_REPORT,
        .kind = KEY_WORD,
        .field = SINK(only),
        .fallback = "all",
        .words = only_words,
        .reload = KEY_AT_ONCE,
        .help = "Which reports: all, those with a failed sample, or those of rounds that changed "
                "their site's state.",
    },
    {
        .name = "servers",
        .places = KEY_RESOLVER,
        .kind = KEY_TEXTS,
        .field = NOWHERE,
        .min = 1,
        .max = 16,
        .computed = "the system's (/etc/resolv.conf)",
        .reload = KEY_AT_ONCE,
        .help = "Name servers: 192.0.2.1, 192.0.2.1:5353 or \"[2001:db8::1]:53\".",
    },
    {
        .name = "timeout",
        .places = KEY_RESOLVER,
        .kind = KEY_DURATION,
        .field = CONFIG(resolver_timeout),
        .fallback = "1.5s",
        .min = 10 * NSEC_PER_MSEC,
        .max = SECONDS(60),
        .reload = KEY_AT_ONCE,
        .help = "How long one try waits for an answer; the second waits twice as long.",
    },
    {
        .name = "tries",
        .places = KEY_RESOLVER,
        .kind = KEY_INTEGER,
        .field = CONFIG(resolver_tries),
        .fallback = "2",
        .min = 1,
        .max = 10,
        .reload = KEY_AT_ONCE,
        .help = "How often each server is asked.",
    },
};
const size_t keys_n = sizeof keys / sizeof keys[0];
static_assert(sizeof(enum family) == sizeof(unsigned), "key_store() writes enums as unsigned");
static_assert(sizeof keys / sizeof keys[0] <= 64, "readers keep the keys seen in a bit set");

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

enum { NAME_BYTES = 24 }; /* longer than any key with a typing error or two */

/* Damerau's distance (optimal string alignment): insert, remove, replace, swap neighbours. */
static unsigned distance(const char *a, size_t a_n, const char *b, size_t b_n) {
    unsigned rows[3][NAME_BYTES + 1];
    for (unsigned j = 0; j <= b_n; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_n; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_n; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = two_above[j - 2] + 1 < best ? two_above[j - 2] + 1 : best;
            }
            row[j] = best;
        }
    }
    return rows[a_n % 3][b_n];
}

const struct key *key_nearest(const char *name, enum key_place place) {
    size_t n = strlen(name);
    if (n == 0 || n > NAME_BYTES) {
        return NULL;
    }
    const struct key *nearest = NULL;
    unsigned least = 0;
    for (size_t i = 0; i < keys_n; i++) {
        size_t key_n = strlen(keys[i].name);
        unsigned far = 2 * distance(name, n, keys[i].name, key_n);
        unsigned limit = 2 * (key_n < 4 ? 1 : key_n < 8 ? 2 : 3);
        if (far > limit || (far > 0 && far >= 2 * key_n)) {
            continue;
        }
        far += (keys[i].places & place) == 0 ? (far > 0 ? 3 : 1) : 0;
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

/* The bound that was passed, in the notation that the file would use. */
static int fail_bound(const struct key *key, bool low, char room[KEY_WHY_SIZE],
                      const char **ret_why) {
    int64_t bound = low ? key->min : key->max;
    char text[VALUE_TEXT_SIZE];
    if (key->kind == KEY_DURATION) {
        value_print_duration(bound, text);
    } else if (key->kind == KEY_SIZE) {
        value_print_size(bound, text);
    } else {
        snprintf(text, sizeof text, "%lld", (long long)bound);
    }
    snprintf(room, KEY_WHY_SIZE, low ? "is less than the least, %s" : "is more than the most, %s",
             text);
    return fail(room, ret_why);
}

static int read_number(const struct key *key, const char *text, int64_t *ret_number,
                       char room[KEY_WHY_SIZE], const char **ret_why) {
    int64_t number;
    int r = key->kind == KEY_DURATION ? value_parse_duration(text, false, &number, ret_why)
            : key->kind == KEY_SIZE   ? value_parse_size(text, &number, ret_why)
                                      : value_parse_integer(text, &number, ret_why);
    if (r < 0) {
        if (strcmp(*ret_why, "has no unit") == 0) {
            snprintf(room, KEY_WHY_SIZE, "has no unit; is it %.32s%s?", text,
                     key->kind == KEY_DURATION ? "s" : "B");
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
    size_t most = key->kind == KEY_TEXTS ? KEY_LIST_TEXT_BYTES : (size_t)key->max;
    if (n == 0) {
        return fail("is empty", ret_why);
    }
    if (n > most) {
        snprintf(room, KEY_WHY_SIZE, "is longer than %zu bytes", most);
        return fail(room, ret_why);
    }
    ret_value->pointer = arena_copy(arena, text);
    return ret_value->pointer == NULL ? -ENOMEM : 0;
}

static int read_status(const char *text, struct arena *arena, struct key_value *ret_value,
                       const char **ret_why) {
    struct status_set set = {0};
    int r = value_parse_status(text, &set, ret_why);
    if (r < 0) {
        return r;
    }
    struct status_set *kept = arena_take(arena, sizeof *kept);
    if (kept == NULL) {
        return -ENOMEM;
    }
    *kept = set;
    ret_value->pointer = kept;
    return 0;
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
        r = read_number(key, text, &value.number, room, ret_why);
        break;
    case KEY_BOOL:
        r = plain ? value_parse_bool(text, &truth, ret_why)
                  : fail("is text; write yes or no without quotes", ret_why);
        value.number = truth;
        break;
    case KEY_WORD:
    case KEY_NAME:
        r = read_word(key, text, &value, room, ret_why);
        break;
    case KEY_TEXT:
    case KEY_PATH:
    case KEY_TEXTS:
        r = read_text(key, text, plain, arena, &value, room, ret_why);
        break;
    case KEY_STATUS:
        r = read_status(text, arena, &value, ret_why);
        break;
    case KEY_URL:
    case KEY_LABELS:
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
    if (key->field == NOWHERE) {
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
    case KEY_URL:
        *(const char **)field = value->pointer;
        break;
    case KEY_STATUS:
        *(const struct status_set **)field = value->pointer;
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
