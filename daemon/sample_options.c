/* An option that has a key in a configuration file is a row: it only says which key, so that its bounds
 * and its errors are the key's. Names are curl's where curl has one, and then it does what curl's does.
 *
 * A password has no option: what is on a command line is seen by everybody on the machine. */
#include "sample_options.h"

#include "base/log.h"
#include "config/keys.h"
#include "output/format.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STATUS_DONE = 0, STATUS_USAGE = 2 };
enum {
    DATA_BYTES_MOST = 1 << 20
}; /* of a file; how long a body may be is the configuration's matter */

enum {
    OPTION_FORMAT = 256,
    OPTION_TIMEOUT,
    OPTION_MAX_IN_FLIGHT,
    OPTION_CACERT,
    OPTION_SITE,
    OPTION_DATA_BINARY,
    OPTION_DATA_RAW,
    OPTION_COMPRESSED,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_CONNECT_TO,
    OPTION_EXPECT_STATUS,
    OPTION_EXPECT_BODY,
    OPTION_EXPECT_BODY_CONTAINS,
    OPTION_MAX_REDIRS,
    OPTION_ADDRESSES,
    OPTION_BACKEND_HEADER,
};

static const char short_options[] = "-n:j:f:m:c:X:H:d:A:x:u:kL46vh";
static const struct option long_options[] = {
    {"samples", required_argument, NULL, 'n'},
    {"num-times", required_argument, NULL, 'n'},
    {"concurrency", required_argument, NULL, 'j'},
    {"file", required_argument, NULL, 'f'},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"verbose", no_argument, NULL, 'v'},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"max-time", required_argument, NULL, 'm'},
    {"max-in-flight", required_argument, NULL, OPTION_MAX_IN_FLIGHT},
    {"config", required_argument, NULL, 'c'},
    {"site", required_argument, NULL, OPTION_SITE},
    {"request", required_argument, NULL, 'X'},
    {"header", required_argument, NULL, 'H'},
    {"data", required_argument, NULL, 'd'},
    {"data-raw", required_argument, NULL, OPTION_DATA_RAW},
    {"data-binary", required_argument, NULL, OPTION_DATA_BINARY},
    {"user-agent", required_argument, NULL, 'A'},
    {"compressed", no_argument, NULL, OPTION_COMPRESSED},
    {"proxy", required_argument, NULL, 'x'},
    {"user", required_argument, NULL, 'u'},
    {"cacert", required_argument, NULL, OPTION_CACERT},
    {"cert", required_argument, NULL, OPTION_CERT},
    {"key", required_argument, NULL, OPTION_KEY},
    {"insecure", no_argument, NULL, 'k'},
    {"connect-to", required_argument, NULL, OPTION_CONNECT_TO},
    {"location", no_argument, NULL, 'L'},
    {"max-redirs", required_argument, NULL, OPTION_MAX_REDIRS},
    {"ipv4", no_argument, NULL, '4'},
    {"ipv6", no_argument, NULL, '6'},
    {"addresses", required_argument, NULL, OPTION_ADDRESSES},
    {"backend-header", required_argument, NULL, OPTION_BACKEND_HEADER},
    {"expect-status", required_argument, NULL, OPTION_EXPECT_STATUS},
    {"expect-body", required_argument, NULL, OPTION_EXPECT_BODY},
    {"expect-body-contains", required_argument, NULL, OPTION_EXPECT_BODY_CONTAINS},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Options that set a key. */
