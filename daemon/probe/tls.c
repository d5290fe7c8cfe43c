/* A set has a slot for each distinct file (or pair of them: certificate and key). A round takes the
 * slots that it needs when it begins, and a sample what is in them when it starts. So after a
 * reload
 * - what was read anew is used by the very next sample, of rounds under way too: a CA that was
 *   taken out of a file is not trusted any more;
 * - a file that is named no more serves the rounds that began with it, which hold its slot;
 * - a file that cannot be used now keeps what was read of it before.
 *
 * A file whose bytes did not change keeps what was made of them, so that connections which were
 * checked against it may stay (a kept connection knows its store by identity).
 *
 * Each file is read once for all loops, so that all of them go by the same bytes; what is made of
 * them is each loop's own. */
#include "probe/tls.h"

#include "probe/identity.h"
#include "probe/trust.h"

#include "config/source.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST_BYTES = 32 };

/* By what a slot is found. Two files, or with `key` NULL one bundle. */
struct names {
    const char *file, *key;
};

struct tls_slot {
    char *file, *key;
    struct trust *trust; /* one of these two; none: it cannot be used */
    struct identity *identity;
    unsigned char digest[DIGEST_BYTES];
    char *why; /* it cannot be used; else NULL */
    unsigned refs;
};

struct tls_set {
    struct tls_slot **slots; /* sorted by names */
    size_t n;
};

/* ---- what a configuration names ---- */

static int compare(const struct names *a, const struct names *b) {
    int order = strcmp(a->file, b->file);
    if (order != 0) {
        return order;
    }
    return strcmp(a->key != NULL ? a->key : "", b->key != NULL ? b->key : "");
}

static int compare_names(const void *a, const void *b) {
    return compare(a, b);
}

/* A redirect may lead a site from http to https. */
static bool shakes_hands(const struct site *site) {
    return site->url.tls || site->redirects.follow > 0;
}

static bool names_bundle(const struct config *config, const struct site *site,
                         struct names *ret_names) {
    if (site->tls.ca == NULL && !(shakes_hands(site) && site->tls.verify)) {
        return false;
    }
    ret_names->file = site->tls.ca != NULL ? site->tls.ca : trust_path(config->ca_file);
    ret_names->key = NULL;
    return true;
}

static bool names_client(const struct site *site, struct names *ret_names) {
    ret_names->file = site->tls.cert;
    ret_names->key = site->tls.key;
    return site->tls.cert != NULL;
}

/* Calls visit() for each, until it returns false. A file that was named must be good, used or not.
 */
static void visit_names(const struct config *config,
                        bool (*visit)(const struct names *names, void *arg), void *arg) {
    struct names names;
    if (config->ca_file != NULL) {
        names = (struct names){.file = trust_path(config->ca_file)};
        if (!visit(&names, arg)) {
            return;
        }
    }
    for (size_t i = 0; i < config->n_sites; i++) {
        const struct site *site = &config->sites[i];
        if ((names_bundle(config, site, &names) && !visit(&names, arg)) ||
            (names_client(site, &names) && !visit(&names, arg))) {
            return;
        }
    }
}

struct list {
    struct names *names;
    size_t n, room;
};

static bool add_names(const struct names *names, void *arg) {
    struct list *list = arg;
    for (size_t i = list->n; i > 0 && i + 2 > list->n; i--) { /* mostly all sites name the same */
        if (compare(names, &list->names[i - 1]) == 0) {
            return true;
        }
    }
    if (list->n == list->room) {
        size_t room = 2 * list->room + 16;
        struct names *more = realloc(list->names, room * sizeof *more);
        if (more == NULL) {
            list->n = SIZE_MAX;
            return false;
        }
        list->names = more;
        list->room = room;
    }
    list->names[list->n++] = *names;
    return true;
}

