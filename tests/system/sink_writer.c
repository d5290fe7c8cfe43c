/* Writes reports through the real writer, for tests that kill it or fill its disk.
 *
 *   sink_writer PATH BOOT COUNT PER_MSEC
 *
 * posts PER_MSEC reports of 5,000 bytes a millisecond, COUNT of them (0: until it is killed),
 * prints "posted", waits until they are written, and prints how many were not. */
#include "../unit/fake_config.h"
#include "base/loop.h"
#include "output/writer.h"

#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 5000
#define STOP_LIMIT (60 * NSEC_PER_SEC)

struct source {
    struct loop *control;
    struct writer *writer;
    struct config *config;
    struct site site;
    struct event *tick;
    uint64_t posted, count, per_msec;
    int status;
};

static struct record *make_record(struct source *source) {
    struct report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        return NULL;
    }
    report->config = config_ref(source->config);
    report->site = &source->site;
    report->round = source->posted + 1;
    report->wall_began = clock_wall_now();
    report->planned = report->judged = 1;
    report->latency = (struct report_latency){.n = 1, .p99 = NSEC_UNKNOWN};
    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        report->phases[i] = NSEC_UNKNOWN;
    }
    if (tally_add(&report->tally, 200, 1) < 0) {
        report_free(report);
        return NULL;
    }
    return record_new_report(report);
}

static void on_drained(uint64_t unwritten, void *arg) {
    struct source *source = arg;
    printf("unwritten %" PRIu64 "\n", unwritten);
    source->status = unwritten == 0 ? 0 : 1;
    loop_stop(source->control);
}

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    struct source *source = arg;
    (void)fd;
    (void)what;
    for (uint64_t i = 0; i < source->per_msec; i++) {
        if (source->count > 0 && source->posted == source->count) {
            event_del(source->tick);
            puts("posted");
            fflush(stdout);
            writer_drain(source->writer, STOP_LIMIT, on_drained, source);
            return;
        }
        struct record *record = make_record(source);
        if (record == NULL) {
            abort();
        }
        source->posted++;
        writer_post(source->writer, record);
    }
}

/* Fills the line up: what is not the URL has about 260 bytes. */
static char *make_url(void) {
    char *url = malloc(LINE_BYTES);
    if (url != NULL) {
        memset(url, 'u', LINE_BYTES);
        memcpy(url, "http://shop.example/", 20);
        url[LINE_BYTES - 260] = '\0';
    }
    return url;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: sink_writer PATH BOOT COUNT PER_MSEC\n");
        return 2;
    }
    signal(SIGXFSZ, SIG_IGN);
    char *url = make_url();
    struct sink_config sink = {.kind = SINK_FILE, .path = argv[1], .format = "json"};
    struct config config = {.sinks = &sink, .n_sinks = 1};
    struct source source = {
        .config = &config,
        .site = {.name = "shop", .url_given = url},
        .count = strtoull(argv[3], NULL, 10),
        .per_msec = strtoull(argv[4], NULL, 10),
    };
    struct writer_options options = {.boot = argv[2]};
    char *why = NULL;
    if (url == NULL || loop_new("control", &source, &source.control) < 0) {
        return 3;
    }
    options.control = source.control;
    if (writer_new(&options, &config, &source.writer, &why) < 0) {
        fprintf(stderr, "%s\n", why);
        return 3;
    }
    source.tick = event_new(loop_base(source.control), -1, EV_PERSIST, on_tick, &source);
    struct timeval msec = loop_timeval(NSEC_PER_MSEC);
    if (source.tick == NULL || event_add(source.tick, &msec) != 0) {
        return 3;
    }
    loop_run(source.control);
    event_free(source.tick);
    writer_free(source.writer);
    loop_free(source.control);
    free(url);
    return source.status;
}