static const struct row {
    int option;
    const char *origin; /* what messages call it */
    enum key_place place;
    const char *key;
    const char *value; /* NULL: the option's argument */
} rows[] = {
    {'X', "--request", KEY_REQUEST, "method", NULL},
    {'H', "--header", KEY_REQUEST, "headers", NULL},
    {OPTION_DATA_RAW, "--data-raw", KEY_REQUEST, "body", NULL},
    {'A', "--user-agent", KEY_SITE, "user_agent", NULL},
    {OPTION_COMPRESSED, "--compressed", KEY_REQUEST, "compressed", "yes"},
    {'x', "--proxy", KEY_REQUEST, "proxy", NULL},
    {OPTION_CERT, "--cert", KEY_TLS, "cert", NULL},
    {OPTION_KEY, "--key", KEY_TLS, "key", NULL},
    {'k', "--insecure", KEY_TLS, "verify", "no"},
    {OPTION_CONNECT_TO, "--connect-to", KEY_SITE, "connect_to", NULL},
    {OPTION_MAX_REDIRS, "--max-redirs", KEY_REDIRECTS, "follow", NULL},
    {'4', "--ipv4", KEY_SITE, "family", "ipv4"},
    {'6', "--ipv6", KEY_SITE, "family", "ipv6"},
    {OPTION_ADDRESSES, "--addresses", KEY_SITE, "addresses", NULL},
    {OPTION_BACKEND_HEADER, "--backend-header", KEY_BACKEND, "header", NULL},
    {OPTION_EXPECT_STATUS, "--expect-status", KEY_EXPECT, "status", NULL},
    {OPTION_EXPECT_BODY, "--expect-body", KEY_EXPECT, "body_matches", NULL},
    {OPTION_EXPECT_BODY_CONTAINS, "--expect-body-contains", KEY_EXPECT, "body_contains", NULL},
};

static void help(void) {
    fputs("usage: tallyd sample [OPTION]... URL...\n"
          "       tallyd sample [-n N] [-j N] [-m TIME] [--format FORMAT] --site NAME...\n"
          "                     -c FILE\n"
          "\n"
          "Sends every URL a round of independent requests, all URLs in parallel, and\n"
          "prints one report for each, in the order given. The second form samples sites\n"
          "of a configuration once, as they are set there, and explains what came back.\n"
          "\n"
          "the round\n"
          "  -n, --samples N        requests for each URL (20); also --num-times\n"
          "  -j, --concurrency N    of them in flight at a time (5)\n"
          "  -m, --timeout TIME     for one request, from connect to the last byte (5s);\n"
          "                         a bare number is seconds; also --max-time\n"
          "      --max-in-flight N  requests in flight over all URLs (500)\n"
          "  -f, --file FILE        URLs from FILE, one a line; lines that begin with #\n"
          "                         are comments; - is stdin\n"
          "      --addresses MODE   of a name with several: rotate takes them in turn (the\n"
          "                         default), first takes the first, each sends all\n"
          "                         requests to every one, -j at a time to each\n"
          "  -4, --ipv4             IPv4 addresses only; -6, --ipv6 likewise\n"
          "      --site NAME        a site of the configuration -c FILE; more than once for\n"
          "                         several; implies -v\n"
          "  -c, --config FILE      that configuration\n"
          "\n"
          "the report\n"
          "  -v, --verbose          who saw what as a matrix, times, and of what failed a\n"
          "                         curl command line that repeats it (the first request,\n"
          "                         where redirects are followed)\n"
          "      --format FORMAT    text (default), line, json or full (as -v)\n"
          "      --backend-header NAME  tell servers apart that name themselves in it\n"
          "\n"
          "the request\n"
          "  -X, --request METHOD   instead of GET, or of POST with -d\n"
          "  -H, --header LINE      \"Name: value\", or \"Name;\" for one without a value;\n"
          "                         as often as needed\n"
          "  -d, --data DATA        a body, of a form unless -H 'Content-Type: …' says\n"
          "                         otherwise; @FILE reads it, without its line ends\n"
          "      --data-raw DATA    a body as it is; --data-binary @FILE reads one as it is\n"
          "  -A, --user-agent TEXT  instead of tallyd/" TALLYD_VERSION "\n"
          "      --compressed       ask for a compressed answer, and unpack it\n"
          "  -L, --location         follow redirects anywhere, at most ten; --max-redirs N,\n"
          "                         at most N\n"
          "  -x, --proxy URL        an HTTP proxy; the environment's is never used\n"
          "      --connect-to HOST1:PORT1:HOST2:PORT2\n"
          "                         connect to the latter for URLs of the former\n"
          "      --cacert FILE      trust the CAs of this PEM file, not the system's\n"
          "      --cert FILE, --key FILE  a client certificate and its key, in PEM\n"
          "  -k, --insecure         do not verify the server's certificate\n"
          "\n"
          "the expectation; a request that does not meet it has failed\n"
          "      --expect-status LIST   200,301-399,5xx or \"not 404\"; by default 200-399\n"
          "      --expect-body REGEX    is found in the body; ^ and $ match at lines\n"
          "      --expect-body-contains TEXT  is found in the body, as it is\n"
          "\n"
          "  -h, --help             this text\n"
          "\n"
          "Everybody on this machine can read a command line: a login or a token belongs\n"
          "into a file, and the file's name into a configuration, for --site:\n"
          "  request: { basic: { user: me, password: { file: secret } } }\n"
          "\n"
          "An error has a name: connect_refused, tls_verify, first_byte_timeout, …\n"
          "Requests that could not be made for want of our own resources (not_sent,\n"
          "local_resource, aborted) say nothing of the site.\n"
          "\n"
          "exit status: 0 every site met its expectation; 1 some did not; 2 wrong usage\n"
          "or a bad URL; 3 a site could not be judged, the output failed, or a signal cut\n"
          "it short.\n"
          "\n"
          "examples:\n"
          "  tallyd sample https://example.org/\n"
          "  tallyd sample -v -n 100 -j 10 --addresses each https://example.org/\n"
          "  tallyd sample -d '{}' -H 'Content-Type: application/json' \\\n"
          "      --expect-status 201 https://example.org/orders\n"
          "  tallyd sample --format json -f urls.txt | jq .codes\n"
          "  tallyd sample --site shop -c tallyd.yaml\n",
          stdout);
}

