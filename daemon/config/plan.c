/* Every figure is a bound or says that it is none. What they rest on is printed at the end of the
 * page, so that an operator can judge them. The sizes are measured ones of the libraries
 * (libcurl 7.88.1, OpenSSL 3.0), rounded up. */
#include "config/plan.h"

#include "config/timing.h"
#include "config/value.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DAY_SECONDS = 86400,

    /* wire */
    HEAD_BYTES = 64 * 1024,      /* of an answer, the most that is read */
    REQUEST_BYTES = 1024,        /* what is sent, its URL apart */
    HANDSHAKE_BYTES = 16 * 1024, /* of TLS, both ways, with a chain of some certificates */

    /* memory */
    PROCESS_BYTES = 16 * 1024 * 1024, /* libraries, loops, buffers */
    MULTI_BYTES = 40 * 1024,          /* a round in flight: its multi handle */
    SAMPLE_BYTES = 10 * 1024,         /* a sample in flight: 5.6 KB easy handle, 4 KiB buffer */
    SAMPLE_TLS_BYTES = 60 * 1024,     /* and its TLS */
    ROUND_SAMPLE_BYTES = 128,         /* a sample of a round, in flight or not */
    TRUST_BYTES = 1024 * 1024,        /* a worker's certificates of authorities, of each file */
    MATCH_BYTES = 16 * 1024 * 1024,   /* a regular expression at work, one a worker */
    INFLATE_BYTES = 48 * 1024,        /* to unpack an answer */
    SITE_BYTES = 4096,                /* a site's settings, schedule and state, its texts apart, and
                                         the same again while a reload has both */
    WAITING_RECORDS = 8192, /* in a sink's backlog, and as many on their way to the writer */
    RECORD_BYTES =
        6 * 1024, /* with two kinds of failure told: three samples each, a KiB a sample */

    /* descriptors */
    RESERVED_FDS = 32, /* standard streams, configuration, certificates, libraries */
    LOOP_FDS = 5,      /* epoll, timer, mailbox, and the pipe that libevent keeps for signals */
    SINK_FDS = 1,
    COMMAND_FDS = 2,  /* its output and its process; of each entry one runs at a time */
    STATUS_FDS = 412, /* its loop, what listens, and four times as many connections as it serves */
    JOURNAL_BYTES = 880, /* of journald's files, for a report; measured over 60,000 */
    JOURNAL_BURST = 10000,
    JOURNAL_BURST_SECONDS = 30, /* what it takes of a service by default */
    MULTI_FDS = 2,
    LOOKUP_FDS = 2,
    LOOKUPS_MOST = 64, /* of a worker at a time */

    NAME_COLUMNS = 32,
};

static const char assumptions[] =
    "These are bounds, reached when every server sends all that is read of it. A sample reads at\n"
    "most its body_limit and a head of 64 KiB, sends 1 KiB, its URL, headers and body, and over TLS\n"
    "moves 16 KiB for the handshake; all that again for each redirect that it may follow. In flight\n"
    "it holds 10 KiB, its head and what it sends, 60 KiB more over TLS, the body where the\n"
    "expectation looks at it, and one descriptor; a round in flight holds 40 KiB and two. Log bytes\n"
    "are for reports of two outcomes without evidence, in all sinks that show all reports; a failing\n"
    "site's are longer.\n";
static const char each_assumption[] =
    "What says \"per address\" is asked of every address that its host will turn out to have; rates\n"
    "and bytes are for one of them, and so are those of its total.\n";

/* What one site, or all together, cost. Rates are a day's, for whole numbers. */
struct cost {
    double samples_a_second, handshakes_a_second;
    double requests, bytes, log_bytes; /* a day */
};

static unsigned in_flight(const struct site *site) {
    return site->samples < site->concurrency ? site->samples : site->concurrency;
}

static bool shows_healthy(const struct sink_config *sink) {
    return sink->only == SINK_ONLY_ALL;
}

/* A report with two outcomes in that format, one address, no evidence. */
static double report_bytes(const struct site *site, const char *format) {
    double name = (double)strlen(site->name), url = (double)strlen(site->url_given);
    if (strcmp(format, "text") == 0) {
        return 13 + url + 2 * 22;
    }
    if (strcmp(format, "line") == 0) {
        return 190 + name + url;
    }
    if (strcmp(format, "journal") == 0) {
        return JOURNAL_BYTES + name + url; /* fields that are alike it stores once */
    }
    double labels = 0;
    for (size_t i = 0; i < site->n_labels; i++) {
        labels += 6 + (double)strlen(site->labels[i].name) + (double)strlen(site->labels[i].value);
    }
    return 720 + name + url + labels;
}

