/* A rule's kind is in its key's row. The order in which the rules of a map or list stand is that in
 * which they are asked. */
#include "config/rules.h"

#include "base/pattern.h"
#include "config/maps.h"
#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

enum { RULES_MOST = 100 }; /* as the rows allow */

struct rules {
    struct rule list[RULES_MOST];
    size_t n;
};

static void release_pattern(void *pattern) {
    pattern_free(pattern);
}

/* The place of byte `offset` of a text that stands at `mark`, where it stands there as it is: on one
 * line, perhaps in quotes, without an escape before that byte. Else the mark. */
static struct mark find_inside(struct mark mark, const char *text, size_t offset) {
    const char *line;
    size_t n, at = 0;
    source_line(mark.source, mark.line, &line, &n);
    for (unsigned column = 0; at < n && column < mark.column; column++) {
        do {
            at++;
        } while (at < n && ((unsigned char)line[at] & 0xc0) == 0x80);
    }
    unsigned quote = at < n && (line[at] == '"' || line[at] == '\'');
    at += quote;
    if (offset > n - at || memcmp(line + at, text, offset) != 0 ||
        memchr(text, quote ? line[at - 1] : '\n', offset) != NULL) {
        return mark;
    }
    mark.column += quote;
    for (size_t i = 0; i < offset; i++) {
        mark.column += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return mark;
}

static bool compile(struct reader *reader, const struct key *key, struct mark mark,
                    struct rule *rule, bool *ret_ok) {
    struct pattern *pattern;
    char why[KEY_WHY_SIZE];
    size_t offset;
    int r = pattern_new(rule->text, &pattern, why, sizeof why, &offset);
    if (r == 0) {
        rule->pattern = pattern;
        r = arena_own(&reader->draft->keep, pattern, release_pattern);
    }
    if (r == -ENOMEM) {
        return reading_out_of_memory(reader);
    }
    if (r < 0) {
        size_t n = strlen(rule->text);
        reading_error(reader, find_inside(mark, rule->text, offset < n ? offset : n), NULL,
                      "%s: no regular expression: %s (after %zu byte%s)", key->name, why, offset,
                      offset == 1 ? "" : "s");
    }
    *ret_ok = r == 0;
    return true;
}

/* What a key and its value, at `mark`, say of a header or the body. */
static bool make_rule(struct reader *reader, const struct key *key, const struct key_value *value,
                      struct mark mark, struct rule *rule, bool *ret_ok) {
    *ret_ok = true;
    rule->kind = key->rule;
    if (key->rule == RULE_PRESENT) {
        rule->kind = value->number != 0 ? RULE_PRESENT : RULE_ABSENT;
        return true;
    }
    rule->text = value->pointer;
    bool is_pattern = key->rule == RULE_MATCHES || key->rule == RULE_NOT_MATCHES;
    return !is_pattern || compile(reader, key, mark, rule, ret_ok);
}

/* {present: yes}, {contains: TEXT}, … */
static bool read_rule_map(struct reader *reader, struct mark mark, struct rule *rule,
                          bool *ret_ok) {
    struct collected *inner = &reader->inner;
    size_t faults = reader->draft->messages.counts[MESSAGE_ERROR];
    *ret_ok = false;
    inner->n = 0;
    if (!reading_read_map(reader, KEY_IN_RULE, inner, NULL)) {
        return false;
    }
    if (reader->draft->messages.counts[MESSAGE_ERROR] > faults) {
        return true;
    }
    if (inner->n == 0) {
        reading_error(reader, mark, NULL,
                      "%s wants one of present, equals, contains, matches, not_matches",
                      rule->header);
        return true;
    }
    const struct draft_setting *setting = &inner->list[0];
    return make_rule(reader, setting->key, &setting->value, setting->mark, rule, ret_ok);
}

static bool read_header_rule(struct reader *reader, const struct key *key, const struct node *name,
                             void *to) {
    struct rules *rules = to;
    const char *why = value_check_token(name->text);
    for (size_t i = 0; i < rules->n && why == NULL; i++) {
        why = strcasecmp(rules->list[i].header, name->text) == 0 ? "is given twice" : NULL;
    }
    if (why != NULL) {
        reading_error(reader, name->mark, NULL, "%s: \"%.*s\" %s", key->name, READING_QUOTED_BYTES,
                      name->text, why);
    }
    struct rule rule = {.kind = RULE_EQUALS,
                        .header = arena_copy(&reader->draft->keep, name->text)};
    if (rule.header == NULL) {
        return reading_out_of_memory(reader);
    }
    struct node node;
    if (!nodes_next(reader->nodes, &node)) {
        return false;
    }
    bool ok = false, going;
    if (node.kind == NODE_MAP) {
        going = read_rule_map(reader, node.mark, &rule, &ok);
    } else if (node.kind != NODE_SCALAR || maps_is_empty(&node)) {
        going = reading_refuse_node(reader, &node, rule.header, "a text or a rule");
    } else {
        struct key_value value = {0};
        going = maps_read_text(reader, key, rule.header, &node, &value, &ok);
        rule.text = value.pointer;
    }
    if (going && ok && why == NULL) {
        rules->list[rules->n++] = rule;
    }
    return going;
}

bool rules_read_header_rules(struct reader *reader, const struct key *key, const struct node *first,
                             struct key_value *ret_value, bool *ret_ok) {
    struct rules rules;
    rules.n = 0;
    assert(key->max <= RULES_MOST);
    *ret_ok = first->kind == NODE_MAP;
    return maps_read_names(reader, key, first, "a map of names and rules", read_header_rule,
                           &rules) &&
           maps_keep_list(reader, rules.list, rules.n, sizeof rules.list[0], ret_value);
}

static bool add_body_rule(struct reader *reader, const struct key *key, const struct node *node,
                          struct rules *rules) {
    struct key_value value;
    struct rule rule = {0};
    struct mark mark = node->mark;
    bool ok;
    if (!reading_read_scalar(reader, key, node, &value, &ok) ||
        (ok && !make_rule(reader, key, &value, mark, &rule, &ok))) {
        return false;
    }
    if (ok && rules->n < RULES_MOST) { /* more is said by reading_check_entries() */
        rules->list[rules->n++] = rule;
    }
    return true;
}

bool rules_read_body_rules(struct reader *reader, const struct key *key, const struct node *first,
                           struct key_value *ret_value, bool *ret_ok) {
    struct rules rules;
    rules.n = 0;
    *ret_ok = true;
    struct mark mark = first->mark;
    bool more = first->kind == NODE_LIST;
    if (!more && !add_body_rule(reader, key, first, &rules)) {
        return false;
    }
    for (size_t n = 0; more; n++) {
        struct node node;
        if (!reading_next_entry(reader, &node, &more) ||
            (more && !add_body_rule(reader, key, &node, &rules))) {
            return false;
        }
        if (!more) {
            reading_check_entries(reader, key, mark, n);
        }
    }
    return maps_keep_list(reader, rules.list, rules.n, sizeof rules.list[0], ret_value);
}