/* Sorted, none twice. */
static int list_names(const struct config *config, struct list *ret_list) {
    struct list list = {0};
    visit_names(config, add_names, &list);
    if (list.n == SIZE_MAX) {
        free(list.names);
        return -ENOMEM;
    }
    size_t n = 0;
    if (list.n > 0) {
        qsort(list.names, list.n, sizeof *list.names, compare_names);
        for (size_t i = 1; i < list.n; i++) {
            if (compare(&list.names[n], &list.names[i]) != 0) {
                list.names[++n] = list.names[i];
            }
        }
        list.n = n + 1;
    }
    *ret_list = list;
    return 0;
}

/* ---- slots ---- */

static void slot_free(struct tls_slot *slot) {
    if (slot == NULL || --slot->refs > 0) {
        return;
    }
    trust_free(slot->trust);
    identity_free(slot->identity);
    free(slot->file);
    free(slot->key);
    free(slot->why);
    free(slot);
}

static struct tls_slot *slot_new(const struct names *names) {
    struct tls_slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL) {
        return NULL;
    }
    slot->refs = 1;
    slot->file = strdup(names->file);
    slot->key = names->key != NULL ? strdup(names->key) : NULL;
    if (slot->file == NULL || (names->key != NULL && slot->key == NULL)) {
        slot_free(slot);
        return NULL;
    }
    return slot;
}

static struct names names_of(const struct tls_slot *slot) {
    return (struct names){.file = slot->file, .key = slot->key};
}

/* What was read of the files of a slot. */
struct content {
    struct source *file, *key; /* NULL: not read, or none */
    unsigned char digest[DIGEST_BYTES];
};

static void wipe(struct source *source) {
    if (source != NULL) {
        OPENSSL_cleanse(source->bytes, source->n);
        source_free(source);
    }
}

