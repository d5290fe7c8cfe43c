/* A map of names is read entry by entry into an array on the stack, as large as its row allows, and
 * moved to the arena when it is whole. */
#include "config/maps.h"

#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    LABELS_MOST = 64,
    LABEL_NAME_BYTES = 64,
    LABEL_VALUE_BYTES = 255,
    HEADERS_MOST = 100, /* as the rows allow */
    BODY_FILE_BYTES = 1024 * 1024,
    BODY_FILES_BYTES = 64 * 1024 * 1024, /* of all together */
};

bool maps_read_names(struct reader *reader, const struct key *key, const struct node *first,
                     const char *wanted,
                     bool (*read_entry)(struct reader *reader, const struct key *key,
                                        const struct node *name, void *to),
                     void *to) {
    if (first->kind != NODE_MAP) {
        return reading_refuse_node(reader, first, key->name, wanted);
    }
    struct mark mark = first->mark;
    for (int64_t n = 0;; n++) {
        struct node name, value;
        if (!nodes_next(reader->nodes, &name)) {
            return false;
        }
        if (name.kind == NODE_MAP_END) {
            return true;
        }
        if (name.kind != NODE_SCALAR) {
            if (!reading_refuse_node(reader, &name, "a name", "a text") ||
                !nodes_next(reader->nodes, &value) || !nodes_skip(reader->nodes, &value)) {
                return false;
            }
        } else if (n == key->max) {
            reading_error(reader, mark, NULL, "%s has more than %lld entries", key->name,
                          (long long)key->max);
            return nodes_skip(reader->nodes, first); /* what is open is the map */
        } else if (!read_entry(reader, key, &name, to)) {
            return false;
        }
    }
}

bool maps_keep_list(struct reader *reader, const void *list, size_t n, size_t bytes_each,
                    struct key_value *ret_value) {
    void *kept = arena_take(&reader->draft->keep, n * bytes_each);
    if (kept == NULL) {
        return reading_out_of_memory(reader);
    }
    memcpy(kept, list, n * bytes_each);
    *ret_value = (struct key_value){.number = (int64_t)n, .pointer = kept};
    return true;
}

bool maps_read_text(struct reader *reader, const struct key *key, const char *name,
                    const struct node *node, struct key_value *ret_value, bool *ret_ok) {
    char room[KEY_WHY_SIZE];
    const char *why;
    int r = key_read(key, node->text, node->plain, &reader->draft->keep, ret_value, room, &why);
    if (r == -ENOMEM) {
        return reading_out_of_memory(reader);
    }
    if (r < 0) {
        reading_error(reader, node->mark, NULL, "%s: \"%.*s\" %s", name, READING_QUOTED_BYTES,
                      node->text, why);
    }
    *ret_ok = r == 0;
    return true;
}

bool maps_is_empty(const struct node *node) {
    return node->kind == NODE_SCALAR && node->plain && *node->text == '\0';
}

/* ---- labels ---- */

struct labels {
    struct label list[LABELS_MOST];
    size_t n;
};

static bool is_label_name(const char *text) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    size_t n = strlen(text);
    size_t first = strspn(text, letters);
    return first > 0 && n <= LABEL_NAME_BYTES &&
           strspn(text + first,
                  "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") == n - first;
}

static const char *refuse_label(const struct labels *labels, const char *name) {
    for (size_t i = 0; i < labels->n; i++) {
        if (strcmp(labels->list[i].name, name) == 0) {
            return "is given twice";
        }
    }
    return is_label_name(name)
               ? NULL
               : "is not a name of at most 64 letters, digits and _, no digit first";
}

static bool read_label(struct reader *reader, const struct key *key, const struct node *name,
                       void *to) {
    struct labels *labels = to;
    const char *why = refuse_label(labels, name->text);
    bool good = why == NULL;
    if (!good) {
        reading_error(reader, name->mark, NULL, "%s: \"%.*s\" %s", key->name, READING_QUOTED_BYTES,
                      name->text, why);
    }
    const char *kept = arena_copy(&reader->draft->keep, name->text);
    if (kept == NULL) {
        return reading_out_of_memory(reader);
    }
    struct node value;
    if (!nodes_next(reader->nodes, &value)) {
        return false;
    }
    if (value.kind != NODE_SCALAR || maps_is_empty(&value)) {
        return reading_refuse_node(reader, &value, "a label", "a text");
    }
    why = value.plain && value_is_yaml_word(value.text) ? "is not text to YAML; put it in quotes"
          : strlen(value.text) > LABEL_VALUE_BYTES      ? "is longer than 255 bytes"
                                                        : NULL;
    if (why != NULL) {
        reading_error(reader, value.mark, NULL, "%s: \"%.*s\" %s", key->name, READING_QUOTED_BYTES,
                      value.text, why);
    } else if (good) {
        const char *text = arena_copy(&reader->draft->keep, value.text);
        if (text == NULL) {
            return reading_out_of_memory(reader);
        }
        labels->list[labels->n++] = (struct label){kept, text};
    }
    return true;
}