/* ---- values ---- */

static bool out_of_memory(void) {
    log_error("out of memory");
    return false;
}

static bool parse_count(const char *option, const char *text, unsigned most, unsigned *ret_count) {
    char *end;
    errno = 0;
    unsigned long count = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || count < 1 || count > most) {
        log_error("%s: '%s' is not a whole number from 1 to %u", option, text, most);
        return false;
    }
    *ret_count = (unsigned)count;
    return true;
}

static bool parse_format(const char *text, struct config_urls *settings) {
    const struct format *format = format_find(text);
    if (format == NULL) {
        log_error("--format: '%s' is not text, line, json or full", text);
        return false;
    }
    settings->format = format->name;
    return true;
}

static bool parse_timeout(const char *text, struct config_urls *settings) {
    if (config_parse_duration(text, true, &settings->timeout) != 0 || settings->timeout <= 0) {
        log_error("--timeout: '%s' is not a time above 0: write 5, 5s or 250ms", text);
        return false;
    }
    return true;
}

static bool add_setting(struct sample_options *options, const char *origin, enum key_place place,
                        const char *key, const char *value) {
    struct config_setting *more =
        reallocarray(options->list, options->settings.n_settings + 1, sizeof *more);
    if (more == NULL) {
        return out_of_memory();
    }
    options->list = more;
    more[options->settings.n_settings++] =
        (struct config_setting){.key = key_find(key, place), .origin = origin, .value = value};
    return true;
}

/* ---- bodies ---- */

/* Keeps a text for as long as the options live; takes it over. */
static bool keep_text(struct sample_options *options, char *text) {
    char **more = reallocarray(options->texts, options->n_texts + 1, sizeof(char *));
    if (text == NULL || more == NULL) {
        free(text);
        return out_of_memory();
    }
    options->texts = more;
    more[options->n_texts++] = text;
    return true;
}

