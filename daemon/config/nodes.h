/* A YAML file as a stream of nodes, and no more than one may say in a configuration: one document
 * of scalars, lists and maps, without anchors, aliases and tags, within limits. The only place that
 * knows libyaml. */
#pragma once

#include "config/messages.h"

#include <stdbool.h>
#include <stddef.h>

enum node_kind {
    NODE_SCALAR,
    NODE_LIST,
    NODE_LIST_END,
    NODE_MAP,
    NODE_MAP_END,
    NODE_REFUSED, /* a value that a message was added for, with all its children */
    NODE_NOTHING, /* the file has no document */
};

struct node {
    enum node_kind kind;
    const char *text; /* of a scalar; safe for display; valid until the next node */
    bool plain;       /* a scalar without quotes */
    struct mark mark;
};

struct nodes;

#define NODES_SCALAR_BYTES 16384 /* of one scalar; more is refused */

/* NULL: out of memory. `source` and `messages` are borrowed. */
struct nodes *nodes_new(struct source *source, struct messages *messages);
void nodes_free(struct nodes *nodes);

/* False: there is no going on, a message says why (or messages->out_of_memory is set). The end of
 * what was begun is the caller's to count. */
bool nodes_next(struct nodes *nodes, struct node *ret_node);
/* The same, where a scalar may have line breaks (\n alone) and tabs. */
bool nodes_next_lines(struct nodes *nodes, struct node *ret_node);
/* Passes over the rest of a value whose first node is `node`. */
bool nodes_skip(struct nodes *nodes, const struct node *node);
/* After the document's last node: whether nothing but the end follows. */
bool nodes_finish(struct nodes *nodes);
