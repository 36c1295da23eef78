/* What `willis prepare` asks, and `willis reconstruct` when it gets DICOM files. */
#ifndef WILLIS_CLI_PREPARE_OPTIONS_H
#define WILLIS_CLI_PREPARE_OPTIONS_H

#include "cli/options.h"

/* clang-format off */
enum {
  FRAME, WINDOW, COMBINE, SUBTRACT, BIN, ANGLES, TO_DETECTOR, TO_ISOCENTER, PIXEL_SPACING,
  FROM_FIELD, INCREMENTS, ORIENTATION, GEOMETRY, PREPARE_ROW_COUNT
};
/* clang-format on */
enum { MOST_RUNS = 512 };

/* The first rows of a command's own, in the order of the names above. */
#define PREPARE_ROWS                                                                               \
  {.name = "frame",                                                                                \
   .kind = OPTION_TEXT,                                                                            \
   .argument = "N|peak|all",                                                                       \
   .fallback = "peak",                                                                             \
   .help = "Frame N (from 1) of every run, the one with most contrast, or each"},                  \
      {.name = "window",                                                                           \
       .kind = OPTION_INTEGER,                                                                     \
       .argument = "N",                                                                            \
       .fallback = "1",                                                                            \
       .help = "Make one picture of N frames from there on",                                       \
       .least = 1,                                                                                 \
       .most = 10000},                                                                             \
      {.name = "combine",                                                                          \
       .kind = OPTION_CHOICE,                                                                      \
       .argument = "darkest|mean",                                                                 \
       .fallback = "darkest",                                                                      \
       .help = "What a window keeps of each pixel"},                                               \
      {.name = "subtract",                                                                         \
       .kind = OPTION_TEXT,                                                                        \
       .argument = "file|none|N|N-M",                                                              \
       .fallback = "file",                                                                         \
       .help = "As the file says, not at all, or from the mean of frames N to M"},                 \
      {.name = "bin",                                                                              \
       .kind = OPTION_INTEGER,                                                                     \
       .argument = "N",                                                                            \
       .fallback = "1",                                                                            \
       .help = "Make one pixel of N x N",                                                          \
       .least = 1,                                                                                 \
       .most = 64},                                                                                \
      {.name = "angles",                                                                           \
       .kind = OPTION_TEXT,                                                                        \
       .argument = "P/S,...",                                                                      \
       .help = "Primary/secondary angle in degrees of each file, instead of its own"},             \
      {.name = "source-to-detector",                                                               \
       .kind = OPTION_REAL,                                                                        \
       .argument = "MM",                                                                           \
       .help = "Instead of what the files say",                                                    \
       .least = 1,                                                                                 \
       .most = 1e5},                                                                               \
      {.name = "source-to-isocenter",                                                              \
       .kind = OPTION_REAL,                                                                        \
       .argument = "MM",                                                                           \
       .help = "Instead of what the files say",                                                    \
       .least = 1,                                                                                 \
       .most = 1e5},                                                                               \
      {.name = "pixel-spacing",                                                                    \
       .kind = OPTION_REAL,                                                                        \
       .argument = "MM",                                                                           \
       .help = "At the detector, instead of what the files say",                                   \
       .least = 1e-3,                                                                              \
       .most = 100},                                                                               \
      {.name = "spacing-from-field-of-view",                                                       \
       .kind = OPTION_FLAG,                                                                        \
       .help = "Where a file has no pixel spacing: its field of view / its matrix"},               \
      {.name = "increments",                                                                       \
       .kind = OPTION_CHOICE,                                                                      \
       .argument = "auto|offsets|absolute",                                                        \
       .fallback = "auto",                                                                         \
       .help = "How the angles of a moving C-arm are written, if that is in doubt"},               \
      {.name = "orientation",                                                                      \
       .kind = OPTION_CHOICE,                                                                      \
       .argument = "file|patient|field-of-view|stored",                                            \
       .fallback = "file",                                                                         \
       .help = "Make pictures upright as the file says (by one attribute), or not"},               \
  {                                                                                                \
    .name = "geometry", .kind = OPTION_TEXT, .argument = "FILE",                                   \
    .help = "Views from RTK's XML, 3x4 matrices or the .json of a projection stack"                \
  }
extern const struct option_row prepare_rows[];
/* What they say; angles go to pair[2·MOST_RUNS]. 0, or 2 after a usage error. */
int read_prepare_options(const struct call *call, struct willis_prepare_options *to, double *pair);
/* The stack of the command's arguments, and what was done for each view; the caller releases both.
 */
WILLIS_CHECKED enum willis_status prepare_arguments(const struct call *call,
                                                    struct willis_prepare_options *options,
                                                    struct willis_projections *stack,
                                                    struct willis_prepared_view **done,
                                                    struct willis_error *err);

#endif
