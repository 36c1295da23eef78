/* willis solve: classical reconstruction from line integrals. */
#include "cli/inputs.h"
#include "cli/refining.h"
#include "cli/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  GRID,
  METHOD = GRID_ROW_COUNT,
  ITERATIONS,
  LAMBDA,
  SUBSETS,
  NONNEGATIVE,
  REFINE,
  MOST_SHIFT,
  MOST_TURN
};
static const struct option_row rows[] = {
    GRID_ROWS,
    [METHOD] = {.name = "method",
                .kind = OPTION_CHOICE,
                .argument = "fdk|sart|sirt|cgls|tv",
                .fallback = "tv",
                .help = "How to reconstruct; tv for few views"},
    [ITERATIONS] = {.name = "iterations",
                    .kind = OPTION_INTEGER,
                    .argument = "N",
                    .help = "Passes over all views (the default is the method's)",
                    .least = 1,
                    .most = 100000},
    [LAMBDA] = {.name = "lambda",
                .kind = OPTION_REAL,
                .argument = "X",
                .help = "tv: weight of the total variation; sart, sirt: relaxation, 0 to 2",
                .least = 0,
                .most = 2},
    [SUBSETS] = {.name = "subsets",
                 .kind = OPTION_INTEGER,
                 .argument = "N",
                 .help = "sart, sirt, tv: updates in a pass over the views",
                 .least = 1,
                 .most = 100000},
    [NONNEGATIVE] = {.name = "nonnegative",
                     .kind = OPTION_CHOICE,
                     .argument = "no|yes",
                     .fallback = "yes",
                     .help = "fdk, cgls: whether to set what is below 0 to 0 at the end"},
    [REFINE] = {.name = "refine",
                .kind = OPTION_FLAG,
                .help = "First shift each view so that the vessels found in them agree"},
    [MOST_SHIFT] = {.name = "most-shift",
                    .kind = OPTION_INTEGER,
                    .argument = "PIXELS",
                    .fallback = "40",
                    .help = "With --refine: the largest step of the first round",
                    .least = 1,
                    .most = 256},
    [MOST_TURN] = {.name = "most-turn",
                   .kind = OPTION_REAL,
                   .argument = "DEG",
                   .fallback = "0",
                   .help = "With --refine: then also turn each view, by up to so much; 0: not",
                   .least = 0,
                   .most = 30},
    {0},
};

/* Vessels are found with the defaults of `willis vessels`, and the views of the masks are those of
 * the pictures. */
static enum willis_status refine(const struct call *call, struct willis_projections *stack,
                                 const struct willis_grid *grid, struct willis_view_change *change,
                                 struct willis_error *err) {
  const struct option_value *o = call->option;
  const struct refining how = {(ptrdiff_t)o[MOST_SHIFT].integer, willis_refine_defaults().rounds,
                               o[MOST_TURN].real};
  const struct willis_vessel_options vessels = willis_vessel_defaults();
  struct willis_projections mask = {0};
  enum willis_status status = willis_vessels_segment(stack, &vessels, &mask, err);
  if (!status) status = refine_views(call, &how, &mask, grid, change, err);
  if (!status) memcpy(stack->view, mask.view, (size_t)stack->view_count * sizeof *stack->view);
  willis_projections_release(&mask);
  return status;
}

static int report(const struct call *call, const struct willis_projections *stack,
                  const struct willis_grid *grid, const struct willis_view_change *change,
                  const struct willis_solver_report *report) {
  const char *method = call->option[METHOD].text;
  if (call->json) {
    json_t *root = json_pack(
        "{s:s, s:s, s:I, s:[I,I,I], s:o, s:i, s:I, s:o}", "output", call->output, "method", method,
        "views", (json_int_t)stack->view_count, "size", (json_int_t)grid->size[0],
        (json_int_t)grid->size[1], (json_int_t)grid->size[2], "spacing_mm",
        json_numbers(grid->spacing_mm, 3), "iterations", report->iterations, "unknowns",
        (json_int_t)report->unknowns, "residual", json_number(report->residual));
    if (root && change)
      json_object_set_new(root, "refined", json_changes(change, stack->view_count));
    return print_json(call, root);
  }
  if (change) print_changes(call, stack, change);
  fprintf(call->results, "%s: %s of %td view%s on %td x %td x %td voxels of %g mm", call->output,
          method, stack->view_count, stack->view_count == 1 ? "" : "s", grid->size[0],
          grid->size[1], grid->size[2], grid->spacing_mm[0]);
  if (isfinite(report->residual))
    fprintf(call->results, ", %td may differ from 0; %d iterations leave %.3g %% of the data",
            report->unknowns, report->iterations, 100 * report->residual);
  fprintf(call->results, "\n");
  return 0;
}

static int run(const struct call *call) {
  struct willis_error err = {.status = WILLIS_OUT_OF_MEMORY, .message = "no memory"};
  struct willis_projections stack = {0};
  struct willis_volume volume = {0};
  struct willis_view_change *change = NULL;
  struct willis_solver_report done;
  struct willis_grid grid;
  const struct option_value *o = call->option;
  const char *subject = NULL;
  enum willis_status status = load_stack(call, call->argument[0], &stack, &err);
  if (!status) status = choose_grid(call, o + GRID, &stack, &grid, &err);
  /* Maximum projections are refused below. */
  if (!status && o[REFINE].given && stack.mode == WILLIS_PROJECTION_SUM) {
    change = calloc((size_t)stack.view_count, sizeof *change);
    status = change ? refine(call, &stack, &grid, change, &err) : WILLIS_OUT_OF_MEMORY;
    if (status) subject = call->argument[0];
  }
  if (!status) status = willis_volume_create(&volume, &grid, &err);
  if (!status) {
    struct willis_solver_options options =
        willis_solver_defaults((enum willis_solver_method)o[METHOD].integer, stack.view_count);
    if (o[ITERATIONS].given) options.iterations = (int)o[ITERATIONS].integer;
    if (o[LAMBDA].given) options.lambda = o[LAMBDA].real;
    if (o[SUBSETS].given) options.subsets = (int)o[SUBSETS].integer;
    options.nonnegative = o[NONNEGATIVE].integer == 1;
    status = willis_solve(&stack, &options, &call->progress, &volume, &done, &err);
    if (status) subject = call->argument[0];
  }
  if (!status)
    status = willis_volume_write(call->output, &volume, WILLIS_VOXEL_FLOAT32, call->force, &err);
  int code = status ? print_error(subject, &err) : report(call, &stack, &grid, change, &done);
  free(change);
  willis_volume_release(&volume);
  willis_projections_release(&stack);
  return code;
}

const struct command cmd_solve = {
    .name = "solve",
    .arguments = "PROJ -o VOL",
    .summary = "Reconstruct from line integrals without learning",
    .details = "Finds the volume whose line integrals are the projections: fdk filters and "
               "back-projects, sart, sirt and cgls iterate, tv also prefers volumes of little "
               "total variation, which few views need. Voxels whose shadow is 0 in some view stay "
               "0. Parallel and cone beams, any grid. Maximum projections are no line integrals "
               "and are refused.\n\n"
               "--refine finds vessels in the pictures (as `willis vessels` does), moves the views "
               "until these agree (as `willis agree --refine` does) and says how; three views or "
               "more.",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .rows = rows,
    .run = run,
};
