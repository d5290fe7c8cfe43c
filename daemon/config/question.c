/* Some settings belong together (a user and a password), some exclude each other (a bearer and a
 * user), and some say less than an operator may think (a CA file that nothing is checked against).
 * The reader has seen to what stands in one map; what comes about between a site and the defaults
 * is seen here. */
#include "config/question.h"

#include "config/asked.h"
#include "config/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORM(field) offsetof(struct site_form, field)
#define SITE(field) FORM(site.field)

enum {
    NAME_SHOWN_BYTES = 80,
    BODY_LIMIT_BYTES = 16 * 1024,
    BODY_LIMIT_SEARCHED_BYTES = 1024 * 1024, /* where the expectation looks at the body */
};

void question_replace(struct site_form *form, const struct draft_settings *own) {
    for (size_t i = 0; i < own->n; i++) {
        const struct key *key = own->list[i].key;
        if (key->group == KEY_GROUP_BACKEND) {
            form->site.backend = (struct backend_config){0};
        } else if (key->group == KEY_GROUP_LOGIN) { /* bearer */
            form->site.request.basic_user = NULL;
            form->site.request.basic_password = NULL;
        } else if ((key->places & KEY_BASIC) != 0) {
            form->site.request.bearer = NULL;
        }
    }
}

static int settle_body_rules(const struct site_form *form, struct arena *arena,
                             struct expect_config *expect) {
    const struct key_list *lists[] = {&form->body_contains, &form->body_matches,
                                      &form->body_not_matches};
    size_t n = lists[0]->n + lists[1]->n + lists[2]->n;
    if (n == 0) {
        return 0;
    }
    struct rule *rules = arena_take_array(arena, n, sizeof *rules);
    if (rules == NULL) {
        return -ENOMEM;
    }
    expect->body = rules;
    expect->n_body = n;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (lists[i]->n > 0) {
            memcpy(rules, lists[i]->list, lists[i]->n * sizeof *rules);
            rules += lists[i]->n;
        }
    }
    return 0;
}

int question_settle(struct site_form *form, bool body_limit_given, struct arena *arena) {
    struct site *site = &form->site;
    site->request.headers = form->headers.list;
    site->request.n_headers = form->headers.n;
    if (form->body != NULL) {
        site->request.body = form->body->bytes;
        site->request.body_bytes = form->body->n;
        site->request.body_path = form->body->path;
    }
    if (form->connect_to != NULL) {
        site->connect_host = form->connect_to->host;
        site->connect_port = form->connect_to->port;
    }
    site->expect.headers = form->expect_headers.list;
    site->expect.n_headers = form->expect_headers.n;
    int r = settle_body_rules(form, arena, &site->expect);
    if (!body_limit_given) {
        site->body_limit_bytes =
            site->expect.n_body > 0 ? BODY_LIMIT_SEARCHED_BYTES : BODY_LIMIT_BYTES;
    }
    return r;
}

/* ---- what cannot be together ---- */

/* Whether something is still to be said: of a site's own settings always, of the defaults once. */
static bool is_news(bool shared, bool *said) {
    bool news = !shared || !*said;
    *said |= shared;
    return news;
}

/* Two settings that go with each other or that do not; `what` says so, and the hint what to do. */
static void check_pair(struct draft *draft, const struct draft_site *written, size_t field,
                       size_t other, bool *said, const char *what, const char *hint) {
    bool shared;
    struct mark mark = draft_conflict_mark(draft, written, field, other, &shared);
    if (is_news(shared, said)) {
        messages_add(&draft->messages, MESSAGE_ERROR, mark, hint, "%s", what);
    }
}

