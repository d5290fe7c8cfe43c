/* Reading goes down the file once, node by node. What is wrong with a value is noted and the next
 * one is read, so that one run reports all; only a syntax error or a limit ends a file early.
 *
 * Functions here return false when there is no going on with this file. A list that grows is kept
 * by its owner in the draft; what a value points to lies in the draft's `keep` arena, as most of it
 * becomes the configuration's. */
#include "config/reader.h"

#include "config/lists.h"
#include "config/maps.h"
#include "config/nodes.h"
#include "config/reading.h"
#include "config/rules.h"
#include "config/source.h"
#include "config/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A room for one more in a growing array; NULL: out of memory. */
static void *grow(void **array, size_t n, size_t *size, size_t bytes_each) {
    if (n == *size) {
        size_t larger = *size == 0 ? 16 : 2 * *size;
        void *moved = reallocarray(*array, larger, bytes_each);
        if (moved == NULL) {
            return NULL;
        }
        *array = moved;
        *size = larger;
    }
    return (char *)*array + n * bytes_each;
}

bool reading_out_of_memory(struct reader *reader) {
    reader->draft->messages.out_of_memory = true;
    return false;
}

static const char *node_noun(const struct node *node) {
    return node->kind == NODE_LIST ? "a list" : node->kind == NODE_MAP ? "a map" : "a single value";
}

/* Notes that `node` is of the wrong kind, unless that is said already, and passes over it. */
bool reading_refuse_node(struct reader *reader, const struct node *node, const char *name,
                         const char *wanted) {
    if (node->kind != NODE_REFUSED) {
        bool nothing = node->kind == NODE_SCALAR && node->plain &&
                       (*node->text == '\0' || strcmp(node->text, "~") == 0);
        if (nothing) {
            reading_error(reader, node->mark, NULL, "%s has no value; it wants %s", name, wanted);
        } else {
            reading_error(reader, node->mark, NULL, "%s is %s; it wants %s", name, node_noun(node),
                          wanted);
        }
    }
    return nodes_skip(reader->nodes, node);
}

static bool keep_settings(struct reader *reader, const struct collected *collected,
                          struct draft_settings *ret_settings) {
    size_t bytes = collected->n * sizeof collected->list[0];
    struct draft_setting *list = arena_take(&reader->draft->scratch, bytes);
    if (list == NULL) {
        return reading_out_of_memory(reader);
    }
    memcpy(list, collected->list, bytes);
    *ret_settings = (struct draft_settings){list, collected->n};
    return true;
}

static struct collected *begin_record(struct reader *reader) {
    reader->record.n = 0;
    return &reader->record;
}

/* ---- values ---- */

static void add_refused(struct reader *reader, const struct key *key, const struct node *node,
                        const char *why) {
    if (strchr(node->text, '@') != NULL && key->kind == KEY_PROXY) {
        messages_add_secret(&reader->draft->messages, MESSAGE_ERROR, node->mark, NULL, "%s: it %s",
                            key->name, why);
    } else {
        /* a body may have several lines; the first is enough */
        int shown = (int)strcspn(node->text, "\n");
        reading_error(reader, node->mark, NULL, "%s: \"%.*s\" %s", key->name,
                      shown < READING_QUOTED_BYTES ? shown : READING_QUOTED_BYTES, node->text, why);
    }
}

bool reading_read_scalar(struct reader *reader, const struct key *key, const struct node *node,
                         struct key_value *ret_value, bool *ret_ok) {
    *ret_ok = false;
    if (node->kind != NODE_SCALAR || (node->plain && *node->text == '\0')) {
        return reading_refuse_node(reader, node, key->name, "a single value");
    }
    char room[KEY_WHY_SIZE];
    const char *why = NULL;
    int r = key_read(key, node->text, node->plain, &reader->draft->keep, ret_value, room, &why);
    if (r == 0 && (key->kind == KEY_PATH || key->kind == KEY_FILE || key->kind == KEY_BODY_FILE)) {
        ret_value->pointer = draft_path(reader->draft, &reader->draft->keep, ret_value->pointer);
        r = ret_value->pointer == NULL ? -ENOMEM : 0;
    }
    if (r == -ENOMEM) {
        return reading_out_of_memory(reader);
    }
    if (r < 0) {
        add_refused(reader, key, node, why);
    }
    *ret_ok = r == 0;
    return true;
}

