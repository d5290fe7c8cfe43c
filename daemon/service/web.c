/* The status server on evhttp, for clients that may be broken or hostile.
 *
 * evhttp has no limit on connections, and its time limits are for each read: whoever sends a byte now and
 * then stays for ever. So each connection is watched here. evhttp lets us make its bufferevent, of which
 * we keep a reference; that one is gone shows in its callbacks, which evhttp takes away when it lets go.
 * One timer looks at all of them, a hundred at the most, as long as there is any:
 *
 *   a request has REQUEST_LIMIT from the connection's first moment to be complete, the answer to it
 *   ANSWER_LIMIT to be read, whatever happens meanwhile; then the connection is cut;
 *   a connection answers one request, then it is closed;
 *   where CONNECTIONS_MOST are open, the one that has waited longest for a request is cut for the new
 *   one (or, if all are being answered, the one that is nearest to its limit), so that a client that asks
 *   at once is served while others sit idle; where cutting is not quick enough, none is accepted for a
 *   moment. So descriptors never exceed four times that number: as many again may be on their way out,
 *   and those that were let go are closed by libevent a turn later.
 *
 * What is read ahead is bounded by a watermark, also while an answer is written; a head by evhttp. A body
 * is written in pieces, each when the one before has gone.
 *
 * What is no HTTP, or too long, is answered by evhttp itself: 400 or 413 and a fixed page. */
#include "service/web.h"

#include "base/clock.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MOST = 100,
    SLOTS = 2 * CONNECTIONS_MOST, /* those that are being cut included */
    HEAD_BYTES_MOST = 8 << 10,
    AHEAD_BYTES_MOST = 2 * HEAD_BYTES_MOST,
    PIECE_BYTES = 64 << 10,
    BACKLOG = 1024, /* a flood of connections should not cost others a second try of theirs */
    SOCKET_MODE = 0660,
};
#define REQUEST_LIMIT (5 * NSEC_PER_SEC)
#define ANSWER_LIMIT  (10 * NSEC_PER_SEC)
#define LOOK_EVERY    (100 * NSEC_PER_MSEC)
#define ROOM_SOON     NSEC_PER_MSEC
#define LOOK_IDLE     (3600 * NSEC_PER_SEC) /* there is nothing to look at */
#define ACCEPT_AGAIN  NSEC_PER_SEC

/* For what is no page: nothing in it may do anything, or be shown inside another. */
static const char strict_policy[] = "default-src 'none'; frame-ancestors 'none'";

struct connection {
    struct web *web;
    struct bufferevent *bufferevent;  /* a reference; NULL: the slot is free */
    struct evhttp_connection *evhttp; /* NULL: no request yet */
    nsec_t limit;
    bool cut;
    struct evhttp_request *request; /* while there is more of its answer; else evhttp's alone */
    struct web_answer answer;
};

struct web_socket {
    struct endpoint endpoint;
    int fd;
    struct web_file file;
};

struct web {
    struct event_base *base;
    struct evhttp *http;
    web_on_request *on_request;
    void *arg;
    struct web_socket *socket; /* NULL: serves nobody */
    struct evhttp_bound_socket *bound;
    bool paused; /* accepts none for now */
    nsec_t paused_until;
    bool accept_failing; /* and has been said */
    struct event *look;  /* at all connections, every LOOK_EVERY; always pending: find_web() */
    struct connection connections[SLOTS];
};

/* ---- connections ---- */

static void end_answer(struct connection *connection) {
    if (connection->answer.body_free != NULL) {
        connection->answer.body_free(connection->answer.body);
    }
    connection->answer = (struct web_answer){0};
}

static void release(struct connection *connection) {
    end_answer(connection);
    bufferevent_decref(connection->bufferevent);
    *connection = (struct connection){.web = connection->web};
}

/* evhttp lets go of a connection that had a request. */
static void on_closed(struct evhttp_connection *evhttp, void *arg) {
    struct connection *connection = arg;
    (void)evhttp;
    struct evhttp_request *request = connection->request;
    if (request != NULL && evhttp_request_get_connection(request) == NULL) {
        evhttp_request_free(request); /* the client has gone, and evhttp left it to us */
    }
    release(connection);
}

static bool is_gone(const struct connection *connection) {
    bufferevent_event_cb on_event;
    bufferevent_getcb(connection->bufferevent, NULL, NULL, &on_event, NULL);
    return on_event == NULL;
}

