/* The daemon's API is asked (output/api.h), where its configuration says that it listens; what it says is
 * printed as a table, or as it came. The table is for people and 80 columns; names that do not fit are
 * cut where it goes to a terminal, and nowhere else. */
#include "ask.h"

#include "ask_evidence.h"

#include "base/endpoint.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "output/format.h"
#include "service/signals.h"

#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_UP = 0, EXIT_NOT_UP = 1, EXIT_USAGE = 2, EXIT_UNASKED = 3 };
enum { ANSWER_BYTES_MOST = 512 << 20, OUTCOMES_BYTES = 128 };
static const long connect_limit_s = 5, answer_limit_s = 30;

static const char help[] =
    "usage: tallyd status [OPTION]... [NAME] -c FILE\n"
    "\n"
    "Asks the daemon that runs with FILE how its sites are, the worst first; or all\n"
    "about one of them. FILE must say where it listens: status: { listen: ADDRESS }.\n"
    "\n"
    "  -c, --config FILE  the daemon's configuration\n"
    "      --json         print what the daemon answers, as it came\n"
    "  -h, --help         this text\n"
    "\n"
    "exit status: 0 all are up, or paused; 1 some are not; 2 usage or configuration;\n"
    "3 the daemon could not be asked.\n";

struct question {
    const char *path; /* of the configuration */
    const char *site; /* NULL: all */
    bool json;
};

/* ---- asking ---- */

struct answer {
    char *bytes;
    size_t n;
    long status;
};

static size_t on_body(char *bytes, size_t size, size_t n, void *arg) {
    struct answer *answer = arg;
    n *= size;
    char *more =
        answer->n + n < ANSWER_BYTES_MOST ? realloc(answer->bytes, answer->n + n + 1) : NULL;
    if (more == NULL) {
        return 0;
    }
    memcpy(more + answer->n, bytes, n);
    answer->bytes = more;
    answer->n += n;
    answer->bytes[answer->n] = '\0';
    return n;
}

static bool prepare(CURL *easy, const char *listen, const char *site, char *error,
                    struct answer *answer) {
    struct endpoint endpoint;
    if (endpoint_parse(listen, &endpoint) != NULL) {
        return false; /* the configuration's reader took it */
    }
    bool local = endpoint.port == 0;
    char *name = site != NULL ? curl_easy_escape(easy, site, 0) : NULL, *url = NULL;
    bool ok = (site == NULL || name != NULL) &&
              asprintf(&url, "http://%s/api/v1/sites%s%s", local ? "localhost" : listen,
                       site != NULL ? "/" : "", site != NULL ? name : "") >= 0;
    ok = ok && curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
         (!local || curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH,
                                     endpoint.address.local.sun_path) == CURLE_OK) &&
         curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK && /* nor from the environment */
         curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, connect_limit_s) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_TIMEOUT, answer_limit_s) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer) == CURLE_OK;
    curl_free(name);
    free(url);
    return ok;
}

static void say_unknown(const struct config *config, const char *site) {
    const char *nearest = config_nearest(config, site);
    if (config_find(config, site) != NULL) {
        log_error("the daemon has no site '%s' yet: send it SIGHUP to read the configuration again",
                  site);
    } else if (nearest != NULL) {
        log_error("the daemon has no site '%s'; is it '%s'?", site, nearest);
    } else {
        log_error("the daemon has no site '%s'; `tallyd status` without a name lists them", site);
    }
}

