/* A configuration from a command line. It goes the way that a file's goes: flags become the settings of
 * `defaults`, URLs become sites, and so whatever is wrong with them, or between them, is found by the
 * same rows and said in the same words, with the flag in the place of file and line. */
#include "config/config.h"

#include "base/text.h"
#include "config/draft.h"
#include "config/index.h"
#include "config/maps.h"
#include "config/private.h"
#include "config/rules.h"
#include "config/timing.h"
#include "config/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FORM(field) offsetof(struct site_form, field)
#define SITE(field) FORM(site.field)

enum { HEADERS_MOST = 100, RULES_MOST = 100, SHOWN_BYTES = 80 };

/* There is no second round; as far away as a clock goes. */
#define NEVER (INT64_C(100) * 365 * 86400 * NSEC_PER_SEC)

struct command {
    struct reader reader; /* of the draft */
    struct draft draft;
    struct draft_setting list[KEYS_MOST];
    size_t n;
    struct header headers[HEADERS_MOST];
    size_t n_headers;
    struct detour *detours;
    size_t n_detours;
    struct rule rules[RULES_MOST]; /* of the body; of one key after the other */
    const struct config_urls *urls;
    struct mark whole; /* the command line */
};

/* ---- settings ---- */

static void put(struct command *command, const struct key *key, struct mark mark,
                struct key_value value) {
    size_t i = 0;
    while (i < command->n && command->list[i].key != key) {
        i++;
    }
    command->list[i] = (struct draft_setting){.key = key, .mark = mark, .value = value};
    command->n += i == command->n;
}

/* A list as it is by now. 0 or -ENOMEM */
static int put_list(struct command *command, const struct key *key, struct mark mark,
                    const void *list, size_t n, size_t bytes_each) {
    void *kept = arena_take_array(&command->draft.keep, n, bytes_each);
    if (kept == NULL) {
        return -ENOMEM;
    }
    memcpy(kept, list, n * bytes_each);
    put(command, key, mark, (struct key_value){.number = (int64_t)n, .pointer = kept});
    return 0;
}

/* Where a text stands, for messages. 0 or -ENOMEM */
static int add_source(struct command *command, const char *name, const char *text,
                      struct mark *ret_mark) {
    struct draft *draft = &command->draft;
    struct source **more =
        reallocarray(draft->sources, draft->n_sources + 1, sizeof(struct source *));
    if (more == NULL) {
        return -ENOMEM;
    }
    draft->sources = more;
    struct source *source = source_new(name, text, strlen(text), false);
    if (source == NULL) {
        return -ENOMEM;
    }
    source->order = (unsigned)draft->n_sources;
    draft->sources[draft->n_sources++] = source;
    *ret_mark = (struct mark){.source = source};
    return 0;
}

static void refuse_header(struct command *command, struct mark mark, const char *name, size_t n,
                          const char *why) {
    /* the value may be a secret */
    messages_add_secret(&command->draft.messages, MESSAGE_ERROR, mark, NULL, "\"%.*s\" %s",
                        (int)(n < SHOWN_BYTES ? n : SHOWN_BYTES), name, why);
}

static const char *find_header_fault(const struct command *command, const char *name,
                                     const char *rest) {
    if (*rest == '\0') {
        return "is no header: write \"Name: value\", or \"Name;\" for one without a value";
    }
    const char *why = value_check_request_header(name);
    if (strcasecmp(name, "Authorization") == 0) {
        return "is a secret, and everybody on this machine can read a command line; it belongs into a "
               "file, and the file's name into a configuration, for --site";
    }
    for (size_t i = 0; i < command->n_headers && why == NULL; i++) {
        why = strcasecmp(command->headers[i].name, name) == 0 ? "is given twice" : NULL;
    }
    if (why == NULL && *rest == ';' && rest[1] != '\0') {
        why = "has something after its semicolon";
    }
    if (why == NULL && *rest == ':' && rest[1 + strspn(rest + 1, " \t")] == '\0') {
        why = "has no value; \"Name;\" sends it without one";
    }
    return why == NULL && command->n_headers == HEADERS_MOST ? "is one too many" : why;
}

/* 0 or -ENOMEM */
static int add_header(struct command *command, const struct key *key, const char *text,
                      struct mark mark) {
    struct arena *arena = &command->draft.keep;
    size_t n = strcspn(text, ":;");
    char *name = arena_copy(arena, text);
    if (name == NULL) {
        return -ENOMEM;
    }
    name[n] = '\0';
    const char *why = find_header_fault(command, name, text + n);
    struct key_value value = {.pointer = ""};
    char room[KEY_WHY_SIZE];
    if (why == NULL && text[n] == ':') {
        const char *begin = text + n + 1;
        int r = key_read(key, begin + strspn(begin, " \t"), false, arena, &value, room, &why);
        if (r == -ENOMEM) {
            return r;
        }
    }
    if (why != NULL) {
        refuse_header(command, mark, text, n, why);
        return 0;
    }
    command->headers[command->n_headers++] = (struct header){.name = name, .value = value.pointer};
    return put_list(command, key, mark, command->headers, command->n_headers,
                    sizeof command->headers[0]);
}

