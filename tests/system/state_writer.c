/* Writes and reads state files through the real code, for tests that kill it.
 *
 *   state_writer PATH write    replaces the file again and again, until it is killed
 *   state_writer PATH read     prints of how many sites it knows; without a usable one fails
 *
 * A file has 2,000 sites, about 700 KB. */
#include "report/snapshot.h"
#include "state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SITES = 2000, NAME_BYTES = 32 };

static int write_for_ever(struct state_file *file) {
    struct snapshot *snapshot = snapshot_new();
    struct verdict_past_cell cells[] = {{0, 20, 1}, {12, 20, 0}, {24, 20, 20}};
    char *bytes, (*names)[NAME_BYTES] = calloc(SITES, sizeof *names);
    size_t n;
    if (snapshot == NULL || names == NULL) {
        return 3;
    }
    snapshot->sites = arena_take_array(&snapshot->arena, SITES, sizeof *snapshot->sites);
    if (snapshot->sites == NULL) {
        return 3;
    }
    for (; snapshot->n_sites < SITES; snapshot->n_sites++) {
        char *name = names[snapshot->n_sites];
        snprintf(name, NAME_BYTES, "site%zu", snapshot->n_sites);
        snapshot->sites[snapshot->n_sites] = (struct snapshot_site){
            .name = name,
            .interval = 60 * NSEC_PER_SEC,
            .verdict = {.state = STATE_DEGRADED, .level = 150, .cells = cells, .n_cells = 3},
        };
    }
    if (snapshot_encode(snapshot, &bytes, &n) < 0) {
        return 3;
    }
    int r;
    do {
        r = state_file_write(file, bytes, n);
    } while (r == 0);
    fprintf(stderr, "%s\n", strerror(-r));
    return 3;
}

static int read_once(const struct state_file *file) {
    struct snapshot *snapshot = state_file_read(file);
    if (snapshot == NULL) {
        return 1;
    }
    printf("%zu\n", snapshot->n_sites);
    snapshot_free(snapshot);
    return 0;
}

int main(int argc, char **argv) {
    struct state_file file;
    if (argc != 3) {
        fputs("usage: state_writer PATH write|read\n", stderr);
        return 2;
    }
    if (state_file_init(&file, argv[1]) < 0 || state_file_lock(&file) < 0) {
        return 3;
    }
    int status = strcmp(argv[2], "write") == 0 ? write_for_ever(&file) : read_once(&file);
    state_file_clear(&file);
    return status;
}
