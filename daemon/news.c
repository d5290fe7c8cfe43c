/* A command has no environment but this: nothing that systemd or an operator's shell gave us, where
 * there are paths of credentials, gets into it by accident. PATH and LANG are the same everywhere, so
 * that what works by hand works in the unit; HOME, TZ and TMPDIR, which say something of the machine,
 * are ours, where we have them.
 *
 * Values are safe text of one line: a newline in one of them would be a line of its own in whatever a
 * script writes. They are never put into words of a command line. */
#include "news.h"

#include "base/text.h"
#include "output/format.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const fixed[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG=C.UTF-8",
};
static const char *const inherited[] = {"HOME", "TZ", "TMPDIR"};
enum { FIXED = sizeof fixed / sizeof fixed[0], INHERITED = sizeof inherited / sizeof inherited[0] };
enum { OF_CHANGE = 11 }; /* TALLYD_SITE to TALLYD_FAILED */
enum { OF_RUN = 2 };

bool news_state(enum state to, enum on_change_state *ret_state) {
    switch (to) {
    case STATE_UP:
        *ret_state = ON_CHANGE_UP;
        return true;
    case STATE_DEGRADED:
        *ret_state = ON_CHANGE_DEGRADED;
        return true;
    case STATE_DOWN:
        *ret_state = ON_CHANGE_DOWN;
        return true;
    case STATE_PAUSED:
        *ret_state = ON_CHANGE_PAUSED;
        return true;
    case STATE_UNKNOWN:
    case STATE_COUNT:
        break;
    }
    return false;
}

/* A list of variables that grows; one failure fails it, and the rest does nothing. */
struct builder {
    char **list;
    size_t n, size;
    bool failed;
};

static void add(struct builder *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct builder *to, const char *format, ...) {
    assert(to->n < to->size);
    char *variable;
    va_list args;
    va_start(args, format);
    if (vasprintf(&variable, format, args) < 0) {
        to->failed = true;
    } else {
        to->list[to->n++] = variable;
    }
    va_end(args);
}

static void add_text(struct builder *to, const char *prefix, const char *name, const char *text) {
    char *safe = format_escape(text);
    if (safe == NULL) {
        to->failed = true;
        return;
    }
    add(to, "%s%s=%s", prefix, name, safe);
    free(safe);
}

static void add_time(struct builder *to, const char *name, nsec_t wall_time) {
    char time[FORMAT_TIME_BYTES] = "";
    if (wall_time != NSEC_UNKNOWN) {
        format_time(wall_time, time);
    }
    add(to, "%s=%s", name, time);
}

static void add_change(struct builder *to, const struct site *site, const struct change *change) {
    add_text(to, "", "TALLYD_SITE", site->name);
    add_text(to, "", "TALLYD_URL", site->url_given);
    add(to, "TALLYD_FROM=%s", state_name(change->from));
    add(to, "TALLYD_TO=%s", state_name(change->to));
    add_time(to, "TALLYD_TIME", change->wall_time);
    add_time(to, "TALLYD_SINCE", change->wall_since);
    add_text(to, "", "TALLYD_WHY", change->why);
    if (change->round > 0) {
        add(to, "TALLYD_ROUND=%" PRIu64, change->round);
    } else {
        add(to, "TALLYD_ROUND=");
    }
    add(to, "TALLYD_PLANNED=%u", change->planned);
    add(to, "TALLYD_JUDGED=%u", change->judged);
    add(to, "TALLYD_FAILED=%u", change->failed);
}

struct news *news_new(const struct site *site, const struct change *change) {
    struct news *news = calloc(1, sizeof *news);
    size_t size = FIXED + INHERITED + OF_CHANGE + site->n_labels;
    struct builder builder = {.list = calloc(size, sizeof(char *)), .size = size};
    if (news == NULL || builder.list == NULL) {
        free(news);
        free(builder.list);
        return NULL;
    }
    for (size_t i = 0; i < FIXED; i++) {
        add(&builder, "%s", fixed[i]);
    }
    for (size_t i = 0; i < INHERITED; i++) {
        const char *value = getenv(inherited[i]);
        if (value != NULL) {
            add(&builder, "%s=%s", inherited[i], value);
        }
    }
    add_change(&builder, site, change);
    for (size_t i = 0; i < site->n_labels; i++) {
        add_text(&builder, "TALLYD_LABEL_", site->labels[i].name, site->labels[i].value);
    }
    news->refs = 1;
    news->from = change->from;
    news->to = change->to;
    news->environment = builder.list;
    news->n = builder.n;
    news->site = strdup(site->name);
    if (builder.failed || news->site == NULL || !news_state(change->to, &news->state)) {
        news_unref(news);
        return NULL;
    }
    return news;
}

struct news *news_ref(struct news *news) {
    news->refs++;
    return news;
}

void news_unref(struct news *news) {
    if (news == NULL || --news->refs > 0) {
        return;
    }
    for (size_t i = 0; i < news->n; i++) {
        free(news->environment[i]);
    }
    free(news->environment);
    free(news->site);
    free(news);
}

char **news_environment(const struct news *news, unsigned number, unsigned replaced) {
    char **environment = calloc(OF_RUN + news->n + 1, sizeof(char *));
    if (environment == NULL) {
        return NULL;
    }
    struct builder builder = {.list = environment, .size = OF_RUN};
    add(&builder, "TALLYD_TRY=%u", number);
    add(&builder, "TALLYD_REPLACED=%u", replaced);
    if (builder.failed) {
        news_environment_free(environment);
        return NULL;
    }
    memcpy(environment + OF_RUN, news->environment, news->n * sizeof(char *));
    return environment;
}

void news_environment_free(char **environment) {
    if (environment != NULL) {
        for (size_t i = 0; i < OF_RUN; i++) {
            free(environment[i]);
        }
        free(environment);
    }
}
