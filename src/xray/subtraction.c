#include "xray/subtraction.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>

/* Half a grey level: the logarithm of a pixel that nothing reached. */
static const float DARKEST = 0.5f;

static bool exists(ptrdiff_t frame, ptrdiff_t count) {
  return frame >= 0 && frame < count;
}

ptrdiff_t willis_subtraction_mask(const struct willis_subtraction *operation, ptrdiff_t frame) {
  if (operation->kind == WILLIS_SUBTRACTION_INTERVAL) return frame - operation->interval;
  const ptrdiff_t first = operation->range_count ? operation->range[0] : 0;
  return first - operation->interval - (frame - first);
}

bool willis_subtraction_applies(const struct willis_subtraction *operation, ptrdiff_t frame,
                                ptrdiff_t count) {
  bool in_range = operation->range_count == 0;
  for (ptrdiff_t i = 0; i < operation->range_count; i++)
    in_range =
        in_range || (frame >= operation->range[2 * i] && frame <= operation->range[2 * i + 1]);
  if (!in_range || !exists(frame, count) || !exists(frame + operation->averaging - 1, count))
    return false;
  switch (operation->kind) {
  case WILLIS_SUBTRACTION_NONE:
    return false;
  case WILLIS_SUBTRACTION_AVERAGE:
    return operation->mask_count > 0;
  case WILLIS_SUBTRACTION_INTERVAL:
  case WILLIS_SUBTRACTION_REV_INTERVAL:
    return exists(willis_subtraction_mask(operation, frame), count);
  }
  return false;
}

const struct willis_subtraction *willis_subtraction_find(const struct willis_subtraction *list,
                                                         ptrdiff_t list_count, ptrdiff_t frame,
                                                         ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < list_count; i++)
    if (willis_subtraction_applies(&list[i], frame, count)) return &list[i];
  return NULL;
}

/* to += weight · attenuation of the frame; `scratch` holds a picture. */
static enum willis_status add_frame(const struct willis_frames *frames, ptrdiff_t frame,
                                    float weight, float *scratch, float *to,
                                    struct willis_error *err) {
  const ptrdiff_t count = frames->columns * frames->rows;
  enum willis_status status = frames->read(frames->context, frame, scratch, err);
  if (status) return status;
  const bool linear = frames->intensity == WILLIS_INTENSITY_LINEAR;
  for (ptrdiff_t i = 0; i < count; i++)
    to[i] += weight * (linear ? -logf(fmaxf(scratch[i], DARKEST)) : -scratch[i]);
  return WILLIS_OK;
}

/* The picture at a fractional place, its border beyond itself. */
static float sample(const float *picture, ptrdiff_t columns, ptrdiff_t rows, double column,
                    double row) {
  const double c = fmin(fmax(column, 0), (double)(columns - 1));
  const double r = fmin(fmax(row, 0), (double)(rows - 1));
  const ptrdiff_t c0 = (ptrdiff_t)c, r0 = (ptrdiff_t)r;
  const ptrdiff_t c1 = c0 + 1 < columns ? c0 + 1 : c0, r1 = r0 + 1 < rows ? r0 + 1 : r0;
  const double fc = c - (double)c0, fr = r - (double)r0;
  const float *above = picture + r0 * columns, *below = picture + r1 * columns;
  return (float)((1 - fr) * ((1 - fc) * above[c0] + fc * above[c1]) +
                 fr * ((1 - fc) * below[c0] + fc * below[c1]));
}

static enum willis_status add_mask(const struct willis_frames *frames,
                                   const struct willis_subtraction *operation, ptrdiff_t frame,
                                   float *scratch, float *mask, struct willis_error *err) {
  const ptrdiff_t own = willis_subtraction_mask(operation, frame);
  const bool average = operation->kind == WILLIS_SUBTRACTION_AVERAGE;
  const ptrdiff_t *list = average ? operation->mask : &own;
  const ptrdiff_t masks = average ? operation->mask_count : 1;
  enum willis_status status = WILLIS_OK;
  for (ptrdiff_t i = 0; i < masks && !status; i++)
    status = add_frame(frames, list[i], 1 / (float)masks, scratch, mask, err);
  return status;
}

enum willis_status willis_subtract(const struct willis_frames *frames,
                                   const struct willis_subtraction *operation, ptrdiff_t frame,
                                   float *attenuation, struct willis_error *err) {
  const ptrdiff_t columns = frames->columns, count = columns * frames->rows;
  const bool alone = !operation || operation->kind == WILLIS_SUBTRACTION_NONE;
  if (!alone && !willis_subtraction_applies(operation, frame, frames->count))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "frame %td has no mask in this run",
                       frame + 1);
  float *scratch = willis_take(count, sizeof *scratch);
  float *mask = willis_take_zeroed(count, sizeof *mask);
  enum willis_status status = WILLIS_OK;
  if (!scratch || !mask) status = willis_fail_memory(err, "a mask", count, 2 * sizeof *mask);
  for (ptrdiff_t i = 0; i < count; i++) attenuation[i] = 0;
  const ptrdiff_t averaging = alone ? 1 : operation->averaging;
  for (ptrdiff_t k = 0; k < averaging && !status; k++)
    status = add_frame(frames, frame + k, 1 / (float)averaging, scratch, attenuation, err);
  if (!status && !alone) status = add_mask(frames, operation, frame, scratch, mask, err);
  if (!status && !alone) {
    const double down = operation->shift_rows, right = operation->shift_columns;
    const bool moved = down != 0 || right != 0;
    for (ptrdiff_t i = 0; i < count; i++) {
      const double column = (double)(i % columns) - right, row = (double)(i / columns) - down;
      attenuation[i] -= moved ? sample(mask, columns, frames->rows, column, row) : mask[i];
    }
  }
  willis_release(scratch);
  willis_release(mask);
  return status;
}
