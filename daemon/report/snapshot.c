/* The bytes are lines of JSON: first a head with the format's number and the time, then a line for
 * each site, last how many there were and a sum of all bytes before. So what was cut off, or altered
 * by a dying disk, is known as such; and it can be read with a limit on each line, without a tree of
 * it all in memory. An unknown key is passed over, so that a version may add one; one that gives a
 * known key another meaning counts the format up.
 *
 * Time. Within a process only the monotonic clock counts; its zero is the machine's start, so in a
 * file times are ages, counted back from the moment of the snapshot. How old the snapshot itself is
 * by the next start is asked of two clocks. In the same boot of the machine the time since boot tells
 * it exactly, whatever was done to the wall clock meanwhile. After another boot the wall clock is all
 * there is, and it may have been moved. Forwards: then the snapshot looks older than it is; beyond
 * the limit it is not used, and within it only the reader's window is a little off. Backwards: then
 * it seems to come from the future, and how old it is nobody knows; it is not used either (but for
 * some seconds, by which clocks are set every day). A clock that was moved back by less than the
 * machine was off makes it look younger than it is: what is restored then is up to that much older
 * than it should be, and the next rounds put it right. In no case does a site change its state by
 * being restored: it is as it was, or unknown.
 *
 * The age that counts is that of a site's last round, not of the file: a daemon that starts again and
 * again writes anew what it has restored, and must not make it younger by that. */
#include "report/snapshot.h"

#include "base/hash.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FORMAT = 1,
    LINE_BYTES_MOST = 64 * 1024, /* 256 addresses of 48 and a name of 255, escaped, are 14 KiB */
    SITE_BYTES_LEAST = 64,       /* so that a number of sites is no claim to memory */
    NAME_BYTES_MOST = 255,
    HASH_DIGITS = 16,
};

#define CLOCK_SET_BY (5 * NSEC_PER_SEC) /* as a time server does it in daily life */
#define AGO_MOST     (1000 * 86400 * NSEC_PER_SEC)
#define ROUND_MOST   (INT64_MAX / 2) /* others will follow, which must fit as well */

static const char *const family_names[] = {
    [FAMILY_ANY] = "any", [FAMILY_IPV4] = "ipv4", [FAMILY_IPV6] = "ipv6"};

struct snapshot *snapshot_new(void) {
    return calloc(1, sizeof(struct snapshot));
}

void snapshot_free(struct snapshot *snapshot) {
    if (snapshot == NULL) {
        return;
    }
    arena_clear(&snapshot->arena);
    config_unref(snapshot->config);
    free(snapshot);
}

/* ---- age ---- */

bool snapshot_age(const struct snapshot_moment *taken, const struct snapshot_moment *now,
                  nsec_t *ret_age) {
    bool same_boot = *taken->boot_id != '\0' && strcmp(taken->boot_id, now->boot_id) == 0 &&
                     now->since_boot >= taken->since_boot;
    nsec_t age = same_boot ? now->since_boot - taken->since_boot : now->wall - taken->wall;
    if (age < -CLOCK_SET_BY) {
        return false;
    }
    *ret_age = age > 0 ? age : 0;
    return true;
}

nsec_t snapshot_age_most(nsec_t interval) {
    return 2 * interval > SNAPSHOT_AGE_LEAST ? 2 * interval : SNAPSHOT_AGE_LEAST;
}

/* ---- to bytes ---- */

struct output {
    char *bytes;
    size_t n, size;
    int error;
};

static int append(const char *bytes, size_t n, void *arg) {
    struct output *output = arg;
    if (n > output->size - output->n) {
        size_t size = output->size > 0 ? output->size : 64 * 1024;
        while (size - output->n < n && size <= SNAPSHOT_BYTES_MOST) {
            size *= 2;
        }
        char *larger = size > SNAPSHOT_BYTES_MOST ? NULL : realloc(output->bytes, size);
        if (larger == NULL) {
            output->error = size > SNAPSHOT_BYTES_MOST ? -EFBIG : -ENOMEM;
            return -1;
        }
        output->bytes = larger;
        output->size = size;
    }
    memcpy(output->bytes + output->n, bytes, n);
    output->n += n;
    return 0;
}

