/* The entries of `on_change`. */
#pragma once

#include "config/draft.h"

int commands_fill(struct draft *draft, struct config *config); /* 0 or -ENOMEM */
