#include "cli/overlay.h"

#include "cli/inputs.h"

#include <math.h>
#include <string.h>

/* Vermilion of Okabe and Ito: tells itself from white for every kind of eyes. */
static const double mark[3] = {0.84, 0.37, 0};

static enum willis_status check(const char *path, const struct willis_volume *volume,
                                const struct willis_volume *overlay, struct willis_error *err) {
  float low, high, first, last;
  if (!willis_grid_equal(&volume->grid, &overlay->grid)) {
    snprintf(err->message, sizeof err->message,
             "%s: lies on another grid than the volume that it is to mark", path);
    return err->status = WILLIS_MISMATCH;
  }
  willis_volume_range(overlay, &low, &high);
  willis_volume_range(volume, &first, &last);
  if (low >= 0 && high <= 1 && first >= 0 && last <= 1) return WILLIS_OK;
  snprintf(err->message, sizeof err->message,
           "%s: values from %g to %g over values from %g to %g; expected both in [0,1]", path,
           (double)low, (double)high, (double)first, (double)last);
  return err->status = WILLIS_INVALID_ARGUMENT;
}

enum willis_status overlay_project(const struct call *call, const char *path,
                                   const struct willis_volume *volume,
                                   const struct willis_projections *stack,
                                   struct willis_projections *marked, struct willis_error *err) {
  struct willis_volume overlay = {0};
  *marked = (struct willis_projections){0};
  enum willis_status status = load_cube(call, path, &overlay, err);
  if (!status) status = check(path, volume, &overlay, err);
  if (status) goto out;
  const ptrdiff_t count = willis_grid_count(&volume->grid);
  for (ptrdiff_t i = 0; i < count; i++) overlay.voxels[i] *= volume->voxels[i];
  status = willis_projections_create(marked, stack->columns, stack->rows, stack->view_count, err);
  if (status) goto out;
  memcpy(marked->view, stack->view, (size_t)stack->view_count * sizeof *stack->view);
  memcpy(marked->isocenter_mm, stack->isocenter_mm, sizeof stack->isocenter_mm);
  marked->mode = stack->mode;
  status = willis_project(&overlay, marked, err);
out:
  if (status) willis_projections_release(marked);
  willis_volume_release(&overlay);
  return status;
}

enum willis_status overlay_picture(struct willis_picture *picture, const float *pixel,
                                   const float *marked, ptrdiff_t columns, ptrdiff_t rows,
                                   struct willis_error *err) {
  enum willis_status status = willis_picture_create(picture, columns, rows, 3, err);
  if (status) return status;
  for (ptrdiff_t i = 0; i < columns * rows; i++) {
    const double p = fmin(fmax((double)pixel[i], 0), 1);
    const double part = p > 0 ? fmin((double)marked[i] / p, 1) : 0;
    for (int c = 0; c < 3; c++)
      picture->bytes[3 * i + c] = (unsigned char)lround(255 * p * (1 - part + part * mark[c]));
  }
  return WILLIS_OK;
}