/* A file without its line ends, as curl's --data has it. */
static bool read_data(struct sample_options *options, const char *path, const char **ret_text) {
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t n = 0;
    FILE *to = file == NULL ? NULL : open_memstream(&text, &n);
    if (to == NULL) {
        log_error("--data: %s: %s", path, strerror(errno));
        if (file != NULL) {
            fclose(file);
        }
        return false;
    }
    int c;
    size_t bytes = 0;
    while ((c = getc_unlocked(file)) != EOF && bytes++ < DATA_BYTES_MOST) {
        if (c != '\n' && c != '\r' && c != '\0') {
            fputc(c, to);
        }
    }
    bool read = !ferror(file);
    if (!read) {
        log_error("--data: %s: %s", path, strerror(errno));
    }
    if (c != EOF) {
        log_error("--data: %s: is larger than 1 MiB", path);
        read = false;
    }
    bool written = !ferror(to);
    written = fclose(to) == 0 && written && text != NULL;
    fclose(file);
    if (!read || !written) {
        free(text);
        return read ? out_of_memory() : false;
    }
    *ret_text = text;
    return keep_text(options, text);
}

/* Several are joined, as by curl. */
static bool add_data(struct sample_options *options, const char *value, const char **data) {
    if (*value == '@' && !read_data(options, value + 1, &value)) {
        return false;
    }
    char *joined;
    if (asprintf(&joined, "%s%s%s", *data != NULL ? *data : "", *data != NULL ? "&" : "", value) <
        0) {
        return out_of_memory();
    }
    *data = joined;
    return keep_text(options, joined);
}

static bool has_content_type(const struct sample_options *options) {
    static const char name[] = "Content-Type";
    for (size_t i = 0; i < options->settings.n_settings; i++) {
        const char *value = options->list[i].value;
        if (strcmp(options->list[i].origin, "--header") == 0 &&
            strncasecmp(value, name, sizeof name - 1) == 0) {
            return true;
        }
    }
    return false;
}

/* A form, as curl's is, unless a header says otherwise. */
static bool add_form(struct sample_options *options, const char *data) {
    /* a POST of nothing is no body */
    bool added = *data == '\0' ? add_setting(options, "--data", KEY_REQUEST, "method", "POST")
                               : add_setting(options, "--data", KEY_REQUEST, "body", data);
    return added && (has_content_type(options) ||
                     add_setting(options, "--data", KEY_REQUEST, "headers",
                                 "Content-Type: application/x-www-form-urlencoded"));
}

static bool add_binary(struct sample_options *options, const char *value) {
    return *value == '@'
               ? add_setting(options, "--data-binary", KEY_REQUEST, "body_file", value + 1)
               : add_setting(options, "--data-binary", KEY_REQUEST, "body", value);
}

/* ---- options ---- */

static bool refuse_user(void) {
    log_error("--user: everybody on this machine can read a command line");
    fputs("    put the password into a file, and the login into a configuration, for --site:\n"
          "    request: { basic: { user: me, password: { file: secret } } }\n",
          stderr);
    return false;
}

static bool add_row(struct sample_options *options, int option, const char *value) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].option == option) {
            return add_setting(options, rows[i].origin, rows[i].place, rows[i].key,
                               rows[i].value != NULL ? rows[i].value : value);
        }
    }
    fputs("tallyd sample --help says what there is\n", stderr);
    return false;
}

static bool add_site(struct sample_options *options, const char *name) {
    const char **more = reallocarray(options->sites, options->n_sites + 1, sizeof(const char *));
    if (more == NULL) {
        return out_of_memory();
    }
    options->sites = more;
    more[options->n_sites++] = name;
    return true;
}

/* What is put together from several options. */
struct parsed {
    const char *data;
    bool follows, limits_redirects;
};