static void cut(struct connection *connection) {
    connection->cut = true;
    if (connection->evhttp != NULL) {
        evhttp_connection_free(connection->evhttp); /* on_closed() */
        return;
    }
    /* it is evhttp's alone, which will read its end, and let go */
    bufferevent_setwatermark(connection->bufferevent, EV_READ, 0, 0);
    shutdown(bufferevent_getfd(connection->bufferevent), SHUT_RDWR);
}

/* Lets go of what is over, cuts what is due. How many are left, and how many of them are not cut. */
static unsigned look_at_all(struct web *web, nsec_t now, unsigned *ret_open) {
    unsigned used = 0;
    *ret_open = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct connection *connection = &web->connections[i];
        if (connection->bufferevent == NULL) {
            continue;
        }
        if (is_gone(connection)) {
            release(connection);
        } else if (!connection->cut && now >= connection->limit) {
            cut(connection);
        }
        used += connection->bufferevent != NULL;
        *ret_open += connection->bufferevent != NULL && !connection->cut;
    }
    return used;
}

/* The one to be cut for another. */
static struct connection *least_worth(struct web *web) {
    struct connection *least = NULL;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct connection *connection = &web->connections[i];
        if (connection->bufferevent == NULL || connection->cut) {
            continue;
        }
        bool asked = connection->evhttp != NULL;
        if (least == NULL || (least->evhttp != NULL) > asked ||
            ((least->evhttp != NULL) == asked && connection->limit < least->limit)) {
            least = connection;
        }
    }
    return least;
}

static void pause_accepting(struct web *web, nsec_t until) {
    if (!web->paused && web->bound != NULL) {
        evconnlistener_disable(evhttp_bound_socket_get_listener(web->bound));
    }
    web->paused = true;
    web->paused_until = until;
}

static void look_again(struct web *web, nsec_t in) {
    struct timeval delay = loop_timeval(in);
    event_add(web->look,
              &delay); /* cannot fail for memory: the timer was made, the heap has room */
}

static void on_look(evutil_socket_t fd, short what, void *arg) {
    struct web *web = arg;
    (void)fd;
    (void)what;
    unsigned open;
    nsec_t now = clock_now();
    unsigned used = look_at_all(web, now, &open);
    if (web->paused && used < SLOTS - 1 && now >= web->paused_until) {
        web->paused = false;
        if (web->bound != NULL) {
            evconnlistener_enable(evhttp_bound_socket_get_listener(web->bound));
        }
    }
    if (web->paused && now >= web->paused_until) {
        look_again(web, ROOM_SOON); /* those that were cut go within a turn or two */
    } else {
        look_again(web, used > 0 || web->paused ? LOOK_EVERY : LOOK_IDLE);
    }
}

/* evhttp has accepted a connection. */
static struct bufferevent *on_connection(struct event_base *base, void *arg) {
    struct web *web = arg;
    unsigned open, i = 0;
    nsec_t now = clock_now();
    web->accept_failing = false;
    unsigned used = look_at_all(web, now, &open);
    if (open >= CONNECTIONS_MOST) {
        cut(least_worth(web));
    }
    while (i < SLOTS && web->connections[i].bufferevent != NULL) {
        i++;
    }
    assert(i < SLOTS); /* or accepting was paused */
    struct connection *connection = &web->connections[i];
    struct bufferevent *bufferevent = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (bufferevent == NULL) {
        return NULL; /* evhttp tries it, and will fail as well */
    }
    bufferevent_setwatermark(bufferevent, EV_READ, 0, AHEAD_BYTES_MOST);
    bufferevent_incref(bufferevent);
    *connection = (struct connection){
        .web = web,
        .bufferevent = bufferevent,
        .limit = now + REQUEST_LIMIT,
    };
    if (used + 1 >= SLOTS - 1) {
        pause_accepting(web, now);
        look_again(web, 0); /* once evhttp has seen those that were cut */
    } else if (used == 0) {
        look_again(web, LOOK_EVERY);
    }
    return bufferevent;
}

struct sought {
    const struct evconnlistener *listener;
    struct web *web; /* whose it is */
};

static int find_web(const struct event_base *base, const struct event *event, void *arg) {
    struct sought *sought = arg;
    (void)base;
    if (event_get_callback(event) != on_look) {
        return 0;
    }
    struct web *web = event_get_callback_arg(event);
    if (web->bound != NULL && evhttp_bound_socket_get_listener(web->bound) == sought->listener) {
        sought->web = web;
        return 1;
    }
    return 0;
}

/* A listener has one argument for all its callbacks, and evhttp_bind_listener() made that evhttp's own,
 * from which no way leads to us. But among the events of the base is ours. */