/* The next entry of a list; *ret_more is false at its end. */
bool reading_next_entry(struct reader *reader, struct node *ret_node, bool *ret_more) {
    if (!nodes_next(reader->nodes, ret_node)) {
        return false;
    }
    *ret_more = ret_node->kind != NODE_LIST_END;
    return true;
}

/* Notes that a list has more or fewer entries than its row allows. */
void reading_check_entries(struct reader *reader, const struct key *key, struct mark mark,
                           size_t n) {
    if (n < (size_t)key->min) {
        reading_error(reader, mark, NULL, "%s is empty", key->name);
    } else if (key->max > 0 && n > (size_t)key->max) {
        reading_error(reader, mark, NULL, "%s has %zu entries; at most %lld are possible",
                      key->name, n, (long long)key->max);
    }
}

static bool add_status(struct reader *reader, const struct key *key, const struct node *node,
                       struct status_terms *terms, bool *ret_ok) {
    *ret_ok = false;
    if (node->kind != NODE_SCALAR || (node->plain && *node->text == '\0')) {
        return reading_refuse_node(reader, node, key->name, "a single value");
    }
    const char *why;
    *ret_ok = value_parse_status(node->text, terms, &why) == 0;
    if (!*ret_ok) {
        add_refused(reader, key, node, why);
    }
    return true;
}

static bool read_status(struct reader *reader, const struct key *key, const struct node *first,
                        struct key_value *ret_value, bool *ret_ok) {
    if (first->kind != NODE_LIST) {
        return reading_read_scalar(reader, key, first, ret_value, ret_ok);
    }
    struct mark mark = first->mark;
    struct status_terms terms = {0};
    *ret_ok = true;
    size_t n = 0;
    for (;; n++) {
        struct node node;
        bool more, ok;
        if (!reading_next_entry(reader, &node, &more)) {
            return false;
        }
        if (!more) {
            break;
        }
        if (!add_status(reader, key, &node, &terms, &ok)) {
            return false;
        }
        *ret_ok = *ret_ok && ok;
    }
    reading_check_entries(reader, key, mark, n);
    struct status_set *set = arena_take(&reader->draft->keep, sizeof *set);
    if (set == NULL) {
        return reading_out_of_memory(reader);
    }
    if (!status_terms_settle(&terms, set) && *ret_ok && n > 0) {
        reading_error(reader, mark, NULL, "%s: the list leaves no status", key->name);
        *ret_ok = false;
    }
    ret_value->pointer = set;
    return true;
}

static bool read_url(struct reader *reader, const struct node *node, struct draft_site *site) {
    site->has_url = true;
    site->url_mark = node->mark;
    if (node->kind != NODE_SCALAR || *node->text == '\0') {
        return reading_refuse_node(reader, node, "url", "a URL");
    }
    const char *why;
    int r = url_parse(node->text, &site->url, &why);
    if (r == -ENOMEM) {
        return reading_out_of_memory(reader);
    }
    if (r < 0 && strchr(node->text, '@') != NULL) {
        messages_add_secret(&reader->draft->messages, MESSAGE_ERROR, node->mark, NULL, "the URL %s",
                            why);
    } else if (r < 0) {
        reading_error(reader, node->mark, value_url_hint(node->text), "the URL %s", why);
    } else if ((site->url_given = arena_copy(&reader->draft->keep, node->text)) == NULL) {
        return reading_out_of_memory(reader);
    }
    return true;
}

