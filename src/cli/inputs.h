/* What commands read and choose alike: cubic volumes, projection stacks, output grids. */
#ifndef WILLIS_CLI_INPUTS_H
#define WILLIS_CLI_INPUTS_H

#include "cli/options.h"

/* A volume as M1 wants it: finite, along LPS, cubic, isotropic. What had to be turned or resampled
 * is a warning. Messages name the file. The caller releases it. */
WILLIS_CHECKED enum willis_status load_cube(const struct call *call, const char *path,
                                            struct willis_volume *volume, struct willis_error *err);

/* A projection stack. UNSUPPORTED, naming what it is, when the file is something else. The caller
 * releases it. */
WILLIS_CHECKED enum willis_status load_stack(const struct call *call, const char *path,
                                             struct willis_projections *stack,
                                             struct willis_error *err);

/* The options of whatever makes a volume, for the command's own rows. */
#define GRID_ROWS                                                                                  \
  {.name = "like",                                                                                 \
   .kind = OPTION_TEXT,                                                                            \
   .argument = "VOL",                                                                              \
   .help = "Output grid: that of another volume"},                                                 \
      {.name = "size",                                                                             \
       .kind = OPTION_INTEGER,                                                                     \
       .argument = "N",                                                                            \
       .help = "Output grid: N voxels along each edge, around the isocenter",                      \
       .least = 1,                                                                                 \
       .most = 4096},                                                                              \
  {                                                                                                \
    .name = "spacing", .kind = OPTION_REAL, .argument = "MM",                                      \
    .help = "Output grid: edge of a voxel in mm", .least = 1e-6, .most = 1e6                       \
  }
enum { GRID_LIKE, GRID_SIZE, GRID_SPACING, GRID_ROW_COUNT };

/* The output grid; `option` is the value of the first of GRID_ROWS. With --like it may be any grid.
 */
WILLIS_CHECKED enum willis_status choose_grid(const struct call *call,
                                              const struct option_value *option,
                                              const struct willis_projections *stack,
                                              struct willis_grid *grid, struct willis_error *err);

typedef enum willis_status make_volume_from(const struct willis_projections *stack,
                                            struct willis_volume *volume, struct willis_error *err);
/* Runs `make` on the output grid; one that is not a cube along LPS gets the values of the cube that
 * covers it. */
WILLIS_CHECKED enum willis_status make_on_grid(const struct call *call,
                                               const struct option_value *option,
                                               const struct willis_projections *stack,
                                               make_volume_from *make, struct willis_volume *volume,
                                               struct willis_error *err);

/* For commands whose -o is a projection stack: 0 if the text that comes with the image, "a.json"
 * for "a.nii.gz", may be written too; else an exit code after an error line. */
int check_stack_output(const struct call *call);

#endif
