/* A table of families, a row each: those of sites, which are written for every site in turn, and those
 * of the daemon. The format wants all series of a family together, so a scrape walks over all sites once
 * for each of them; it does so in pieces, and holds a reference of each site meanwhile. All series of
 * one site and family are of one moment.
 *
 * How many series there can be: about 50 a site, and what is not known beforehand is bounded. Status codes
 * are told apart up to BOARD_CODES_MOST a site, the rest is code="other"; error classes and reasons are
 * two short lists; latency has twelve buckets. Addresses, backends and URLs are no labels.
 *
 * rate() and increase() see no increase in a series' first value, so what an alert may rest on is there
 * from the start, at 0. Of samples that count against a site that is tallyd_failed_total by reason, where
 * every error class is reason="error"; of those that do not, the three classes of ours. The other nineteen
 * classes would be mostly zeros of each site: they, like codes, come with their first sample and are for
 * looking closer.
 *
 * A site's own labels are on each of its series, and not on those of sites without them: to Prometheus
 * a label that is not there is an empty one. A name that a family needs for itself, or that begins with
 * "__", which is Prometheus's own, has "label_" before it. */
#include "output/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SITES_A_PIECE = 50 };

struct entry {
    struct board_site *site; /* a reference */
    char *labels;            /* site="…" and its own */
};

struct metrics {
    struct vitals vitals;
    size_t n;
    size_t family, at; /* the next to be written */
    unsigned sites_by_rank[BOARD_RANK_PAUSED + 1];
    struct entry entries[];
};

/* ---- values ---- */

static void put_seconds(nsec_t duration, FILE *to) {
    char fraction[16];
    snprintf(fraction, sizeof fraction, "%09" PRId64, duration % NSEC_PER_SEC);
    size_t n = 9;
    while (n > 0 && fraction[n - 1] == '0') {
        n--;
    }
    fprintf(to, "%" PRId64 "%s%.*s\n", duration / NSEC_PER_SEC, n > 0 ? "." : "", (int)n, fraction);
}

/* "NAME_SUFFIX{LABELS,MORE} ", without MORE where that is NULL. */
static void begin(const char *name, const char *suffix, const char *labels, const char *label,
                  const char *value, FILE *to) {
    fputs(name, to);
    fputs(suffix, to);
    fputc('{', to);
    fputs(labels, to);
    if (label != NULL) {
        fprintf(to, ",%s=\"%s\"", label, value);
    }
    fputs("} ", to);
}

static void put_count(const char *name, const char *suffix, const char *labels, const char *label,
                      const char *value, uint64_t count, FILE *to) {
    begin(name, suffix, labels, label, value, to);
    fprintf(to, "%" PRIu64 "\n", count);
}

/* ---- of sites ---- */

typedef void write_site(const char *name, const char *labels, const struct board_site *site,
                        FILE *to);

static void write_rounds(const char *name, const char *labels, const struct board_site *site,
                         FILE *to) {
    put_count(name, "", labels, NULL, NULL, site->counts.rounds, to);
}

static void write_skipped(const char *name, const char *labels, const struct board_site *site,
                          FILE *to) {
    put_count(name, "", labels, NULL, NULL, site->counts.skipped, to);
}

static void write_late(const char *name, const char *labels, const struct board_site *site,
                       FILE *to) {
    begin(name, "_sum", labels, NULL, NULL, to);
    put_seconds(site->counts.late, to);
    put_count(name, "_count", labels, NULL, NULL, site->counts.rounds, to);
}

static void write_planned(const char *name, const char *labels, const struct board_site *site,
                          FILE *to) {
    put_count(name, "", labels, NULL, NULL, site->counts.planned, to);
}

static void write_judged(const char *name, const char *labels, const struct board_site *site,
                         FILE *to) {
    put_count(name, "", labels, NULL, NULL, site->counts.judged, to);
}

static void write_codes(const char *name, const char *labels, const struct board_site *site,
                        FILE *to) {
    for (unsigned i = 0; i < site->counts.n_codes; i++) {
        char code[8];
        snprintf(code, sizeof code, "%u", (unsigned)site->counts.codes[i].code);
        put_count(name, "", labels, "code", code, site->counts.codes[i].count, to);
    }
    if (site->counts.other_codes > 0) {
        put_count(name, "", labels, "code", "other", site->counts.other_codes, to);
    }
}

/* Those of ours also at 0: no reason tells of them. */
static void write_classes(const char *name, const char *labels, const struct board_site *site,
                          FILE *to) {
    for (unsigned i = OUTCOME_NONE + 1; i < OUTCOME_CLASSES; i++) {
        if (site->counts.classes[i] > 0 || !outcome_is_judged((outcome_t)i)) {
            put_count(name, "", labels, "class", outcome_class_name((outcome_t)i),
                      site->counts.classes[i], to);
        }
    }
}