/* What a request sends beyond 1 KiB. */
static uint64_t asked_bytes(const struct site *site) {
    const struct request_config *request = &site->request;
    uint64_t bytes = strlen(site->url.text) + request->body_bytes;
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct header *header = &request->headers[i];
        bytes += strlen(header->name) + 4 +
                 (header->secret != NULL ? header->secret->n : strlen(header->value));
    }
    if (request->basic_user != NULL) { /* in base64, and the header's name */
        bytes += 4 * (strlen(request->basic_user) + request->basic_password->n + 3) / 3 + 23;
    }
    return bytes + (request->bearer != NULL ? request->bearer->n + 24 : 0);
}

static struct cost site_cost(const struct config *config, const struct site *site) {
    double rounds = DAY_SECONDS / ((double)site->interval / NSEC_PER_SEC);
    double request_bytes = (double)site->body_limit_bytes + HEAD_BYTES + REQUEST_BYTES +
                           (double)asked_bytes(site) + (site->url.tls ? HANDSHAKE_BYTES : 0);
    double requests = rounds * site->samples * (1 + site->redirects.follow);
    struct cost cost = {
        .samples_a_second = site->samples / ((double)site->interval / NSEC_PER_SEC),
        .handshakes_a_second = (site->redirects.follow + (site->url.tls ? 1 : 0)) *
                               (site->samples / ((double)site->interval / NSEC_PER_SEC)),
        .requests = requests,
        .bytes = requests * request_bytes,
    };
    for (size_t i = 0; i < config->n_sinks; i++) {
        if (shows_healthy(&config->sinks[i])) {
            cost.log_bytes += rounds * report_bytes(site, config->sinks[i].format);
        }
    }
    return cost;
}

/* What is in flight at the most, over all sites at once. */
struct load {
    uint64_t enabled, wanted; /* sites; samples that they would have in flight at once */
    uint64_t samples, tls_samples;
    uint64_t held_bytes;            /* by samples in flight, beyond what each of them holds */
    uint64_t rounds, round_samples; /* rounds in flight; the samples of all rounds */
    uint64_t kept_sites, kept_lanes, kept, tls_kept; /* sites that keep connections, and how many */
    uint64_t lookups;
    bool tls, each, patterns;
};

