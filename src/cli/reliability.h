/* Reliability for readers: a table, JSON, a chart. */
#ifndef WILLIS_CLI_RELIABILITY_H
#define WILLIS_CLI_RELIABILITY_H

#include "cli/report.h"

void print_reliability(FILE *to, const struct willis_reliability *reliability);
json_t *reliability_object(const struct willis_reliability *reliability);
WILLIS_CHECKED enum willis_status draw_reliability(const char *path,
                                                   const struct willis_reliability *reliability,
                                                   bool overwrite, struct willis_error *err);

#endif
