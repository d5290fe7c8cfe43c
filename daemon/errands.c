/* A change that waits is old news as soon as its site has changed again: whoever is told wants to know
 * how it is now. So the newer one takes the older one's place, and its tries begin anew. A queue is
 * short where commands work and as long as the number of sites where they do not, so that it is
 * searched from end to end. */
#include "errands.h"

#include <string.h>

#define PAUSE_LEAST  NSEC_PER_SEC
#define PAUSE_MOST   (300 * NSEC_PER_SEC)
#define PAUSE_FACTOR 5

void errands_init(struct errands *errands, size_t most) {
    TAILQ_INIT(&errands->waiting);
    errands->n = 0;
    errands->most = most;
}

static struct errand *find(const struct errands *errands, const char *site) {
    struct errand *errand;
    TAILQ_FOREACH(errand, &errands->waiting, link) {
        if (strcmp(errand->site, site) == 0) {
            return errand;
        }
    }
    return NULL;
}

static void remove_errand(struct errands *errands, struct errand *errand) {
    TAILQ_REMOVE(&errands->waiting, errand, link);
    errands->n--;
}

void errands_add(struct errands *errands, struct errand *errand, nsec_t now,
                 struct errand **ret_replaced, struct errand **ret_dropped) {
    struct errand *older = find(errands, errand->site);
    errand->tries = 0;
    errand->replaced = 0;
    errand->due = now;
    *ret_replaced = older;
    *ret_dropped = NULL;
    if (older != NULL) {
        errand->replaced = older->replaced + 1;
        TAILQ_INSERT_BEFORE(older, errand, link);
        errands->n++;
        remove_errand(errands, older);
        return;
    }
    if (errands->n >= errands->most) {
        *ret_dropped = errands_pop(errands);
    }
    TAILQ_INSERT_TAIL(&errands->waiting, errand, link);
    errands->n++;
}

struct errand *errands_take(struct errands *errands, nsec_t now) {
    struct errand *errand;
    TAILQ_FOREACH(errand, &errands->waiting, link) {
        if (errand->due <= now) {
            remove_errand(errands, errand);
            return errand;
        }
    }
    return NULL;
}

bool errands_next(const struct errands *errands, nsec_t *ret_at) {
    const struct errand *errand, *first = NULL;
    TAILQ_FOREACH(errand, &errands->waiting, link) {
        if (first == NULL || errand->due < first->due) {
            first = errand;
        }
    }
    if (first != NULL) {
        *ret_at = first->due;
    }
    return first != NULL;
}

static nsec_t pause_after(unsigned tries) {
    nsec_t pause = PAUSE_LEAST;
    while (--tries > 0 && pause < PAUSE_MOST) {
        pause *= PAUSE_FACTOR;
    }
    return pause < PAUSE_MOST ? pause : PAUSE_MOST;
}

enum errands_fate errands_retry(struct errands *errands, struct errand *errand, unsigned most,
                                nsec_t now) {
    struct errand *newer = find(errands, errand->site);
    errand->tries++;
    if (newer != NULL) {
        newer->replaced += errand->replaced + 1;
        return ERRANDS_OVERTAKEN;
    }
    if (errand->tries >= most) {
        return ERRANDS_SPENT;
    }
    errand->due = now + pause_after(errand->tries);
    TAILQ_INSERT_HEAD(&errands->waiting, errand, link); /* it is older than what waits */
    errands->n++;
    return ERRANDS_AGAIN;
}

struct errand *errands_pop(struct errands *errands) {
    struct errand *errand = TAILQ_FIRST(&errands->waiting);
    if (errand != NULL) {
        remove_errand(errands, errand);
    }
    return errand;
}