/* All of them, also at 0: an alert on their increase would miss the first one otherwise. */
static void write_reasons(const char *name, const char *labels, const struct board_site *site,
                          FILE *to) {
    for (unsigned i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        put_count(name, "", labels, "reason", reason_name((enum reason)i), site->counts.reasons[i],
                  to);
    }
}

static void write_latency(const char *name, const char *labels, const struct board_site *site,
                          FILE *to) {
    const struct board_counts *counts = &site->counts;
    uint64_t up_to = 0;
    for (unsigned i = 0; i < REPORT_LATENCY_BOUNDS; i++) {
        char bound[24];
        snprintf(bound, sizeof bound, "%g", (double)report_latency_bounds[i] / NSEC_PER_SEC);
        up_to += counts->latency_buckets[i];
        put_count(name, "_bucket", labels, "le", bound, up_to, to);
    }
    put_count(name, "_bucket", labels, "le", "+Inf", counts->latency_n, to);
    begin(name, "_sum", labels, NULL, NULL, to);
    put_seconds(counts->latency, to);
    put_count(name, "_count", labels, NULL, NULL, counts->latency_n, to);
}

static void write_phases(const char *name, const char *labels, const struct board_site *site,
                         FILE *to) {
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        const char *phase = phase_name((enum phase)i);
        begin(name, "_sum", labels, "phase", phase, to);
        put_seconds(site->counts.phases[i].sum, to);
        put_count(name, "_count", labels, "phase", phase, site->counts.phases[i].n, to);
    }
}

static const char *const state_names[] = {"down", "degraded", "unknown", "up", "paused"};
static_assert(sizeof state_names / sizeof state_names[0] == BOARD_RANK_PAUSED + 1,
              "a name per rank");

static void write_state(const char *name, const char *labels, const struct board_site *site,
                        FILE *to) {
    for (unsigned i = 0; i <= BOARD_RANK_PAUSED; i++) {
        put_count(name, "", labels, "state", state_names[i], board_rank(site) == i, to);
    }
}

static void write_since(const char *name, const char *labels, const struct board_site *site,
                        FILE *to) {
    if (site->state.wall_since != NSEC_UNKNOWN) {
        begin(name, "", labels, NULL, NULL, to);
        put_seconds(site->state.wall_since, to);
    }
}

static void write_level(const char *name, const char *labels, const struct board_site *site,
                        FILE *to) {
    begin(name, "", labels, NULL, NULL, to);
    fprintf(to, "%.3g\n", site->state.level);
}

static void write_interval(const char *name, const char *labels, const struct board_site *site,
                           FILE *to) {
    begin(name, "", labels, NULL, NULL, to);
    put_seconds(site->site->interval, to);
}

static void write_last(const char *name, const char *labels, const struct board_site *site,
                       FILE *to) {
    if (site->last != NULL) {
        begin(name, "", labels, NULL, NULL, to);
        put_seconds(site->last->wall_began, to);
    }
}

static void write_certificate(const char *name, const char *labels, const struct board_site *site,
                              FILE *to) {
    if (site->wall_certificate_ends != NSEC_UNKNOWN) {
        begin(name, "", labels, NULL, NULL, to);
        put_seconds(site->wall_certificate_ends, to);
    }
}

static const struct {
    const char *name, *type, *help;
    write_site *write;
} of_sites[] = {
    {"tallyd_rounds_total", "counter", "Rounds that are over.", write_rounds},
    {"tallyd_slots_skipped_total", "counter", "Slots in which no round could begin.",
     write_skipped},
    {"tallyd_round_late_seconds", "summary", "How late rounds began.", write_late},
    {"tallyd_samples_planned_total", "counter",
     "Samples that rounds were to take; every one has a code or a class.", write_planned},
    {"tallyd_samples_judged_total", "counter",
     "Samples less those that ended by a fault of our own.", write_judged},
    {"tallyd_samples_total", "counter", "Samples that got a status, by its code.", write_codes},
    {"tallyd_sample_errors_total", "counter", "Samples that got no status, by error class.",
     write_classes},
    {"tallyd_failed_total", "counter",
     "Judged samples that did not meet the site's expectation, by the first reason.",
     write_reasons},
    {"tallyd_latency_seconds", "histogram", "How long samples took that got a status.",
     write_latency},
    {"tallyd_phase_seconds", "summary",
     "How long each phase took of the samples that reached its end; dns is a round's lookup.",
     write_phases},
    {"tallyd_site_state", "gauge", "1 for the state that the site is in, 0 for the others.",
     write_state},
    {"tallyd_site_state_since_timestamp_seconds", "gauge", "When that state began, if seen.",
     write_since},
    {"tallyd_site_level_ratio", "gauge", "How full the site's bucket of failures is.", write_level},
    {"tallyd_site_interval_seconds", "gauge", "From one round's slot to the next.", write_interval},
    {"tallyd_site_last_round_timestamp_seconds", "gauge", "When the last closed round began.",
     write_last},
    {"tallyd_certificate_expiry_timestamp_seconds", "gauge",
     "When the first certificate ends of the chains that were seen.", write_certificate},
};
enum { OF_SITES = sizeof of_sites / sizeof of_sites[0] };

