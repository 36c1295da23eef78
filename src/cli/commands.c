/* The command table: one line a command, in the order in which help lists them. */
#include "cli/options.h"

#include <stddef.h>

const struct command *const commands[] = {
    NULL,
};
