/* willis backproject: every image smeared back along its rays, and summed (M5). */
#include "cli/inputs.h"
#include "cli/report.h"

enum { GRID, NO_NORMALIZE = GRID_ROW_COUNT };
static const struct option_row rows[] = {
    GRID_ROWS,
    [NO_NORMALIZE] = {.name = "no-normalize", .help = "Keep the sums instead of scaling to 0…1"},
    {0},
};

static int report(const struct call *call, const struct willis_projections *stack,
                  const struct willis_volume *volume) {
  float least, most;
  willis_volume_range(volume, &least, &most);
  const struct willis_grid *grid = &volume->grid;
  if (call->json)
    return print_json(
        call, json_pack("{s:s, s:I, s:[I,I,I], s:o, s:o, s:o}", "output", call->output, "views",
                        (json_int_t)stack->view_count, "size", (json_int_t)grid->size[0],
                        (json_int_t)grid->size[1], (json_int_t)grid->size[2], "spacing_mm",
                        json_numbers(grid->spacing_mm, 3), "minimum", json_number((double)least),
                        "maximum", json_number((double)most)));
  fprintf(call->results, "%s: %td view%s onto %td x %td x %td voxels of %g mm, values %g to %g\n",
          call->output, stack->view_count, stack->view_count == 1 ? "" : "s", grid->size[0],
          grid->size[1], grid->size[2], grid->spacing_mm[0], (double)least, (double)most);
  return 0;
}

static int run(const struct call *call) {
  struct willis_error err;
  struct willis_projections stack = {0};
  struct willis_volume volume = {0};
  enum willis_status status = load_stack(call, call->argument[0], &stack, &err);
  if (!status)
    status = make_on_grid(call, call->option + GRID, &stack, willis_backproject, &volume, &err);
  if (!status && !call->option[NO_NORMALIZE].given) willis_volume_normalize(&volume);
  if (!status)
    status = willis_volume_write(call->output, &volume, WILLIS_VOXEL_FLOAT32, call->force, &err);
  int code = status ? print_error(NULL, &err) : report(call, &stack, &volume);
  willis_volume_release(&volume);
  willis_projections_release(&stack);
  return code;
}

const struct command cmd_backproject = {
    .name = "backproject",
    .arguments = "PROJ -o VOL",
    .summary = "Smear projections back into a volume",
    .details = "The paper's back-projection: each image is repeated along its rays and all are "
               "summed, then scaled to 0…1. Without a grid option the volume gets the grid that is "
               "stored with the projections, else the cube that every view sees.",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .rows = rows,
    .run = run,
};
