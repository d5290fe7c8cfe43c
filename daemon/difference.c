/* A site has changed where any of its settings has, also one that its rounds do not notice: an operator
 * wants to see that the edit has arrived. */
#include "difference.h"

#include <string.h>

static bool has_same_labels(const struct site *a, const struct site *b) {
    bool same = a->n_labels == b->n_labels;
    for (size_t i = 0; i < a->n_labels && same; i++) {
        same = strcmp(a->labels[i].name, b->labels[i].name) == 0 &&
               strcmp(a->labels[i].value, b->labels[i].value) == 0;
    }
    return same;
}

static bool is_same_backend(const struct backend_config *a, const struct backend_config *b) {
    const char *a_name = a->header != NULL ? a->header : a->cookie;
    const char *b_name = b->header != NULL ? b->header : b->cookie;
    return (a->header == NULL) == (b->header == NULL) &&
           (a_name == b_name || (a_name != NULL && b_name != NULL && strcmp(a_name, b_name) == 0));
}

static bool is_same_site(const struct site *a, const struct site *b) {
    return config_same_question(a, b) && has_same_labels(a, b) && a->enabled == b->enabled &&
           a->interval == b->interval && a->timeout == b->timeout &&
           a->dns_timeout == b->dns_timeout && a->deadline == b->deadline &&
           a->spread == b->spread && a->samples == b->samples && a->concurrency == b->concurrency &&
           a->addresses == b->addresses && a->family == b->family &&
           a->body_limit_bytes == b->body_limit_bytes && a->connection == b->connection &&
           is_same_backend(&a->backend, &b->backend) && config_same_health(&a->health, &b->health);
}

struct difference difference_between(const struct config *before, const struct config *after) {
    struct difference difference = {.before = before->n_sites};
    for (size_t i = 0; i < after->n_sites; i++) {
        const struct site *old = config_find(before, after->sites[i].name);
        if (old == NULL) {
            difference.added++;
        } else if (!is_same_site(old, &after->sites[i])) {
            difference.changed++;
        }
    }
    for (size_t i = 0; i < before->n_sites; i++) {
        difference.removed += config_find(after, before->sites[i].name) == NULL;
    }
    return difference;
}