static void check_request(struct draft *draft, const struct draft_site *written,
                          const struct site *site, struct question_said *said) {
    const struct request_config *request = &site->request;
    if ((request->basic_user == NULL) != (request->basic_password == NULL)) {
        check_pair(draft, written, SITE(request.basic_user), SITE(request.basic_password),
                   &said->login,
                   request->basic_user == NULL ? "basic has a password and no user"
                                               : "basic has a user and no password",
                   "basic: { user: NAME, password: { file: PATH } }");
    }
    if ((request->basic_user != NULL || request->bearer != NULL) &&
        asked_has_header(request, "Authorization")) {
        check_pair(draft, written,
                   request->bearer != NULL ? SITE(request.bearer) : SITE(request.basic_user),
                   FORM(headers), &said->headers,
                   "a header Authorization and basic or bearer exclude each other",
                   "take one of the two away");
    }
    if (request->proxy != NULL && (site->connect_host != NULL || site->connect_port != 0)) {
        check_pair(draft, written, FORM(connect_to), SITE(request.proxy), &said->proxy,
                   "connect_to and a proxy exclude each other", "take one of the two away");
    }
    if (request->body != NULL && strcmp(asked_method(request), "HEAD") == 0) {
        check_pair(draft, written, SITE(request.method), FORM(body), &said->body,
                   "a HEAD has no body", "take the body away, or write another method: POST");
    }
}

static void check_expect(struct draft *draft, const struct draft_site *written,
                         const struct site *site, struct question_said *said) {
    bool shared;
    if (site->expect.latency > 0 && site->expect.latency >= site->timeout) {
        struct mark mark =
            draft_conflict_mark(draft, written, SITE(expect.latency), SITE(timeout), &shared);
        if (is_news(shared, &said->latency)) {
            messages_add(&draft->messages, MESSAGE_WARNING, mark, "lower latency, or raise timeout",
                         "the latency expected is not below the timeout, which ends a sample "
                         "first");
        }
    }
    if (site->expect.n_body > 0 && strcmp(asked_method(&site->request), "HEAD") == 0) {
        static const size_t fields[] = {FORM(body_contains), FORM(body_matches),
                                        FORM(body_not_matches)};
        size_t field = 0; /* the first that is set: one is, as there are rules */
        while (field < 2 && draft_setting_of(draft, written, fields[field]) == NULL) {
            field++;
        }
        check_pair(draft, written, SITE(request.method), fields[field], &said->head,
                   "an answer to HEAD has no body that could be as expected",
                   "expect nothing of the body, or write method: GET");
    }
    const struct draft_setting *certificate =
        draft_find(&written->settings, SITE(expect.certificate));
    if (certificate != NULL && certificate->value.number > 0 && site->url.text != NULL &&
        !site->url.tls) {
        messages_add(&draft->messages, MESSAGE_ERROR, certificate->mark,
                     "take it away, or make the url https", "certificate: an http site has none");
    }
}

/* A key that everybody can read is no secret. What else may be wrong with the file is found out
 * where it is used. */
static void check_key_file(struct draft *draft, const struct draft_setting *key) {
    const char *path = key->value.pointer;
    struct stat file;
    if (stat(path, &file) != 0) {
        messages_add(&draft->messages, MESSAGE_ERROR, key->mark,
                     errno == EACCES ? secret_unreadable : NULL,
                     "key: \"%s\" cannot be looked at: %s", path, strerror(errno));
    } else if (!S_ISREG(file.st_mode)) {
        messages_add(&draft->messages, MESSAGE_ERROR, key->mark, NULL,
                     "key: \"%s\" is not a regular file", path);
    } else if ((file.st_mode & S_IRWXO) != 0) {
        messages_add(&draft->messages, MESSAGE_ERROR, key->mark,
                     "no key may be; chmod o= the file, and renew the key if it matters",
                     "key: \"%s\" is open to everybody (mode %04o)", path,
                     (unsigned)file.st_mode & 07777);
    }
}

static void check_tls(struct draft *draft, const struct draft_site *written,
                      const struct site *site, struct question_said *said) {
    if ((site->tls.cert == NULL) != (site->tls.key == NULL)) {
        check_pair(draft, written, SITE(tls.cert), SITE(tls.key), &said->client_cert,
                   site->tls.cert == NULL ? "a client's key without a cert"
                                          : "a client's cert without a key",
                   "each needs the other; they may be one file");
    }
    const struct draft_setting *key = draft_find(&written->settings, SITE(tls.key));
    if (key != NULL && !draft->without_secrets) {
        check_key_file(draft, key);
    }
    if (site->tls.verify || !site->enabled || !site->url.tls) {
        return;
    }
    const struct draft_setting *verify = draft_find(&written->settings, SITE(tls.verify));
    if (verify == NULL) {
        said->unverified++;
        return;
    }
    const struct draft_setting *ca = draft_find(&written->settings, SITE(tls.ca));
    messages_add(&draft->messages, MESSAGE_WARNING, verify->mark,
                 ca != NULL ? "ca has no effect with it" : NULL,
                 "the certificate of site \"%.*s\" is NOT verified: anybody between can answer "
                 "for it",
                 NAME_SHOWN_BYTES, site->name);
}