/* Takes `line` over; NULL is a failure to make it. */
static int append_line(struct output *output, json_t *line) {
    if (line == NULL) {
        return -ENOMEM;
    }
    int r = json_dump_callback(line, append, output, JSON_COMPACT);
    json_decref(line);
    if (r == 0) {
        r = append("\n", 1, output);
    }
    return r == 0 ? 0 : output->error != 0 ? output->error : -ENOMEM;
}

/* Takes `value` over; NULL is a failure to make it. */
static bool add(json_t *array, json_t *value) {
    return json_array_append_new(array, value) == 0;
}

static json_t *window_of(const struct verdict_past *verdict) {
    json_t *window = json_array();
    bool whole = window != NULL;
    for (unsigned i = 0; i < verdict->n_cells && whole; i++) {
        const struct verdict_past_cell *cell = &verdict->cells[i];
        json_t *triple = json_array();
        whole = triple != NULL && add(triple, json_integer(cell->ago)) &&
                add(triple, json_integer(cell->judged)) && add(triple, json_integer(cell->failed));
        whole = add(window, triple) && whole;
    }
    if (!whole) {
        json_decref(window);
        return NULL;
    }
    return window;
}

static json_t *addresses_of(const struct snapshot_site *site) {
    json_t *addresses = json_array();
    bool whole = addresses != NULL;
    for (size_t i = 0; i < site->n_addresses && whole; i++) {
        whole = add(addresses, json_string(site->addresses[i]));
    }
    if (!whole) {
        json_decref(addresses);
        return NULL;
    }
    return addresses;
}

static json_t *since_of(const struct snapshot_site *site) {
    return site->wall_since == NSEC_UNKNOWN ? json_null() : json_integer(site->wall_since);
}

static json_t *line_of(const struct snapshot_site *site) {
    char question[HASH_DIGITS + 1];
    snprintf(question, sizeof question, "%016" PRIx64,
             site->of != NULL ? config_fingerprint(site->of) : site->question);
    /* an O takes its value over, and fails for NULL */
    return json_pack("{ss ss ss sI sI sI ss so si sI sI so so sb sb}", "site", site->name,
                     "question", question, "family", family_names[site->family], "interval_ns",
                     (json_int_t)site->interval, "ago_ns", (json_int_t)site->ago, "round",
                     (json_int_t)site->round, "state", state_name(site->verdict.state),
                     "wall_since_ns", since_of(site), "level", site->verdict.level, "bad_rounds",
                     (json_int_t)site->verdict.bad_rounds, "recovered_rounds",
                     (json_int_t)site->verdict.recovered_rounds, "window",
                     window_of(&site->verdict), "addresses", addresses_of(site), "left_out_ipv4",
                     site->left_out_ipv4, "left_out_ipv6", site->left_out_ipv6);
}

static int encode(const struct snapshot *snapshot, struct output *output) {
    const struct snapshot_moment *taken = &snapshot->taken;
    int r = append_line(output,
                        json_pack("{si ss sI ss sI}", "tallyd_state", FORMAT, "version",
                                  TALLYD_VERSION, "wall_ns", (json_int_t)taken->wall, "boot_id",
                                  taken->boot_id, "since_boot_ns", (json_int_t)taken->since_boot));
    for (size_t i = 0; i < snapshot->n_sites && r == 0; i++) {
        r = append_line(output, line_of(&snapshot->sites[i]));
    }
    if (r < 0) {
        return r;
    }
    char sum[HASH_DIGITS + 1];
    snprintf(sum, sizeof sum, "%016" PRIx64, hash_bytes(HASH_BEGIN, output->bytes, output->n));
    return append_line(output,
                       json_pack("{sI ss}", "sites", (json_int_t)snapshot->n_sites, "sum", sum));
}

int snapshot_encode(const struct snapshot *snapshot, char **ret_bytes, size_t *ret_n) {
    struct output output = {0};
    int r = encode(snapshot, &output);
    if (r < 0) {
        free(output.bytes);
        return r;
    }
    *ret_bytes = output.bytes;
    *ret_n = output.n;
    return 0;
}

/* ---- from bytes ---- */

