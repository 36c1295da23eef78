/* willis voxelize: a mesh or a vessel tree into a volume. */
#include "cli/options.h"
#include "cli/report.h"

enum { SIZE, MARGIN, MIN_RADIUS, NOISE, TISSUE };
static const struct option_row rows[] = {
    [SIZE] = {.name = "size",
              .kind = OPTION_INTEGER,
              .argument = "N",
              .fallback = "128",
              .help = "Voxels along each edge of the cube",
              .least = 1,
              .most = 4096},
    [MARGIN] = {.name = "margin",
                .kind = OPTION_REAL,
                .argument = "FRACTION",
                .fallback = "0.04",
                .help = "Free border on each side, as a fraction of the cube",
                .least = 0,
                .most = 0.49},
    [MIN_RADIUS] = {.name = "min-radius-voxels",
                    .kind = OPTION_REAL,
                    .argument = "R",
                    .fallback = "0.75",
                    .help = "Vessel trees: no vessel is drawn thinner",
                    .least = 0,
                    .most = 1000},
    [NOISE] = {.name = "noise",
               .kind = OPTION_REAL,
               .argument = "SD",
               .fallback = "0",
               .help = "Gaussian noise; a voxel full of vessel is 1000 (see --seed)",
               .least = 0,
               .most = 1e6},
    [TISSUE] = {.name = "tissue", .help = "Add soft tissue and a skull around the vessels"},
    {0},
};

/* Reads a mesh or a tree, whichever it is, and voxelizes it. */
static enum willis_status voxelize(const struct call *call, const char *path,
                                   const struct willis_voxelize_options *options,
                                   struct willis_volume *volume, struct willis_error *err) {
  struct willis_mesh mesh = {0};
  struct willis_tree tree = {0};
  enum willis_file_kind kind;
  const char *format;
  enum willis_status status = willis_file_identify(path, &kind, &format, err);
  if (status) return status;
  if (kind == WILLIS_FILE_MESH) {
    status = willis_mesh_read(path, &mesh, &call->warnings, err);
    if (!status) status = willis_mesh_voxelize(&mesh, options, &call->warnings, volume, err);
  } else if (kind == WILLIS_FILE_TREE) {
    status = willis_tree_read(path, &tree, &call->warnings, err);
    if (!status) status = willis_tree_voxelize(&tree, options, &call->warnings, volume, err);
  } else {
    status = err->status = WILLIS_UNSUPPORTED;
    snprintf(err->message, sizeof err->message,
             "%s, expected a mesh (.obj .stl .ply) or a vessel tree (.swc)", format);
  }
  willis_mesh_release(&mesh);
  willis_tree_release(&tree);
  return status;
}

static int report(const struct call *call, const struct willis_volume *volume) {
  const struct willis_grid *grid = &volume->grid;
  ptrdiff_t count = willis_grid_count(grid), vessel = 0;
  for (ptrdiff_t i = 0; i < count; i++) vessel += volume->voxels[i] >= 500;
  double fraction = (double)vessel / (double)count;
  if (call->json)
    return print_json(call, json_pack("{s:I, s:o, s:o, s:o}", "size", (json_int_t)grid->size[0],
                                      "spacing_mm", json_number(grid->spacing_mm[0]), "origin_mm",
                                      json_numbers(grid->origin_mm, 3), "vessel_fraction",
                                      json_number(fraction)));
  fprintf(call->results, "%td x %td x %td voxels of %.4g mm, %.3f %% at least half vessel\n",
          grid->size[0], grid->size[1], grid->size[2], grid->spacing_mm[0], 100 * fraction);
  return 0;
}

static int run(const struct call *call) {
  struct willis_error err;
  struct willis_volume volume = {0};
  const char *path = call->argument[0];
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.size = (ptrdiff_t)call->option[SIZE].integer;
  options.margin = call->option[MARGIN].real;
  options.min_radius_voxels = call->option[MIN_RADIUS].real;
  options.noise_sd = call->option[NOISE].real;
  options.tissue = call->option[TISSUE].given;
  options.seed = call->seed;
  int code = 0;
  if (voxelize(call, path, &options, &volume, &err))
    code = print_error(path, &err);
  else if (willis_volume_write(call->output, &volume, WILLIS_VOXEL_FLOAT32, call->force, &err))
    code = print_error(call->output, &err);
  else
    code = report(call, &volume);
  willis_volume_release(&volume);
  return code;
}

const struct command cmd_voxelize = {
    .name = "voxelize",
    .arguments = "SHAPE -o VOL",
    .summary = "Turn a surface mesh or a vessel tree into a volume",
    .details =
        "SHAPE is .obj, .stl, .ply (also .gz) or .swc. The grid is a cube around it; a voxel's "
        "value is its part inside the shape times 1000. A mesh that is not closed is filled by "
        "majority of rays along three axes, with a warning. Tissue is 40 in an ellipsoid that "
        "touches the cube's faces, its skull 180.",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .rows = rows,
    .run = run,
};