static uint64_t lesser(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static bool has_pattern(const struct expect_config *expect) {
    for (size_t i = 0; i < expect->n_headers; i++) {
        if (expect->headers[i].pattern != NULL) {
            return true;
        }
    }
    for (size_t i = 0; i < expect->n_body; i++) {
        if (expect->body[i].pattern != NULL) {
            return true;
        }
    }
    return false;
}

/* What a sample of the site holds while it is in flight, beyond what each holds. */
static uint64_t held_bytes(const struct site *site) {
    return asked_bytes(site) + (site->expect.n_body > 0 ? site->body_limit_bytes : 0) +
           (site->request.compressed ? INFLATE_BYTES : 0);
}

/* Of the host that is connected to. */
static bool is_looked_up(const struct site *site) {
    return site->request.proxy != NULL  ? !site->request.proxy->literal
           : site->connect_host != NULL ? true
                                        : !site->url.literal;
}

/* What sites keep is bounded by descriptors between rounds, and by connections within one. */
static void bound_kept(struct load *load, const struct config *config) {
    uint64_t lanes = (uint64_t)config->workers * CONNECTIONS_KEPT_MOST / (MULTI_FDS + 1);
    uint64_t parked = (uint64_t)config->workers * CONNECTIONS_KEPT_MOST;
    uint64_t idle = lesser(load->kept_sites, config->max_in_flight) * CONNECTIONS_IDLE_MOST;
    load->kept_lanes = lesser(load->kept_sites, lanes);
    load->kept = lesser(load->kept, parked + idle);
    load->tls_kept = lesser(load->tls_kept, parked + idle);
}

static struct load find_load(const struct config *config) {
    struct load load = {0};
    uint64_t tls_wanted = 0, held_most = 0;
    for (size_t i = 0; i < config->n_sites; i++) {
        const struct site *site = &config->sites[i];
        if (!site->enabled) {
            continue;
        }
        /* of how many addresses nobody knows: as many as may be at all */
        bool each = site->addresses == ADDRESSES_EACH && !site->url.literal;
        uint64_t wanted = each ? config->max_in_flight : in_flight(site), held = held_bytes(site);
        load.enabled++;
        load.wanted += wanted;
        tls_wanted += site->url.tls ? wanted : 0;
        load.held_bytes += wanted * held;
        held_most = held > held_most ? held : held_most;
        load.round_samples += site->samples;
        load.lookups += is_looked_up(site) ? 2 : 0; /* one a family */
        if (site->connection == CONNECTION_REUSE) {
            load.kept_sites++;
            load.kept += wanted;
            load.tls_kept += site->url.tls ? wanted : 0;
        }
        load.tls = load.tls || site->url.tls;
        load.each = load.each || each;
        load.patterns = load.patterns || has_pattern(&site->expect);
    }
    load.samples = lesser(load.wanted, config->max_in_flight);
    load.tls_samples = lesser(tls_wanted, config->max_in_flight);
    load.held_bytes = lesser(load.held_bytes, held_most * config->max_in_flight);
    load.rounds = lesser(load.enabled, config->max_in_flight);
    load.lookups = lesser(load.lookups, (uint64_t)config->workers * LOOKUPS_MOST);
    bound_kept(&load, config);
    return load;
}

static uint64_t find_fds(const struct config *config, const struct load *load) {
    uint64_t loops = (uint64_t)config->workers + 2; /* control and writer */
    uint64_t status = config->status_listen != NULL ? STATUS_FDS : 0;
    uint64_t commands = config->n_on_change > 0 ? LOOP_FDS + config->n_on_change * COMMAND_FDS : 0;
    return RESERVED_FDS + loops * LOOP_FDS + config->n_sinks * SINK_FDS + status + commands +
           load->samples + load->rounds * MULTI_FDS + load->lookups * LOOKUP_FDS + load->kept +
           load->kept_lanes * MULTI_FDS;
}

uint64_t plan_fds(const struct config *config) {
    struct load load = find_load(config);
    return find_fds(config, &load);
}

/* How often a site's CA file differs from the one before it: at least as many as there are. */
static uint64_t count_cas(const struct config *config) {
    uint64_t n = 0;
    const char *before = NULL;
    for (size_t i = 0; i < config->n_sites; i++) {
        const char *ca = config->sites[i].tls.ca;
        n += ca != NULL && (before == NULL || strcmp(ca, before) != 0);
        before = ca != NULL ? ca : before;
    }
    return n;
}

static uint64_t find_memory(const struct config *config, const struct load *load) {
    uint64_t texts = 0;
    for (size_t i = 0; i < config->n_sites; i++) {
        texts += 2 * (strlen(config->sites[i].name) + asked_bytes(&config->sites[i]));
    }
    return PROCESS_BYTES + config->n_sites * SITE_BYTES + texts +
           load->samples * (SAMPLE_BYTES + HEAD_BYTES) + load->held_bytes +
           (load->tls_samples + load->tls_kept) * SAMPLE_TLS_BYTES +
           (load->rounds + load->kept_lanes) * MULTI_BYTES +
           load->round_samples * ROUND_SAMPLE_BYTES +
           (load->tls ? (uint64_t)config->workers * TRUST_BYTES * (1 + count_cas(config)) : 0) +
           (load->patterns ? (uint64_t)config->workers * MATCH_BYTES : 0);
}

/* ---- the page ---- */

/* "1.23 GB": three digits that count. */
static const char *print_bytes(double bytes, char ret_text[VALUE_TEXT_SIZE]) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1000;
        unit++;
    }
    int digits = unit == 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2;
    snprintf(ret_text, VALUE_TEXT_SIZE, "%.*f %s", digits, bytes, units[unit]);
    return ret_text;
}

/* The name in a column; a longer one is cut between characters. */
static void print_name(const char *name, FILE *to) {
    size_t at = 0, columns = 0;
    while (name[at] != '\0' && columns < NAME_COLUMNS) {
        do {
            at++;
        } while (((unsigned char)name[at] & 0xc0) == 0x80);
        columns++;
    }
    if (name[at] != '\0') {
        do {
            at--;
        } while (((unsigned char)name[at] & 0xc0) == 0x80);
        fprintf(to, "%.*s…", (int)at, name);
    } else {
        fputs(name, to);
    }
    fprintf(to, "%*s", (int)(NAME_COLUMNS - columns), "");
}

