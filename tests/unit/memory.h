/* Allocations that fail on demand, to be included by one file of a test program. A test makes the
 * k-th allocation fail for every k, until the code under test gets by with k of them. Where other
 * allocators stand in the way (the sanitizers', valgrind's unless it is started with
 * --soname-synonyms=somalloc=nouserintercepts), memory_can_fail() says so and such tests do not
 * run. Valgrind so started also finds what was not given back. */
#pragma once

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_IS_TAKEN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_IS_TAKEN
#endif

/* Allocations before the one that fails; SIZE_MAX: none. Volatile, as compilers know that malloc()
 * looks at no variable of ours. */
static volatile size_t memory_left = SIZE_MAX;

#ifndef MEMORY_IS_TAKEN
static int memory_fails(void) {
    if (memory_left == SIZE_MAX) {
        return 0;
    }
    if (memory_left == 0) {
        memory_left = SIZE_MAX; /* one only: what follows must cope with having failed */
        errno = ENOMEM;
        return 1;
    }
    memory_left--;
    return 0;
}

void *malloc(size_t size) {
    static void *(*next)(size_t);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "malloc");
    }
    return memory_fails() ? NULL : next(size);
}

void *calloc(size_t n, size_t size) {
    static void *(*next)(size_t, size_t);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "calloc");
    }
    return memory_fails() ? NULL : next(n, size);
}

void *realloc(void *memory, size_t size) {
    static void *(*next)(void *, size_t);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "realloc");
    }
    return memory_fails() ? NULL : next(memory, size);
}

void *reallocarray(void *memory, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(memory, bytes);
}
#endif

static bool memory_can_fail(void) {
    void *(*volatile allocate)(size_t) = malloc; /* or the call and its free() cancel out */
    memory_left = 0;
    void *memory = allocate(1);
    bool fails = memory == NULL;
    memory_left = SIZE_MAX;
    free(memory);
    return fails;
}