bool maps_read_labels(struct reader *reader, const struct key *key, const struct node *first,
                      struct draft_site *site) {
    struct labels labels;
    labels.n = 0;
    assert(key->max <= LABELS_MOST);
    if (!maps_read_names(reader, key, first, "a map of names and texts", read_label, &labels)) {
        return false;
    }
    size_t bytes = labels.n * sizeof labels.list[0];
    site->labels = arena_take(&reader->draft->keep, bytes);
    if (site->labels == NULL) {
        return reading_out_of_memory(reader);
    }
    memcpy(site->labels, labels.list, bytes);
    site->n_labels = labels.n;
    return true;
}

/* ---- secrets ---- */

/* What is meant to be a secret and stands in the configuration is not shown. */
static bool refuse_plain_secret(struct reader *reader, const char *name, const struct node *node) {
    static const char hint[] =
        "a secret stands in a file or a systemd credential: {file: PATH} or {credential: NAME}";
    if (node->kind == NODE_REFUSED) {
        return nodes_skip(reader->nodes, node);
    }
    messages_add_secret(&reader->draft->messages, MESSAGE_ERROR, node->mark, hint, "%s is %s", name,
                        maps_is_empty(node)         ? "empty"
                        : node->kind == NODE_SCALAR ? "written here, in plain text"
                                                    : "a list");
    return nodes_skip(reader->nodes, node);
}

/* Where what is read from now on stands, by the map that `first` begins; an origin without either was
 * refused. False: the reading is over. */
static bool read_origin(struct reader *reader, const char *name, const struct node *first,
                        struct secret_origin *ret_origin, struct mark *ret_mark) {
    struct mark mark = first->mark;
    struct collected *inner = &reader->inner;
    size_t faults = reader->draft->messages.counts[MESSAGE_ERROR];
    *ret_origin = (struct secret_origin){0};
    inner->n = 0;
    if (!reading_read_map(reader, KEY_IN_SECRET, inner, NULL)) {
        return false;
    }
    if (reader->draft->messages.counts[MESSAGE_ERROR] > faults) {
        return true;
    }
    if (inner->n == 1) {
        key_store(inner->list[0].key, &inner->list[0].value, ret_origin);
        *ret_mark = inner->list[0].mark;
    } else {
        reading_error(reader, mark, NULL, "%s wants {file: PATH} or {credential: NAME}", name);
    }
    return true;
}

/* `path` is NULL where a credential has none. */
static void refuse_origin(struct reader *reader, const char *name, struct mark mark,
                          const struct secret_origin *origin, const char *path, const char *why,
                          const char *hint) {
    if (path != NULL) {
        reading_error(reader, mark, hint, "%s: \"%s\" %s", name, path, why);
    } else {
        reading_error(reader, mark, hint, "%s: the credential \"%s\" %s", name, origin->credential,
                      why);
    }
}

bool maps_read_secret(struct reader *reader, const char *name, const struct node *first,
                      struct key_value *ret_value, bool *ret_ok) {
    *ret_ok = false;
    if (first->kind != NODE_MAP) {
        return refuse_plain_secret(reader, name, first);
    }
    struct secret_origin origin;
    struct mark mark;
    if (!read_origin(reader, name, first, &origin, &mark)) {
        return false;
    }
    if (origin.file == NULL && origin.credential == NULL) {
        return true;
    }
    struct draft *draft = reader->draft;
    if (draft->without_secrets) {
        static const struct secret empty = {.bytes = "", .path = ""};
        ret_value->pointer = &empty;
        *ret_ok = true;
        return true;
    }
    const struct secret *secret;
    char room[SECRET_WHY_SIZE];
    const char *path, *why, *hint;
    int r = secret_read(&draft->secrets, &draft->keep, &origin, &secret, &path, room, &why, &hint);
    if (r == -ENOMEM) {
        return reading_out_of_memory(reader);
    }
    if (r < 0) {
        refuse_origin(reader, name, mark, &origin, path, why, hint);
    } else {
        ret_value->pointer = secret;
    }
    *ret_ok = r == 0;
    return true;
}

/* ---- headers of a request ---- */

struct headers {
    struct header list[HEADERS_MOST];
    size_t n;
};

static bool read_header_value(struct reader *reader, const struct key *key, const char *name,
                              struct header *header, bool *ret_ok) {
    struct node node;
    struct key_value value = {0};
    *ret_ok = false;
    if (!nodes_next(reader->nodes, &node)) {
        return false;
    }
    if (node.kind == NODE_MAP || strcasecmp(name, "Authorization") == 0) {
        bool going = maps_read_secret(reader, name, &node, &value, ret_ok);
        header->secret = value.pointer;
        return going;
    }
    if (node.kind != NODE_SCALAR || maps_is_empty(&node)) {
        return reading_refuse_node(reader, &node, name,
                                   "a text, {file: PATH} or {credential: NAME}");
    }
    bool going = maps_read_text(reader, key, name, &node, &value, ret_ok);
    header->value = value.pointer;
    return going;
}

