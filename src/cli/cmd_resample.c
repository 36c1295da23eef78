/* willis resample: a volume as a cubic, isotropic one along LPS. */
#include "cli/options.h"
#include "cli/report.h"

enum { SIZE, SPACING };
static const struct option_row rows[] = {
    [SIZE] = {.name = "size",
              .kind = OPTION_INTEGER,
              .argument = "N",
              .help = "Voxels along each edge of the cube",
              .least = 1,
              .most = 4096},
    [SPACING] = {.name = "spacing",
                 .kind = OPTION_REAL,
                 .argument = "MM",
                 .help = "Edge of a voxel; with --size too, the cube has the volume's centre",
                 .least = 1e-6,
                 .most = 1e6},
    {0},
};

static enum willis_status resample(const struct call *call, struct willis_volume *to,
                                   struct willis_error *err) {
  struct willis_volume from = {0};
  struct willis_grid cubic;
  ptrdiff_t size = call->option[SIZE].given ? (ptrdiff_t)call->option[SIZE].integer : 0;
  double spacing_mm = call->option[SPACING].given ? call->option[SPACING].real : 0;
  enum willis_status status = willis_volume_read(call->argument[0], &from, &call->warnings, err);
  if (status) return status;
  status = willis_volume_orient_lps(&from, &call->warnings, err);
  if (!status) status = willis_grid_make_cubic(&from.grid, size, spacing_mm, &cubic, err);
  if (!status) status = willis_volume_resample(&from, &cubic, to, err);
  willis_volume_release(&from);
  return status;
}

static int report(const struct call *call, const struct willis_grid *grid) {
  if (call->json)
    return print_json(call, json_pack("{s:I, s:o, s:o}", "size", (json_int_t)grid->size[0],
                                      "spacing_mm", json_number(grid->spacing_mm[0]), "origin_mm",
                                      json_numbers(grid->origin_mm, 3)));
  fprintf(call->results, "%td x %td x %td voxels of %.4g mm\n", grid->size[0], grid->size[1],
          grid->size[2], grid->spacing_mm[0]);
  return 0;
}

static int run(const struct call *call) {
  struct willis_error err;
  struct willis_volume volume = {0};
  int code = 0;
  if (!call->option[SIZE].given && !call->option[SPACING].given)
    return print_usage_error(call->command, "--size or --spacing is needed");
  if (resample(call, &volume, &err))
    code = print_error(call->argument[0], &err);
  else if (willis_volume_write(call->output, &volume, WILLIS_VOXEL_FLOAT32, call->force, &err))
    code = print_error(call->output, &err);
  else
    code = report(call, &volume.grid);
  willis_volume_release(&volume);
  return code;
}

const struct command cmd_resample = {
    .name = "resample",
    .arguments = "VOL -o VOL (--size N | --spacing MM)",
    .summary = "Make a volume cubic and isotropic, along LPS",
    .details = "Trilinear; where voxels become larger, their mean over the new voxel. Outside the "
               "volume is its minimum. Oblique volumes keep their own axes nearest LPS, with a "
               "warning.",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .rows = rows,
    .run = run,
};