/* "200,301-399,not 304". 0 or -ENOMEM */
static int add_statuses(struct command *command, const struct key *key, const char *text,
                        struct mark mark) {
    struct draft *draft = &command->draft;
    struct status_terms terms = {0};
    struct status_set *set = arena_take(&draft->keep, sizeof *set);
    char *list = arena_copy(&draft->scratch, text);
    if (set == NULL || list == NULL) {
        return -ENOMEM;
    }
    for (char *next = list, *item; (item = strsep(&next, ",")) != NULL;) {
        const char *why;
        item += strspn(item, " ");
        if (value_parse_status(item, &terms, &why) < 0) {
            mark.column = (unsigned)(item - list);
            messages_add(&draft->messages, MESSAGE_ERROR, mark, NULL, "%s: \"%.*s\" %s", key->name,
                         SHOWN_BYTES, item, why);
            return 0;
        }
    }
    if (!status_terms_settle(&terms, set)) {
        messages_add(&draft->messages, MESSAGE_ERROR, mark, NULL, "%s: the list leaves no status",
                     key->name);
    }
    put(command, key, mark, (struct key_value){.pointer = set});
    return 0;
}

/* Rules of one key that came before, and this one. */
static bool add_rule(struct command *command, const struct key *key, const struct node *node) {
    struct key_value one;
    bool ok;
    if (!rules_read_body_rules(&command->reader, key, node, &one, &ok)) {
        return false;
    }
    size_t before = 0;
    for (size_t i = 0; i < command->n; i++) {
        if (command->list[i].key == key) {
            before = (size_t)command->list[i].value.number;
            memcpy(command->rules, command->list[i].value.pointer,
                   before * sizeof command->rules[0]);
        }
    }
    if (!ok || one.number == 0) {
        return true;
    }
    if (before == RULES_MOST) {
        reading_error(&command->reader, node->mark, NULL, "%s: one too many", key->name);
        return true;
    }
    command->rules[before++] = *(const struct rule *)one.pointer;
    return put_list(command, key, node->mark, command->rules, before, sizeof command->rules[0]) ==
           0;
}

/* ---- where to connect ---- */

/* curl's HOST1:PORT1:HOST2:PORT2, for the sites of the first two. */
struct detour {
    char *parts[4];               /* without brackets; empty: any, or the URL's */
    struct draft_setting setting; /* without a pointer it leads nowhere else */
};

/* In place. */
static bool cut_detour(char *text, struct detour *ret_detour) {
    for (size_t i = 0; i < 4; i++) {
        char *part = text;
        bool bracketed = *text == '[';
        if (bracketed) {
            part++;
            text = strchr(text, ']');
            if (text == NULL) {
                return false;
            }
            *text++ = '\0';
        }
        char *end = text + strcspn(text, ":");
        if ((*end == '\0') != (i == 3) || (bracketed && end != text)) {
            return false;
        }
        text = end + (i < 3);
        *end = '\0';
        ret_detour->parts[i] = part;
    }
    return true;
}

static bool is_meant(const struct detour *detour, const struct url *url) {
    char port[8];
    snprintf(port, sizeof port, "%u", url->port);
    return url->text != NULL &&
           (*detour->parts[0] == '\0' || strcasecmp(detour->parts[0], url->host) == 0) &&
           (*detour->parts[1] == '\0' || strcmp(detour->parts[1], port) == 0);
}

/* 0 or -ENOMEM */
static int add_detour(struct command *command, const struct key *key, const char *text,
                      struct mark mark) {
    struct draft *draft = &command->draft;
    struct detour detour = {.setting = {.key = key, .mark = mark}};
    char *parts = arena_copy(&draft->scratch, text), *to = NULL;
    if (parts == NULL) {
        return -ENOMEM;
    }
    if (!cut_detour(parts, &detour)) {
        messages_add(&draft->messages, MESSAGE_ERROR, mark, NULL,
                     "write HOST1:PORT1:HOST2:PORT2; any of the four may be empty");
        return 0;
    }
    const char *host = detour.parts[2], *port = detour.parts[3];
    if (*host != '\0' || *port != '\0') {
        bool v6 = strchr(host, ':') != NULL;
        if (asprintf(&to, v6 ? "[%s]%s%s" : "%s%s%s", host, *port != '\0' ? ":" : "", port) < 0) {
            return -ENOMEM;
        }
        struct node node = {.kind = NODE_SCALAR, .text = to, .mark = mark};
        bool ok;
        bool going = reading_read_scalar(&command->reader, key, &node, &detour.setting.value, &ok);
        free(to);
        if (!going || !ok) {
            return going ? 0 : -ENOMEM;
        }
    }
    command->detours[command->n_detours++] = detour;
    return 0;
}