static void print_costs(const struct cost *cost, FILE *to) {
    char bytes[VALUE_TEXT_SIZE], log[VALUE_TEXT_SIZE];
    fprintf(to, " %10.3f %13.0f %10s %10s", cost->samples_a_second, cost->requests,
            print_bytes(cost->bytes, bytes), print_bytes(cost->log_bytes, log));
}

static void print_site(const struct config *config, const struct site *site, FILE *to) {
    char interval[VALUE_TEXT_SIZE], deadline[VALUE_TEXT_SIZE];
    print_name(site->name, to);
    value_print_duration(site->interval, interval);
    value_print_duration(site->deadline, deadline);
    fprintf(to, " %9s %9s", interval, deadline);
    if (!site->enabled) {
        fputs("   disabled\n", to);
        return;
    }
    struct cost cost = site_cost(config, site);
    print_costs(&cost, to);
    if (site->addresses == ADDRESSES_EACH && !site->url.literal) {
        fputs("  per address", to);
    }
    unsigned unsent = timing_unsent(site, site->concurrency);
    if (unsent > 0) {
        fprintf(to, "  %u of %u not sent if it hangs", unsent, site->samples);
    }
    fputc('\n', to);
}

/* What all of them cost together. */
static struct cost print_sites(const struct config *config, size_t most_sites, FILE *to) {
    struct cost total = {0};
    fprintf(to, "%-*s %9s %9s %10s %13s %10s %10s\n", NAME_COLUMNS, "site", "interval", "deadline",
            "samples/s", "requests/day", "bytes/day", "log/day");
    for (size_t i = 0; i < config->n_sites; i++) {
        const struct site *site = &config->sites[i];
        if (i < most_sites) {
            print_site(config, site, to);
        }
        if (site->enabled) {
            struct cost cost = site_cost(config, site);
            total.samples_a_second += cost.samples_a_second;
            total.handshakes_a_second += cost.handshakes_a_second;
            total.requests += cost.requests;
            total.bytes += cost.bytes;
            total.log_bytes += cost.log_bytes;
        }
    }
    if (config->n_sites > most_sites) {
        fprintf(to, "… and %zu more\n", config->n_sites - most_sites);
    }
    fprintf(to, "%-*s %9s %9s", NAME_COLUMNS, "total", "", "");
    print_costs(&total, to);
    fputs("\n\n", to);
    return total;
}

/* A ring, and who holds up its reports the longest. */
struct ring_wait {
    size_t sites;
    const struct site *slowest;
};

static void print_rings(const struct config *config, FILE *to) {
    enum { RINGS_SHOWN = 20 };
    struct ring_wait rings[RINGS_SHOWN] = {{0}};
    const struct site *slowest = NULL;
    for (size_t i = 0; i < config->n_sites; i++) {
        const struct site *site = &config->sites[i];
        if (!site->enabled) {
            continue;
        }
        if (slowest == NULL || site->deadline > slowest->deadline) {
            slowest = site;
        }
        if (site->ring < RINGS_SHOWN) {
            struct ring_wait *ring = &rings[site->ring];
            ring->sites++;
            if (ring->slowest == NULL || site->deadline > ring->slowest->deadline) {
                ring->slowest = site;
            }
        }
    }
    if (slowest == NULL) {
        return; /* none is enabled, and none waits */
    }
    fputs("a report waits for its order at the most\n", to);
    char interval[VALUE_TEXT_SIZE], deadline[VALUE_TEXT_SIZE];
    for (size_t i = 0; i < config->n_rings && i < RINGS_SHOWN; i++) {
        if (rings[i].slowest != NULL) {
            value_print_duration(config->ring_intervals[i], interval);
            value_print_duration(rings[i].slowest->deadline, deadline);
            fprintf(to,
                    "  %-9s in ring %zu, of interval %s, with %zu site%s (the deadline of %s)\n",
                    deadline, i, interval, rings[i].sites, rings[i].sites == 1 ? "" : "s",
                    rings[i].slowest->name);
        }
    }
    if (config->n_rings > RINGS_SHOWN) {
        value_print_duration(slowest->deadline, deadline);
        fprintf(to, "  %-9s over all, with %zu rings more\n", deadline,
                config->n_rings - RINGS_SHOWN);
    }
    const struct site *canary = config->canary != NULL ? config_find(config, config->canary) : NULL;
    if (canary != NULL && canary->enabled) {
        value_print_duration(canary->interval + canary->deadline, deadline);
        fprintf(to, "  %-9s more if many samples failed: for the canary, %s\n", deadline,
                canary->name);
    }
    fputc('\n', to);
}