static void on_accept_error(struct evconnlistener *listener, void *evhttp) {
    int error = errno;
    struct sought sought = {.listener = listener};
    (void)evhttp;
    event_base_foreach_event(evconnlistener_get_base(listener), find_web, &sought);
    struct web *web = sought.web;
    if (web == NULL) {
        return;
    }
    if (!web->accept_failing) {
        log_warning("status: a connection cannot be accepted: %s", strerror(error));
        web->accept_failing = true;
    }
    pause_accepting(web, clock_now() + ACCEPT_AGAIN); /* or it would be tried all the time */
    look_again(web, LOOK_EVERY);
}

/* ---- answers ---- */

static void free_piece(const void *bytes, size_t n, void *arg) {
    (void)bytes;
    (void)n;
    free(arg);
}

/* The next piece into `buffer`; whether there is more. -ENOMEM. */
static int write_piece(struct web_answer *answer, struct evbuffer *buffer) {
    char *bytes = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&bytes, &n);
    if (to == NULL) {
        return -ENOMEM;
    }
    bool more, whole;
    do {
        more = answer->body_write(answer->body, to);
    } while (more && ftell(to) < PIECE_BYTES && !ferror(to));
    whole = ferror(to) == 0;
    if (fclose(to) != 0 || !whole ||
        evbuffer_add_reference(buffer, bytes, n, free_piece, bytes) != 0) {
        free(bytes);
        return -ENOMEM;
    }
    return more ? 1 : 0;
}

static void on_written(struct evhttp_connection *evhttp, void *arg);

static void send_more(struct connection *connection) {
    struct evhttp_request *request = connection->request;
    struct evbuffer *buffer = evbuffer_new();
    int more = buffer == NULL ? -ENOMEM : write_piece(&connection->answer, buffer);
    if (more >= 0 && evbuffer_get_length(buffer) > 0) {
        evhttp_send_reply_chunk_with_cb(request, buffer, on_written, connection);
    }
    if (buffer != NULL) {
        evbuffer_free(buffer);
    }
    if (more < 0) {
        cut(connection); /* half an answer must not look like a whole one */
    } else if (more == 0) {
        end_answer(connection);
        connection->request = NULL;
        evhttp_send_reply_end(request);
    }
}

static void on_written(struct evhttp_connection *evhttp, void *arg) {
    struct connection *connection = arg;
    (void)evhttp;
    send_more(connection);
}

static bool write_text(void *body, FILE *to);

/* Sets the head and sends what it can; `with_body` is false for HEAD. */
static void send_answer(struct connection *connection, struct evhttp_request *request,
                        bool with_body) {
    struct web_answer *answer = &connection->answer;
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    const struct {
        const char *name, *value;
    } all[] = {
        {"Content-Type", answer->type},
        {"Content-Security-Policy", answer->policy != NULL ? answer->policy : strict_policy},
        {"X-Content-Type-Options", "nosniff"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Referrer-Policy", "no-referrer"},
        {"Cache-Control", "no-store"},
        {"Allow", answer->status == HTTP_BADMETHOD ? "GET, HEAD" : NULL},
        {"Connection", "close"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].value != NULL && evhttp_add_header(headers, all[i].name, all[i].value) != 0) {
            cut(connection);
            return;
        }
    }
    if (!with_body || answer->body_write == NULL) {
        int status = (int)answer->status;
        end_answer(connection);
        evhttp_send_reply(request, status, NULL, NULL);
        return;
    }
    connection->request = request;
    evhttp_send_reply_start(request, (int)answer->status, NULL);
    send_more(connection);
}

struct text {
    size_t n, written;
    char *bytes;
};

static bool write_text(void *body, FILE *to) {
    struct text *text = body;
    size_t n = text->n - text->written;
    n = n > PIECE_BYTES ? PIECE_BYTES : n;
    fwrite(text->bytes + text->written, 1, n, to);
    text->written += n;
    return text->written < text->n;
}

static void free_text(void *body) {
    struct text *text = body;
    free(text->bytes);
    free(text);
}

bool web_answer_text(struct web_answer *answer, unsigned status, const char *type, char *bytes) {
    struct text *text = bytes != NULL ? malloc(sizeof *text) : NULL;
    if (text == NULL) {
        free(bytes);
        *answer = (struct web_answer){.status = HTTP_SERVUNAVAIL, .type = "text/plain"};
        return false;
    }
    *text = (struct text){.n = strlen(bytes), .bytes = bytes};
    *answer = (struct web_answer){
        .status = status,
        .type = type,
        .body_write = write_text,
        .body_free = free_text,
        .body = text,
    };
    return true;
}

/* ---- requests ---- */

static void refuse(struct web_answer *answer, unsigned status, const char *why) {
    web_answer_text(answer, status, "text/plain; charset=utf-8", strdup(why));
}

