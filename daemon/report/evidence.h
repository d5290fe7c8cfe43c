/* What a report keeps of single samples that failed. Pure. */
#pragma once

#include "report/report.h"

/* Fills the report's evidence from its round. 0 or -ENOMEM. */
int evidence_copy(struct report *report, const struct round *round);
void evidence_free(struct report_evidence *evidence, size_t n); /* NULL does nothing */
