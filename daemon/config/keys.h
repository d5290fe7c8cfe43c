/* The keys of a configuration: a row each. The rows drive reading, error messages, `check`, the
 * manual and the shipped example. A new key is its field, its row, and whoever uses the field. */
#pragma once

#include "config/arena.h"
#include "config/config.h"
#include "config/secret.h"
#include "config/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a key may stand; a bit each. */
enum key_place {
    KEY_TOP = 1 << 0,
    KEY_INCLUDED = 1 << 1, /* the top of an included file */
    KEY_DEFAULTS = 1 << 2,
    KEY_SITE = 1 << 3,
    KEY_RESOLVER = 1 << 4,
    KEY_REPORT = 1 << 5, /* an entry of `reports` */
    KEY_EXPECT = 1 << 6,
    KEY_REQUEST = 1 << 7,
    KEY_BASIC = 1 << 8,
    KEY_TLS = 1 << 9,
    KEY_REDIRECTS = 1 << 10,
    KEY_BACKEND = 1 << 11,
    KEY_IN_SECRET = 1 << 12, /* a map that says where a secret stands */
    KEY_IN_RULE = 1 << 13,   /* a map that says what a header must be */
    KEY_HEALTH = 1 << 16,    /* how counts become a state */
    KEY_ON_CHANGE = 1 << 14, /* an entry of `on_change` */
    KEY_STATUS_SERVER = 1 << 17,

    KEY_ALL_OF_SITE = KEY_SITE | KEY_EXPECT | KEY_REQUEST | KEY_BASIC | KEY_TLS | KEY_REDIRECTS |
                      KEY_BACKEND | KEY_HEALTH, /* what is stored into a struct site_form */
};

enum key_kind {
    KEY_DURATION, /* nsec_t */
    KEY_SIZE,     /* size_t */
    KEY_INTEGER,  /* unsigned */
    KEY_LONG,     /* int64_t */
    KEY_DECIMAL,  /* unsigned, in thousandths: a number that may have a point */
    KEY_PERCENT,  /* unsigned, in thousandths: a number and % */
    KEY_BOOL,     /* bool */
    KEY_WORD,     /* an enum: the word's place in `words` */
    KEY_NAME,     /* const char *, one of `words` */
    KEY_TEXT,     /* const char * */
    KEY_PATH,     /* const char *, absolute or below the configuration's directory */
    KEY_FILE,     /* the same, or a map that says where the file stands, as of a secret */
    KEY_URL,
    KEY_BODY,      /* const struct request_body *: a text that may have several lines */
    KEY_BODY_FILE, /* the same, read from a file */
    KEY_PROXY,     /* struct url * */
    KEY_CONNECT,   /* const struct connect_to * */
    KEY_STATUS,    /* const struct status_set *: one item or a list of them */
    KEY_LABELS,    /* a map of texts */
    KEY_TEXTS,     /* a list of texts, or one */
    KEY_WORDS,     /* unsigned, a bit for each of `words`: a list of them, or one */
    KEY_COMMAND,   /* const char *const *: a list of texts, of which the first is a path, or that */
    KEY_SECRET,    /* const struct secret *: a map that says where it stands */
    KEY_HEADERS,   /* struct key_list of struct header: a map of texts or secrets */
    KEY_HEADER_RULES, /* struct key_list of struct rule: a map of texts or rules */
    KEY_BODY_RULES,   /* struct key_list of struct rule: a list of texts, or one */
    KEY_SECTION,      /* a map of the keys that stand in `inside` */
    KEY_ENTRIES,      /* a list of such maps, of `on_change` also one */
};

/* Keys of one place and one group exclude each other. */
enum key_group {
    KEY_GROUP_NONE,
    KEY_GROUP_BODY,
    KEY_GROUP_LOGIN,
    KEY_GROUP_SECRET,
    KEY_GROUP_BACKEND,
    KEY_GROUP_RULE,
};

