#include "config/lists.h"

#include <assert.h>
#include <string.h>

enum { COMMAND_WORDS_MOST = 64 }; /* as its row allows */

/* Reads an entry into `to`; false: no going on. */
typedef bool add_entry(struct reader *reader, const struct key *key, const struct node *node,
                       void *to, bool *ret_ok);

static bool read_each(struct reader *reader, const struct key *key, const struct node *first,
                      add_entry *add, void *to, bool *ret_ok) {
    if (first->kind != NODE_LIST) {
        return add(reader, key, first, to, ret_ok);
    }
    struct mark mark = first->mark;
    size_t faults = reader->draft->messages.counts[MESSAGE_ERROR];
    for (size_t n = 0;; n++) {
        struct node node;
        bool more, ok;
        if (!reading_next_entry(reader, &node, &more)) {
            return false;
        }
        if (!more) {
            reading_check_entries(reader, key, mark, n);
            *ret_ok = reader->draft->messages.counts[MESSAGE_ERROR] == faults;
            return true;
        }
        if (!add(reader, key, &node, to, &ok)) {
            return false;
        }
    }
}

static bool add_word(struct reader *reader, const struct key *key, const struct node *node,
                     void *to, bool *ret_ok) {
    int64_t *bits = to;
    struct key_value value = {0};
    if (!reading_read_scalar(reader, key, node, &value, ret_ok)) {
        return false;
    }
    *bits |= value.number;
    return true;
}

bool lists_read_words(struct reader *reader, const struct key *key, const struct node *first,
                      struct key_value *ret_value, bool *ret_ok) {
    int64_t bits = 0;
    bool going = read_each(reader, key, first, add_word, &bits, ret_ok);
    ret_value->number = bits;
    return going;
}

struct words {
    const char *list[COMMAND_WORDS_MOST + 1]; /* ends with NULL */
    size_t n;
};

static bool add_argument(struct reader *reader, const struct key *key, const struct node *node,
                         void *to, bool *ret_ok) {
    struct words *words = to;
    struct mark mark = node->mark;
    struct key_value value = {0};
    if (!reading_read_scalar(reader, key, node, &value, ret_ok)) {
        return false;
    }
    const char *text = value.pointer;
    if (*ret_ok && words->n == 0) {
        *ret_ok = *text != '\0';
        if (!*ret_ok) {
            reading_error(reader, mark, NULL, "%s: the path is empty", key->name);
            return true;
        }
        text = draft_path(reader->draft, &reader->draft->keep, text);
        if (text == NULL) {
            return reading_out_of_memory(reader);
        }
    }
    if (*ret_ok && words->n < COMMAND_WORDS_MOST) { /* more is said by reading_check_entries() */
        words->list[words->n++] = text;
    }
    return true;
}

bool lists_read_command(struct reader *reader, const struct key *key, const struct node *first,
                        struct key_value *ret_value, bool *ret_ok) {
    struct words words = {.n = 0};
    assert(key->max <= COMMAND_WORDS_MOST);
    if (!read_each(reader, key, first, add_argument, &words, ret_ok)) {
        return false;
    }
    words.list[words.n] = NULL;
    size_t bytes = (words.n + 1) * sizeof words.list[0];
    const char **kept = arena_take(&reader->draft->keep, bytes);
    if (kept == NULL) {
        return reading_out_of_memory(reader);
    }
    memcpy(kept, words.list, bytes);
    ret_value->pointer = kept;
    return true;
}