char *web_query_value(const char *query, const char *name) {
    struct evkeyvalq pairs;
    char *copy = NULL;
    if (evhttp_parse_query_str(query, &pairs) == 0) {
        const char *value = evhttp_find_header(&pairs, name);
        copy = value != NULL ? strdup(value) : NULL;
        evhttp_clear_headers(&pairs);
    }
    return copy;
}

/* Whether whoever asks means us, and not a name that somebody has lead here. */
static bool is_for_us(const struct web *web, struct evhttp_request *request) {
    const struct endpoint *endpoint = &web->socket->endpoint;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *host = evhttp_find_header(evhttp_request_get_input_headers(request), "Host");
    if (endpoint->port == 0) {
        return true; /* no browser comes by a unix socket */
    }
    return evhttp_uri_get_host(uri) == NULL && (host == NULL || endpoint_is_named(endpoint, host));
}

static void answer_request(struct web *web, struct evhttp_request *request,
                           struct web_answer *ret_answer) {
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    enum evhttp_cmd_type command = evhttp_request_get_command(request);
    const char *path = evhttp_uri_get_path(uri), *query = evhttp_uri_get_query(uri);
    if (command != EVHTTP_REQ_GET && command != EVHTTP_REQ_HEAD) {
        refuse(ret_answer, HTTP_BADMETHOD, "Here is only GET and HEAD.\n");
        return;
    }
    if (web->socket == NULL) {
        refuse(ret_answer, HTTP_SERVUNAVAIL, "It is served elsewhere by now.\n");
        return;
    }
    if (!is_for_us(web, request)) {
        refuse(ret_answer, 421, "Ask for it as localhost, 127.0.0.1 or [::1], with the port.\n");
        return;
    }
    size_t n = 0;
    char *decoded = path != NULL ? evhttp_uridecode(path, 0, &n) : NULL;
    if (decoded == NULL || *decoded != '/' || strlen(decoded) != n) {
        refuse(ret_answer, HTTP_BADREQUEST, "That is no path.\n");
    } else {
        struct web_request asked = {.path = decoded, .query = query != NULL ? query : ""};
        web->on_request(&asked, ret_answer, web->arg);
        if (ret_answer->status == 0) {
            refuse(ret_answer, HTTP_NOTFOUND, "There is no such page.\n");
        }
    }
    free(decoded);
}

static void on_request(struct evhttp_request *request, void *arg) {
    struct web *web = arg;
    struct evhttp_connection *evhttp = evhttp_request_get_connection(request);
    struct bufferevent *bufferevent = evhttp_connection_get_bufferevent(evhttp);
    unsigned i = 0;
    while (i < SLOTS && web->connections[i].bufferevent != bufferevent) {
        i++;
    }
    if (i == SLOTS) { /* made without memory for a slot of ours */
        evhttp_connection_free(evhttp);
        return;
    }
    struct connection *connection = &web->connections[i];
    connection->evhttp = evhttp;
    connection->limit = clock_now() + ANSWER_LIMIT;
    evhttp_connection_set_closecb(evhttp, on_closed, connection);
    answer_request(web, request, &connection->answer);
    send_answer(connection, request, evhttp_request_get_command(request) != EVHTTP_REQ_HEAD);
}

/* ---- sockets ---- */

static char *sentence(const char *listen, const char *what) {
    char *text;
    return asprintf(&text, "status: %s %s", listen, what) < 0 ? NULL : text;
}

/* What stands where the socket is to be: nothing, or one that nobody listens on any more. 0, or -errno
 * with *ret_what. */