/* 0 or -ENOMEM */
static int add_setting(struct command *command, const struct config_setting *setting) {
    const struct key *key = setting->key;
    struct node node = {
        .kind = NODE_SCALAR, .text = setting->value, .plain = key->kind == KEY_BOOL};
    int r = add_source(command, setting->origin, setting->value, &node.mark);
    if (r < 0) {
        return r;
    }
    if (key->kind != KEY_BODY && !text_is_safe(setting->value, strlen(setting->value))) {
        /* a file's texts are looked at where they are read */
        messages_add_secret(&command->draft.messages, MESSAGE_ERROR, node.mark, NULL,
                            "the value holds a control character, or is not UTF-8");
        return 0;
    }
    if (key->kind == KEY_CONNECT) {
        return add_detour(command, key, setting->value, node.mark);
    }
    if (key->kind == KEY_HEADERS) {
        return add_header(command, key, setting->value, node.mark);
    }
    if (key->kind == KEY_STATUS) {
        return add_statuses(command, key, setting->value, node.mark);
    }
    if (key->kind == KEY_BODY_RULES) {
        return add_rule(command, key, &node) ? 0 : -ENOMEM;
    }
    struct key_value value;
    bool ok;
    bool going = key->kind == KEY_BODY_FILE
                     ? maps_read_body_file(&command->reader, key, &node, &value, &ok)
                     : reading_read_scalar(&command->reader, key, &node, &value, &ok);
    if (going && ok) {
        put(command, key, node.mark, value);
    }
    return going ? 0 : -ENOMEM;
}

static void print_number(const struct key *key, int64_t number, char ret_text[VALUE_TEXT_SIZE]) {
    if (key->kind == KEY_DURATION) {
        value_print_duration(number, ret_text);
    } else {
        snprintf(ret_text, VALUE_TEXT_SIZE, "%lld", (long long)number);
    }
}

/* A number whose bounds the row knows; not positive: it is not given. */
static void add_number(struct command *command, struct draft_settings *to, const char *name,
                       enum key_place place, int64_t number) {
    const struct key *key = key_find(name, place);
    if (number <= 0) {
        return;
    }
    if (number < key->min || number > key->max) {
        char given[VALUE_TEXT_SIZE], least[VALUE_TEXT_SIZE], most[VALUE_TEXT_SIZE];
        print_number(key, number, given);
        print_number(key, key->min, least);
        print_number(key, key->max, most);
        messages_add_whole(&command->draft.messages, MESSAGE_ERROR, "command line",
                           "%s: %s is not from %s to %s", name, given, least, most);
        return;
    }
    to->list[to->n++] =
        (struct draft_setting){.key = key, .mark = command->whole, .value = {.number = number}};
}

/* ---- sites ---- */

static struct index_key url_of(const void *sites, size_t i) {
    const char *text = ((const struct draft_site *)sites)[i].url_given;
    return (struct index_key){text, strlen(text)};
}

/* " (2)" makes the second site of a URL another name; no URL has a space, so it is nobody's. NULL: out
 * of memory. */
static const char *make_name(struct arena *arena, const char *url, unsigned number) {
    if (number == 1) {
        return url;
    }
    size_t size = strlen(url) + 32;
    char *name = arena_take(arena, size);
    if (name != NULL) {
        snprintf(name, size, "%s (%u)", url, number);
    }
    return name;
}

static void refuse_url(struct command *command, const char *url, struct mark mark,
                       const char *why) {
    struct messages *messages = &command->draft.messages;
    if (strchr(url, '@') != NULL) {
        messages_add_secret(messages, MESSAGE_ERROR, mark, NULL, "the URL %s", why);
    } else {
        messages_add(messages, MESSAGE_ERROR, mark, value_url_hint(url), "the URL %s", why);
    }
}

