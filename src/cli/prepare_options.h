/* The options of willis prepare. */
#ifndef WILLIS_CLI_PREPARE_OPTIONS_H
#define WILLIS_CLI_PREPARE_OPTIONS_H

#include "cli/options.h"

/* clang-format off */
enum {
  FRAME, WINDOW, COMBINE, SUBTRACT, BIN, ANGLES, TO_DETECTOR, TO_ISOCENTER, PIXEL_SPACING,
  FROM_FIELD, INCREMENTS, ORIENTATION, GEOMETRY
};
/* clang-format on */
enum { MOST_RUNS = 512 };

extern const struct option_row prepare_rows[];
/* What they say; angles go to pair[2·MOST_RUNS]. 0, or 2 after a usage error. */
int read_prepare_options(const struct call *call, struct willis_prepare_options *to, double *pair);

#endif