static bool digest(struct content *content) {
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    uint64_t n = content->file->n;
    bool done = sum != NULL && EVP_DigestInit_ex(sum, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(sum, &n, sizeof n) == 1 &&
                EVP_DigestUpdate(sum, content->file->bytes, content->file->n) == 1 &&
                (content->key == NULL ||
                 EVP_DigestUpdate(sum, content->key->bytes, content->key->n) == 1) &&
                EVP_DigestFinal_ex(sum, content->digest, NULL) == 1;
    EVP_MD_CTX_free(sum);
    return done;
}

static int read_content(const struct names *names, struct content *content, char *why,
                        size_t why_size) {
    int r = names->key == NULL ? trust_read(names->file, &content->file, why, why_size)
                               : identity_read(names->file, names->key, &content->file,
                                               &content->key, why, why_size);
    if (r == 0 && !digest(content)) {
        r = -ENOMEM;
    }
    return r;
}

static int fill(struct tls_slot *slot, const struct content *content, char *why, size_t why_size) {
    memcpy(slot->digest, content->digest, sizeof slot->digest);
    return slot->key == NULL
               ? trust_parse(slot->file, content->file->bytes, content->file->n, &slot->trust, why,
                             why_size)
               : identity_parse(content->file, content->key, &slot->identity, why, why_size);
}

/* The i-th slot of every set. */
static int load(const struct names *names, struct tls_set *sets[], size_t n, size_t i) {
    char why[1024];
    struct content content = {0};
    int read = read_content(names, &content, why, sizeof why);
    int r = read == -ENOMEM ? -ENOMEM : 0;
    for (size_t k = 0; k < n && r == 0; k++) {
        struct tls_slot *slot = slot_new(names);
        if (slot == NULL) {
            r = -ENOMEM;
            break;
        }
        sets[k]->slots[i] = slot;
        sets[k]->n = i + 1;
        int filled = read == 0 ? fill(slot, &content, why, sizeof why) : read;
        if (filled != 0 && filled != -ENOMEM) {
            slot->why = strdup(why);
        }
        r = filled == -ENOMEM || (filled != 0 && slot->why == NULL) ? -ENOMEM : 0;
    }
    wipe(content.file);
    wipe(content.key);
    return r;
}

/* ---- sets ---- */

void tls_set_free(struct tls_set *set) {
    if (set == NULL) {
        return;
    }
    for (size_t i = 0; i < set->n; i++) {
        slot_free(set->slots[i]);
    }
    free(set->slots);
    free(set);
}

int tls_sets_load(const struct config *config, size_t n, struct tls_set *ret_sets[]) {
    struct list list;
    int r = list_names(config, &list);
    if (r != 0) {
        return r;
    }
    struct tls_set **sets = calloc(n, sizeof *sets);
    if (sets == NULL) {
        r = -ENOMEM;
    }
    for (size_t k = 0; k < n && r == 0; k++) {
        sets[k] = calloc(1, sizeof *sets[k]);
        if (sets[k] == NULL || (sets[k]->slots = calloc(list.n + 1, sizeof(void *))) == NULL) {
            r = -ENOMEM;
        }
    }
    for (size_t i = 0; i < list.n && r == 0; i++) {
        r = load(&list.names[i], sets, n, i);
    }
    for (size_t k = 0; k < n && sets != NULL; k++) {
        if (r == 0) {
            ret_sets[k] = sets[k];
        } else {
            tls_set_free(sets[k]);
        }
    }
    free(sets);
    free(list.names);
    return r;
}

static struct tls_slot *find(const struct tls_set *set, const struct names *names) {
    size_t low = 0, high = set != NULL ? set->n : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct names at = names_of(set->slots[middle]);
        int order = compare(names, &at);
        if (order == 0) {
            return set->slots[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

struct search {
    struct names names;
    bool found;
};

static bool search_on(const struct names *names, void *arg) {
    struct search *search = arg;
    search->found = compare(names, &search->names) == 0;
    return !search->found;
}

const char *tls_set_fault(const struct tls_set *set, size_t *at, const struct config *before,
                          bool *ret_had_it) {
    for (; *at < set->n; (*at)++) {
        const struct tls_slot *slot = set->slots[*at];
        if (slot->why != NULL) {
            struct search search = {.names = names_of(slot)};
            if (before != NULL) {
                visit_names(before, search_on, &search);
            }
            *ret_had_it = search.found;
            (*at)++;
            return slot->why;
        }
    }
    return NULL;
}

/* The old slot is the one that stays, for rounds under way hold it. */
static struct tls_slot *follow(struct tls_slot *slot, struct tls_slot *old) {
    bool as_before = slot->why != NULL || memcmp(slot->digest, old->digest, DIGEST_BYTES) == 0;
    if (!as_before) {
        struct tls_slot was = *old;
        old->trust = slot->trust;
        old->identity = slot->identity;
        memcpy(old->digest, slot->digest, DIGEST_BYTES);
        slot->trust = was.trust;
        slot->identity = was.identity;
    }
    old->refs++;
    slot_free(slot);
    return old;
}

void tls_set_follow(struct tls_set *set, struct tls_set *before) {
    for (size_t i = 0; i < set->n; i++) {
        struct names names = names_of(set->slots[i]);
        struct tls_slot *old = find(before, &names);
        if (old != NULL) {
            set->slots[i] = follow(set->slots[i], old);
        }
    }
    tls_set_free(before);
}

/* ---- use ---- */

static struct tls_slot *take(const struct tls_set *set, const struct names *names) {
    struct tls_slot *slot = find(set, names);
    if (slot == NULL || (slot->trust == NULL && slot->identity == NULL)) {
        return NULL;
    }
    slot->refs++;
    return slot;
}

bool tls_set_use(const struct tls_set *set, const struct config *config, const struct site *site,
                 struct tls_use *use) {
    struct names names;
    if (!shakes_hands(site)) {
        return true;
    }
    if (site->tls.verify) {
        names_bundle(config, site, &names);
        use->bundle = take(set, &names);
        if (use->bundle == NULL) {
            return false;
        }
    }
    if (names_client(site, &names)) {
        use->client = take(set, &names);
        if (use->client == NULL) {
            tls_use_clear(use);
            return false;
        }
    }
    return true;
}

void tls_use_clear(struct tls_use *use) {
    slot_free(use->bundle);
    slot_free(use->client);
    *use = (struct tls_use){0};
}

struct trust *tls_use_trust(const struct tls_use *use) {
    return use->bundle != NULL ? use->bundle->trust : NULL;
}

struct identity *tls_use_identity(const struct tls_use *use) {
    return use->client != NULL ? use->client->identity : NULL;
}
