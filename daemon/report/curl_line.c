/* The line does what request.c does, option by option; a difference between the two is a mistake of
 * one of them.
 *
 * Quoting. A word that is not plain is written in pieces: printable text in single quotes; bytes that
 * may not stand in a record (controls, bidi marks, what is not UTF-8) by printf, in octal. "$(…)"
 * drops line ends at the end of its output, so no argument can end in one, nor hold a NUL. A body
 * that is not printable as it is goes in by stdin.
 *
 * Secrets are "$(cat FILE)": whoever may read the file can paste the line, nobody else learns
 * anything from it. */
#include "report/curl_line.h"

#include "base/text.h"
#include "config/asked.h"
#include "probe/probe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
    FILE *to;
    int error; /* the first */
};

/* ---- words of a shell ---- */

static void put(struct line *line, const char *text) {
    fputs(text, line->to);
}

/* Printable text in single quotes. */
static void put_quoted(struct line *line, const char *text, size_t n) {
    fputc('\'', line->to);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\'') {
            put(line, "'\\''");
        } else {
            fputc(text[i], line->to);
        }
    }
    fputc('\'', line->to);
}

static size_t put_octal(struct line *line, const char *byte) {
    fprintf(line->to, "\\%03o", (unsigned)(unsigned char)*byte);
    return 1;
}

static void put_pieces(struct line *line, const char *bytes, size_t n) {
    if (n > 0 && bytes[n - 1] == '\n') {
        line->error = -EINVAL;
        return;
    }
    if (n == 0) {
        put(line, "''");
    }
    for (size_t i = 0; i < n;) {
        size_t safe = text_safe_length(bytes + i, n - i);
        if (safe > 0) {
            put_quoted(line, bytes + i, safe);
            i += safe;
            continue;
        }
        put(line, "\"$(printf '");
        do {
            i += put_octal(line, bytes + i);
        } while (i < n && (bytes[i - 1] == '\n' || text_safe_length(bytes + i, n - i) == 0));
        put(line, "')\"");
    }
}

static void put_word(struct line *line, const char *text) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "._:/@%+,=-";
    /* zsh looks a word that begins with = up as a command */
    if (*text != '\0' && *text != '=' && text[strspn(text, plain)] == '\0') {
        put(line, text);
    } else {
        put_pieces(line, text, strlen(text));
    }
}

static void put_option(struct line *line, const char *option, const char *value) {
    fprintf(line->to, " %s ", option);
    put_word(line, value);
}

/* An option whose value is made of two texts. */
static void put_option_of(struct line *line, const char *option, const char *a, const char *b) {
    char *value;
    if (asprintf(&value, "%s%s", a, b) < 0) {
        line->error = -ENOMEM;
        return;
    }
    put_option(line, option, value);
    free(value);
}

/* An option whose value is a text, perhaps none, and then a secret. */
static void put_option_secret(struct line *line, const char *option, const char *a, const char *b,
                              const struct secret *secret) {
    if (*a != '\0') {
        put_option_of(line, option, a, b);
    } else {
        fprintf(line->to, " %s ", option);
    }
    put(line, "\"$(cat ");
    put_word(line, secret->path);
    put(line, ")\"");
}

/* ---- the parts of a request ---- */

static void put_limit(struct line *line, nsec_t timeout) {
    nsec_t msec = (timeout + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC; /* 0 would be no limit at all */
    char text[32];
    int n = snprintf(text, sizeof text, "%" PRId64 ".%03" PRId64, msec / 1000, msec % 1000);
    while (text[n - 1] == '0') {
        text[--n] = '\0';
    }
    if (text[n - 1] == '.') {
        text[n - 1] = '\0';
    }
    put_option(line, "--max-time", text);
}

static void put_place(struct line *line, const char *option, const char *before, const char *host,
                      uint16_t port) {
    char *place;
    bool v6 = strchr(host, ':') != NULL;
    if (asprintf(&place, v6 ? "%s[%s]:%u" : "%s%s:%u", before, host, port) < 0) {
        line->error = -ENOMEM;
        return;
    }
    put_option(line, option, place);
    free(place);
}

/* To the address that was sampled, and to no other. */
static void put_route(struct line *line, const struct site *site, const char *address) {
    bool proxied = site->request.proxy != NULL;
    put_option(line, "--noproxy", proxied ? "" : "*");
    if (proxied) {
        put_place(line, "--suppress-connect-headers --proxy", "http://", address, probe_port(site));
        if (asked_is_renamed(site)) { /* the tunnel leads to the host, not to that name */
            put_place(line, "--connect-to", "::", site->url.host, site->url.port);
        }
    } else if (!site->url.literal || site->connect_host != NULL || site->connect_port != 0 ||
               asked_is_renamed(site)) { /* else the URL says it */
        put_place(line, "--connect-to", "::", address, probe_port(site));
    }
}

/* curl takes what follows a colon for the key's password. */
static void put_certificate(struct line *line, const char *path) {
    char *escaped = malloc(2 * strlen(path) + 1);
    if (escaped == NULL) {
        line->error = -ENOMEM;
        return;
    }
    char *end = escaped;
    for (; *path != '\0'; path++) {
        if (*path == ':' || *path == '\\') {
            *end++ = '\\';
        }
        *end++ = *path;
    }
    *end = '\0';
    put_option(line, "--cert", escaped);
    free(escaped);
}

static void put_tls(struct line *line, const struct config *config, const struct site *site) {
    static const char *const versions[] = {
        [TLS_VERSION_1_0] = " --tlsv1.0",
        [TLS_VERSION_1_1] = " --tlsv1.1",
        [TLS_VERSION_1_2] = " --tlsv1.2",
        [TLS_VERSION_1_3] = " --tlsv1.3",
    };
    const struct tls_config *tls = &site->tls;
    const char *ca = tls->ca != NULL ? tls->ca : config->ca_file;
    put(line, versions[tls->min_version]);
    if (tls->min_version < TLS_VERSION_1_2) {
        put(line, " --ciphers DEFAULT@SECLEVEL=0"); /* as http.c sets it for these */
    }
    if (!tls->verify) {
        put(line, " --insecure");
    } else if (ca != NULL) {
        put_option(line, "--cacert", ca);
        put(line, " --capath /dev/null"); /* else curl trusts the system's directory as well */
    }
    if (tls->cert != NULL) {
        put_certificate(line, tls->cert);
        put_option(line, "--key", tls->key);
    }
}

static void put_headers(struct line *line, const struct request_config *request) {
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct header *header = &request->headers[i];
        char *name;
        if (asprintf(&name, "%s: ", header->name) < 0) {
            line->error = -ENOMEM;
            return;
        }
        if (header->secret != NULL) {
            put_option_secret(line, "-H", name, "", header->secret);
        } else if (*header->value == '\0') {
            put_option_of(line, "-H", header->name, ";"); /* curl's way to say: empty */
        } else {
            put_option_of(line, "-H", name, header->value);
        }
        free(name);
    }
    if (request->basic_user != NULL) {
        put_option_secret(line, "--user", request->basic_user, ":", request->basic_password);
    }
    if (request->bearer != NULL) {
        put_option_secret(line, "--oauth2-bearer", "", "", request->bearer);
    }
}

