/* willis prepare: X-ray angiograms out of DICOM files into a projection stack. */
#include "cli/inputs.h"
#include "cli/report.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RUNS = 512 };
enum {
  FRAME,
  WINDOW,
  SUBTRACT,
  BIN,
  ANGLES,
  TO_DETECTOR,
  TO_ISOCENTER,
  PIXEL_SPACING,
  FROM_FIELD,
  INCREMENTS,
  GEOMETRY
};
static const struct option_row rows[] = {
    [FRAME] = {.name = "frame",
               .kind = OPTION_TEXT,
               .argument = "N|peak|all",
               .fallback = "peak",
               .help = "Frame N (from 1) of every run, the one with most contrast, or each"},
    [WINDOW] = {.name = "window",
                .kind = OPTION_INTEGER,
                .argument = "N",
                .fallback = "1",
                .help = "N frames from there on, the darkest of each pixel",
                .least = 1,
                .most = 10000},
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

static int parse_options(const struct call *call, struct willis_prepare_options *to, double *pair) {
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
  return 0;
}

static int report(const struct call *call, const struct willis_projections *stack,
                  const struct willis_prepared_view *done) {
  static const char *const kinds[] = {"none", "average", "interval", "reversed interval"};
  json_t *views = json_array();
  if (!call->json)
    fprintf(call->results, "%s: %td views of %td x %td pixels\n", call->output, stack->view_count,
            stack->columns, stack->rows);
  for (ptrdiff_t i = 0; i < stack->view_count; i++) {
    const struct willis_view *v = &stack->view[i];
    const char *file = call->argument[done[i].run], *kind = kinds[done[i].subtraction];
    json_array_append_new(
        views, json_pack("{s:s, s:I, s:I, s:s, s:f, s:f}", "file", file, "first_frame",
                         (json_int_t)done[i].first_frame, "last_frame",
                         (json_int_t)done[i].last_frame, "subtraction", kind, "primary_angle_deg",
                         v->primary_angle_deg, "secondary_angle_deg", v->secondary_angle_deg));
    if (call->json) continue;
    fprintf(call->results, "  %td: %s, frame %td", i, file, done[i].first_frame);
    if (done[i].last_frame > done[i].first_frame)
      fprintf(call->results, "-%td", done[i].last_frame);
    fprintf(call->results, ", angles %g/%g, mask: %s\n", v->primary_angle_deg,
            v->secondary_angle_deg, kind);
  }
  if (!call->json) {
    json_decref(views);
    return 0;
  }
  return print_json(call, json_pack("{s:s, s:[I,I,I], s:o}", "output", call->output, "size",
                                    (json_int_t)stack->columns, (json_int_t)stack->rows,
                                    (json_int_t)stack->view_count, "views", views));
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
  return status;
}

static int run(const struct call *call) {
  struct willis_prepare_options options;
  struct willis_view_list list = {0};
  struct willis_projections stack = {0};
  struct willis_prepared_view *done = NULL;
  struct willis_error err;
  double pair[2 * MOST_RUNS];
  int code = parse_options(call, &options, pair);
  if (!code) code = check_stack_output(call);
  if (code) return code;
  enum willis_status status = read_geometry(call, &options, &list, &err);
  if (!status)
    status = willis_prepare(call->argument, call->argument_count, &options, &stack, &done,
                            &call->progress, &call->warnings, &err);
  if (!status) status = willis_projections_write(call->output, &stack, call->force, &err);
  code = status ? print_error(NULL, &err) : report(call, &stack, done);
  willis_projections_release(&stack);
  willis_prepared_release(done);
  willis_view_list_release(&list);
  return code;
}

const struct command cmd_prepare = {
    .name = "prepare",
    .arguments = "XA.dcm... -o PROJ.nii.gz",
    .summary = "Make a projection stack of X-ray angiograms (DICOM)",
    .details =
        "Each file is a run of frames seen from one direction (or from many, with --frame all). "
        "Frames are subtracted as the file says, linear intensities become logarithms, and the "
        "C-arm's angles, distances and pixel spacing become the views of the stack.\n\n"
        "Nothing is guessed: what a file does not say has to be given by an option, which then "
        "counts for every file, and what contradicts itself is refused with the option that "
        "settles it. `willis info` shows what files say and what is missing. Nothing about a "
        "patient goes into the output.",
    .least_arguments = 1,
    .most_arguments = MOST_RUNS,
    .needs_output = true,
    .rows = rows,
    .run = run,
};
