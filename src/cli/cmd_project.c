/* willis project: angiograms of a volume (M1–M4). */
#include "cli/inputs.h"
#include "cli/report.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VIEWS = 3600, PAPER_VIEWS = 90 };

enum { VIEWS, ARC, ANGLES, MODE, GEOMETRY, ANGLE_ERROR, SHIFT_ERROR, PHOTONS };
static const struct option_row rows[] = {
    [VIEWS] = {.name = "views",
               .kind = OPTION_INTEGER,
               .argument = "N",
               .fallback = "10",
               .help = "Number of views out of 90 over the arc, first and last included",
               .least = 2,
               .most = PAPER_VIEWS},
    [ARC] = {.name = "arc",
             .kind = OPTION_REAL,
             .argument = "DEG",
             .fallback = "90",
             .help = "Degrees from the first of the 90 views to the last",
             .least = 0,
             .most = 360},
    [ANGLES] = {.name = "angles",
                .kind = OPTION_TEXT,
                .argument = "A,B,…",
                .help = "View angles in degrees instead; 0 looks from the front, 90 from the side"},
    [MODE] = {.name = "mode",
              .kind = OPTION_CHOICE,
              .argument = "max|sum",
              .fallback = "max",
              .help = "Maximum along the ray, or line integral in mm"},
    [GEOMETRY] = {.name = "geometry",
                  .kind = OPTION_TEXT,
                  .argument = "FILE.json",
                  .fallback = "parallel",
                  .help = "parallel, or the views and the detector of another projection stack"},
    [ANGLE_ERROR] = {.name = "angle-error",
                     .kind = OPTION_REAL,
                     .argument = "DEG",
                     .fallback = "0",
                     .help = "Each view says an angle that is wrong by a normal error of this "
                             "standard deviation",
                     .most = 45},
    [SHIFT_ERROR] = {.name = "shift-error",
                     .kind = OPTION_REAL,
                     .argument = "PIXELS",
                     .fallback = "0",
                     .help = "And a place that is wrong by this along columns and rows",
                     .most = 10000},
    [PHOTONS] = {.name = "photons",
                 .kind = OPTION_REAL,
                 .argument = "N",
                 .fallback = "0",
                 .help =
                     "Pixels count photons, N where there is no vessel, N/e in the darkest; for "
                     "--mode sum; 0: no noise",
                 .most = 1e15},
    {0},
};

/* The views turned about the volume's centre, with detectors like its slices. */
static enum willis_status turn(const struct call *call, const double *angle_deg, int count,
                               const struct willis_grid *grid, struct willis_projections *stack,
                               struct willis_error *err) {
  enum willis_status status =
      willis_projections_create(stack, grid->size[0], grid->size[2], count, err);
  if (status) return status;
  for (int i = 0; i < count; i++) stack->view[i] = willis_view_parallel(angle_deg[i], grid);
  willis_grid_centre(grid, stack->isocenter_mm);
  stack->mode = (enum willis_projection_mode)call->option[MODE].integer;
  return WILLIS_OK;
}

/* The views of another stack: of its text, or of its image. */
static enum willis_status borrow(const struct call *call, struct willis_projections *stack,
                                 struct willis_error *err) {
  static const char *const ending[] = {".nii.gz", ".nii"};
  const char *path = call->option[GEOMETRY].text;
  size_t length = strlen(path), stem = length - 5;
  bool text = length > 5 && strcmp(path + stem, ".json") == 0;
  enum willis_status status = text ? WILLIS_IO : load_stack(call, path, stack, err);
  for (size_t i = 0; text && i < sizeof ending / sizeof *ending && status == WILLIS_IO; i++) {
    char image[PATH_MAX];
    snprintf(image, sizeof image, "%.*s%s", (int)stem, path, ending[i]);
    status = load_stack(call, image, stack, err);
  }
  if (text && status == WILLIS_IO)
    snprintf(err->message, sizeof err->message,
             "%.200s: cannot be read together with the image (.nii.gz or .nii) beside it", path);
  if (!status && call->option[MODE].given)
    stack->mode = (enum willis_projection_mode)call->option[MODE].integer;
  return status;
}

