/* For LD_PRELOAD: a loop stops turning when the test says so. The thread called NAME hangs at its next
 * epoll_wait() once there is a file NAME in the directory of $STALL; the writer in its next write(2)
 * to a file once there is one called "write". */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void hang_if_told(const char *name) {
    const char *directory = getenv("STALL");
    char path[256];
    if (directory != NULL &&
        snprintf(path, sizeof path, "%s/%s", directory, name) < (int)sizeof path &&
        access(path, F_OK) == 0) {
        for (;;) {
            pause();
        }
    }
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout) {
    static int (*next)(int, struct epoll_event *, int, int);
    char name[16] = "";
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "epoll_wait");
    }
    prctl(PR_GET_NAME, name);
    hang_if_told(name);
    return next(fd, events, most, timeout);
}

ssize_t write(int fd, const void *bytes, size_t n) {
    static ssize_t (*next)(int, const void *, size_t);
    struct stat status;
    char name[16] = "";
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "write");
    }
    prctl(PR_GET_NAME, name);
    if (strcmp(name, "writer") == 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        hang_if_told("write");
    }
    return next(fd, bytes, n);
}
