/* The options of `willis prepare`: what of the files to believe, and what to make of them. */
#include "cli/prepare_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct option_row prepare_rows[] = {
    [FRAME] = {.name = "frame",
               .kind = OPTION_TEXT,
               .argument = "N|peak|all",
               .fallback = "peak",
               .help = "Frame N (from 1) of every run, the one with most contrast, or each"},
    [WINDOW] = {.name = "window",
                .kind = OPTION_INTEGER,
                .argument = "N",
                .fallback = "1",
                .help = "Make one picture of N frames from there on",
                .least = 1,
                .most = 10000},
    [COMBINE] = {.name = "combine",
                 .kind = OPTION_CHOICE,
                 .argument = "darkest|mean",
                 .fallback = "darkest",
                 .help = "What a window keeps of each pixel"},
    [SUBTRACT] = {.name = "subtract",
                  .kind = OPTION_TEXT,
                  .argument = "file|none|N|N-M",
                  .fallback = "file",
                  .help = "As the file says, not at all, or from the mean of frames N to M"},
    [BIN] = {.name = "bin",
             .kind = OPTION_INTEGER,
             .argument = "N",
             .fallback = "1",
             .help = "Make one pixel of N x N",
             .least = 1,
             .most = 64},
    [ANGLES] = {.name = "angles",
                .kind = OPTION_TEXT,
                .argument = "P/S,...",
                .help = "Primary/secondary angle in degrees of each file, instead of its own"},
    [TO_DETECTOR] = {.name = "source-to-detector",
                     .kind = OPTION_REAL,
                     .argument = "MM",
                     .help = "Instead of what the files say",
                     .least = 1,
                     .most = 1e5},
    [TO_ISOCENTER] = {.name = "source-to-isocenter",
                      .kind = OPTION_REAL,
                      .argument = "MM",
                      .help = "Instead of what the files say",
                      .least = 1,
                      .most = 1e5},
    [PIXEL_SPACING] = {.name = "pixel-spacing",
                       .kind = OPTION_REAL,
                       .argument = "MM",
                       .help = "At the detector, instead of what the files say",
                       .least = 1e-3,
                       .most = 100},
    [FROM_FIELD] = {.name = "spacing-from-field-of-view",
                    .kind = OPTION_FLAG,
                    .help = "Where a file has no pixel spacing: its field of view / its matrix"},
    [INCREMENTS] = {.name = "increments",
                    .kind = OPTION_CHOICE,
                    .argument = "auto|offsets|absolute",
                    .fallback = "auto",
                    .help = "How the angles of a moving C-arm are written, if that is in doubt"},
    [ORIENTATION] = {.name = "orientation",
                     .kind = OPTION_CHOICE,
                     .argument = "file|patient|field-of-view|stored",
                     .fallback = "file",
                     .help = "Make pictures upright as the file says (by one attribute), or not"},
    [GEOMETRY] = {.name = "geometry",
                  .kind = OPTION_TEXT,
                  .argument = "FILE",
                  .help = "Views from RTK's XML, 3x4 matrices or the .json of a projection stack"},
    {0},
};

/* "30/25,-40/0" into pairs; −1 if it is not such a list. */
static int parse_pairs(const char *text, double *value) {
  int pairs = 0;
  for (;; text++) {
    if (pairs == MOST_RUNS) return -1;
    for (int k = 0; k < 2; k++) {
      char *end;
      value[2 * pairs + k] = strtod(text, &end);
      if (end == text || !isfinite(value[2 * pairs + k])) return -1;
      if (k == 0 && *end++ != '/') return -1;
      text = end;
    }
    pairs++;
    if (!*text) return pairs;
    if (*text != ',') return -1;
  }
}

/* "7" or "3-9"; false for anything else. */
static bool parse_range(const char *text, ptrdiff_t *first, ptrdiff_t *last) {
  char *end;
  *first = *last = strtol(text, &end, 10);
  if (end != text && *end == '-') {
    text = end + 1;
    *last = strtol(text, &end, 10);
  }
  return end != text && !*end && *first >= 1 && *last >= *first;
}

int read_prepare_options(const struct call *call, struct willis_prepare_options *to, double *pair) {
  const struct option_value *o = call->option;
  static const enum willis_increments increments[] = {
      WILLIS_INCREMENTS_NONE, WILLIS_INCREMENTS_OFFSETS, WILLIS_INCREMENTS_ON_ZERO};
  const char *frame = o[FRAME].text, *subtract = o[SUBTRACT].text;
  ptrdiff_t last;
  *to = willis_prepare_defaults();
  to->window = (ptrdiff_t)o[WINDOW].integer;
  to->bin = (ptrdiff_t)o[BIN].integer;
  if (strcmp(frame, "all") == 0)
    to->choice = WILLIS_FRAME_ALL;
  else if (strcmp(frame, "peak") != 0) {
    to->choice = WILLIS_FRAME_NUMBER;
    if (!parse_range(frame, &to->frame, &last) || last != to->frame)
      return print_usage_error(call->command, "--frame: '%s' is neither a number, peak nor all",
                               frame);
  }
  if (to->choice == WILLIS_FRAME_ALL && to->window > 1)
    return print_usage_error(call->command, "--frame all and --window exclude each other");
  if (strcmp(subtract, "none") == 0)
    to->subtract = WILLIS_SUBTRACT_NEVER;
  else if (strcmp(subtract, "file") != 0) {
    to->subtract = WILLIS_SUBTRACT_MASK;
    if (!parse_range(subtract, &to->mask_first, &to->mask_last))
      return print_usage_error(call->command, "--subtract: '%s' is neither file, none nor frames",
                               subtract);
  }
  if (o[ANGLES].given) {
    to->angle_deg = pair;
    to->angle_count = parse_pairs(o[ANGLES].text, pair);
    if (to->angle_count != call->argument_count)
      return print_usage_error(call->command, "--angles: '%s' is not %d pairs such as 30/-25,0/0",
                               o[ANGLES].text, call->argument_count);
  }
  if (o[GEOMETRY].given && (o[ANGLES].given || o[TO_DETECTOR].given || o[TO_ISOCENTER].given))
    return print_usage_error(call->command, "--geometry excludes --angles and the distances");
  to->override.source_to_detector_mm = o[TO_DETECTOR].given ? o[TO_DETECTOR].real : 0;
  to->override.source_to_isocenter_mm = o[TO_ISOCENTER].given ? o[TO_ISOCENTER].real : 0;
  to->override.pixel_spacing_mm = o[PIXEL_SPACING].given ? o[PIXEL_SPACING].real : 0;
  to->override.from_field_of_view = o[FROM_FIELD].given;
  to->override.increments = increments[o[INCREMENTS].integer];
  to->combine = o[COMBINE].integer ? WILLIS_COMBINE_MEAN : WILLIS_COMBINE_DARKEST;
  to->orientation = (enum willis_orientation)o[ORIENTATION].integer;
  return 0;
}
