/* What a file holds, for people and scripts. */
#ifndef WILLIS_CLI_DESCRIBE_H
#define WILLIS_CLI_DESCRIBE_H

#include "cli/options.h"

#include <jansson.h>

/* Adds what is known of the file to the object `out`: its kind and format, then what belongs to the
 * kind. Keys end in their unit. FORMAT when it is nothing that Willis reads. */
WILLIS_CHECKED enum willis_status describe_file(const struct call *call, const char *path,
                                                json_t *out, struct willis_error *err);

/* The same for an X-ray angiogram that is known to be one. */
WILLIS_CHECKED enum willis_status describe_angiogram(const struct call *call, const char *path,
                                                     json_t *out, struct willis_error *err);

#endif
