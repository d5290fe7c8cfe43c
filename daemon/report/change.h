/* A change of a site's state, as it is told in records and to commands. Pure. */
#pragma once

#include "report/report.h"
#include "report/verdict.h"

#define CHANGE_WHY_BYTES 640

struct change {
    enum state from, to;
    nsec_t wall_time;  /* when it was noticed */
    nsec_t wall_since; /* the time of the change to `from`; NSEC_UNKNOWN: nobody saw it */
    uint64_t round;    /* that brought it; 0: none did */
    unsigned planned, judged, failed; /* of that round */
    char why[CHANGE_WHY_BYTES];       /* a sentence with the numbers; not yet escaped */
};

/* That the configuration does not sample the site any more. */
void change_init_paused(struct change *change, enum state from, nsec_t wall_time,
                        nsec_t wall_since);
/* The change that a judged report brought, with its sentence. */
void change_init(struct change *change, const struct report *report, nsec_t wall_time,
                 nsec_t wall_since);
