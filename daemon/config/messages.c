/* A message is rendered when it is added, so that no text need outlive its source, and sorted when
 * all are handed over: syntax, keys and cross-checks find their faults at different times, and the
 * operator reads the file from the top.
 *
 * A user and password are masked by pattern, in everything that is shown: from the "://" to the
 * last '@' of the line. So is, in a line that is shown, what stands behind a key that is called like
 * a secret, as another fault in that line may be found before the one that a secret stands in it.
 * That may hide more than it must, never less, except where YAML's escapes or line folding hide the
 * pattern itself; messages_add_secret() is for that. */
#include "config/messages.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MESSAGES_MOST = 1000, /* of a kind; the rest is counted */
    LINE_CHARACTERS = 96, /* of a line shown, around the mark */
    LINE_BEFORE = 64,     /* of these before the mark, where the line is longer */
};

struct message {
    enum message_kind kind;
    unsigned order, line, column;
    size_t sequence;
    char *text;
};

static const char *const kind_names[MESSAGE_KINDS] = {
    [MESSAGE_ERROR] = "error",
    [MESSAGE_WARNING] = "warning",
};

void messages_clear(struct messages *messages) {
    for (size_t i = 0; i < messages->n; i++) {
        free(messages->list[i].text);
    }
    free(messages->list);
    *messages = (struct messages){0};
}

static bool is_character(char c) {
    return ((unsigned char)c & 0xc0) != 0x80; /* not a continuation byte of UTF-8 */
}

static size_t count_characters(const char *text, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += is_character(text[i]);
    }
    return count;
}

/* The byte at which character `index` begins; `n` past the end. */
static size_t find_character(const char *text, size_t n, size_t index) {
    size_t at = 0;
    while (at < n && (index > 0 || !is_character(text[at]))) {
        index -= is_character(text[at]) && index > 0;
        at++;
        while (at < n && !is_character(text[at])) {
            at++;
        }
    }
    return at;
}

struct span {
    size_t from, to;
};

/* The part of `text` that may be a secret; an empty span: none. */
static struct span find_secret(const char *text, size_t n) {
    const char *scheme_end = memmem(text, n, "://", 3);
    const char *at = memrchr(text, '@', n);
    if (scheme_end == NULL || at == NULL || at < scheme_end + 3) {
        return (struct span){0, 0};
    }
    return (struct span){(size_t)(scheme_end - text) + 3, (size_t)(at - text)};
}

/* The rest of a line behind "password:" and the like, unless a map begins there. */
static struct span find_plain_secret(const char *text, size_t n) {
    static const char *const words[] = {"authorization", "bearer", "pass", "pasw",
                                        "pwd",           "secret", "token"};
    size_t first = n;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t word = strlen(words[i]);
        for (size_t at = 0; at + word <= first; at++) {
            if (strncasecmp(text + at, words[i], word) != 0) {
                continue;
            }
            size_t end = at + word;
            while (end < n && (isalnum((unsigned char)text[end]) || text[end] == '_' ||
                               text[end] == '-' || text[end] == '"' || text[end] == '\'')) {
                end++;
            }
            while (end < n && (text[end] == ' ' || text[end] == '\t')) {
                end++;
            }
            bool is_key = end < n && text[end] == ':';
            end += is_key;
            while (end < n && (text[end] == ' ' || text[end] == '\t')) {
                end++;
            }
            if (is_key && end < first && text[end] != '{') {
                first = end;
            }
        }
    }
    return (struct span){first, n};
}

/* What holds both; an empty one holds nothing. */
static struct span join(struct span a, struct span b) {
    if (a.from == a.to || b.from == b.to) {
        return a.from == a.to ? b : a;
    }
    return (struct span){a.from < b.from ? a.from : b.from, a.to > b.to ? a.to : b.to};
}

static void write_escaped(const char *text, size_t n, FILE *to) {
    char escaped[TEXT_ESCAPED_SIZE(256)];
    while (n > 0) {
        size_t part = n;
        if (part > 256) {
            part = 256;
            while (part > 1 && !is_character(text[part])) {
                part--;
            }
        }
        fwrite(escaped, 1, text_escape(text, part, escaped, sizeof escaped), to);
        text += part;
        n -= part;
    }
}