void plan_print(const struct config *config, size_t most_sites, uint64_t fd_limit, FILE *to) {
    struct load load = find_load(config);
    uint64_t fds = find_fds(config, &load);
    char memory[VALUE_TEXT_SIZE];
    struct cost total = print_sites(config, most_sites, to);
    print_rings(config, to);
    fprintf(to, "sites        %zu, %" PRIu64 " enabled, in %zu ring%s\n", config->n_sites,
            load.enabled, config->n_rings, config->n_rings == 1 ? "" : "s");
    fprintf(to, "in flight    %" PRIu64 " samples at the most", load.samples);
    if (load.wanted > load.samples && load.each) {
        fputs(" (max_in_flight)", to);
    } else if (load.wanted > load.samples) {
        fprintf(to, " (max_in_flight; %" PRIu64 " if every site hung)", load.wanted);
    }
    fprintf(to, "\nhandshakes   %.3f a second over TLS at the most", total.handshakes_a_second);
    if (load.kept_sites > 0) {
        fprintf(to, "\nkept         %" PRIu64 " connections at the most, of %" PRIu64 " site%s",
                load.kept, load.kept_sites, load.kept_sites == 1 ? "" : "s");
    }
    fprintf(to, "\ndescriptors  %" PRIu64 " at the most, ", fds);
    if (fd_limit == UINT64_MAX) { /* RLIM_INFINITY */
        fputs("without limit", to);
    } else {
        fprintf(to, "of %" PRIu64, fd_limit);
    }
    fprintf(to, "%s\n",
            fds > fd_limit ? ": TOO FEW; raise the limit (LimitNOFILE=) or lower max_in_flight"
                           : "");
    fprintf(to, "memory       %s at the most",
            print_bytes((double)find_memory(config, &load), memory));
    double waiting = (double)(config->n_sinks + 1) * WAITING_RECORDS * RECORD_BYTES;
    fprintf(to, "; about %s more while logs cannot be written\n\n", print_bytes(waiting, memory));
    fputs(assumptions, to);
    if (load.each) {
        fputs(each_assumption, to);
    }
}

/* journald drops, unless it is told otherwise, what is beyond its rate. */
static void warn_of_journal(const struct config *config, FILE *to) {
    bool asked = false;
    double records = 0;
    for (size_t i = 0; i < config->n_sinks; i++) {
        asked = asked || (config->sinks[i].kind == SINK_JOURNAL &&
                          config->sinks[i].only != SINK_ONLY_CHANGES);
    }
    for (size_t i = 0; i < config->n_sites && asked; i++) {
        if (config->sites[i].enabled) {
            records += JOURNAL_BURST_SECONDS / ((double)config->sites[i].interval / NSEC_PER_SEC);
        }
    }
    if (records > JOURNAL_BURST) {
        fprintf(to,
                "warning: up to %.0f reports in %d s go to the journal, which drops what is beyond "
                "%d unless the unit has a higher LogRateLimitBurst=, as tallyd.service has\n",
                records, JOURNAL_BURST_SECONDS, JOURNAL_BURST);
    }
}

void plan_print_obstacles(const struct config *config, FILE *to) {
    warn_of_journal(config, to);
    for (size_t i = 0; i < config->n_sinks; i++) {
        const char *path = config->sinks[i].path;
        if (path == NULL || faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0) {
            continue;
        }
        int error = errno;
        const char *slash = strrchr(path, '/'); /* the path is absolute */
        char directory[PATH_MAX];
        int n = snprintf(directory, sizeof directory, "%.*s", (int)(slash - path) + 1, path);
        bool makeable = error == ENOENT && n < (int)sizeof directory &&
                        faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0;
        error = error == ENOENT ? errno : error;
        if (!makeable) {
            fprintf(to, "warning: the log %s cannot be written by this user: %s\n", path,
                    error == ENOENT ? "its directory does not exist" : strerror(error));
        }
    }
}
