/* willis hull: what every view that sees a voxel allows it to be. */
#include "cli/inputs.h"
#include "cli/report.h"

enum { GRID, THRESHOLD = GRID_ROW_COUNT, CONTINUITY };
static const struct option_row rows[] = {
    GRID_ROWS,
    [THRESHOLD] = {.name = "threshold",
                   .kind = OPTION_REAL,
                   .argument = "T",
                   .help = "Write a mask: 1 where the hull is at least T"},
    [CONTINUITY] = {.name = "continuity",
                    .kind = OPTION_FLAG,
                    .help = "Voxels of a ray compete; those in one piece with others win"},
    {0},
};

static int report(const struct call *call, const struct willis_projections *stack,
                  const struct willis_volume *volume) {
  const struct willis_grid *grid = &volume->grid;
  ptrdiff_t count = willis_grid_count(grid), filled = 0;
  for (ptrdiff_t i = 0; i < count; i++) filled += volume->voxels[i] > 0;
  if (call->json)
    return print_json(
        call, json_pack("{s:s, s:I, s:[I,I,I], s:o, s:I}", "output", call->output, "views",
                        (json_int_t)stack->view_count, "size", (json_int_t)grid->size[0],
                        (json_int_t)grid->size[1], (json_int_t)grid->size[2], "spacing_mm",
                        json_numbers(grid->spacing_mm, 3), "voxels_above_0", (json_int_t)filled));
  fprintf(call->results,
          "%s: hull of %td view%s on %td x %td x %td voxels of %g mm, %td (%.3g %%) above 0\n",
          call->output, stack->view_count, stack->view_count == 1 ? "" : "s", grid->size[0],
          grid->size[1], grid->size[2], grid->spacing_mm[0], filled,
          100 * (double)filled / (double)count);
  return 0;
}

static int run(const struct call *call) {
  struct willis_error err;
  struct willis_projections stack = {0};
  struct willis_volume hull = {0}, mask = {0};
  const struct option_value *threshold = call->option + THRESHOLD;
  enum willis_status status = load_stack(call, call->argument[0], &stack, &err);
  if (!status)
    status = make_on_grid(call, call->option + GRID, &stack,
                          call->option[CONTINUITY].given ? willis_hull_continuity : willis_hull,
                          &hull, &err);
  if (!status && threshold->given)
    status = willis_volume_threshold(&hull, threshold->real, true, &mask, &err);
  const struct willis_volume *result = threshold->given ? &mask : &hull;
  enum willis_voxel_type type = threshold->given ? WILLIS_VOXEL_UINT8 : WILLIS_VOXEL_FLOAT32;
  if (!status) status = willis_volume_write(call->output, result, type, call->force, &err);
  int code = status ? print_error(NULL, &err) : report(call, &stack, result);
  willis_volume_release(&mask);
  willis_volume_release(&hull);
  willis_projections_release(&stack);
  return code;
}

const struct command cmd_hull = {
    .name = "hull",
    .arguments = "PROJ -o VOL",
    .summary = "Visual hull: the minimum over the views",
    .details = "Every voxel gets the least of what the views show where it falls; a view that does "
               "not see a voxel does not vote, and a voxel that no view sees is 0. For maximum "
               "projections this is the largest volume they allow. --continuity tells ghosts "
               "from vessels, values 0 to 1; it helps most with two or three views.",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .rows = rows,
    .run = run,
};
