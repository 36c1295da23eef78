/* willis segment: a volume into a mask of its vessels. */
#include "cli/options.h"
#include "cli/report.h"

enum { THRESHOLD, KEEP_LARGEST, MIN_VOXELS };
static const struct option_row rows[] = {
    [THRESHOLD] = {.name = "threshold",
                   .kind = OPTION_REAL,
                   .argument = "T",
                   .help = "Voxels above T; without it Otsu's threshold"},
    [KEEP_LARGEST] = {.name = "keep-largest",
                      .kind = OPTION_INTEGER,
                      .argument = "N",
                      .fallback = "0",
                      .help = "Keep the N largest connected parts; 0 keeps all",
                      .least = 0,
                      .most = 1e9},
    [MIN_VOXELS] = {.name = "min-voxels",
                    .kind = OPTION_INTEGER,
                    .argument = "N",
                    .fallback = "0",
                    .help = "Drop connected parts of fewer voxels",
                    .least = 0,
                    .most = 1e15},
    {0},
};

struct result {
  double threshold;
  ptrdiff_t found, kept, voxels;
};

static enum willis_status segment(const struct call *call, struct willis_volume *mask,
                                  struct result *result, struct willis_error *err) {
  struct willis_volume volume = {0};
  enum willis_status status = willis_volume_read(call->argument[0], &volume, &call->warnings, err);
  if (status) return status;
  result->threshold = call->option[THRESHOLD].real;
  if (!call->option[THRESHOLD].given) status = willis_volume_otsu(&volume, &result->threshold, err);
  if (!status) status = willis_volume_threshold(&volume, result->threshold, false, mask, err);
  willis_volume_release(&volume);
  if (!status)
    status = willis_mask_keep_components(mask, (ptrdiff_t)call->option[KEEP_LARGEST].integer,
                                         (ptrdiff_t)call->option[MIN_VOXELS].integer,
                                         &result->found, &result->kept, err);
  if (status) return status;
  ptrdiff_t count = willis_grid_count(&mask->grid);
  for (ptrdiff_t i = 0; i < count; i++) result->voxels += mask->voxels[i] > 0.5f;
  return WILLIS_OK;
}

static int report(const struct call *call, const struct willis_grid *grid,
                  const struct result *result) {
  double fraction = (double)result->voxels / (double)willis_grid_count(grid);
  if (call->json)
    return print_json(
        call, json_pack("{s:o, s:I, s:I, s:I, s:o}", "threshold", json_number(result->threshold),
                        "components_found", (json_int_t)result->found, "components_kept",
                        (json_int_t)result->kept, "voxels", (json_int_t)result->voxels, "fraction",
                        json_number(fraction)));
  fprintf(call->results, "threshold %.9g\n%td of %td connected parts kept, %td voxels (%.3f %%)\n",
          result->threshold, result->kept, result->found, result->voxels, 100 * fraction);
  return 0;
}

static int run(const struct call *call) {
  struct willis_error err;
  struct willis_volume mask = {0};
  struct result result = {0};
  int code = 0;
  if (segment(call, &mask, &result, &err))
    code = print_error(call->argument[0], &err);
  else if (willis_volume_write(call->output, &mask, WILLIS_VOXEL_UINT8, call->force, &err))
    code = print_error(call->output, &err);
  else
    code = report(call, &mask.grid, &result);
  willis_volume_release(&mask);
  return code;
}

const struct command cmd_segment = {
    .name = "segment",
    .arguments = "VOL -o MASK",
    .summary = "Find the vessels of a volume by a threshold (Otsu)",
    .details = "A mask of 0 and 1: 1 where the value is above the threshold. Parts are connected "
               "through faces, edges and corners (26 neighbours).",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .rows = rows,
    .run = run,
};