static void write_masked(const char *text, size_t n, FILE *to) {
    struct span secret = find_secret(text, n);
    write_escaped(text, secret.from, to);
    if (secret.to > secret.from) {
        fputs("***", to);
    }
    write_escaped(text + secret.to, n - secret.to, to);
}

/* The line with the mark's character under a caret. */
static void write_line(struct mark mark, bool is_secret, FILE *to) {
    const char *raw;
    size_t n;
    source_line(mark.source, mark.line, &raw, &n);
    char *line = n > 0 ? malloc(n + 4) : NULL;
    if (line == NULL) {
        return; /* the message can do without */
    }
    size_t column = find_character(raw, n, mark.column);
    struct span secret = find_secret(raw, n);
    bool is_shown_masked = secret.to > secret.from && column <= secret.from;
    if (is_secret && !is_shown_masked) {
        secret = join(secret, (struct span){column, n});
    }
    secret = join(secret, find_plain_secret(raw, n));
    if (secret.to == secret.from) {
        secret = (struct span){0, 0};
    }
    /* what takes the secret's place, and where the mark is then */
    size_t used = secret.from;
    memcpy(line, raw, used);
    if (secret.to > secret.from) {
        memcpy(line + used, "***", 3);
        used += 3;
    }
    memcpy(line + used, raw + secret.to, n - secret.to);
    if (column >= secret.to) {
        column = column - secret.to + used;
    } else if (column > secret.from) {
        column = secret.from;
    }
    n = used + n - secret.to;
    for (size_t i = 0; i < n; i++) {
        line[i] = line[i] == '\t' ? ' ' : line[i];
    }

    size_t characters = count_characters(line, n), before = count_characters(line, column);
    size_t from = 0;
    if (characters > LINE_CHARACTERS && before > LINE_BEFORE) {
        from = find_character(line, n, before - LINE_BEFORE);
    }
    size_t to_byte = from + find_character(line + from, n - from, LINE_CHARACTERS);
    fputs(from > 0 ? "    …" : "    ", to);
    write_escaped(line + from, to_byte - from, to);
    fputs(to_byte < n ? "…\n    " : "\n    ", to);
    char escaped[TEXT_ESCAPED_SIZE(4 * LINE_CHARACTERS)];
    size_t shown = text_escape(line + from, column - from, escaped, sizeof escaped);
    fprintf(to, "%*s^\n", (int)(count_characters(escaped, shown) + (from > 0)), "");
    free(line);
}

static struct message *next_slot(struct messages *messages) {
    if (messages->n == messages->size) {
        size_t size = messages->size == 0 ? 16 : 2 * messages->size;
        struct message *list = realloc(messages->list, size * sizeof *list);
        if (list == NULL) {
            return NULL;
        }
        messages->list = list;
        messages->size = size;
    }
    return &messages->list[messages->n];
}

/* `name` alone, or with `mark` if its source is set. Takes `text` over (NULL: no memory). */
static void add(struct messages *messages, enum message_kind kind, const char *name,
                const struct mark *mark, bool is_secret, const char *hint, char *text) {
    size_t length = 0;
    char *rendered = NULL;
    struct message *slot = next_slot(messages);
    FILE *to = text != NULL && slot != NULL ? open_memstream(&rendered, &length) : NULL;
    if (to == NULL) {
        messages->out_of_memory = true;
        free(text);
        return;
    }
    write_escaped(name, strlen(name), to);
    if (mark != NULL && mark->source->numbered) {
        fprintf(to, ":%u:%u", mark->line + 1, mark->column + 1);
    }
    fprintf(to, ": %s: ", kind_names[kind]);
    write_masked(text, strlen(text), to);
    fputc('\n', to);
    if (mark != NULL) {
        write_line(*mark, is_secret, to);
    }
    if (hint != NULL) {
        fputs("    ", to);
        write_masked(hint, strlen(hint), to);
        fputc('\n', to);
    }
    free(text);
    if (fclose(to) != 0) {
        free(rendered);
        messages->out_of_memory = true;
        return;
    }
    *slot = (struct message){
        .kind = kind,
        .order = mark != NULL ? mark->source->order : 0,
        .line = mark != NULL ? mark->line : 0,
        .column = mark != NULL ? mark->column : 0,
        .sequence = messages->n,
        .text = rendered,
    };
    messages->n++;
}