/* ---- of the daemon ---- */

static void head(const char *name, const char *type, const char *help, FILE *to) {
    fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_one(const char *name, const char *type, const char *help, uint64_t value,
                    FILE *to) {
    head(name, type, help, to);
    fprintf(to, "%s %" PRIu64 "\n", name, value);
}

static void put_time(const char *name, const char *type, const char *help, nsec_t value, FILE *to) {
    head(name, type, help, to);
    fprintf(to, "%s ", name);
    put_seconds(value, to);
}

static void write_loops(const struct vitals *vitals, FILE *to) {
    head("tallyd_loop_lag_seconds", "gauge",
         "By how much a loop's own timer was late when it last came, or is by now.", to);
    for (unsigned i = 0; i < VITALS_LOOPS; i++) {
        fprintf(to, "tallyd_loop_lag_seconds{loop=\"%s\"} ", vitals->loops[i].name);
        put_seconds(vitals->loops[i].lag, to);
    }
}

static void write_troubles(const struct vitals *vitals, FILE *to) {
    head("tallyd_trouble", "gauge",
         "Whether this machine is in that trouble, which is not held against its sites.", to);
    for (unsigned i = TROUBLE_NONE + 1; i < TROUBLE_COUNT; i++) {
        fprintf(to, "tallyd_trouble{ours=\"%s\"} %d\n", trouble_name((enum trouble)i),
                vitals->troubles[i].active);
    }
    head("tallyd_trouble_rounds_total", "counter", "Rounds that did not count for that trouble.",
         to);
    for (unsigned i = TROUBLE_NONE + 1; i < TROUBLE_COUNT; i++) {
        fprintf(to, "tallyd_trouble_rounds_total{ours=\"%s\"} %" PRIu64 "\n",
                trouble_name((enum trouble)i), vitals->troubles[i].rounds);
    }
}

static void write_reloads(const struct vitals *vitals, FILE *to) {
    static const char name[] = "tallyd_reloads_total";
    head(name, "counter", "Reloads of the configuration, by what became of them.", to);
    fprintf(to, "%s{result=\"applied\"} %" PRIu64 "\n", name, vitals->reloads.applied);
    fprintf(to, "%s{result=\"refused\"} %" PRIu64 "\n", name, vitals->reloads.refused);
    put_one("tallyd_config_last_reload_successful", "gauge",
            "Whether the configuration in force is the one that was last to be read.",
            *vitals->reloads.why_refused == '\0', to);
    put_time("tallyd_config_last_reload_success_timestamp_seconds", "gauge",
             "When the configuration in force was taken into use.", vitals->reloads.wall_applied,
             to);
}

/* The names that client libraries have for them. */
static void write_process(const struct vitals *vitals, FILE *to) {
    put_time("process_cpu_seconds_total", "counter", "Processor time, user and system.",
             vitals->cpu, to);
    put_one("process_open_fds", "gauge", "Open descriptors.", vitals->open_fds, to);
    put_one("process_max_fds", "gauge", "Descriptors at the most.", vitals->max_fds, to);
    put_one("process_resident_memory_bytes", "gauge", "Memory in use.", vitals->resident_bytes, to);
    put_one("process_virtual_memory_bytes", "gauge", "Address space in use.", vitals->virtual_bytes,
            to);
    put_time("process_start_time_seconds", "gauge", "When the daemon started.",
             vitals->wall_started, to);
}

static void write_daemon(const struct metrics *metrics, FILE *to) {
    const struct vitals *vitals = &metrics->vitals;
    head("tallyd_build_info", "gauge", "1, with the version as a label.", to);
    fprintf(to, "tallyd_build_info{version=\"%s\"} 1\n", TALLYD_VERSION);
    head("tallyd_sites", "gauge", "Sites of the configuration, by state.", to);
    for (unsigned i = 0; i <= BOARD_RANK_PAUSED; i++) {
        fprintf(to, "tallyd_sites{state=\"%s\"} %u\n", state_names[i], metrics->sites_by_rank[i]);
    }
    write_loops(vitals, to);
    write_troubles(vitals, to);
    put_one("tallyd_samples_in_flight", "gauge", "Samples in flight.", vitals->in_flight, to);
    put_one("tallyd_samples_in_flight_limit", "gauge", "max_in_flight of the configuration.",
            vitals->max_in_flight, to);
    put_one("tallyd_rounds_running", "gauge", "Rounds that are not over.", vitals->running, to);
    put_one("tallyd_reports_waiting", "gauge", "Reports that wait for earlier ones of their ring.",
            vitals->waiting, to);
    put_one("tallyd_records_unwritten", "gauge", "Records on their way to the sinks.",
            vitals->unwritten, to);
    put_one("tallyd_records_lost_total", "counter",
            "Records that a sink could not write; each is stated there once it can.", vitals->lost,
            to);
    put_one("tallyd_sinks_ready", "gauge", "Whether every sink wrote its last record.",
            vitals->ready, to);
    write_reloads(vitals, to);
    write_process(vitals, to);
}

/* ---- labels ---- */

static void put_escaped(const char *text, FILE *to) {
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"') {
            fputc('\\', to);
        }
        if (*text == '\n') {
            fputs("\\n", to);
        } else {
            fputc(*text, to);
        }
    }
}

