/* A directory for the files of one test; its process is forked, so it is left to the parent of all
 * to be removed: scratch_remove() at the end of main(). */
#pragma once

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_root[64];

static inline void scratch_make(void) {
    snprintf(scratch_root, sizeof scratch_root, "/tmp/tallyd-test-XXXXXX");
    if (mkdtemp(scratch_root) == NULL) {
        perror(scratch_root);
        exit(1);
    }
}

static inline int scratch_unlink(const char *path, const struct stat *status, int type,
                                 struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void scratch_remove(void) {
    nftw(scratch_root, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path in this test's own directory; in static storage, for a few at a time. */
static inline const char *scratch(const char *name) {
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%d", scratch_root, (int)getpid());
    mkdir(path, 0700);
    snprintf(path, sizeof paths[0], "%s/%d/%s", scratch_root, (int)getpid(), name);
    return path;
}

static inline void scratch_write(const char *path, const char *bytes, size_t n) {
    FILE *to = fopen(path, "w");
    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(fwrite(bytes, 1, n, to), n);
    ck_assert_int_eq(fclose(to), 0);
}

/* The caller's to free; a NUL follows. */
static inline char *scratch_read(const char *path, size_t *ret_n) {
    FILE *from = fopen(path, "r");
    ck_assert_msg(from != NULL, "no %s", path);
    struct stat status;
    ck_assert_int_eq(fstat(fileno(from), &status), 0);
    char *bytes = calloc(1, (size_t)status.st_size + 1);
    *ret_n = fread(bytes, 1, (size_t)status.st_size, from);
    ck_assert_int_eq(*ret_n, status.st_size);
    fclose(from);
    return bytes;
}
