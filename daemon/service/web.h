/* The status server: HTTP for whoever is on this machine. It knows nothing of what is served: that is
 * its owner's. All calls but those for sockets are made on the loop that it belongs to. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct event_base;
struct web;

/* A request whose head was read whole: GET, or HEAD, which is answered as GET but for its body. Valid
 * during the call. */
struct web_request {
    const char *path;  /* decoded, begins with '/', no NUL in it; anything else may be */
    const char *query; /* as it was sent, without the '?'; empty: none */
};

/* To be filled in. It comes with all zeros; left so, it becomes 404 with a line of text. */
struct web_answer {
    unsigned status;
    const char *type;   /* Content-Type */
    const char *policy; /* Content-Security-Policy; NULL: default-src 'none' */
    /* The next piece of the body, some ten KiB of it, to `to`; whether there is more. Called again when
     * the client has read what there was, so that a slow one costs no memory; never after `body_free`.
     * An error of `to`, which is memory, is seen by the caller. NULL: no body. */
    bool (*body_write)(void *body, FILE *to);
    void (*body_free)(void *body); /* once, also if nothing was written; NULL: nothing to free */
    void *body;
};

/* The value of that name in a query, decoded: heap. NULL: it has none, or is none, or no memory. */
char *web_query_value(const char *query, const char *name);

typedef void web_on_request(const struct web_request *request, struct web_answer *ret_answer,
                            void *arg);

/* Serves nobody yet. 0 or -ENOMEM. */
int web_new(struct event_base *base, web_on_request *on_request, void *arg, struct web **ret_web);
void web_free(struct web *web); /* ends all connections; NULL does nothing */

/* A socket that listens, made on any thread, so that whoever wants to change it finds out first
 * whether it can be had. */
struct web_socket;
/* `listen` as in base/endpoint.h. 0, or -errno with *ret_why: a sentence (heap; NULL: out of memory). */
int web_socket_open(const char *listen, struct web_socket **ret_socket, char **ret_why);
/* Which file a unix socket is; zeros for an address. */
struct web_file {
    dev_t device;
    ino_t inode;
};
struct web_file web_socket_file(const struct web_socket *socket);
/* Whether who connects to `listen` still comes to that file: nobody removed or replaced it. */
bool web_file_is_at(const struct web_file *file, const char *listen);
/* Closes it, and removes a unix socket from its directory if it is still this one. NULL does nothing. */
void web_socket_free(struct web_socket *socket);

/* Takes the socket over, and lets go the one before; NULL: serves nobody from now on. Connections that
 * are there go on. -ENOMEM: nothing has changed, and the socket is freed. */
int web_listen(struct web *web, struct web_socket *socket);

/* A body that is one text, for `body_write` and `body_free`: takes over `text` (heap). False: out of
 * memory, which is the answer then. `text` may be NULL for that. */
bool web_answer_text(struct web_answer *answer, unsigned status, const char *type, char *text);
