/* The configuration from hostile bytes: it loads or says why, and does neither for long.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined on this file and the sources under
 * daemon/; else replay.c gives it the corpus. */
#include "config/config.h"
#include "config/plan.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void demand(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "fuzz_config: %s\n", what);
        abort();
    }
}

/* No message may carry a byte that a terminal obeys. */
static void check_texts(char *const *texts, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(texts[i]);
        demand(length > 0 && texts[i][length - 1] == '\n', "a message ends in a newline");
        for (size_t k = 0; k < length; k++) {
            unsigned char c = (unsigned char)texts[i][k];
            demand((c >= 0x20 || c == '\n') && c != 0x7f, "a message is safe to show");
        }
    }
}

static void check_config(const struct config *config) {
    demand(config->n_sites > 0 && config->n_sinks > 0 && config->n_rings > 0, "there is something");
    for (size_t i = 0; i < config->n_sites; i++) {
        const struct site *site = &config->sites[i];
        demand(config_find(config, site->name) == site, "a site is found by its name");
        demand(site->ring < config->n_rings, "a ring exists");
        demand(config->ring_intervals[site->ring] == site->interval, "a ring has one interval");
        demand(site->deadline > 0 && site->deadline <= site->interval, "a round fits");
        demand(site->timeout > 0 && site->timeout <= site->interval, "a sample fits");
        demand(site->spread >= 0 && site->spread <= site->interval, "the spread fits");
        demand(site->samples > 0 && site->concurrency > 0, "there are samples");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct config_messages messages = {0};
    struct config *config = NULL;
    int r = config_load_memory("FILE", (const char *)bytes, n, &messages, &config);
    demand(r == 0 || r == -EINVAL || r == -ENOMEM, "a known result");
    demand((r == 0) == (config != NULL), "a configuration, or none");
    demand(r == -ENOMEM || (r == 0) == (messages.n_errors == 0), "an error, or none");
    check_texts(messages.errors, messages.n_errors);
    check_texts(messages.warnings, messages.n_warnings);
    if (config != NULL) {
        check_config(config);
        FILE *to = fopen("/dev/null", "w");
        demand(to != NULL, "/dev/null opens");
        plan_print(config, 10, 1024, to);
        fclose(to);
    }
    config_messages_clear(&messages);
    config_unref(config);
    return 0;
}
