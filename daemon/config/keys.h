/* The keys of a configuration: a row each. The rows drive reading, error messages, `check`, the
 * manual and the shipped example. A new key is its field, its row, and whoever uses the field. */
#pragma once

#include "config/arena.h"
#include "config/config.h"

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
};

enum key_kind {
    KEY_DURATION, /* nsec_t */
    KEY_SIZE,     /* size_t */
    KEY_INTEGER,  /* unsigned */
    KEY_LONG,     /* int64_t */
    KEY_BOOL,     /* bool */
    KEY_WORD,     /* an enum: the word's place in `words` */
    KEY_NAME,     /* const char *, one of `words` */
    KEY_TEXT,     /* const char * */
    KEY_PATH,     /* const char *, absolute or below the configuration's directory */
    KEY_URL,
    KEY_STATUS,  /* const struct status_set *: one item or a list of them */
    KEY_LABELS,  /* a map of texts */
    KEY_TEXTS,   /* a list of texts, or one */
    KEY_SECTION, /* a map of the keys that stand in `inside` */
    KEY_ENTRIES, /* a list of such maps */
};

/* What a reload does with a change of it. */
enum key_reload {
    KEY_NEXT_ROUND, /* the site's next round has it; state and phase stay */
    KEY_NEW_PHASE,  /* the site keeps its state and gets a new phase, in another ring */
    KEY_NEW_SITE,   /* it is another site */
    KEY_AT_ONCE,    /* applies from the reload on */
    KEY_RESTART,    /* stays as it is until the daemon is started again, and the log says so */
    KEY_LOADING,    /* concerns the reading itself */
};

struct key {
    const char *name;
    unsigned places;
    enum key_kind kind;
    enum key_reload reload;
    size_t field;             /* in the struct of its place: site, sink_config, config */
    const char *fallback;     /* the default, as a file would write it; NULL: none, or computed */
    const char *computed;     /* how the default comes about, where it is computed */
    int64_t min, max;         /* of the value; of a text its bytes; of a list its entries */
    const char *const *words; /* ends with NULL */
    unsigned inside;
    const char *help; /* sentences for the manual */
};

extern const struct key keys[];
extern const size_t keys_n; /* at most 64: readers keep them in bit sets */

const char *key_place_name(enum key_place place); /* "in a site", "at the top level", … */

const struct key *key_find(const char *name, enum key_place place); /* NULL: unknown there */
/* The key that was probably meant; NULL: none is near. Prefers those of `place`. */
const struct key *key_nearest(const char *name, enum key_place place);

/* The value of a key, as read. */
struct key_value {
    int64_t number;
    const void *pointer; /* text (in the arena), or a status set */
};

/* Reads the value of a key of a scalar kind (up to KEY_STATUS, without KEY_URL). 0; -ENOMEM; or
 * -EINVAL with *ret_why, what is wrong with `text` (a predicate that may live in `room`). */
#define KEY_WHY_SIZE        256
#define KEY_LIST_TEXT_BYTES 4000 /* of one text of a KEY_TEXTS */
int key_read(const struct key *key, const char *text, bool plain, struct arena *arena,
             struct key_value *ret_value, char room[KEY_WHY_SIZE], const char **ret_why);
/* Puts it into its field of `record`, the struct of its place. */
void key_store(const struct key *key, const struct key_value *value, void *record);
/* Fills a record with the defaults of all keys of those places that have one. 0 or -ENOMEM. */
int key_store_fallbacks(unsigned places, struct arena *arena, void *record);
