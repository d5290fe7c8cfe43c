/* A debugging server, or a redirect to /login/TOKEN, tells us our own secrets, and what is quoted of
 * an answer goes to logs. So words and names of backends pass through here.
 *
 * Secrets are looked for as they were sent: those of headers as they are, a password also within the
 * base64 of its login. As texts are cut, the beginning of one is masked like the whole. */
#include "probe/mask.h"

#include "base/text.h"
#include "probe/probe.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    PIECE_BYTES = 8,                           /* of a longer secret so many are enough */
    LOGIN_BYTES = 3 * (PROBE_WORDS_BYTES / 4), /* in base64, more than a text has room for */
};

/* How much of the secret the text begins with; 0: too little to be meant. */
static size_t find_here(const char *text, const char *secret) {
    size_t n = 0;
    while (secret[n] != '\0' && text[n] == secret[n]) {
        n++;
    }
    return secret[n] == '\0' || n >= PIECE_BYTES ? n : 0;
}

static void mask(const char *secret, char *text) {
    for (; *text != '\0'; text++) {
        size_t n = find_here(text, secret);
        if (n > 0) {
            size_t stars = n < 3 ? n : 3;
            memset(text, '*', stars);
            memmove(text + stars, text + n, strlen(text + n) + 1);
            text += stars - 1;
        }
    }
}

static void mask_secret(const struct secret *secret, char *text) {
    char escaped[PROBE_WORDS_BYTES];
    if (secret != NULL) {
        text_escape(secret->bytes, secret->n, escaped, sizeof escaped);
        mask(escaped, text);
        explicit_bzero(escaped, sizeof escaped);
    }
}

static void mask_login(const char *user, const struct secret *password, char *text) {
    char login[LOGIN_BYTES + 1], coded[4 * (LOGIN_BYTES / 3) + 1];
    int n = snprintf(login, sizeof login, "%s:%s", user, password->bytes);
    EVP_EncodeBlock((unsigned char *)coded, (const unsigned char *)login,
                    n < LOGIN_BYTES ? n : LOGIN_BYTES);
    mask(coded, text);
    explicit_bzero(login, sizeof login);
    explicit_bzero(coded, sizeof coded);
}

void mask_secrets(const struct request_config *request, char *text) {
    if (*text == '\0') {
        return;
    }
    if (request->basic_user != NULL) { /* the whole first, then what may be in it */
        mask_login(request->basic_user, request->basic_password, text);
    }
    for (size_t i = 0; i < request->n_headers; i++) {
        mask_secret(request->headers[i].secret, text);
    }
    mask_secret(request->basic_password, text);
    mask_secret(request->bearer, text);
}
