/* Results as JSON. */
#ifndef WILLIS_CLI_REPORT_H
#define WILLIS_CLI_REPORT_H

#include "cli/options.h"

#include <jansson.h>

/* JSON has no NaN and no infinity: those become null. */
json_t *json_number(double value);
/* [value[0], …]. */
json_t *json_numbers(const double *value, int count);
/* From here on JSON that finds no memory is noticed; building it goes on with gaps, so whoever
 * prints some asks. */
void json_watch_memory(void);
/* 0, or 1 after an error line when memory was short since json_watch_memory(). */
int json_check_memory(void);
/* Prints `value` to call->results with a newline and releases it. Returns 0, or 1 after an error
 * line. A null `value`, or one with gaps, is an out-of-memory error. */
int print_json(const struct call *call, json_t *value);

#endif