/* Whether the body is written in front of the line, to come by stdin. */
static bool comes_by_stdin(const struct request_config *request) {
    return asked_sends_body(request) && request->body != NULL && request->body_path == NULL &&
           !text_is_safe(request->body, request->body_bytes);
}

static void put_stdin(struct line *line, const char *body, size_t n) {
    put(line, "printf '");
    for (size_t i = 0; i < n; i++) {
        char byte = body[i];
        if (byte == '\n') {
            put(line, "\\n");
        } else if (byte == '%') {
            put(line, "%%");
        } else if (byte == '\\') {
            put(line, "\\\\");
        } else if (byte == '\'') {
            put(line, "'\\''");
        } else if (text_safe_length(&byte, 1) == 0 || (i == 0 && byte == '-')) {
            put_octal(line, &byte);
        } else {
            fputc(byte, line->to);
        }
    }
    put(line, "' | ");
}

static void put_body(struct line *line, const struct request_config *request) {
    /* what curl would add by itself */
    put(line, " -H Expect:");
    if (!asked_has_header(request, "Content-Type")) {
        put(line, " -H Content-Type:");
    }
    if (request->body_path != NULL) {
        put_option_of(line, "--data-binary", "@", request->body_path);
    } else if (comes_by_stdin(request)) {
        put(line, " --data-binary @-");
    } else {
        put(line, " --data-raw ");
        put_pieces(line, request->body, request->body_bytes);
    }
}

static void put_message(struct line *line, const struct request_config *request) {
    const char *method = asked_method(request);
    if (strcmp(method, "HEAD") == 0) {
        put(line, " --head"); /* with --request curl would wait for a body */
    } else if (strcmp(method, asked_sends_body(request) ? "POST" : "GET") != 0) {
        put_option(line, "--request", method);
    }
    if (request->compressed) {
        put(line, " --compressed");
    }
    put_headers(line, request);
    if (asked_sends_body(request)) {
        put_body(line, request);
    }
}

/* curl verifies the host of its URL: where another name is to be verified, the URL has that, and the
 * header says whom the request is for. */
static void put_url(struct line *line, const struct site *site) {
    const char *text = site->url.text;
    const char *host = strstr(text, "://") + 3;
    size_t length = strcspn(host, "/?#");
    if (strpbrk(text, "[]{}") != NULL) {
        put(line, " --globoff");
    }
    if (!asked_is_renamed(site)) {
        fputc(' ', line->to);
        put_word(line, text);
        return;
    }
    char *authority = strndup(host, length), *url = NULL;
    if (authority == NULL || asprintf(&url, "%.*s%s:%u%s", (int)(host - text), text,
                                      site->tls.server_name, site->url.port, host + length) < 0) {
        line->error = -ENOMEM;
        free(authority);
        return;
    }
    if (!asked_has_header(&site->request, "Host")) {
        put_option_of(line, "-H", "Host: ", authority);
    }
    fputc(' ', line->to);
    put_word(line, url);
    free(authority);
    free(url);
}

int curl_line(const struct config *config, const struct site *site, const char *address,
              size_t most, char **ret_line) {
    char *text = NULL;
    size_t n = 0;
    struct line line = {.to = open_memstream(&text, &n)};
    if (line.to == NULL) {
        return -ENOMEM;
    }
    if (comes_by_stdin(&site->request)) {
        put_stdin(&line, site->request.body, site->request.body_bytes);
    }
    put(&line, "curl -q -sS -i --http1.1 --proto '=http,https'");
    put_limit(&line, site->timeout);
    put_route(&line, site, address);
    if (site->url.tls) {
        put_tls(&line, config, site);
    }
    put_option(&line, "--user-agent", site->user_agent);
    put_message(&line, &site->request);
    put_url(&line, site);
    bool failed = ferror(line.to) != 0;
    if (fclose(line.to) != 0 || failed || text == NULL) { /* glibc's fclose() does not say */
        line.error = -ENOMEM;
    }
    if (line.error == 0 && (n > most || n > CURL_LINE_BYTES_MOST)) {
        line.error = -E2BIG;
    }
    if (line.error != 0) {
        free(text);
        return line.error;
    }
    *ret_line = text;
    return 0;
}