/* EXIT_UP with the answer, which is the caller's; or why not was said. */
static int ask(const struct config *config, const char *site, struct answer *ret_answer) {
    const char *listen = config->status_listen;
    char error[CURL_ERROR_SIZE] = "";
    CURL *easy = curl_easy_init();
    if (easy == NULL || !prepare(easy, listen, site, error, ret_answer)) {
        log_error("out of memory");
        curl_easy_cleanup(easy);
        return EXIT_UNASKED;
    }
    CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &ret_answer->status);
    curl_easy_cleanup(easy);
    if (code == CURLE_COULDNT_CONNECT) {
        log_error("%s: %s; does tallyd run, with this configuration read since `status` is in it, "
                  "and may you use that socket?",
                  listen, *error != '\0' ? error : curl_easy_strerror(code));
        return EXIT_UNASKED;
    }
    if (code != CURLE_OK) {
        log_error("%s: %s", listen, *error != '\0' ? error : curl_easy_strerror(code));
        return EXIT_UNASKED;
    }
    if (ret_answer->status == 404 && site != NULL) {
        say_unknown(config, site);
        return EXIT_USAGE;
    }
    if (ret_answer->status != 200) {
        log_error("%s answers %ld: is that tallyd?", listen, ret_answer->status);
        return EXIT_UNASKED;
    }
    return EXIT_UP;
}

/* ---- reading ---- */

/* Whether all that is in it may be shown on a terminal. What tallyd says may; but while it does not run,
 * anybody on this machine can listen in its place. */