/* Counts one more; whether it is still shown. */
static bool has_room(struct messages *messages, enum message_kind kind) {
    return ++messages->counts[kind] <= MESSAGES_MOST;
}

__attribute__((format(printf, 1, 0))) static char *print(const char *format, va_list args) {
    char *text = NULL;
    return vasprintf(&text, format, args) < 0 ? NULL : text;
}

void messages_add(struct messages *messages, enum message_kind kind, struct mark mark,
                  const char *hint, const char *format, ...) {
    if (has_room(messages, kind)) {
        va_list args;
        va_start(args, format);
        add(messages, kind, mark.source->name, &mark, false, hint, print(format, args));
        va_end(args);
    }
}

void messages_add_secret(struct messages *messages, enum message_kind kind, struct mark mark,
                         const char *hint, const char *format, ...) {
    if (has_room(messages, kind)) {
        va_list args;
        va_start(args, format);
        add(messages, kind, mark.source->name, &mark, true, hint, print(format, args));
        va_end(args);
    }
}

void messages_add_whole(struct messages *messages, enum message_kind kind, const char *name,
                        const char *format, ...) {
    if (has_room(messages, kind)) {
        va_list args;
        va_start(args, format);
        add(messages, kind, name, NULL, false, NULL, print(format, args));
        va_end(args);
    }
}

static int compare(const void *a, const void *b) {
    const struct message *x = a, *y = b;
    if (x->order != y->order) {
        return x->order < y->order ? -1 : 1;
    }
    if (x->line != y->line) {
        return x->line < y->line ? -1 : 1;
    }
    if (x->column != y->column) {
        return x->column < y->column ? -1 : 1;
    }
    return x->sequence < y->sequence ? -1 : 1;
}

/* Moves the texts of one kind to an array of their own, with a last word on those left out. */
static int take_kind(struct messages *messages, enum message_kind kind, char ***ret_texts,
                     size_t *ret_n) {
    size_t more =
        messages->counts[kind] > MESSAGES_MOST ? messages->counts[kind] - MESSAGES_MOST : 0;
    char **texts = calloc(messages->n + 1, sizeof *texts);
    char *last = NULL;
    if (texts == NULL ||
        (more > 0 && asprintf(&last, "%zu more %ss\n", more, kind_names[kind]) < 0)) {
        free(texts);
        return -ENOMEM;
    }
    size_t n = 0;
    for (size_t i = 0; i < messages->n; i++) {
        if (messages->list[i].kind == kind) {
            texts[n++] = messages->list[i].text;
            messages->list[i].text = NULL;
        }
    }
    if (last != NULL) {
        texts[n++] = last;
    }
    if (n == 0) {
        free(texts);
        texts = NULL;
    }
    *ret_texts = texts;
    *ret_n = n;
    return 0;
}

int messages_take(struct messages *messages, struct config_messages *ret_messages) {
    struct config_messages taken = {0};
    if (messages->n > 0) {
        qsort(messages->list, messages->n, sizeof *messages->list, compare);
    }
    int r = messages->out_of_memory ? -ENOMEM : 0;
    if (r == 0) {
        r = take_kind(messages, MESSAGE_ERROR, &taken.errors, &taken.n_errors);
    }
    if (r == 0) {
        r = take_kind(messages, MESSAGE_WARNING, &taken.warnings, &taken.n_warnings);
    }
    messages_clear(messages);
    if (r < 0) {
        config_messages_clear(&taken);
        return r;
    }
    *ret_messages = taken;
    return 0;
}

static void clear_texts(char **texts, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free(texts[i]);
    }
    free(texts);
}

void config_messages_clear(struct config_messages *messages) {
    clear_texts(messages->errors, messages->n_errors);
    clear_texts(messages->warnings, messages->n_warnings);
    *messages = (struct config_messages){0};
}

void config_messages_print(const struct config_messages *messages, FILE *to) {
    for (size_t i = 0; i < messages->n_errors; i++) {
        fputs(messages->errors[i], to);
    }
    for (size_t i = 0; i < messages->n_warnings; i++) {
        fputs(messages->warnings[i], to);
    }
}