/* 0 or -ENOMEM */
static int add_site(struct command *command, size_t i) {
    struct draft *draft = &command->draft;
    const char *url = command->urls->urls[i], *why;
    struct draft_site *site = &draft->sites[i];
    int r = add_source(command, command->urls->origins[i], url, &site->mark);
    draft->n_sites = i + 1; /* what is in it is freed from now on */
    site->has_url = true;
    site->url_mark = site->mark;
    site->url_given = arena_copy(&draft->keep, url);
    site->settings.list = arena_take_array(&draft->scratch, 2, sizeof *site->settings.list);
    if (r < 0 || site->url_given == NULL || site->settings.list == NULL) {
        return -ENOMEM;
    }
    r = url_parse(url, &site->url, &why);
    if (r == -EINVAL) {
        refuse_url(command, url, site->mark, why);
        r = 0;
    }
    for (size_t k = 0; k < command->n_detours; k++) {
        const struct detour *detour = &command->detours[k];
        if (is_meant(detour, &site->url)) {
            if (detour->setting.value.pointer != NULL) {
                site->settings.list[site->settings.n++] = detour->setting;
            }
            break; /* the first one counts */
        }
    }
    return r;
}

static int add_sites(struct command *command) {
    struct draft *draft = &command->draft;
    size_t n = command->urls->n_urls;
    const struct key *name_key = key_find("name", KEY_SITE);
    draft->sites = calloc(n, sizeof *draft->sites);
    unsigned *seen = arena_take_array(&draft->scratch, n, sizeof *seen);
    struct index urls;
    if (draft->sites == NULL || seen == NULL || index_init(&urls, &draft->scratch, n, url_of) < 0) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        int r = add_site(command, i);
        if (r < 0) {
            return r;
        }
        struct draft_site *site = &draft->sites[i];
        size_t first = index_add(&urls, draft->sites, i);
        const char *name = make_name(&draft->keep, site->url_given, ++seen[first]);
        if (name == NULL) {
            return -ENOMEM;
        }
        site->settings.list[site->settings.n++] =
            (struct draft_setting){.key = name_key, .mark = site->mark, .value = {.pointer = name}};
    }
    return 0;
}

/* ---- all ---- */

static int add_all(struct command *command) {
    const struct config_urls *urls = command->urls;
    struct draft *draft = &command->draft;
    int r = add_source(command, "command line", "", &command->whole);
    command->detours =
        arena_take_array(&draft->scratch, urls->n_settings, sizeof *command->detours);
    draft->top.list = arena_take(&draft->scratch, sizeof *draft->top.list);
    draft->directory = strdup("."); /* which paths are below */
    if (r < 0 || command->detours == NULL || draft->top.list == NULL || draft->directory == NULL) {
        return -ENOMEM;
    }
    draft->defaults.list = command->list;
    add_number(command, &draft->defaults, "samples", KEY_SITE, urls->samples);
    add_number(command, &draft->defaults, "concurrency", KEY_SITE, urls->concurrency);
    add_number(command, &draft->defaults, "timeout", KEY_SITE, urls->timeout);
    add_number(command, &draft->top, "max_in_flight", KEY_TOP, urls->max_in_flight);
    command->n = draft->defaults.n;
    put(command, key_find("spread", KEY_SITE), command->whole, (struct key_value){.number = 0});
    put(command, key_find("interval", KEY_SITE), command->whole,
        (struct key_value){.number = NEVER});
    for (size_t i = 0; i < urls->n_settings && r == 0; i++) {
        r = add_setting(command, &urls->settings[i]);
    }
    draft->defaults.n = command->n;
    if (r == 0 && urls->n_urls == 0) {
        messages_add_whole(&draft->messages, MESSAGE_ERROR, "command line", "there are no URLs");
        return -EINVAL;
    }
    return r == 0 ? add_sites(command) : r;
}

/* What no key says. 0 or -ENOMEM */
static int complete(struct config *config, const struct config_urls *urls) {
    struct arena *arena = &config->private_->arena;
    config->sinks[0].format = arena_copy(arena, urls->format != NULL ? urls->format : "text");
    config->ca_file = urls->ca_file != NULL ? arena_copy(arena, urls->ca_file) : NULL;
    return config->sinks[0].format == NULL || (urls->ca_file != NULL && config->ca_file == NULL)
               ? -ENOMEM
               : 0;
}

int config_from_urls(const struct config_urls *urls, struct config_messages *ret_messages,
                     struct config **ret_config) {
    *ret_messages = (struct config_messages){0};
    struct command *command = calloc(1, sizeof *command);
    if (command == NULL) {
        return -ENOMEM;
    }
    command->urls = urls;
    command->reader.draft = &command->draft;
    struct config *config = NULL;
    int r = config_conclude(add_all(command), &command->draft, ret_messages, &config);
    free(command);
    if (r == 0) {
        r = complete(config, urls);
        if (r < 0) {
            config_unref(config);
            return r;
        }
        *ret_config = config;
    }
    return r;
}
