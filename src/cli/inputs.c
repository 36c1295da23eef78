/* Reading what several commands read. */
#include "cli/inputs.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>

static void warn(const struct call *call, const char *format, ...) {
  char line[512];
  va_list list;
  va_start(list, format);
  vsnprintf(line, sizeof line, format, list);
  va_end(list);
  if (call->warnings.warn) call->warnings.warn(line, call->warnings.context);
}

static enum willis_status fail_in(struct willis_error *err, const char *path) {
  char said[sizeof err->message];
  if (strncmp(err->message, path, strlen(path)) == 0) return err->status;
  memcpy(said, err->message, sizeof said);
  snprintf(err->message, sizeof err->message, "%.200s: %.300s", path, said);
  return err->status;
}

/* Resamples `volume` onto the cube that covers it. */
static enum willis_status make_cubic(const struct call *call, const char *path,
                                     struct willis_volume *volume, struct willis_error *err) {
  struct willis_volume from = *volume;
  struct willis_grid cubic;
  enum willis_status status = willis_grid_make_cubic(&from.grid, 0, 0, &cubic, err);
  if (status) return status;
  warn(call, "%s: %td x %td x %td voxels of %g x %g x %g mm: resampled to a cube of %td of %g mm",
       path, from.grid.size[0], from.grid.size[1], from.grid.size[2], from.grid.spacing_mm[0],
       from.grid.spacing_mm[1], from.grid.spacing_mm[2], cubic.size[0], cubic.spacing_mm[0]);
  *volume = (struct willis_volume){0};
  status = willis_volume_resample(&from, &cubic, volume, err);
  willis_volume_release(&from);
  return status;
}

enum willis_status load_cube(const struct call *call, const char *path,
                             struct willis_volume *volume, struct willis_error *err) {
  *volume = (struct willis_volume){0};
  enum willis_status status = willis_volume_read(path, volume, &call->warnings, err);
  if (!status) status = willis_volume_check_finite(volume, path, err);
  if (!status) status = willis_volume_orient_lps(volume, &call->warnings, err);
  if (!status && !willis_grid_is_lps_cube(&volume->grid))
    status = make_cubic(call, path, volume, err);
  if (!status) return WILLIS_OK;
  willis_volume_release(volume);
  return fail_in(err, path);
}

enum willis_status load_stack(const struct call *call, const char *path,
                              struct willis_projections *stack, struct willis_error *err) {
  *stack = (struct willis_projections){0};
  enum willis_file_kind kind;
  const char *format = NULL;
  enum willis_status status = willis_file_identify(path, &kind, &format, err);
  if (status) return fail_in(err, path);
  bool stack_like = kind == WILLIS_FILE_PROJECTIONS ||
                    (kind == WILLIS_FILE_VOLUME && format && !strcmp(format, "NIfTI"));
  if (stack_like) {
    status = willis_projections_read(path, stack, &call->warnings, err);
    /* A NIfTI without a text beside it is another volume; one beside a broken text is a stack. */
    if (kind == WILLIS_FILE_PROJECTIONS || status != WILLIS_IO)
      return status ? fail_in(err, path) : WILLIS_OK;
  }
  snprintf(err->message, sizeof err->message,
           "%s: %s: expected a projection stack (.nii.gz with its .json); `willis prepare` makes "
           "one of DICOM angiograms",
           path, format ? format : "unknown content");
  return err->status = WILLIS_UNSUPPORTED;
}

enum willis_status choose_grid(const struct call *call, const struct option_value *option,
                               const struct willis_projections *stack, struct willis_grid *grid,
                               struct willis_error *err) {
  const char *like_path = option[GRID_LIKE].text;
  if (!option[GRID_LIKE].given) {
    ptrdiff_t n = option[GRID_SIZE].given ? (ptrdiff_t)option[GRID_SIZE].integer : 0;
    double spacing_mm = option[GRID_SPACING].given ? option[GRID_SPACING].real : 0;
    return willis_projections_output_grid(stack, n, spacing_mm, grid, err);
  }
  struct willis_volume like = {0};
  enum willis_status status = willis_volume_read(like_path, &like, &call->warnings, err);
  if (!status) *grid = like.grid;
  willis_volume_release(&like);
  return status ? fail_in(err, like_path) : WILLIS_OK;
}

enum willis_status make_on_grid(const struct call *call, const struct option_value *option,
                                const struct willis_projections *stack, make_volume_from *make,
                                struct willis_volume *volume, struct willis_error *err) {
  struct willis_grid grid, cubic;
  struct willis_volume cube = {0};
  *volume = (struct willis_volume){0};
  enum willis_status status = choose_grid(call, option, stack, &grid, err);
  if (status) return status;
  bool direct = willis_grid_is_lps_cube(&grid);
  if (direct)
    cubic = grid;
  else
    status = willis_grid_make_cubic(&grid, 0, 0, &cubic, err);
  if (!status && willis_volume_create(&cube, &cubic, err)) status = fail_in(err, call->argument[0]);
  if (!status && make(stack, &cube, err)) status = fail_in(err, call->argument[0]);
  if (!status && !direct) {
    warn(call, "the output grid is no cube along LPS: made on %td voxels of %g mm and resampled",
         cubic.size[0], cubic.spacing_mm[0]);
    status = willis_volume_resample(&cube, &grid, volume, err);
  }
  if (!status && direct)
    *volume = cube;
  else
    willis_volume_release(&cube);
  return status;
}

int check_stack_output(const struct call *call) {
  static const char *const ending[] = {".nii.gz", ".nii"};
  size_t length = strlen(call->output);
  for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
    size_t n = strlen(ending[i]);
    if (length <= n || strcmp(call->output + length - n, ending[i]) != 0) continue;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.*s.json", (int)(length - n), call->output);
    return check_output(call, path);
  }
  return print_usage_error(call->command, "-o: '%s': expected a .nii.gz (a .json comes with it)",
                           call->output);
}