static int report(const struct call *call, const struct willis_projections *stack) {
  const char *mode = stack->mode == WILLIS_PROJECTION_MAX ? "max" : "sum";
  if (call->json) {
    json_t *angles = json_array();
    for (ptrdiff_t i = 0; i < stack->view_count; i++)
      json_array_append_new(angles, json_number(stack->view[i].primary_angle_deg));
    return print_json(call,
                      json_pack("{s:s, s:s, s:[I,I,I], s:o}", "output", call->output, "mode", mode,
                                "size", (json_int_t)stack->columns, (json_int_t)stack->rows,
                                (json_int_t)stack->view_count, "primary_angle_deg", angles));
  }
  const char *plural = stack->view_count == 1 ? "" : "s";
  fprintf(call->results, "%s: %td view%s of %td x %td pixels, %s, primary angle%s", call->output,
          stack->view_count, plural, stack->columns, stack->rows, mode, plural);
  for (ptrdiff_t i = 0; i < stack->view_count; i++)
    fprintf(call->results, " %g", stack->view[i].primary_angle_deg);
  fprintf(call->results, " degrees\n");
  return 0;
}

static int run(const struct call *call) {
  const struct option_value *o = call->option;
  double angle_deg[MOST_VIEWS];
  int count = (int)o[VIEWS].integer;
  bool borrowed = strcmp(o[GEOMETRY].text, "parallel") != 0;
  struct willis_error err;
  if (o[ANGLES].given + borrowed + (o[VIEWS].given || o[ARC].given) > 1)
    return print_usage_error(call->command,
                             "--angles, --geometry FILE and --views with --arc exclude each other");
  if (strcmp(o[GEOMETRY].text, "cone") == 0)
    return print_usage_error(call->command,
                             "--geometry: cone beams need a FILE.json that says where from");
  if (o[ANGLES].given) {
    count = parse_number_list(o[ANGLES].text, angle_deg, MOST_VIEWS);
    if (count < 1)
      return print_usage_error(call->command, "--angles: '%s' is not up to %d numbers",
                               o[ANGLES].text, MOST_VIEWS);
  } else if (willis_views_arc(count, o[ARC].real, angle_deg, &err)) {
    return print_usage_error(call->command, "--arc: %s", err.message);
  }
  int code = check_stack_output(call);
  if (code) return code;

  struct willis_volume volume = {0};
  struct willis_projections stack = {0};
  enum willis_status status = load_cube(call, call->argument[0], &volume, &err);
  if (!status)
    status = borrowed ? borrow(call, &stack, &err)
                      : turn(call, angle_deg, count, &volume.grid, &stack, &err);
  if (!status) {
    stack.has_grid = true;
    stack.grid = volume.grid;
    status = willis_project(&volume, &stack, &err);
  }
  if (!status) {
    const struct willis_disturbance disturbance = {.angle_sd_deg = o[ANGLE_ERROR].real,
                                                   .shift_sd_pixels = o[SHIFT_ERROR].real,
                                                   .photons = o[PHOTONS].real,
                                                   .seed = call->seed};
    status = willis_projections_disturb(&stack, &disturbance, &err);
  }
  if (!status) status = willis_projections_write(call->output, &stack, call->force, &err);
  code = status ? print_error(NULL, &err) : report(call, &stack);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
  return code;
}

const struct command cmd_project = {
    .name = "project",
    .arguments = "VOL -o PROJ.nii.gz",
    .summary = "Make angiograms of a volume",
    .details =
        "Writes a stack of projections and, beside it, a .json that says where each was taken "
        "from. Without options: 10 of the 90 views over 90 degrees, maximum along the ray. "
        "Volumes that are not cubic, isotropic and along LPS are resampled first.",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .output = OUTPUT_NAMED,
    .rows = rows,
    .run = run,
};