static bool read_header(struct reader *reader, const struct key *key, const struct node *name,
                        void *to) {
    struct headers *headers = to;
    const char *why = value_check_request_header(name->text);
    for (size_t i = 0; i < headers->n && why == NULL; i++) {
        why = strcasecmp(headers->list[i].name, name->text) == 0 ? "is given twice" : NULL;
    }
    struct header header = {.name = arena_copy(&reader->draft->keep, name->text)};
    if (header.name == NULL) {
        return reading_out_of_memory(reader);
    }
    if (why != NULL) { /* "Authorization:" is masked wherever it stands */
        reading_error(reader, name->mark, NULL, "%s: \"%.*s\" %s", key->name, READING_QUOTED_BYTES,
                      name->text, why);
        struct node value;
        return nodes_next(reader->nodes, &value) && nodes_skip(reader->nodes, &value);
    }
    bool ok;
    if (!read_header_value(reader, key, header.name, &header, &ok)) {
        return false;
    }
    if (ok) {
        headers->list[headers->n++] = header;
    }
    return true;
}

bool maps_read_headers(struct reader *reader, const struct key *key, const struct node *first,
                       struct key_value *ret_value, bool *ret_ok) {
    struct headers headers;
    headers.n = 0;
    assert(key->max <= HEADERS_MOST);
    *ret_ok = first->kind == NODE_MAP;
    return maps_read_names(reader, key, first, "a map of names and values", read_header,
                           &headers) &&
           maps_keep_list(reader, headers.list, headers.n, sizeof headers.list[0], ret_value);
}

/* ---- files ---- */

bool maps_read_file(struct reader *reader, const struct key *key, const struct node *first,
                    struct key_value *ret_value, bool *ret_ok) {
    *ret_ok = false;
    if (first->kind != NODE_MAP) {
        return first->kind == NODE_LIST
                   ? reading_refuse_node(reader, first, key->name,
                                         "a path, {file: PATH} or {credential: NAME}")
                   : reading_read_scalar(reader, key, first, ret_value, ret_ok);
    }
    struct secret_origin origin;
    struct mark mark;
    if (!read_origin(reader, key->name, first, &origin, &mark)) {
        return false;
    }
    if (origin.file == NULL && origin.credential == NULL) {
        return true;
    }
    if (reader->draft->without_secrets) {
        ret_value->pointer = origin.file != NULL ? origin.file : origin.credential;
        *ret_ok = true;
        return true;
    }
    const char *path, *why, *hint;
    int r = secret_find_path(&reader->draft->keep, &origin, &path, &why, &hint);
    if (r == -ENOMEM) {
        return reading_out_of_memory(reader);
    }
    if (r < 0) {
        refuse_origin(reader, key->name, mark, &origin, path, why, hint);
    } else {
        ret_value->pointer = path;
    }
    *ret_ok = r == 0;
    return true;
}

bool maps_read_body_file(struct reader *reader, const struct key *key, const struct node *node,
                         struct key_value *ret_value, bool *ret_ok) {
    struct draft *draft = reader->draft;
    struct mark mark = node->mark;
    struct key_value path;
    bool ok;
    *ret_ok = false;
    if (!reading_read_scalar(reader, key, node, &path, &ok)) {
        return false;
    }
    if (!ok) {
        return true;
    }
    struct source *source;
    const char *why;
    int r = source_read(path.pointer, BODY_FILE_BYTES, "is larger than 1 MiB", &source, &why);
    if (r < 0 && r != -ENOMEM) {
        reading_error(reader, mark, NULL, "%s: \"%s\" %s%s%s", key->name,
                      (const char *)path.pointer, why, r == -EINVAL ? "" : ": ",
                      r == -EINVAL ? "" : strerror(-r));
        return true;
    }
    if (r == 0 && source->n > BODY_FILES_BYTES - draft->body_file_bytes) {
        reading_error(reader, mark, "one in defaults is read once for all sites",
                      "%s: all files of bodies together are larger than 64 MiB", key->name);
        source_free(source);
        return true;
    }
    struct request_body *body = r == 0 ? arena_take(&draft->keep, sizeof *body) : NULL;
    char *bytes = body != NULL ? arena_take(&draft->keep, source->n + 1) : NULL;
    if (bytes != NULL) {
        memcpy(bytes, source->bytes, source->n);
        *body = (struct request_body){bytes, source->n, path.pointer};
        draft->body_file_bytes += source->n;
        ret_value->pointer = body;
        *ret_ok = true;
    }
    if (r == 0) {
        source_free(source);
    }
    return *ret_ok || reading_out_of_memory(reader);
}
