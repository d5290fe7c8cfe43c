#include "pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char html_type[] = "text/html; charset=utf-8";

struct asked {
    const struct board *board;
    const struct page_about *about;
    const char *query;
};

/* Each writes a document and returns the status that goes with it. */

static unsigned write_sites(const struct asked *asked, FILE *to) {
    char *state = web_query_value(asked->query, "state");
    char *find = web_query_value(asked->query, "find");
    char *page = web_query_value(asked->query, "page");
    char *still = web_query_value(asked->query, "still");
    unsigned long number = page != NULL ? strtoul(page, NULL, 10) : 1;
    struct page_view view = {
        .state = state,
        .find = find,
        .page = number < UINT32_MAX ? (unsigned)number : UINT32_MAX,
        .still = still != NULL,
    };
    page_write_sites(asked->board, &view, asked->about, to);
    free(state);
    free(find);
    free(page);
    free(still);
    return 200;
}

static unsigned write_site(const struct asked *asked, FILE *to) {
    char *name = web_query_value(asked->query, "name");
    char *still = web_query_value(asked->query, "still");
    const struct board_site *site = name != NULL ? board_find(asked->board, name) : NULL;
    if (site != NULL) {
        page_write_site(site, still != NULL, asked->about, to);
    } else {
        page_write_message("No such site", "There is none of that name, or no longer.", to);
    }
    free(name);
    free(still);
    return site != NULL ? 200 : 404;
}

static unsigned write_style(const struct asked *asked, FILE *to) {
    (void)asked;
    page_write_style(to);
    return 200;
}

static unsigned write_icon(const struct asked *asked, FILE *to) {
    (void)asked;
    page_write_icon(to);
    return 200;
}

static const struct document {
    const char *path;
    const char *type;
    unsigned (*write)(const struct asked *asked, FILE *to);
} documents[] = {
    {PAGE_PATH, html_type, write_sites},
    {PAGE_SITE_PATH, html_type, write_site},
    {PAGE_STYLE_PATH, "text/css; charset=utf-8", write_style},
    {PAGE_ICON_PATH, "image/svg+xml", write_icon},
};

bool pages_answer(const struct board *board, const struct page_about *about,
                  const struct web_request *request, struct web_answer *ret_answer) {
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        if (strcmp(request->path, documents[i].path) != 0) {
            continue;
        }
        struct asked asked = {.board = board, .about = about, .query = request->query};
        unsigned status = 503;
        char *text = NULL;
        size_t n;
        FILE *to = open_memstream(&text, &n);
        if (to != NULL) {
            status = documents[i].write(&asked, to);
            bool whole = ferror(to) == 0;
            if (fclose(to) != 0 || !whole) {
                free(text);
                text = NULL;
            }
        }
        web_answer_text(ret_answer, status, documents[i].type, text);
        ret_answer->policy = PAGE_POLICY;
        return true;
    }
    return false;
}
