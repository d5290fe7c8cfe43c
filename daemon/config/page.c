/* What the rows say, for people: the manual's list of keys in mdoc, and config/keys.md. Both tell the
 * same of a key: what it takes, its default, what a reload does with a change of it, what it means, and
 * an example. */
#include "config/page.h"

#include "config/keys.h"
#include "config/value.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* A key of several places stands at the last of them. */
static const enum key_place order[] = {KEY_TOP,       KEY_SITE,     KEY_REQUEST,      KEY_BASIC,
                                       KEY_IN_SECRET, KEY_TLS,      KEY_REDIRECTS,    KEY_BACKEND,
                                       KEY_EXPECT,    KEY_IN_RULE,  KEY_HEALTH,       KEY_REPORT,
                                       KEY_ON_CHANGE, KEY_RESOLVER, KEY_STATUS_SERVER};
enum { PLACES = sizeof order / sizeof order[0] };

static const char *reload_name(enum key_reload reload) {
    switch (reload) {
    case KEY_NEXT_ROUND:
        return "from the next round on";
    case KEY_NEW_QUESTION:
        return "from the next round on; the state begins anew";
    case KEY_NEW_PHASE:
        return "a new phase; the state stays";
    case KEY_NEW_SITE:
        return "it is another site";
    case KEY_AT_ONCE:
        return "at once";
    case KEY_RESTART:
        return "after a restart";
    case KEY_LOADING:
        return "concerns the reading itself";
    }
    return NULL;
}

static void print_number(const struct key *key, int64_t number, FILE *to) {
    char text[VALUE_TEXT_SIZE];
    key_print_number(key, number, text);
    fputs(text, to);
}

static void print_value(const struct key *key, FILE *to) {
    switch (key->kind) {
    case KEY_DURATION:
    case KEY_SIZE:
    case KEY_INTEGER:
    case KEY_LONG:
    case KEY_DECIMAL:
    case KEY_PERCENT:
        fputs(key->kind == KEY_DURATION ? "duration, "
              : key->kind == KEY_SIZE   ? "size, "
                                        : "number, ",
              to);
        print_number(key, key->min, to);
        fputs(" to ", to);
        print_number(key, key->max, to);
        break;
    case KEY_BOOL:
        fputs("yes or no", to);
        break;
    case KEY_WORD:
    case KEY_NAME:
    case KEY_WORDS:
        for (size_t i = 0; key->words[i] != NULL; i++) {
            fprintf(to, "%s%s", i == 0 ? "" : ", ", key->words[i]);
        }
        if (key->kind == KEY_WORDS) {
            fputs(", or a list of them", to);
        }
        break;
    case KEY_TEXT:
    case KEY_BODY:
        fprintf(to, "text, at most %lld bytes", (long long)key->max);
        break;
    case KEY_PATH:
    case KEY_BODY_FILE:
        fputs("path", to);
        break;
    case KEY_FILE:
        fputs("path, or a map of file or credential", to);
        break;
    case KEY_URL:
    case KEY_PROXY:
        fputs("URL", to);
        break;
    case KEY_CONNECT:
        fputs("host and port", to);
        break;
    case KEY_STATUS:
        fputs("status, or a list", to);
        break;
    case KEY_TEXTS:
    case KEY_BODY_RULES:
        fprintf(to, "text, or a list of at most %lld", (long long)key->max);
        break;
    case KEY_COMMAND:
        fprintf(to, "path, or a list of it and at most %lld words", (long long)key->max - 1);
        break;
    case KEY_SECRET:
        fputs("secret", to);
        break;
    case KEY_LABELS:
    case KEY_HEADERS:
    case KEY_HEADER_RULES:
        fprintf(to, "map of at most %lld names", (long long)key->max);
        break;
    case KEY_SECTION:
        fputs("map of keys", to);
        break;
    case KEY_ENTRIES:
        fputs(key->inside == KEY_ON_CHANGE ? "map of keys, or a list" : "list", to);
        break;
    }
}

/* "In a site and in defaults" */
static void print_place(enum key_place place, FILE *to) {
    const char *name = key_place_name(place);
    fprintf(to, "%c%s%s", toupper((unsigned char)name[0]), name + 1,
            place == KEY_SITE ? " and in defaults" : "");
}

