/* The status pages' answers: which page a request asks for, as output/page.h writes it. */
#pragma once

#include "output/page.h"
#include "report/board.h"
#include "service/web.h"

#include <stdbool.h>

#define PAGES_REFRESH_SECONDS 15

/* False: the path is none of theirs, and nothing was done. A site that is not there is a page too, with
 * status 404. */
bool pages_answer(const struct board *board, const struct page_about *about,
                  const struct web_request *request, struct web_answer *ret_answer);