static bool parse_option(struct sample_options *options, struct parsed *parsed, int option,
                         const char *value) {
    struct config_urls *settings = &options->settings;
    switch (option) {
    case 1:
        return urls_add_argument(&options->urls, value) == 0;
    case 'n':
        return parse_count("--samples", value, 10000, &settings->samples);
    case 'j':
        return parse_count("--concurrency", value, 1000, &settings->concurrency);
    case 'f':
        return urls_add_file(&options->urls, value) == 0;
    case 'm':
    case OPTION_TIMEOUT:
        return parse_timeout(value, settings);
    case OPTION_MAX_IN_FLIGHT:
        return parse_count("--max-in-flight", value, 10000, &settings->max_in_flight);
    case OPTION_FORMAT:
        return parse_format(value, settings);
    case 'v':
        settings->format = format_full.name;
        return true;
    case OPTION_CACERT:
        settings->ca_file = value;
        return true;
    case 'c':
        options->config_path = value;
        return true;
    case OPTION_SITE:
        return add_site(options, value);
    case 'd':
        return add_data(options, value, &parsed->data);
    case OPTION_DATA_BINARY:
        return add_binary(options, value);
    case 'L':
        parsed->follows = true;
        return true;
    case OPTION_MAX_REDIRS:
        parsed->limits_redirects = true;
        return add_row(options, option, value);
    case 'u':
        return refuse_user();
    default:
        return add_row(options, option, value);
    }
}

static bool finish(struct sample_options *options, const struct parsed *parsed) {
    if (parsed->data != NULL && !add_form(options, parsed->data)) {
        return false;
    }
    if (parsed->follows && !parsed->limits_redirects &&
        !add_setting(options, "--location", KEY_REDIRECTS, "follow", "10")) {
        return false;
    }
    if ((parsed->follows || parsed->limits_redirects) &&
        !add_setting(options, "--location", KEY_REDIRECTS, "to", "any")) {
        return false;
    }
    options->settings.settings = options->list;
    options->settings.urls = (const char *const *)options->urls.texts;
    options->settings.origins = (const char *const *)options->urls.origins;
    options->settings.n_urls = options->urls.n;
    return true;
}

/* Whether the two ways of saying what is sampled are told apart. */
static bool is_consistent(const struct sample_options *options) {
    const struct config_urls *settings = &options->settings;
    if (options->n_sites == 0 && options->config_path == NULL) {
        if (options->urls.n == 0) {
            log_error("no URL given; tallyd sample --help says how");
        }
        return options->urls.n > 0;
    }
    if (options->n_sites == 0 || options->config_path == NULL) {
        log_error(options->n_sites == 0 ? "-c FILE goes with --site NAME"
                                        : "--site NAME goes with -c FILE");
        return false;
    }
    const char *odd = options->urls.n > 0         ? "a URL"
                      : settings->ca_file != NULL ? "--cacert"
                      : settings->n_settings > 0  ? settings->settings[0].origin
                                                  : NULL;
    if (odd != NULL) {
        log_error("%s does not go with --site: a site is sampled as its configuration says", odd);
    }
    return odd == NULL;
}

bool sample_options_parse(int argc, char **argv, struct sample_options *ret_options,
                          int *ret_status) {
    struct parsed parsed = {0};
    *ret_options = (struct sample_options){0};
    *ret_status = STATUS_USAGE;
    int option;
    /* "-": an argument that is no option comes as option 1, so that URLs and files keep their order */
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        if (option == 'h') {
            help();
            *ret_status = STATUS_DONE;
            return false;
        }
        if (!parse_option(ret_options, &parsed, option, optarg)) {
            return false;
        }
    }
    for (; optind < argc; optind++) { /* after -- */
        if (urls_add_argument(&ret_options->urls, argv[optind]) != 0) {
            return false;
        }
    }
    if (!finish(ret_options, &parsed) || !is_consistent(ret_options)) {
        return false;
    }
    if (ret_options->settings.format == NULL) {
        ret_options->settings.format =
            ret_options->n_sites > 0 ? format_full.name : format_text.name;
    }
    return true;
}

void sample_options_clear(struct sample_options *options) {
    for (size_t i = 0; i < options->n_texts; i++) {
        free(options->texts[i]);
    }
    free(options->texts);
    free(options->list);
    free(options->sites);
    urls_clear(&options->urls);
    *options = (struct sample_options){0};
}