struct input {
    const char *at, *end;
    unsigned line;
    char *why;
    struct snapshot *snapshot;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct input *input, const char *format,
                                                        ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(input->why, SNAPSHOT_WHY_SIZE, format, args);
    va_end(args);
    return -EINVAL;
}

static int refuse_key(struct input *input, const char *key) {
    return refuse(input, "has no usable \"%s\" in its line %u", key, input->line);
}

/* The next line, as an object. */
static int read_line(struct input *input, json_t **ret_line) {
    const char *newline = memchr(input->at, '\n', (size_t)(input->end - input->at));
    input->line++;
    if (newline == NULL || newline - input->at > LINE_BYTES_MOST) {
        return refuse(input,
                      newline == NULL ? "is cut off in its line %u"
                                      : "has a line %u that is longer than any of ours",
                      input->line);
    }
    json_error_t error = {.text = ""};
    json_t *line =
        json_loadb(input->at, (size_t)(newline - input->at), JSON_REJECT_DUPLICATES, &error);
    if (line == NULL && *error.text == '\0') {
        return -ENOMEM; /* jansson has no words for it; at times it calls it an invalid token */
    }
    if (!json_is_object(line)) {
        json_decref(line);
        return refuse(input, "has no JSON object in its line %u", input->line);
    }
    input->at = newline + 1;
    *ret_line = line;
    return 0;
}

/* A whole number of [0, most]. */
static bool read_number(const json_t *value, uint64_t most, uint64_t *ret_number) {
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (uint64_t)number > most) {
        return false;
    }
    *ret_number = (uint64_t)number;
    return true;
}

static int get_number(struct input *input, const json_t *line, const char *key, uint64_t most,
                      uint64_t *ret_number) {
    return read_number(json_object_get(line, key), most, ret_number) ? 0 : refuse_key(input, key);
}

static int get_duration(struct input *input, const json_t *line, const char *key, nsec_t most,
                        nsec_t *ret_duration) {
    uint64_t number = 0;
    int r = get_number(input, line, key, (uint64_t)most, &number);
    if (r == 0) {
        *ret_duration = (nsec_t)number;
    }
    return r;
}

static int get_unsigned(struct input *input, const json_t *line, const char *key, unsigned most,
                        unsigned *ret_number) {
    uint64_t number = 0;
    int r = get_number(input, line, key, most, &number);
    if (r == 0) {
        *ret_number = (unsigned)number;
    }
    return r;
}

static int get_truth(struct input *input, const json_t *line, const char *key, bool *ret_truth) {
    const json_t *value = json_object_get(line, key);
    if (!json_is_boolean(value)) {
        return refuse_key(input, key);
    }
    *ret_truth = json_is_true(value);
    return 0;
}

static int get_hash(struct input *input, const json_t *line, const char *key, uint64_t *ret_hash) {
    const char *text = json_string_value(json_object_get(line, key));
    if (text == NULL || strlen(text) != HASH_DIGITS ||
        strspn(text, "0123456789abcdef") != HASH_DIGITS) {
        return refuse_key(input, key);
    }
    *ret_hash = strtoull(text, NULL, 16);
    return 0;
}

static int get_word(struct input *input, const json_t *line, const char *key,
                    const char *(*word)(unsigned), unsigned n, unsigned *ret_word) {
    const char *text = json_string_value(json_object_get(line, key));
    for (unsigned i = 0; i < n && text != NULL; i++) {
        if (strcmp(text, word(i)) == 0) {
            *ret_word = i;
            return 0;
        }
    }
    return refuse_key(input, key);
}

static const char *state_word(unsigned state) {
    return state_name((enum state)state);
}

static const char *family_word(unsigned family) {
    return family_names[family];
}

static int get_name(struct input *input, const json_t *line, const char **ret_name) {
    const char *name = json_string_value(json_object_get(line, "site"));
    if (name == NULL || *name == '\0' || strlen(name) > NAME_BYTES_MOST) {
        return refuse_key(input, "site");
    }
    *ret_name = arena_copy(&input->snapshot->arena, name);
    return *ret_name == NULL ? -ENOMEM : 0;
}

