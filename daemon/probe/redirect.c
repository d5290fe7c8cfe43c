/* The rules are those that browsers and curl share (RFC 9110 15.4): 303 is asked for by GET, and so
 * is what a POST gets by 301 or 302; others keep their method. A body goes where the method goes,
 * but never to another origin. There are no cookies: what wants to be asked again with one is a loop
 * here. */
#include "probe/redirect.h"

#include "config/asked.h"
#include "probe/fields.h"
#include "probe/scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOCATION_BYTES_MOST = 8 << 10 };

static bool is_redirect(outcome_t status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

void redirect_quote(struct words *words, const struct url *url) {
    words_quote(words, "\"", url->text, strcspn(url->text, "?"));
}

struct station redirect_begin(const struct site *site) {
    const struct request_config *request = &site->request;
    return (struct station){
        .url = site->url,
        .method = asked_method(request),
        .sends_body = request->body != NULL,
        .own = true,
    };
}

/* The one Location; NULL, and why. */
static const struct field *location_of(const char *head, size_t n, struct field *field,
                                       const char **ret_why) {
    size_t at = 0;
    if (!fields_find(head, n, &at, "Location", field)) {
        *ret_why = "no Location";
        return NULL;
    }
    struct field other;
    while (fields_find(head, n, &at, "Location", &other)) {
        if (other.value_bytes != field->value_bytes ||
            memcmp(other.value, field->value, field->value_bytes) != 0) {
            *ret_why = "more than one Location";
            return NULL;
        }
    }
    if (field->value_bytes == 0) {
        *ret_why = "an empty Location";
        return NULL;
    }
    if (field->value_bytes > LOCATION_BYTES_MOST) {
        *ret_why = "a Location of more than 8 KiB";
        return NULL;
    }
    if (memchr(field->value, '\0', field->value_bytes) != NULL) {
        *ret_why = "a Location that holds a control character";
        return NULL;
    }
    return field;
}

/* 0, -EINVAL with words, -ENOMEM. */
static int resolve(const struct url *base, const struct field *location, outcome_t status,
                   struct url *ret_url, struct words *words) {
    char *reference = malloc(location->value_bytes + 1); /* the value itself has no end */
    if (reference == NULL) {
        return -ENOMEM;
    }
    memcpy(reference, location->value, location->value_bytes);
    reference[location->value_bytes] = '\0';
    const char *why = NULL;
    int r = url_resolve(base, reference, ret_url, &why);
    if (r == -EINVAL) {
        words_add(words, "%u with a Location that %s", status, why);
        if (strchr(reference, '@') == NULL) { /* no password */
            words_add(words, ": ");
            words_quote(words, "\"", reference, strcspn(reference, "?#"));
        }
    }
    free(reference);
    return r;
}

static bool was_there(const struct station *stations, unsigned n, const struct station *next) {
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(stations[i].url.text, next->url.text) == 0 &&
            strcmp(stations[i].method, next->method) == 0) {
            return true;
        }
    }
    return false;
}

static void set_method(const struct station *last, outcome_t status, struct station *next) {
    bool is_post = strcmp(last->method, "POST") == 0;
    bool is_head = strcmp(last->method, "HEAD") == 0;
    bool gets = status == 303 ? !is_head : (status == 301 || status == 302) && is_post;
    next->method = gets ? "GET" : last->method;
    next->sends_body = last->sends_body && !gets;
}

/* Whether the next station must not be asked; the words say why. */
static bool refuse(const struct site *site, const struct station *stations, unsigned n,
                   outcome_t status, const struct station *next, struct words *words) {
    const char *what = "", *why = "";
    if (was_there(stations, n, next)) {
        what = "a loop: ";
    } else if (n > site->redirects.follow) {
        what = "too many redirects: ";
    } else if (!scope_has(site->redirects.to, &site->url, &next->url)) {
        why = site->redirects.to == REDIRECT_SAME_ORIGIN ? ", another origin" : ", another site";
    } else if (next->sends_body && !next->own) {
        why = ", another origin, with the request's body";
    } else {
        return false;
    }
    words_add(words, "%s%u to ", what, status);
    redirect_quote(words, &next->url);
    words_add(words, "%s", why);
    return true;
}

enum redirect_verdict redirect_next(const struct site *site, const struct station *stations,
                                    unsigned n, outcome_t status, const char *head,
                                    size_t head_bytes, struct station *ret_next,
                                    struct words *words) {
    if (site->redirects.follow == 0 || !is_redirect(status)) {
        return REDIRECT_IS_NONE;
    }
    const struct station *last = &stations[n - 1];
    const char *why = NULL;
    struct field field;
    const struct field *location = location_of(head, head_bytes, &field, &why);
    if (location == NULL) {
        words_add(words, "%u with %s", status, why);
        return REDIRECT_REFUSED;
    }
    struct station next = {0};
    int r = resolve(&last->url, location, status, &next.url, words);
    if (r != 0) {
        return r == -ENOMEM ? REDIRECT_NO_MEMORY : REDIRECT_REFUSED;
    }
    next.own = last->own && url_same_origin(&site->url, &next.url);
    set_method(last, status, &next);
    if (refuse(site, stations, n, status, &next, words)) {
        url_clear(&next.url);
        return REDIRECT_REFUSED;
    }
    *ret_next = next;
    return REDIRECT_FOLLOWED;
}