static bool add_text(struct reader *reader, const struct key *key, const struct node *node,
                     struct draft_texts *texts, size_t *size) {
    struct key_value value;
    bool ok;
    if (!reading_read_scalar(reader, key, node, &value, &ok)) {
        return false;
    }
    struct draft_text *text = grow((void **)&texts->list, texts->n, size, sizeof texts->list[0]);
    if (text == NULL) {
        return reading_out_of_memory(reader);
    }
    if (ok) {
        *text = (struct draft_text){node->mark, value.pointer};
        texts->n++;
    }
    return true;
}

static bool read_texts(struct reader *reader, const struct key *key, const struct node *first,
                       struct draft_texts *texts) {
    size_t size = 0, n = 0;
    if (first->kind != NODE_LIST) {
        return add_text(reader, key, first, texts, &size);
    }
    struct mark mark = first->mark;
    for (;; n++) {
        struct node node;
        bool more;
        if (!reading_next_entry(reader, &node, &more)) {
            return false;
        }
        if (!more) {
            break;
        }
        if (!add_text(reader, key, &node, texts, &size)) {
            return false;
        }
    }
    reading_check_entries(reader, key, mark, n);
    return true;
}

/* ---- records ---- */

static bool read_section(struct reader *reader, const struct key *key, const struct node *first,
                         struct collected *to) {
    if (first->kind == NODE_SCALAR && key->inside == KEY_BASIC) { /* USER:PASSWORD, perhaps */
        messages_add_secret(&reader->draft->messages, MESSAGE_ERROR, first->mark, NULL,
                            "%s is a single value; it wants a map of user and password", key->name);
        return true;
    }
    if (first->kind != NODE_MAP) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "a map of keys (%s: …)",
                 key_first((enum key_place)key->inside)->name);
        return reading_refuse_node(reader, first, key->name, wanted);
    }
    if (key->inside != KEY_DEFAULTS) { /* its keys are fields of the record around it */
        return reading_read_map(reader, (enum key_place)key->inside, to, NULL);
    }
    struct collected *defaults = begin_record(reader);
    size_t faults = reader->draft->messages.counts[MESSAGE_ERROR];
    reader->draft->defaults_faulty = true; /* until it is read whole */
    if (!reading_read_map(reader, KEY_DEFAULTS, defaults, NULL)) {
        return false;
    }
    reader->draft->defaults_faulty = reader->draft->messages.counts[MESSAGE_ERROR] > faults;
    return keep_settings(reader, defaults, &reader->draft->defaults);
}

static bool read_site(struct reader *reader, const struct node *node) {
    struct draft *draft = reader->draft;
    struct draft_site *site =
        grow((void **)&draft->sites, draft->n_sites, &draft->sites_size, sizeof *site);
    if (site == NULL) {
        return reading_out_of_memory(reader);
    }
    *site = (struct draft_site){.mark = node->mark};
    draft->n_sites++;
    if (node->kind == NODE_SCALAR) {
        return read_url(reader, node, site);
    }
    if (node->kind != NODE_MAP) {
        site->has_url = true; /* nobody knows */
        return reading_refuse_node(reader, node, "a site", "a URL, or a map with a url");
    }
    struct mark mark = node->mark;
    struct collected *settings = begin_record(reader);
    size_t faults = draft->messages.counts[MESSAGE_ERROR];
    site->faulty = true; /* until it is read whole */
    if (!reading_read_map(reader, KEY_SITE, settings, site)) {
        return false;
    }
    site->faulty = draft->messages.counts[MESSAGE_ERROR] > faults;
    if (!site->has_url) {
        reading_error(reader, mark, "give it one: { url: https://example.org/ }",
                      "this site has no url");
    }
    return keep_settings(reader, settings, &site->settings);
}

