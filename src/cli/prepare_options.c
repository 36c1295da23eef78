/* What of DICOM files to believe, and what to make of them. */
#include "cli/prepare_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct option_row prepare_rows[] = {PREPARE_ROWS, {0}};

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

/* Views for images of the first run's size. */
static enum willis_status read_geometry(const struct call *call,
                                        struct willis_prepare_options *options,
                                        struct willis_view_list *list, struct willis_error *err) {
  struct willis_angiogram first;
  const char *path = call->option[GEOMETRY].text;
  if (!call->option[GEOMETRY].given) return WILLIS_OK;
  enum willis_status status = willis_angiogram_open(call->argument[0], &first, NULL, err);
  if (status) return status;
  const struct willis_view_file of = {first.columns, first.rows,
                                      options->override.pixel_spacing_mm};
  willis_angiogram_close(&first);
  status = willis_views_read(path, &of, list, err);
  options->view = list->view;
  options->view_count = list->count;
  options->mirrored = list->mirrored;
  /* Other software's geometry is that of the pictures as they are stored. */
  if (!list->upright && !call->option[ORIENTATION].given)
    options->orientation = WILLIS_ORIENTATION_STORED;
  return status;
}

enum willis_status prepare_arguments(const struct call *call,
                                     struct willis_prepare_options *options,
                                     struct willis_projections *stack,
                                     struct willis_prepared_view **done, struct willis_error *err) {
  struct willis_view_list list = {0};
  *stack = (struct willis_projections){0};
  *done = NULL;
  enum willis_status status = read_geometry(call, options, &list, err);
  if (!status)
    status = willis_prepare(call->argument, call->argument_count, options, stack, done,
                            &call->progress, &call->warnings, err);
  willis_view_list_release(&list);
  return status;
}
