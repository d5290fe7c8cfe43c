/* The text is read one character at a time, and a character is either kept whole or every byte of
 * it is written as \xNN. What is not valid UTF-8 (overlong forms, surrogates and numbers over
 * U+10FFFF included) is escaped byte by byte, so that no input can hide a control character in a
 * form that a lenient reader would decode. */
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The length of the valid UTF-8 sequence at the start of `bytes`, or 0 (Unicode 15, table 3-7). */
static size_t decode(const unsigned char *bytes, size_t n, uint32_t *ret_code) {
    unsigned char lead = bytes[0];
    size_t length;
    uint32_t code, least;
    if (lead < 0x80) {
        *ret_code = lead;
        return 1;
    }
    if (lead >= 0xc2 && lead <= 0xdf) {
        length = 2;
        code = lead & 0x1fU;
        least = 0x80;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        length = 3;
        code = lead & 0x0fU;
        least = 0x800;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        length = 4;
        code = lead & 0x07U;
        least = 0x10000;
    } else {
        return 0;
    }
    if (n < length) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (bytes[i] & 0x3fU);
    }
    if (code < least || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) {
        return 0;
    }
    *ret_code = code;
    return length;
}

/* Whether a character may be shown: it neither moves the cursor nor ends the line nor turns the
 * direction of what follows. */
static bool is_safe(uint32_t code) {
    return !(code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x061c ||
             (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
             (code >= 0x2066 && code <= 0x2069) || code == 0xfeff);
}

/* The length of the character at the start of `bytes`; whether it may stay as it is. */
static size_t next(const unsigned char *bytes, size_t n, bool *ret_safe) {
    uint32_t code = 0;
    size_t length = decode(bytes, n, &code);
    if (length == 0) {
        *ret_safe = false;
        return 1;
    }
    *ret_safe = is_safe(code);
    return length;
}

size_t text_escape(const char *bytes, size_t n, char *ret_text, size_t size) {
    static const char digits[] = "0123456789abcdef";
    if (size == 0) {
        return 0;
    }
    const unsigned char *in = (const unsigned char *)bytes;
    size_t used = 0;
    for (size_t i = 0, length; i < n; i += length) {
        bool safe;
        length = next(in + i, n - i, &safe);
        size_t needed = safe ? length : 4 * length;
        if (needed > size - 1 - used) {
            break;
        }
        if (safe) {
            memcpy(ret_text + used, bytes + i, length);
            used += length;
            continue;
        }
        for (size_t j = 0; j < length; j++) {
            ret_text[used++] = '\\';
            ret_text[used++] = 'x';
            ret_text[used++] = digits[in[i + j] >> 4];
            ret_text[used++] = digits[in[i + j] & 15];
        }
    }
    ret_text[used] = '\0';
    return used;
}

size_t text_safe_length(const char *bytes, size_t n) {
    const unsigned char *in = (const unsigned char *)bytes;
    size_t i = 0;
    while (i < n) {
        if (in[i] >= 0x20 && in[i] < 0x7f) { /* nearly always; a file is read with this */
            i++;
            continue;
        }
        bool safe;
        size_t length = next(in + i, n - i, &safe);
        if (!safe) {
            break;
        }
        i += length;
    }
    return i;
}

int text_is_safe(const char *bytes, size_t n) {
    return text_safe_length(bytes, n) == n;
}