static bool read_sink(struct reader *reader, const struct node *node) {
    struct draft *draft = reader->draft;
    if (node->kind != NODE_MAP) {
        return reading_refuse_node(reader, node, "an entry of reports", "a map of keys (to: …)");
    }
    struct draft_sink *sink =
        grow((void **)&draft->sinks, draft->n_sinks, &draft->sinks_size, sizeof *sink);
    if (sink == NULL) {
        return reading_out_of_memory(reader);
    }
    *sink = (struct draft_sink){.mark = node->mark, .faulty = true}; /* until it is read whole */
    draft->n_sinks++;
    struct collected *settings = begin_record(reader);
    size_t faults = draft->messages.counts[MESSAGE_ERROR];
    if (!reading_read_map(reader, KEY_REPORT, settings, NULL)) {
        return false;
    }
    sink->faulty = draft->messages.counts[MESSAGE_ERROR] > faults;
    return keep_settings(reader, settings, &sink->settings);
}

static bool read_command(struct reader *reader, const struct node *node) {
    struct draft *draft = reader->draft;
    if (node->kind != NODE_MAP) {
        return reading_refuse_node(reader, node, "an entry of on_change",
                                   "a map of keys (command: …)");
    }
    struct draft_command *command =
        grow((void **)&draft->commands, draft->n_commands, &draft->commands_size, sizeof *command);
    if (command == NULL) {
        return reading_out_of_memory(reader);
    }
    *command = (struct draft_command){.mark = node->mark, .faulty = true}; /* until it is read */
    draft->n_commands++;
    struct collected *settings = begin_record(reader);
    size_t faults = draft->messages.counts[MESSAGE_ERROR];
    if (!reading_read_map(reader, KEY_ON_CHANGE, settings, NULL)) {
        return false;
    }
    command->faulty = draft->messages.counts[MESSAGE_ERROR] > faults;
    return keep_settings(reader, settings, &command->settings);
}

static bool read_entry(struct reader *reader, const struct key *key, const struct node *node) {
    return key->inside == KEY_SITE     ? read_site(reader, node)
           : key->inside == KEY_REPORT ? read_sink(reader, node)
                                       : read_command(reader, node);
}

static bool read_entries(struct reader *reader, const struct key *key, const struct node *first) {
    if (first->kind == NODE_MAP && key->inside == KEY_ON_CHANGE) {
        return read_command(reader, first);
    }
    if (first->kind != NODE_LIST) {
        return reading_refuse_node(reader, first, key->name,
                                   key->inside == KEY_ON_CHANGE ? "a map of keys, or a list of such"
                                                                : "a list");
    }
    struct mark mark = first->mark;
    size_t n = 0;
    for (;; n++) {
        struct node node;
        bool more;
        if (!reading_next_entry(reader, &node, &more)) {
            return false;
        }
        if (!more) {
            break;
        }
        if (!read_entry(reader, key, &node)) {
            return false;
        }
    }
    reading_check_entries(reader, key, mark, n);
    return true;
}

/* ---- keys ---- */