void question_check(struct draft *draft, const struct draft_site *written, const struct site *site,
                    struct question_said *said) {
    check_request(draft, written, site, said);
    check_expect(draft, written, site, said);
    check_tls(draft, written, site, said);
}

void question_conclude(struct draft *draft, const struct question_said *said) {
    const struct draft_setting *key = draft_find(&draft->defaults, SITE(tls.key));
    if (key != NULL) {
        check_key_file(draft, key);
    }
    const struct draft_setting *verify = draft_find(&draft->defaults, SITE(tls.verify));
    if (verify != NULL && said->unverified > 0) {
        messages_add(&draft->messages, MESSAGE_WARNING, verify->mark, NULL,
                     "the certificates of %zu site%s are NOT verified: anybody between can answer "
                     "for them",
                     said->unverified, said->unverified == 1 ? "" : "s");
    }
}

/* ---- two sites (and fingerprint.c for those of two processes) ---- */

bool config_same_health(const struct health_config *a, const struct health_config *b) {
    return a->forgive == b->forgive && a->degraded_at == b->degraded_at &&
           a->round_max == b->round_max && a->down_at == b->down_at &&
           a->down_rounds == b->down_rounds;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_request(const struct request_config *a, const struct request_config *b) {
    if (a->n_headers != b->n_headers || a->body_bytes != b->body_bytes ||
        (a->body_bytes > 0 && memcmp(a->body, b->body, a->body_bytes) != 0)) {
        return false;
    }
    for (size_t i = 0; i < a->n_headers; i++) {
        if (strcmp(a->headers[i].name, b->headers[i].name) != 0 ||
            !same_text(a->headers[i].value, b->headers[i].value) ||
            !secret_is_same(a->headers[i].secret, b->headers[i].secret)) {
            return false;
        }
    }
    return same_text(a->method, b->method) && same_text(a->basic_user, b->basic_user) &&
           secret_is_same(a->basic_password, b->basic_password) &&
           secret_is_same(a->bearer, b->bearer) &&
           same_text(a->proxy != NULL ? a->proxy->text : NULL,
                     b->proxy != NULL ? b->proxy->text : NULL) &&
           (a->body == NULL) == (b->body == NULL) && a->compressed == b->compressed;
}

static bool same_tls(const struct tls_config *a, const struct tls_config *b) {
    return same_text(a->ca, b->ca) && same_text(a->cert, b->cert) && same_text(a->key, b->key) &&
           same_text(a->server_name, b->server_name) && a->min_version == b->min_version &&
           a->verify == b->verify;
}

static bool same_rules(const struct rule *a, size_t a_n, const struct rule *b, size_t b_n) {
    for (size_t i = 0; i < a_n && a_n == b_n; i++) {
        if (a[i].kind != b[i].kind || !same_text(a[i].header, b[i].header) ||
            !same_text(a[i].text, b[i].text)) {
            return false;
        }
    }
    return a_n == b_n;
}

static bool same_expect(const struct expect_config *a, const struct expect_config *b) {
    return memcmp(a->status, b->status, sizeof *a->status) == 0 &&
           same_rules(a->headers, a->n_headers, b->headers, b->n_headers) &&
           same_rules(a->body, a->n_body, b->body, b->n_body) && a->latency == b->latency &&
           a->certificate == b->certificate;
}

bool config_same_question(const struct site *a, const struct site *b) {
    return strcmp(a->url_given, b->url_given) == 0 && strcmp(a->user_agent, b->user_agent) == 0 &&
           same_request(&a->request, &b->request) && same_tls(&a->tls, &b->tls) &&
           a->redirects.follow == b->redirects.follow && a->redirects.to == b->redirects.to &&
           same_text(a->connect_host, b->connect_host) && a->connect_port == b->connect_port &&
           same_expect(&a->expect, &b->expect);
}
