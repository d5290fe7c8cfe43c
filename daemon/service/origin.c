#include "service/origin.h"

#include "base/loop.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BAD_EVERY = 20, SERVERS = 4 };

struct origin {
    struct loop *loop;
    struct evhttp *http;
    struct evconnlistener *early;
    int refused_fd; /* bound, never listening */
    uint16_t port, refused_port, early_port;
    unsigned asked; /* for /one-in-twenty */
};

static uint16_t port_of(int fd) {
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    return getsockname(fd, (struct sockaddr *)&at, &size) == 0 ? ntohs(at.sin_port) : 0;
}

static void reply(struct evhttp_request *request, int status, const char *reason) {
    struct evbuffer *body = evbuffer_new();
    if (body != NULL) {
        evbuffer_add_printf(body, "%d %s\n", status, reason);
    }
    evhttp_send_reply(request, status, reason, body);
    if (body != NULL) {
        evbuffer_free(body);
    }
}

static void on_ok(struct evhttp_request *request, void *arg) {
    (void)arg;
    reply(request, 200, "OK");
}

/* As if from a farm, whose servers take turns and of which the last fails now and then. */
static void on_one_in_twenty(struct evhttp_request *request, void *arg) {
    struct origin *origin = arg;
    char name[32];
    snprintf(name, sizeof name, "web-%u", origin->asked % SERVERS + 1);
    evhttp_add_header(evhttp_request_get_output_headers(request), "X-Served-By", name);
    if (++origin->asked % BAD_EVERY == 0) {
        reply(request, 503, "Service Unavailable");
    } else {
        reply(request, 200, "OK");
    }
}

/* An answer that is due later; forgotten when its client goes first. */
struct later {
    struct event *due;
    struct evhttp_request *request;
};

static void later_free(struct later *later) {
    event_free(later->due);
    free(later);
}

static void on_client_gone(struct evhttp_connection *connection, void *arg) {
    (void)connection;
    later_free(arg);
}

static void on_later(evutil_socket_t fd, short what, void *arg) {
    struct later *later = arg;
    (void)fd;
    (void)what;
    struct evhttp_request *request = later->request;
    evhttp_connection_set_closecb(evhttp_request_get_connection(request), NULL, NULL);
    later_free(later);
    reply(request, 200, "OK");
}

static void on_slow(struct evhttp_request *request, void *arg) {
    struct origin *origin = arg;
    struct later *later = calloc(1, sizeof *later);
    struct timeval delay = loop_timeval(150 * NSEC_PER_MSEC);
    if (later != NULL) {
        later->request = request;
        later->due = event_new(loop_base(origin->loop), -1, 0, on_later, later);
    }
    if (later == NULL || later->due == NULL || event_add(later->due, &delay) != 0) {
        free(later);
        reply(request, 500, "Out of Memory");
        return;
    }
    evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_client_gone, later);
}

static void on_early_read(struct bufferevent *client, void *arg) {
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this much";
    (void)arg;
    int fd = bufferevent_getfd(client);
    evbuffer_drain(bufferevent_get_input(client), SIZE_MAX);
    /* fits an empty socket buffer; a client that has gone sees nothing anyway */
    ssize_t n = send(fd, half, sizeof half - 1, MSG_NOSIGNAL);
    (void)n;
    bufferevent_free(client);
}

static void on_early_event(struct bufferevent *client, short what, void *arg) {
    (void)what;
    (void)arg;
    bufferevent_free(client);
}

static void on_early_client(struct evconnlistener *listener, evutil_socket_t fd,
                            struct sockaddr *address, int size, void *arg) {
    (void)address;
    (void)size;
    (void)arg;
    struct bufferevent *client =
        bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
    if (client == NULL) {
        close(fd);
        return;
    }
    bufferevent_setcb(client, on_early_read, NULL, on_early_event, NULL);
    bufferevent_enable(client, EV_READ);
}

static int start_http(struct origin *origin) {
    origin->http = evhttp_new(loop_base(origin->loop));
    if (origin->http == NULL || evhttp_set_cb(origin->http, "/ok", on_ok, origin) != 0 ||
        evhttp_set_cb(origin->http, "/one-in-twenty", on_one_in_twenty, origin) != 0 ||
        evhttp_set_cb(origin->http, "/slow", on_slow, origin) != 0) {
        return -ENOMEM;
    }
    struct evhttp_bound_socket *socket =
        evhttp_bind_socket_with_handle(origin->http, "127.0.0.1", 0);
    if (socket == NULL) {
        return errno != 0 ? -errno : -EADDRINUSE;
    }
    origin->port = port_of(evhttp_bound_socket_get_fd(socket));
    return 0;
}

static int start_early(struct origin *origin) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    origin->early = evconnlistener_new_bind(loop_base(origin->loop), on_early_client, origin,
                                            LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 64,
                                            (struct sockaddr *)&any, sizeof any);
    if (origin->early == NULL) {
        return errno != 0 ? -errno : -ENOMEM;
    }
    origin->early_port = port_of(evconnlistener_get_fd(origin->early));
    return 0;
}

static int hold_refused(struct origin *origin) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    origin->refused_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (origin->refused_fd < 0 ||
        bind(origin->refused_fd, (struct sockaddr *)&any, sizeof any) != 0) {
        return -errno;
    }
    origin->refused_port = port_of(origin->refused_fd);
    return 0;
}

int origin_start(struct origin **ret_origin) {
    struct origin *origin = calloc(1, sizeof *origin);
    if (origin == NULL) {
        return -ENOMEM;
    }
    origin->refused_fd = -1;
    int r = loop_new("origin", origin, &origin->loop);
    if (r == 0) {
        r = start_http(origin);
    }
    if (r == 0) {
        r = start_early(origin);
    }
    if (r == 0) {
        r = hold_refused(origin);
    }
    if (r == 0) {
        r = loop_start(origin->loop);
    }
    if (r != 0) {
        origin_stop(origin);
        return r;
    }
    *ret_origin = origin;
    return 0;
}

void origin_stop(struct origin *origin) {
    if (origin == NULL) {
        return;
    }
    if (origin->loop != NULL) {
        loop_stop(origin->loop);
        loop_join(origin->loop);
    }
    if (origin->early != NULL) {
        evconnlistener_free(origin->early);
    }
    if (origin->http != NULL) {
        evhttp_free(origin->http);
    }
    if (origin->refused_fd >= 0) {
        close(origin->refused_fd);
    }
    loop_free(origin->loop);
    free(origin);
}

uint16_t origin_port(const struct origin *origin) {
    return origin->port;
}

uint16_t origin_refused_port(const struct origin *origin) {
    return origin->refused_port;
}

uint16_t origin_early_port(const struct origin *origin) {
    return origin->early_port;
}