static bool read_value(struct reader *reader, const struct key *key, struct collected *to,
                       struct draft_site *site) {
    struct draft *draft = reader->draft;
    struct node node;
    bool lines = key->kind == KEY_BODY || key->kind == KEY_SECRET; /* refused, with better words */
    if (lines ? !nodes_next_lines(reader->nodes, &node) : !nodes_next(reader->nodes, &node)) {
        return false;
    }
    struct draft_setting setting = {.key = key, .mark = node.mark};
    bool ok = false, going = false;
    switch (key->kind) {
    case KEY_SECTION:
        return read_section(reader, key, &node, to);
    case KEY_ENTRIES:
        return read_entries(reader, key, &node);
    case KEY_LABELS:
        return maps_read_labels(reader, key, &node, site);
    case KEY_SECRET:
        going = maps_read_secret(reader, key->name, &node, &setting.value, &ok);
        break;
    case KEY_FILE:
        going = maps_read_file(reader, key, &node, &setting.value, &ok);
        break;
    case KEY_HEADERS:
        going = maps_read_headers(reader, key, &node, &setting.value, &ok);
        break;
    case KEY_HEADER_RULES:
        going = rules_read_header_rules(reader, key, &node, &setting.value, &ok);
        break;
    case KEY_BODY_RULES:
        going = rules_read_body_rules(reader, key, &node, &setting.value, &ok);
        break;
    case KEY_BODY_FILE:
        going = maps_read_body_file(reader, key, &node, &setting.value, &ok);
        break;
    case KEY_URL:
        return read_url(reader, &node, site);
    case KEY_TEXTS:
        return read_texts(reader, key, &node,
                          (key->places & KEY_TOP) != 0 ? &draft->includes : &draft->servers);
    case KEY_WORDS:
        going = lists_read_words(reader, key, &node, &setting.value, &ok);
        break;
    case KEY_COMMAND:
        going = lists_read_command(reader, key, &node, &setting.value, &ok);
        break;
    case KEY_STATUS:
        going = read_status(reader, key, &node, &setting.value, &ok);
        break;
    case KEY_DURATION:
    case KEY_SIZE:
    case KEY_INTEGER:
    case KEY_LONG:
    case KEY_DECIMAL:
    case KEY_PERCENT:
    case KEY_BOOL:
    case KEY_WORD:
    case KEY_NAME:
    case KEY_TEXT:
    case KEY_PATH:
    case KEY_BODY:
    case KEY_PROXY:
    case KEY_CONNECT:
        going = reading_read_scalar(reader, key, &node, &setting.value, &ok);
        break;
    }
    if (ok) {
        to->list[to->n++] = setting;
    }
    return going;
}

/* Whether the keys of a place say more than where else there is one of that name: where there are
 * few of them, or some that begin with it. */
static bool is_better_listed(const char *name, enum key_place place) {
    size_t n = strlen(name);
    for (size_t i = 0; i < keys_n; i++) {
        if ((keys[i].places & place) != 0 && strncmp(keys[i].name, name, n) == 0 &&
            keys[i].name[n] == '_') {
            return true;
        }
    }
    return place == KEY_IN_SECRET || place == KEY_IN_RULE;
}

/* What may have been meant by a key that is unknown at its place. */
static void add_unknown_key(struct reader *reader, const struct node *node, enum key_place place) {
    char hint[512] = "";
    const struct key *nearest = key_nearest(node->text, place);
    if (strcmp(node->text, "<<") == 0) {
        snprintf(hint, sizeof hint, "merge keys are not supported; write the settings out");
    } else if (place == KEY_INCLUDED) {
        snprintf(hint, sizeof hint, "an included file may hold sites only");
    } else if (nearest != NULL && (nearest->places & place) != 0) {
        snprintf(hint, sizeof hint, "did you mean \"%s\"?", nearest->name);
    } else if (nearest != NULL && !is_better_listed(node->text, place)) {
        enum key_place home = (enum key_place)(nearest->places & -nearest->places);
        snprintf(hint, sizeof hint,
                 strcmp(nearest->name, node->text) == 0 ? "\"%s\" belongs %s"
                                                        : "did you mean \"%s\"? It belongs %s",
                 nearest->name, key_place_name(home));
    } else {
        size_t used = (size_t)snprintf(hint, sizeof hint, "known %s:", key_place_name(place));
        for (size_t i = 0; i < keys_n && used < sizeof hint; i++) {
            if ((keys[i].places & place) != 0) {
                used += (size_t)snprintf(hint + used, sizeof hint - used, " %s", keys[i].name);
            }
        }
    }
    /* what was meant to be a secret may stand behind it */
    bool is_secret =
        place == KEY_IN_SECRET ||
        (nearest == NULL ? (place & (KEY_REQUEST | KEY_BASIC)) != 0 : nearest->kind == KEY_SECRET);
    if (is_secret) {
        messages_add_secret(&reader->draft->messages, MESSAGE_ERROR, node->mark, hint,
                            "unknown key \"%.*s\"", READING_QUOTED_BYTES, node->text);
    } else {
        reading_error(reader, node->mark, hint, "unknown key \"%.*s\"", READING_QUOTED_BYTES,
                      node->text);
    }
}