/* What a reload does with a change of it. */
enum key_reload {
    KEY_NEXT_ROUND,   /* the site's next round has it; state and phase stay */
    KEY_NEW_QUESTION, /* the site's next round has it; its state begins anew, its phase stays */
    KEY_NEW_PHASE,    /* the site keeps its state and gets a new phase, in another ring */
    KEY_NEW_SITE,     /* it is another site */
    KEY_AT_ONCE,      /* applies from the reload on */
    KEY_RESTART,      /* stays as it is until the daemon is started again, and the log says so */
    KEY_LOADING,      /* concerns the reading itself */
};

struct key_list {
    const void *list;
    size_t n;
};

struct request_body {
    const char *bytes;
    size_t n;
    const char *path; /* NULL: it stands in the configuration */
};

struct connect_to {
    const char *host; /* NULL: the URL's */
    uint16_t port;    /* 0: the URL's */
};

/* What the settings of a site are stored into: the site, and what becomes part of it when all of
 * them are there. */
struct site_form {
    struct site site;
    struct key_list headers;                                       /* of struct header */
    struct key_list expect_headers;                                /* of struct rule, as those: */
    struct key_list body_contains, body_matches, body_not_matches; /* in the order of asking */
    const struct request_body *body;
    const struct connect_to *connect_to;
};

struct key {
    const char *name;
    unsigned places;
    enum key_kind kind;
    enum key_reload reload;
    size_t field;             /* in the struct of its place: site_form, sink_config, … */
    const char *fallback;     /* the default, as a file would write it; NULL: none, or computed */
    const char *computed;     /* how the default comes about, where it is computed */
    int64_t min, max;         /* of the value; of a text its bytes; of a list its entries */
    const char *const *words; /* ends with NULL */
    unsigned inside;
    enum key_group group;
    enum rule_kind rule; /* that it makes, of the kinds and places that make rules */
    const char *(*check)(const char *text); /* NULL, or what is wrong with a text (a predicate) */
    const char *help;                       /* sentences for the manual */
    const char *example;                    /* a value, as a file would write it */
};

#define KEY_NOWHERE SIZE_MAX /* the field of a key whose value is no single one */
enum { KEYS_MOST = 128 };    /* readers have a place for each */

extern const struct key keys[]; /* rows.c */
extern const size_t keys_n;

const char *key_place_name(enum key_place place); /* "in a site", "at the top level", … */

const struct key *key_find(const char *name, enum key_place place); /* NULL: unknown there */
const struct key *key_first(enum key_place place);                  /* of its rows; an example */
/* The key that was probably meant; NULL: none is near. Prefers those of `place`. */
const struct key *key_nearest(const char *name, enum key_place place);

/* The value of a key, as read. */
struct key_value {
    int64_t number;      /* of a list: of its entries */
    const void *pointer; /* a text, or what its kind says; in the arena */
};

/* Reads the value of a key of a scalar kind (up to KEY_STATUS, without KEY_URL and KEY_BODY_FILE).
 * 0; -ENOMEM; or -EINVAL with *ret_why, what is wrong with `text` (a predicate that may live in
 * `room`). */
#define KEY_WHY_SIZE        256
#define KEY_LIST_TEXT_BYTES 4000 /* of one text of a KEY_TEXTS */
int key_read(const struct key *key, const char *text, bool plain, struct arena *arena,
             struct key_value *ret_value, char room[KEY_WHY_SIZE], const char **ret_why);
/* A number of that key's kind, as a file would write it. */
void key_print_number(const struct key *key, int64_t number, char ret_text[VALUE_TEXT_SIZE]);
/* Puts it into its field of `record`, the struct of its place. */
void key_store(const struct key *key, const struct key_value *value, void *record);
/* Fills a record with the defaults of all keys of those places that have one. 0 or -ENOMEM. */
int key_store_fallbacks(unsigned places, struct arena *arena, void *record);
