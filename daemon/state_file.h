/* The file that keeps what is known of the sites over a restart. All calls may block for as long as
 * the disk likes: they are made before the loops run, or on a thread that nobody waits for. */
#pragma once

#include "config/config.h"
#include "report/snapshot.h"

#include <stddef.h>

struct state_file {
    char *path;
    char *directory;
    char *aside;   /* where the next one is written before it takes the place of the old */
    char *locking; /* the file that is locked in its stead, as it is replaced again and again */
    int lock_fd;   /* -1: not ours */
};

/* Where it is by the configuration and systemd: `state_file`, or state.json in the first directory of
 * $STATE_DIRECTORY. The caller's to free(); NULL with 0: nowhere. -ENOMEM. */
int state_file_path(const struct config *config, char **ret_path);

int state_file_init(struct state_file *file, const char *path); /* 0 or -ENOMEM */
void state_file_clear(struct state_file *file);

/* Makes it ours, as long as the process lives. 0, also when it is; -EWOULDBLOCK: it is another
 * daemon's; -errno. */
int state_file_lock(struct state_file *file);

/* What it holds. One that is damaged, or not to be trusted, is set aside under another name, and one
 * message says so. NULL: there is nothing to go by. */
struct snapshot *state_file_read(const struct state_file *file);

/* Replaces it. 0 or -errno: then the old one is still there, or, if it is only the directory that could
 * not be synced, perhaps. */
int state_file_write(const struct state_file *file, const char *bytes, size_t n);

void state_file_moment(struct snapshot_moment *ret_now);