static bool is_safe(const json_t *value) {
    const char *key;
    json_t *each;
    size_t i;
    if (json_is_string(value)) {
        return text_is_safe(json_string_value(value), json_string_length(value));
    }
    json_array_foreach(value, i, each) {
        if (!is_safe(each)) {
            return false;
        }
    }
    json_object_foreach((json_t *)value, key, each) { /* which is not changed by it */
        if (!text_is_safe(key, strlen(key)) || !is_safe(each)) {
            return false;
        }
    }
    return true;
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static unsigned number_of(const json_t *object, const char *key) {
    return (unsigned)json_integer_value(json_object_get(object, key));
}

static const char *const states[] = {"down", "degraded", "unknown", "up", "paused"};
enum { STATES = sizeof states / sizeof states[0] };

static unsigned rank_of(const json_t *site) {
    const char *state = text_of(site, "state");
    unsigned rank = 0;
    while (rank < STATES && strcmp(state, states[rank]) != 0) {
        rank++;
    }
    return rank;
}

static bool is_fine(const json_t *site) {
    return strcmp(text_of(site, "state"), "up") == 0 ||
           strcmp(text_of(site, "state"), "paused") == 0;
}

static double failed_lately(const json_t *site) {
    const json_t *window = json_object_get(site, "window");
    unsigned samples = number_of(window, "samples");
    return samples > 0 ? (double)number_of(window, "failed") / samples : 0;
}

struct place {
    const json_t *site;
    size_t index;
};

static int compare_places(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    unsigned x_rank = rank_of(x->site), y_rank = rank_of(y->site);
    if (x_rank != y_rank) {
        return x_rank < y_rank ? -1 : 1;
    }
    double x_failed = failed_lately(x->site), y_failed = failed_lately(y->site);
    if (x_failed != y_failed) {
        return x_failed > y_failed ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

/* ---- printing ---- */

/* "3 min": how long ago a time of the API was; "-": not known. */
static void print_age(const char *since, const char *now, char *ret_text, size_t size) {
    struct tm then = {0}, today = {0};
    snprintf(ret_text, size, "-");
    if (strptime(since, "%Y-%m-%dT%H:%M:%S", &then) == NULL ||
        strptime(now, "%Y-%m-%dT%H:%M:%S", &today) == NULL) {
        return;
    }
    long seconds = (long)(timegm(&today) - timegm(&then));
    static const struct {
        long seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;
    while (i < 3 && seconds < 2 * units[i].seconds) {
        i++;
    }
    snprintf(ret_text, size, "%ld %s", seconds > 0 ? seconds / units[i].seconds : 0, units[i].name);
}

static void print_outcomes(const json_t *site, char *ret_text, size_t size) {
    size_t n = 0;
    static const char *const kinds[] = {"codes", "errors"};
    *ret_text = '\0';
    for (size_t i = 0; i < 2; i++) {
        const char *name;
        json_t *count;
        json_object_foreach(json_object_get(site, kinds[i]), name, count) {
            if (n < size) {
                n += (size_t)snprintf(ret_text + n, size - n, "%s%" JSON_INTEGER_FORMAT "x%s",
                                      n > 0 ? " " : "", json_integer_value(count), name);
            }
        }
    }
    if (*ret_text == '\0') {
        snprintf(ret_text, size, "-");
    }
}

static void print_lately(const json_t *site, char *ret_text, size_t size) {
    const json_t *window = json_object_get(site, "window");
    if (window == NULL) {
        snprintf(ret_text, size, "-");
    } else {
        snprintf(ret_text, size, "%u of %u", number_of(window, "failed"),
                 number_of(window, "samples"));
    }
}

/* The text in that many columns, cut with "…" where it has more; 0: as it is. */
static void print_column(const char *text, unsigned columns) {
    unsigned has = format_columns(text);
    if (columns == 0 || has <= columns) {
        printf("%s%*s", text, columns > has ? (int)(columns - has) : 0, "");
        return;
    }
    const char *end = text;
    for (unsigned i = 0; i + 1 < columns; i++) {
        do {
            end++;
        } while ((*end & 0xc0) == 0x80);
    }
    printf("%.*s…", (int)(end - text), text);
}

enum { STATE_COLUMNS = 8, AGE_COLUMNS = 6, LATELY_COLUMNS = 14, ROUND_COLUMNS = 24 };
enum {
    NAME_COLUMNS =
        FORMAT_COLUMNS - (STATE_COLUMNS + AGE_COLUMNS + LATELY_COLUMNS + ROUND_COLUMNS + 4 * 2)
};

static void print_row(const char *state, const char *age, const char *lately, const char *round,
                      const char *name, bool narrow) {
    const struct {
        const char *text;
        unsigned columns;
    } columns[] = {{state, STATE_COLUMNS},
                   {age, AGE_COLUMNS},
                   {lately, LATELY_COLUMNS},
                   {round, ROUND_COLUMNS}};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        print_column(columns[i].text, columns[i].columns);
        fputs("  ", stdout);
    }
    if (narrow && format_columns(name) > NAME_COLUMNS) {
        print_column(name, NAME_COLUMNS);
    } else {
        fputs(name, stdout);
    }
    putchar('\n');
}

static void print_table(const struct place *places, size_t n, const char *now) {
    bool narrow = isatty(STDOUT_FILENO) == 1;
    unsigned counts[STATES + 1] = {0};
    print_row("state", "for", "failed lately", "last round", "site", false);
    for (size_t i = 0; i < n; i++) {
        char age[32], lately[48], round[OUTCOMES_BYTES];
        const json_t *site = places[i].site;
        print_age(text_of(site, "since"), now, age, sizeof age);
        print_lately(site, lately, sizeof lately);
        print_outcomes(site, round, sizeof round);
        print_row(text_of(site, "state"), age, lately, round, text_of(site, "site"), narrow);
        counts[rank_of(site)]++;
    }
    printf("\n%zu site%s", n, n == 1 ? "" : "s");
    const char *before = ": ";
    for (unsigned i = 0; i < STATES; i++) {
        if (counts[i] > 0) {
            printf("%s%u %s", before, counts[i], states[i]);
            before = ", ";
        }
    }
    putchar('\n');
}

static int print_all(const json_t *root) {
    const json_t *list = json_object_get(root, "sites");
    size_t n = json_array_size(list);
    struct place *places = calloc(n + 1, sizeof *places);
    int status = EXIT_UP;
    if (places == NULL) {
        log_error("out of memory");
        return EXIT_UNASKED;
    }
    for (size_t i = 0; i < n; i++) {
        places[i] = (struct place){.site = json_array_get(list, i), .index = i};
        status = is_fine(places[i].site) ? status : EXIT_NOT_UP;
    }
    qsort(places, n, sizeof *places, compare_places);
    print_table(places, n, text_of(root, "time"));
    free(places);
    return status;
}

/* 0 or -ENOMEM */
static int print_one(const json_t *root) {
    const json_t *site = json_object_get(root, "site");
    const json_t *window = json_object_get(site, "window");
    const json_t *latency = json_object_get(site, "latency_ms");
    char text[512];
    printf("%s: %s", text_of(site, "site"), text_of(site, "state"));
    print_age(text_of(site, "since"), text_of(root, "time"), text, sizeof text);
    if (strcmp(text, "-") != 0) {
        printf(" for %s, since %s", text, text_of(site, "since"));
    }
    putchar('\n');
    printf("  url         %s\n", text_of(site, "url"));
    if (window != NULL) {
        printf("  lately      %u of %u failed, %.1f to %.1f %%\n", number_of(window, "failed"),
               number_of(window, "samples"),
               100 * json_number_value(json_object_get(window, "low")),
               100 * json_number_value(json_object_get(window, "high")));
    }
    if (*text_of(site, "certificate_ends") != '\0') {
        printf("  certificate ends %s\n", text_of(site, "certificate_ends"));
    }
    if (*text_of(site, "began") == '\0') {
        printf("  no round yet\n");
        return 0;
    }
    print_outcomes(site, text, sizeof text);
    printf("  last round  %u, %s\n              %s\n", number_of(site, "round"),
           text_of(site, "began"), text);
    if (latency != NULL) {
        printf("  latency     p50 %.1f, p90 %.1f, max %.1f ms\n",
               json_number_value(json_object_get(latency, "p50")),
               json_number_value(json_object_get(latency, "p90")),
               json_number_value(json_object_get(latency, "max")));
    }
    return ask_evidence_print(json_object_get(root, "last"), stdout);
}

/* ---- all ---- */

static int tell(const struct question *question, const struct answer *answer) {
    json_t *root = json_loadb(answer->bytes, answer->n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *site = json_object_get(root, "site");
    const json_t *sites = json_object_get(root, "sites");
    int status = EXIT_UP;
    if ((question->site != NULL ? !json_is_object(site) : !json_is_array(sites)) ||
        !is_safe(root)) {
        log_error("what answers there is not tallyd");
        status = EXIT_UNASKED;
    } else if (question->site != NULL) {
        status = is_fine(site) ? EXIT_UP : EXIT_NOT_UP;
        if (!question->json && print_one(root) < 0) {
            log_error("out of memory");
            status = EXIT_UNASKED;
        }
    } else if (!question->json) {
        status = print_all(root);
    } else {
        size_t i;
        json_t *each;
        json_array_foreach(sites, i, each) {
            status = is_fine(each) ? status : EXIT_NOT_UP;
        }
    }
    if (question->json && status != EXIT_UNASKED) {
        bool ended = answer->n > 0 && answer->bytes[answer->n - 1] == '\n';
        printf("%s%s", answer->bytes, ended ? "" : "\n");
    }
    json_decref(root);
    return status;
}

static int answer_question(const struct question *question) {
    struct config *config = NULL;
    struct config_messages messages = {0};
    int r = config_load_without_secrets(question->path, &messages, &config);
    if (r != 0) {
        config_messages_print(&messages, stderr);
    }
    config_messages_clear(&messages);
    if (r != 0) {
        return EXIT_USAGE;
    }
    int status = EXIT_USAGE;
    if (config->status_listen == NULL) {
        log_error("%s does not say where the daemon listens. Add this to it, and send the daemon "
                  "SIGHUP: status: { listen: \"127.0.0.1:9469\" }",
                  question->path);
    } else {
        struct answer answer = {0};
        status = ask(config, question->site, &answer);
        if (status == EXIT_UP) {
            status = tell(question, &answer);
        }
        free(answer.bytes);
    }
    config_unref(config);
    return status;
}

int ask_main(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct question question = {0};
    int c;
    signals_release();
    while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            question.path = optarg;
            break;
        case 'j':
            question.json = true;
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_UP;
        default: /* getopt said which */
            fputs("tallyd status --help says what there is\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (question.path == NULL || argc - optind > 1) {
        log_error("%s",
                  question.path == NULL
                      ? "-c FILE is missing: tallyd status -c /etc/tallyd/tallyd.yaml"
                      : "one NAME at a time, or none for all; tallyd status --help says more");
        return EXIT_USAGE;
    }
    question.site = optind < argc ? argv[optind] : NULL;
    return answer_question(&question);
}