static bool is_of_sites_alone(const struct key *key) {
    return (key->places & KEY_SITE) != 0 && (key->places & KEY_DEFAULTS) == 0;
}

/* The default as the key's row has it; a version is not the page's matter. */
static const char *fallback_of(const struct key *key) {
    return strncmp(key->fallback, "tallyd/", 7) == 0 ? "tallyd/VERSION" : key->fallback;
}

/* ---- markdown ---- */

/* A cell: what a table takes for its own is escaped. */
static void print_cell(const char *text, FILE *to) {
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            fputc('\\', to);
        }
        fputc(*text, to);
    }
}

static void print_row(const struct key *key, FILE *to) {
    fprintf(to, "| %s%s | ", key->name, is_of_sites_alone(key) ? " (not in defaults)" : "");
    print_value(key, to);
    if (key->fallback != NULL) {
        fprintf(to, " | `%s` | ", fallback_of(key));
    } else {
        fprintf(to, " | %s | ", key->computed != NULL ? key->computed : "none");
    }
    fprintf(to, "%s | ", reload_name(key->reload));
    print_cell(key->help, to);
    fprintf(to, " | `%s: ", key->name);
    print_cell(key->example, to);
    fputs("` |\n", to);
}

void page_print_markdown(FILE *to) {
    fputs("# The keys of a configuration\n\n"
          "Each with its example is what `tallyd` was built with: a test compares this page with "
          "the program's own\ntable and loads every example. Durations, sizes and words are as in "
          "[tallyd.yaml](tallyd.yaml).\n",
          to);
    for (size_t p = 0; p < PLACES; p++) {
        fputs("\n## ", to);
        print_place(order[p], to);
        fputs("\n\n| key | value | default | a change in a reload | meaning | example |\n"
              "| --- | --- | --- | --- | --- | --- |\n",
              to);
        for (size_t i = 0; i < keys_n; i++) {
            if ((keys[i].places & order[p]) != 0) {
                print_row(&keys[i], to);
            }
        }
    }
}

/* ---- mdoc ---- */

void page_print_mdoc_text(const char *text, FILE *to) {
    char before = '\n';
    for (; *text != '\0'; text++) {
        if (before == '\n' && (*text == '.' || *text == '\'')) {
            fputs("\\&", to); /* no request */
        }
        if (*text == '\\') {
            fputs("\\e", to);
        } else if (*text == '-') {
            fputs("\\-", to); /* one that can be copied, not a hyphen */
        } else if (*text == ' ' && before == '.' && isupper((unsigned char)text[1])) {
            fputc('\n', to); /* mdoc wants each sentence on a line of its own */
        } else {
            fputc(*text, to);
        }
        before = *text == ' ' && before == '.' ? '\n' : *text;
    }
    fputc('\n', to);
}

static void print_item(const struct key *key, FILE *to) {
    fprintf(to, ".It Ic %s\n", key->name);
    page_print_mdoc_text(key->help, to);
    if (is_of_sites_alone(key)) {
        fputs("It has no place in\n.Ic defaults .\n", to);
    }
    fputs(".br\nValue: ", to);
    print_value(key, to);
    fputs(".\nDefault: ", to);
    if (key->fallback != NULL) {
        fprintf(to, "%s.\n", fallback_of(key));
    } else {
        fprintf(to, "%s.\n", key->computed != NULL ? key->computed : "none");
    }
    fprintf(to, "Reload: %s.\n.Bd -literal -offset indent -compact\n", reload_name(key->reload));
    char line[512];
    snprintf(line, sizeof line, "%s: %s", key->name, key->example);
    page_print_mdoc_text(line, to);
    fputs(".Ed\n", to);
}

void page_print_mdoc(FILE *to) {
    for (size_t p = 0; p < PLACES; p++) {
        fputs(".Ss \\&", to); /* whose first word is no macro */
        print_place(order[p], to);
        fputs("\n.Bl -tag -width Ds\n", to);
        for (size_t i = 0; i < keys_n; i++) {
            if ((keys[i].places & order[p]) != 0) {
                print_item(&keys[i], to);
            }
        }
        fputs(".El\n", to);
    }
}