static int get_since(struct input *input, const json_t *line, nsec_t *ret_wall_since) {
    if (json_is_null(json_object_get(line, "wall_since_ns"))) {
        *ret_wall_since = NSEC_UNKNOWN;
        return 0;
    }
    return get_duration(input, line, "wall_since_ns", INT64_MAX, ret_wall_since);
}

static int get_window(struct input *input, const json_t *line, struct verdict_past *verdict) {
    const json_t *window = json_object_get(line, "window");
    size_t n = json_array_size(window);
    if (!json_is_array(window) || n > VERDICT_WINDOW_CELLS) {
        return refuse_key(input, "window");
    }
    struct verdict_past_cell *cells =
        arena_take_array(&input->snapshot->arena, n, sizeof *verdict->cells);
    if (cells == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *triple = json_array_get(window, i);
        uint64_t ago, judged, failed; /* a whole window of them is below 2^32 */
        if (json_array_size(triple) != 3 ||
            !read_number(json_array_get(triple, 0), VERDICT_WINDOW_CELLS - 1, &ago) ||
            !read_number(json_array_get(triple, 1), UINT32_MAX / VERDICT_WINDOW_CELLS, &judged) ||
            !read_number(json_array_get(triple, 2), judged, &failed) ||
            (i > 0 && ago <= cells[i - 1].ago)) {
            return refuse_key(input, "window");
        }
        cells[i] = (struct verdict_past_cell){(uint32_t)ago, (uint32_t)judged, (uint32_t)failed};
    }
    verdict->cells = cells;
    verdict->n_cells = (unsigned)n;
    return 0;
}

static bool is_address(const char *text) {
    struct in6_addr address;
    return text != NULL && strlen(text) < INET6_ADDRSTRLEN &&
           (inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1);
}

static int get_addresses(struct input *input, const json_t *line, struct snapshot_site *site) {
    const json_t *addresses = json_object_get(line, "addresses");
    size_t n = json_array_size(addresses);
    if (!json_is_array(addresses) || n > SNAPSHOT_ADDRESSES_MOST) {
        return refuse_key(input, "addresses");
    }
    site->addresses = arena_take_array(&input->snapshot->arena, n, sizeof *site->addresses);
    if (site->addresses == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(addresses, i));
        if (!is_address(text) || (i > 0 && strcmp(site->addresses[i - 1], text) >= 0)) {
            return refuse_key(input, "addresses");
        }
        memcpy(site->addresses[i], text, strlen(text)); /* the rest of it is zeros */
    }
    site->n_addresses = n;
    return 0;
}

/* Also what was said of a site that is not among ours must be right. */
static int get_site(struct input *input, const json_t *line, struct snapshot_site *site) {
    unsigned family = 0, state = 0, level = 0;
    int r = get_name(input, line, &site->name);
    r = r < 0 ? r : get_hash(input, line, "question", &site->question);
    r = r < 0 ? r : get_word(input, line, "family", family_word, 3, &family);
    r = r < 0 ? r : get_duration(input, line, "interval_ns", AGO_MOST, &site->interval);
    r = r < 0 ? r : get_duration(input, line, "ago_ns", AGO_MOST, &site->ago);
    r = r < 0 ? r : get_number(input, line, "round", ROUND_MOST, &site->round);
    r = r < 0 ? r : get_word(input, line, "state", state_word, STATE_COUNT, &state);
    r = r < 0 ? r : get_since(input, line, &site->wall_since);
    r = r < 0 ? r : get_unsigned(input, line, "level", INT32_MAX, &level);
    r = r < 0 ? r
              : get_unsigned(input, line, "bad_rounds", UINT32_MAX / 2, &site->verdict.bad_rounds);
    r = r < 0 ? r
              : get_unsigned(input, line, "recovered_rounds", UINT32_MAX / 2,
                             &site->verdict.recovered_rounds);
    r = r < 0 ? r : get_window(input, line, &site->verdict);
    r = r < 0 ? r : get_addresses(input, line, site);
    r = r < 0 ? r : get_truth(input, line, "left_out_ipv4", &site->left_out_ipv4);
    r = r < 0 ? r : get_truth(input, line, "left_out_ipv6", &site->left_out_ipv6);
    if (r == 0) {
        site->family = (enum family)family;
        site->verdict.state = (enum state)state;
        site->verdict.level = (int)level;
    }
    return r;
}

