/* libyaml parses as a stream, and most of its time grows with the depth of what is open, to the
 * square: 200 KB of "[" are 80 s of CPU. A limit on depth, seen event by event, stops it at once.
 * The other limits bound what a file within the byte limit can cost.
 *
 * What YAML can say and a configuration file need not is refused, because a reader who does not
 * know of it would misread the file: anchors and aliases, tags, second documents. Text is refused
 * where it is not safe to show after its escapes are decoded ("\e", "\0", "\n" in quotes). */
#include "config/nodes.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
    NODES_DEEP = 32,
    NODES_MOST = 4 * 1000 * 1000, /* 100,000 sites of 40 */
};

struct nodes {
    yaml_parser_t parser;
    yaml_event_t event; /* the node's last returned; all zeros: none */
    struct source *source;
    struct messages *messages;
    unsigned depth;
    unsigned count;
};

struct nodes *nodes_new(struct source *source, struct messages *messages) {
    struct nodes *nodes = calloc(1, sizeof *nodes);
    if (nodes == NULL) {
        return NULL;
    }
    if (!yaml_parser_initialize(&nodes->parser)) {
        free(nodes);
        return NULL;
    }
    nodes->source = source;
    nodes->messages = messages;
    size_t mark = source->n >= 3 && memcmp(source->bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    yaml_parser_set_encoding(&nodes->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&nodes->parser, (const unsigned char *)source->bytes + mark,
                                 source->n - mark);
    return nodes;
}

void nodes_free(struct nodes *nodes) {
    if (nodes == NULL) {
        return;
    }
    yaml_event_delete(&nodes->event);
    yaml_parser_delete(&nodes->parser);
    free(nodes);
}

static struct mark to_mark(const struct nodes *nodes, yaml_mark_t at) {
    return (struct mark){nodes->source, (unsigned)at.line, (unsigned)at.column};
}

/* What to do about what libyaml says, in an operator's words. */
static const char *find_hint(const char *problem, const char *line, size_t n) {
    static const struct {
        const char *problem, *hint;
    } hints[] = {
        {"mapping values are not allowed", "a text that holds \": \" stands in quotes; a site that "
                                           "has settings begins with \"- url: …\""},
        {"could not find expected ':'", "a key ends in a colon and a space"},
        {"did not find expected key", "lines that belong together begin in one column"},
        {"did not find expected '-'", "lines that belong together begin in one column"},
        {"did not find expected ','", "a comma is missing, or the bracket that ends it"},
        {"unexpected end of stream", "the quote that ends it is missing"},
    };
    if (memchr(line, '\t', n) != NULL) {
        return "there is a tab in this line; YAML wants spaces";
    }
    for (size_t i = 0; problem != NULL && i < sizeof hints / sizeof hints[0]; i++) {
        if (strstr(problem, hints[i].problem) != NULL) {
            return hints[i].hint;
        }
    }
    return NULL;
}

static void add_syntax_error(struct nodes *nodes) {
    const yaml_parser_t *parser = &nodes->parser;
    if (parser->error == YAML_MEMORY_ERROR) {
        nodes->messages->out_of_memory = true;
        return;
    }
    struct mark mark = to_mark(nodes, parser->problem_mark);
    const char *line;
    size_t n;
    source_line(nodes->source, mark.line, &line, &n);
    const char *hint = find_hint(parser->problem, line, n);
    if (parser->context != NULL && n == 0) {
        /* something that never ends, and the end of the file is no place to look at */
        messages_add(nodes->messages, MESSAGE_ERROR, to_mark(nodes, parser->context_mark), hint,
                     "%s: %s", parser->context, parser->problem);
        return;
    }
    if (parser->context != NULL && parser->context_mark.line != parser->problem_mark.line) {
        messages_add(nodes->messages, MESSAGE_ERROR, mark, hint, "%s, %s that begins in line %zu",
                     parser->problem, parser->context, parser->context_mark.line + 1);
    } else {
        messages_add(nodes->messages, MESSAGE_ERROR, mark, hint, "%s",
                     parser->problem != NULL ? parser->problem : "not YAML");
    }
}

static bool parse(struct nodes *nodes) {
    yaml_event_delete(&nodes->event);
    memset(&nodes->event, 0, sizeof nodes->event);
    if (!yaml_parser_parse(&nodes->parser, &nodes->event)) {
        add_syntax_error(nodes);
        return false;
    }
    if (++nodes->count > NODES_MOST) {
        messages_add(nodes->messages, MESSAGE_ERROR, to_mark(nodes, nodes->event.start_mark), NULL,
                     "more than %d values in one file; put some of the sites into files of their "
                     "own, and include these",
                     NODES_MOST);
        return false;
    }
    return true;
}

static bool lines_are_safe(const char *text, size_t n) {
    for (size_t part; n > 0; text += part, n -= part) {
        part = 0;
        while (part < n && text[part] != '\n' && text[part] != '\t') {
            part++;
        }
        if (!text_is_safe(text, part)) {
            return false;
        }
        part += part < n; /* and what ended it */
    }
    return true;
}

/* What may not be, of a node that could be a value. NULL: nothing. */
static const char *refuse(const yaml_event_t *event, bool lines) {
    const unsigned char *anchor = NULL, *tag = NULL;
    if (event->type == YAML_ALIAS_EVENT) {
        return "aliases (*name) are not supported; write the value out";
    }
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor != NULL) {
        return "anchors (&name) are not supported; write the value out";
    }
    if (tag != NULL) {
        return "tags (!name) are not supported; a key knows the kind of its value";
    }
    if (event->type == YAML_SCALAR_EVENT) {
        const char *text = (const char *)event->data.scalar.value;
        if (event->data.scalar.length > NODES_SCALAR_BYTES) {
            return "a text is longer than 16384 bytes";
        }
        if (lines && !lines_are_safe(text, event->data.scalar.length)) {
            return "a text holds a control character other than line breaks and tabs";
        }
        if (!lines && !text_is_safe(text, event->data.scalar.length)) {
            return "a text holds a line break or another control character";
        }
    }
    return NULL;
}

