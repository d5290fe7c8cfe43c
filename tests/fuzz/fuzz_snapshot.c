/* A state file from hostile bytes: it is read or refused. As its sum would keep a fuzzer from all that
 * is behind it, the bytes are also tried with a last line that is right for them.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined on this file and the sources under
 * daemon/; else replay.c gives it the corpus. */
#include "report/snapshot.h"

#include "base/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void demand(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "fuzz_snapshot: %s\n", what);
        abort();
    }
}

static void check_site(const struct snapshot_site *site) {
    demand(*site->name != '\0' && strlen(site->name) <= 255, "a name");
    demand(site->ago >= 0 && site->interval >= 0, "times are not negative");
    demand(site->wall_since >= NSEC_UNKNOWN, "a time, or none");
    demand((unsigned)site->verdict.state < STATE_COUNT && site->verdict.level >= 0, "a state");
    demand(site->n_addresses <= SNAPSHOT_ADDRESSES_MOST, "addresses are bounded");
    for (size_t i = 1; i < site->n_addresses; i++) {
        demand(strcmp(site->addresses[i - 1], site->addresses[i]) < 0, "addresses are sorted");
    }
    const struct verdict_past *past = &site->verdict;
    for (unsigned i = 0; i < past->n_cells; i++) {
        demand(past->cells[i].failed <= past->cells[i].judged, "no more failed than were judged");
        demand(i == 0 || past->cells[i - 1].ago < past->cells[i].ago, "ages ascend");
    }
    /* and it can be gone on with */
    struct verdict verdict;
    struct verdict_result result;
    static const struct health_config health = {
        .forgive = 50, .degraded_at = 4000, .round_max = 2500, .down_at = 950};
    verdict_restore(&verdict, &health, past, -5 * NSEC_PER_SEC, 60 * NSEC_PER_SEC);
    verdict_judge(&verdict, &health, NSEC_PER_SEC, 60 * NSEC_PER_SEC, 20, 20, 3, &result);
    demand(result.level >= 0 && result.level <= 1, "a level");
    demand(result.window_failed <= result.window_samples, "a window");
}

/* 0 or not: it was read. */
static int read_and_write(const char *bytes, size_t n) {
    struct snapshot *snapshot = NULL, *again = NULL;
    char why[SNAPSHOT_WHY_SIZE] = "";
    int r = snapshot_decode(bytes, n, &snapshot, why);
    demand(r == 0 || r == -EINVAL || r == -ENOMEM, "a known result");
    demand((r == 0) == (snapshot != NULL), "a snapshot, or none");
    demand((r == -EINVAL) == (*why != '\0'), "a reason, or none");
    if (r < 0) {
        return 0;
    }
    for (size_t i = 0; i < snapshot->n_sites; i++) {
        check_site(&snapshot->sites[i]);
    }
    char *written, *rewritten;
    size_t n_written, n_rewritten;
    demand(snapshot_encode(snapshot, &written, &n_written) == 0, "it can be written");
    demand(snapshot_decode(written, n_written, &again, why) == 0, "and read");
    demand(snapshot_encode(again, &rewritten, &n_rewritten) == 0, "and written once more");
    demand(n_written == n_rewritten && memcmp(written, rewritten, n_written) == 0, "alike");
    free(written);
    free(rewritten);
    snapshot_free(snapshot);
    snapshot_free(again);
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    read_and_write((const char *)bytes, n);
    size_t lines = 0;
    for (size_t i = 0; i < n; i++) {
        lines += bytes[i] == '\n';
    }
    char end[80];
    int length = snprintf(end, sizeof end, "{\"sites\":%zu,\"sum\":\"%016" PRIx64 "\"}\n",
                          lines > 0 ? lines - 1 : 0, hash_bytes(HASH_BEGIN, bytes, n));
    char *whole = malloc(n + (size_t)length);
    demand(whole != NULL, "memory");
    if (n > 0) {
        memcpy(whole, bytes, n);
    }
    memcpy(whole + n, end, (size_t)length);
    read_and_write(whole, n + (size_t)length);
    free(whole);
    return 0;
}