/* A key that was read already and excludes this one. */
static const struct key *find_rival(const struct key *key, enum key_place place,
                                    const unsigned seen[KEYS_MOST]) {
    for (size_t i = 0; i < keys_n && key->group != KEY_GROUP_NONE; i++) {
        if (seen[i] != 0 && keys[i].group == key->group && (keys[i].places & place) != 0) {
            return &keys[i];
        }
    }
    return NULL;
}

/* Reads `name`'s value, or passes over it where the key cannot be. */
static bool read_key(struct reader *reader, const struct node *name, enum key_place place,
                     unsigned seen[KEYS_MOST], struct collected *to, struct draft_site *site) {
    const struct key *key = NULL, *rival = NULL;
    if (name->kind != NODE_SCALAR) {
        if (!reading_refuse_node(reader, name, "a key", "a name")) {
            return false;
        }
    } else if ((key = key_find(name->text, place)) == NULL) {
        add_unknown_key(reader, name, place);
    } else if (seen[key - keys] != 0) {
        reading_error(reader, name->mark, "take one of the two away",
                      "%s is given twice; first in line %u", key->name, seen[key - keys]);
        key = NULL;
    } else if ((rival = find_rival(key, place, seen)) != NULL) {
        reading_error(reader, name->mark, "take one of the two away",
                      "%s and %s exclude each other; %s stands in line %u", key->name, rival->name,
                      rival->name, seen[rival - keys]);
        key = NULL;
    } else {
        seen[key - keys] = name->mark.line + 1;
    }
    if (key != NULL) {
        return read_value(reader, key, to, site);
    }
    struct node value;
    return nodes_next(reader->nodes, &value) && nodes_skip(reader->nodes, &value);
}

bool reading_read_map(struct reader *reader, enum key_place place, struct collected *to,
                      struct draft_site *site) {
    unsigned seen[KEYS_MOST] = {0}; /* the line of each key */
    for (;;) {
        struct node name;
        if (!nodes_next(reader->nodes, &name)) {
            return false;
        }
        if (name.kind == NODE_MAP_END) {
            return true;
        }
        if (!read_key(reader, &name, place, seen, to, site)) {
            return false;
        }
    }
}

/* ---- the document ---- */

static bool read_document(struct reader *reader, bool included) {
    struct draft *draft = reader->draft;
    struct node root;
    if (!nodes_next(reader->nodes, &root)) {
        return false;
    }
    if (root.kind == NODE_NOTHING) {
        messages_add(&draft->messages, included ? MESSAGE_WARNING : MESSAGE_ERROR,
                     (struct mark){.source = reader->source},
                     included ? "was it cut off? If not, take it out of include"
                              : "was it cut off? It wants sites at least: "
                                "sites: [ https://example.org/ ]",
                     "there is nothing in this file");
        return true;
    }
    if (root.kind != NODE_MAP) {
        return reading_refuse_node(reader, &root, "the file", "a map of keys (sites: …)") &&
               nodes_finish(reader->nodes);
    }
    if (!reading_read_map(reader, included ? KEY_INCLUDED : KEY_TOP, &reader->top, NULL) ||
        !nodes_finish(reader->nodes)) {
        return false;
    }
    return included || keep_settings(reader, &reader->top, &draft->top);
}

int reader_read(struct source *source, bool included, struct draft *draft) {
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return -ENOMEM;
    }
    reader->draft = draft;
    reader->source = source;
    reader->nodes = nodes_new(source, &draft->messages);
    int r = reader->nodes == NULL ? -ENOMEM : 0;
    if (r == 0) {
        (void)read_document(reader, included); /* what is wrong is among the messages */
        r = draft->messages.out_of_memory ? -ENOMEM : 0;
    }
    nodes_free(reader->nodes);
    free(reader);
    return r;
}