static int get_head(struct input *input, const json_t *line) {
    struct snapshot_moment *taken = &input->snapshot->taken;
    uint64_t format;
    if (!read_number(json_object_get(line, "tallyd_state"), INT32_MAX, &format)) {
        return refuse(input, "does not begin like a state file");
    }
    if (format != FORMAT) {
        return refuse(input, "has format %" PRIu64 ", and this version knows %d alone", format,
                      FORMAT);
    }
    const char *boot_id = json_string_value(json_object_get(line, "boot_id"));
    if (boot_id == NULL || strlen(boot_id) >= sizeof taken->boot_id) {
        return refuse_key(input, "boot_id");
    }
    strcpy(taken->boot_id, boot_id);
    int r = get_duration(input, line, "wall_ns", INT64_MAX, &taken->wall);
    return r < 0 ? r : get_duration(input, line, "since_boot_ns", INT64_MAX, &taken->since_boot);
}

/* The last line, whose sum is that of all before it. */
static int get_end(struct input *input, const char *bytes, size_t n, size_t *ret_n_sites) {
    const char *newline = n > 1 ? memrchr(bytes, '\n', n - 1) : NULL;
    if (newline == NULL || bytes[n - 1] != '\n') {
        return refuse(input, n == 0 ? "is empty" : "does not end like a state file");
    }
    struct input last = {.at = newline + 1, .end = bytes + n, .why = input->why};
    json_t *line;
    uint64_t n_sites = 0, sum = 0;
    int r = read_line(&last, &line);
    if (r == 0) {
        r = get_number(&last, line, "sites", n / SITE_BYTES_LEAST, &n_sites);
        r = r < 0 ? r : get_hash(&last, line, "sum", &sum);
        json_decref(line);
    }
    if (r < 0) {
        return r == -ENOMEM ? r : refuse(input, "does not end like a state file");
    }
    input->end = newline + 1;
    if (sum != hash_bytes(HASH_BEGIN, bytes, (size_t)(input->end - bytes))) {
        return refuse(input, "is not what was once written: its sum is another");
    }
    *ret_n_sites = n_sites;
    return 0;
}

static int read_head(struct input *input) {
    json_t *line;
    int r = read_line(input, &line);
    if (r == 0) {
        r = get_head(input, line);
        json_decref(line);
    }
    return r;
}

static int decode(struct input *input, const char *bytes, size_t n) {
    struct snapshot *snapshot = input->snapshot;
    size_t n_sites;
    if (n > SNAPSHOT_BYTES_MOST) {
        return refuse(input, "is larger than any state file");
    }
    int r = get_end(input, bytes, n, &n_sites);
    r = r < 0 ? r : read_head(input);
    if (r < 0) {
        return r;
    }
    snapshot->sites = arena_take_array(&snapshot->arena, n_sites, sizeof *snapshot->sites);
    if (snapshot->sites == NULL) {
        return -ENOMEM;
    }
    while (input->at < input->end && snapshot->n_sites < n_sites) {
        json_t *line;
        r = read_line(input, &line);
        if (r == 0) {
            r = get_site(input, line, &snapshot->sites[snapshot->n_sites++]);
            json_decref(line);
        }
        if (r < 0) {
            return r;
        }
    }
    if (input->at < input->end || snapshot->n_sites < n_sites) {
        return refuse(input, "has not as many lines as its last one says");
    }
    return 0;
}

int snapshot_decode(const char *bytes, size_t n, struct snapshot **ret_snapshot,
                    char ret_why[SNAPSHOT_WHY_SIZE]) {
    struct input input = {.at = bytes, .end = bytes + n, .why = ret_why};
    input.snapshot = snapshot_new();
    if (input.snapshot == NULL) {
        return -ENOMEM;
    }
    int r = decode(&input, bytes, n);
    if (r < 0) {
        snapshot_free(input.snapshot);
        return r;
    }
    *ret_snapshot = input.snapshot;
    return 0;
}