static bool is_taken(const char *name) {
    static const char *const names[] = {"site",  "code", "class", "reason",  "state",
                                        "phase", "loop", "le",    "quantile"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, "__", 2) == 0;
}

static bool has_label(const struct site *site, const char *prefix, unsigned prefixes,
                      const char *name) {
    size_t n = strlen(prefix);
    for (size_t i = 0; i < site->n_labels; i++) {
        const char *other = site->labels[i].name;
        unsigned left = prefixes;
        while (left > 0 && strncmp(other, prefix, n) == 0) {
            other += n;
            left--;
        }
        if (left == 0 && strcmp(other, name) == 0) {
            return true;
        }
    }
    return false;
}

static void put_label(const struct site *site, const struct label *label, FILE *to) {
    static const char prefix[] = "label_";
    if (is_taken(label->name)) {
        unsigned prefixes = 1; /* more, where the site has a label of that name too */
        while (has_label(site, prefix, prefixes, label->name)) {
            prefixes++;
        }
        for (unsigned i = 0; i < prefixes; i++) {
            fputs(prefix, to);
        }
    }
    fprintf(to, "%s=\"", label->name);
    put_escaped(label->value, to);
    fputc('"', to);
}

/* The caller's to free; NULL: out of memory. */
static char *labels_of(const struct site *site) {
    char *labels = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&labels, &n);
    if (to == NULL) {
        return NULL;
    }
    fputs("site=\"", to);
    put_escaped(site->name, to);
    fputc('"', to);
    for (size_t i = 0; i < site->n_labels; i++) {
        fputc(',', to);
        put_label(site, &site->labels[i], to);
    }
    bool whole = ferror(to) == 0;
    if (fclose(to) != 0 || !whole) {
        free(labels);
        return NULL;
    }
    return labels;
}

/* ---- all ---- */

struct metrics *metrics_new(const struct board *board, const struct vitals *vitals) {
    size_t n = board_n_sites(board);
    struct metrics *metrics = calloc(1, sizeof *metrics + n * sizeof metrics->entries[0]);
    if (metrics == NULL) {
        return NULL;
    }
    metrics->vitals = *vitals;
    for (; metrics->n < n; metrics->n++) {
        struct entry *entry = &metrics->entries[metrics->n];
        struct board_site *site = board_at(board, metrics->n);
        entry->labels = labels_of(site->site);
        if (entry->labels == NULL) {
            metrics_free(metrics);
            return NULL;
        }
        entry->site = board_site_ref(site);
        metrics->sites_by_rank[board_rank(site)]++;
    }
    return metrics;
}

void metrics_free(struct metrics *metrics) {
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < metrics->n; i++) {
        free(metrics->entries[i].labels);
        board_site_unref(metrics->entries[i].site);
    }
    free(metrics);
}

bool metrics_write(struct metrics *metrics, FILE *to) {
    if (metrics->family == OF_SITES || metrics->n == 0) {
        write_daemon(metrics, to);
        return false;
    }
    const char *name = of_sites[metrics->family].name;
    if (metrics->at == 0) {
        head(name, of_sites[metrics->family].type, of_sites[metrics->family].help, to);
    }
    for (unsigned i = 0; i < SITES_A_PIECE && metrics->at < metrics->n; i++) {
        const struct entry *entry = &metrics->entries[metrics->at++];
        of_sites[metrics->family].write(name, entry->labels, entry->site, to);
    }
    if (metrics->at == metrics->n) {
        metrics->family++;
        metrics->at = 0;
    }
    return true;
}