static int clear_the_way(const struct endpoint *endpoint, const char **ret_what) {
    struct stat there;
    const char *path = endpoint->address.local.sun_path;
    if (lstat(path, &there) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(there.st_mode)) {
        *ret_what = "is there, and is no socket";
        return -EEXIST;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    int r = connect(fd, &endpoint->address.any, endpoint->size) == 0 ? 0 : errno;
    close(fd);
    if (r != ECONNREFUSED) {
        *ret_what = "is in use: another tallyd, or another program, listens there";
        return -EADDRINUSE;
    }
    return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

static int open_socket(struct web_socket *socket_, const char **ret_what) {
    const struct endpoint *endpoint = &socket_->endpoint;
    bool local = endpoint->port == 0;
    int yes = 1, r = local ? clear_the_way(endpoint, ret_what) : 0;
    if (r != 0) {
        return r;
    }
    int fd = socket(endpoint->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socket_->fd = fd;
    if (fd < 0 || (!local && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0)) {
        return -errno;
    }
    /* until listen() nobody can connect, whatever its mode was at first */
    if (bind(fd, &endpoint->address.any, endpoint->size) != 0) {
        return -errno;
    }
    struct stat made;
    if (local) {
        const char *path = endpoint->address.local.sun_path;
        if (chmod(path, SOCKET_MODE) != 0 || lstat(path, &made) != 0) {
            return -errno;
        }
        socket_->file = (struct web_file){.device = made.st_dev, .inode = made.st_ino};
    }
    return listen(fd, BACKLOG) == 0 ? 0 : -errno;
}

int web_socket_open(const char *listen, struct web_socket **ret_socket, char **ret_why) {
    struct web_socket *socket = calloc(1, sizeof *socket);
    *ret_why = NULL;
    if (socket == NULL) {
        return -ENOMEM;
    }
    socket->fd = -1;
    const char *what = endpoint_parse(listen, &socket->endpoint);
    int r = what != NULL ? -EINVAL : open_socket(socket, &what);
    if (r != 0) {
        char cannot[128];
        snprintf(cannot, sizeof cannot, "cannot be listened on: %s", strerror(-r));
        *ret_why = sentence(listen, what != NULL ? what : cannot);
        web_socket_free(socket);
        return r;
    }
    *ret_socket = socket;
    return 0;
}

struct web_file web_socket_file(const struct web_socket *socket) {
    return socket->file;
}

static bool is_at(const struct web_file *file, const struct endpoint *endpoint) {
    struct stat there;
    return lstat(endpoint->address.local.sun_path, &there) == 0 && there.st_ino == file->inode &&
           there.st_dev == file->device;
}

bool web_file_is_at(const struct web_file *file, const char *listen) {
    struct endpoint endpoint;
    return file->inode == 0 ||
           (endpoint_parse(listen, &endpoint) == NULL && is_at(file, &endpoint));
}

void web_socket_free(struct web_socket *socket) {
    if (socket == NULL) {
        return;
    }
    if (socket->file.inode != 0 && is_at(&socket->file, &socket->endpoint)) {
        unlink(socket->endpoint.address.local.sun_path);
    }
    if (socket->fd >= 0) {
        close(socket->fd);
    }
    free(socket);
}

/* ---- all ---- */

static void stop_listening(struct web *web) {
    if (web->bound != NULL) {
        evhttp_del_accept_socket(web->http, web->bound);
        web->bound = NULL;
    }
    web_socket_free(web->socket);
    web->socket = NULL;
}

int web_listen(struct web *web, struct web_socket *socket) {
    struct evhttp_bound_socket *bound = NULL;
    if (socket != NULL) {
        struct evconnlistener *listener = evconnlistener_new(
            web->base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0 /* it listens */, socket->fd);
        bound = listener != NULL ? evhttp_bind_listener(web->http, listener) : NULL;
        if (bound == NULL) {
            if (listener != NULL) {
                evconnlistener_free(listener);
            }
            web_socket_free(socket);
            return -ENOMEM;
        }
        evconnlistener_set_error_cb(listener, on_accept_error);
    }
    stop_listening(web);
    web->socket = socket;
    web->bound = bound;
    if (web->paused && bound != NULL) {
        evconnlistener_disable(evhttp_bound_socket_get_listener(bound));
    }
    return 0;
}

int web_new(struct event_base *base, web_on_request *on_request_, void *arg, struct web **ret_web) {
    struct web *web = calloc(1, sizeof *web);
    if (web == NULL) {
        return -ENOMEM;
    }
    web->base = base;
    web->on_request = on_request_;
    web->arg = arg;
    web->look = evtimer_new(base, on_look, web);
    web->http = evhttp_new(base);
    if (web->look == NULL || web->http == NULL) {
        web_free(web);
        return -ENOMEM;
    }
    look_again(web, LOOK_IDLE);
    evhttp_set_max_headers_size(web->http, HEAD_BYTES_MOST);
    evhttp_set_max_body_size(web->http, 0);
    evhttp_set_allowed_methods(web->http, UINT16_MAX); /* to be refused with the right words */
    evhttp_set_bevcb(web->http, on_connection, web);
    evhttp_set_gencb(web->http, on_request, web);
    *ret_web = web;
    return 0;
}

void web_free(struct web *web) {
    if (web == NULL) {
        return;
    }
    stop_listening(web);
    if (web->http != NULL) {
        evhttp_free(web->http); /* ends the connections */
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (web->connections[i].bufferevent != NULL) {
            release(&web->connections[i]);
        }
    }
    if (web->look != NULL) {
        event_free(web->look);
    }
    free(web);
}