/* Counts depth and names the event's kind; NODE_NOTHING for what is no node. */
static enum node_kind enter(struct nodes *nodes) {
    /* not a switch: libyaml may have more kinds of event than this knows */
    yaml_event_type_t type = nodes->event.type;
    if (type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT) {
        nodes->depth++;
        return type == YAML_SEQUENCE_START_EVENT ? NODE_LIST : NODE_MAP;
    }
    if (type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT) {
        nodes->depth--;
        return type == YAML_SEQUENCE_END_EVENT ? NODE_LIST_END : NODE_MAP_END;
    }
    return type == YAML_SCALAR_EVENT || type == YAML_ALIAS_EVENT ? NODE_SCALAR : NODE_NOTHING;
}

/* Goes on until the depth is `depth` again. */
static bool leave(struct nodes *nodes, unsigned depth) {
    while (nodes->depth > depth) {
        if (!parse(nodes)) {
            return false;
        }
        (void)enter(nodes);
        if (nodes->depth > NODES_DEEP) {
            messages_add(nodes->messages, MESSAGE_ERROR, to_mark(nodes, nodes->event.start_mark),
                         NULL, "nested deeper than %d", NODES_DEEP);
            return false;
        }
    }
    return true;
}

static bool next(struct nodes *nodes, bool lines, struct node *ret_node) {
    enum node_kind kind;
    do { /* stream and document starts are no nodes */
        if (!parse(nodes)) {
            return false;
        }
        kind = enter(nodes);
    } while (kind == NODE_NOTHING && nodes->event.type != YAML_STREAM_END_EVENT);
    struct mark mark = to_mark(nodes, nodes->event.start_mark);
    if (nodes->depth > NODES_DEEP) {
        messages_add(nodes->messages, MESSAGE_ERROR, mark, NULL, "nested deeper than %d",
                     NODES_DEEP);
        return false;
    }
    const char *why = refuse(&nodes->event, lines);
    if (why != NULL) {
        messages_add(nodes->messages, MESSAGE_ERROR, mark, NULL, "%s", why);
        bool opens = kind == NODE_LIST || kind == NODE_MAP;
        kind = NODE_REFUSED;
        if (opens && !leave(nodes, nodes->depth - 1)) {
            return false;
        }
    }
    *ret_node = (struct node){.kind = kind, .mark = mark};
    if (kind == NODE_SCALAR) {
        ret_node->text = (const char *)nodes->event.data.scalar.value;
        ret_node->plain = nodes->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    }
    return true;
}

bool nodes_next(struct nodes *nodes, struct node *ret_node) {
    return next(nodes, false, ret_node);
}

bool nodes_next_lines(struct nodes *nodes, struct node *ret_node) {
    return next(nodes, true, ret_node);
}

bool nodes_skip(struct nodes *nodes, const struct node *node) {
    if (node->kind != NODE_LIST && node->kind != NODE_MAP) {
        return true;
    }
    return leave(nodes, nodes->depth - 1);
}

bool nodes_finish(struct nodes *nodes) {
    do {
        if (!parse(nodes)) {
            return false;
        }
        if (nodes->event.type == YAML_DOCUMENT_START_EVENT) {
            messages_add(
                nodes->messages, MESSAGE_ERROR, to_mark(nodes, nodes->event.start_mark),
                "take this line away; what is behind it may be a file of its own, to include",
                "a second document begins here; a file is one");
            return false;
        }
    } while (nodes->event.type != YAML_STREAM_END_EVENT);
    return true;
}
