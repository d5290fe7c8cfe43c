/* Gives every file of the directories in its arguments to a fuzz target, so that what a fuzzer has
 * found once is tested for ever, with any compiler. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Whether it could be read; in memory of exactly its size, for the sanitizers. */
static int replay(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        return 0;
    }
    long n = ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(n > 0 ? (size_t)n : 1);
    int whole = n >= 0 && bytes != NULL && fread(bytes, 1, (size_t)n, file) == (size_t)n;
    fclose(file);
    if (whole) {
        LLVMFuzzerTestOneInput(bytes, (size_t)n);
    }
    free(bytes);
    return whole;
}

int main(int argc, char **argv) {
    unsigned replayed = 0;
    for (int i = 1; i < argc; i++) {
        DIR *directory = opendir(argv[i]);
        if (directory == NULL) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (entry->d_name[0] == '.') {
                continue;
            }
            if (!replay(path)) {
                return 1;
            }
            replayed++;
        }
        closedir(directory);
    }
    printf("%u inputs\n", replayed);
    return replayed > 0 ? 0 : 1;
}
