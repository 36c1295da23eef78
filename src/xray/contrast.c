/* Each frame is compared with the run's median picture after its own median is taken off and its
 * gain is fitted, in block means. Blocks that differ by more than four times the frame's noise (by
 * the median of absolute differences) are contrast that came or went; a noisy frame, such as the
 * first one before the exposure has settled, has more noise and no more contrast. */
#include "xray/contrast.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

enum { ACROSS = 64 };                      /* blocks along the shorter edge */
static const double MOST_GAIN = 0.15;      /* either way */
static const double OUTSTANDING = 4;       /* times the noise */
static const double COMES_AND_GOES = 0.06; /* mean over the picture, in units of the noise */
static const double NORMAL = 0.6745;       /* median of |x| of a normal distribution */

struct willis_blocks willis_blocks_of(ptrdiff_t columns, ptrdiff_t rows) {
  const ptrdiff_t least = columns < rows ? columns : rows;
  const ptrdiff_t edge = least >= 2 * ACROSS ? least / ACROSS : 1;
  return (struct willis_blocks){columns, rows, edge, (columns / edge) * (rows / edge)};
}

ptrdiff_t willis_blocks_shrink(const struct willis_blocks *blocks, const float *picture,
                               const bool *shown, float *block) {
  const ptrdiff_t edge = blocks->edge, across = blocks->columns / edge;
  ptrdiff_t written = 0;
  for (ptrdiff_t b = 0; b < blocks->count; b++) {
    double sum = 0, seen = 0;
    for (ptrdiff_t k = 0; k < edge * edge; k++) {
      const ptrdiff_t column = b % across * edge + k % edge, row = b / across * edge + k / edge;
      const ptrdiff_t at = row * blocks->columns + column;
      if (shown && !shown[at]) continue;
      sum += picture ? (double)picture[at] : 0;
      seen++;
    }
    if (2 * seen < (double)(edge * edge)) continue;
    if (picture) block[written] = (float)(sum / seen);
    written++;
  }
  return written;
}

/* The k-th smallest of value[0..count), which is reordered (Hoare's selection). */
static float kth(float *value, ptrdiff_t count, ptrdiff_t k) {
  ptrdiff_t low = 0, high = count - 1;
  while (low < high) {
    const float pivot = value[low + (high - low) / 2];
    ptrdiff_t i = low, j = high;
    while (i <= j) {
      while (value[i] < pivot) i++;
      while (value[j] > pivot) j--;
      if (i > j) break;
      const float swap = value[i];
      value[i++] = value[j];
      value[j--] = swap;
    }
    if (k <= j)
      high = j;
    else if (k >= i)
      low = i;
    else
      break;
  }
  return value[k];
}

static float median(const float *value, ptrdiff_t count, float *scratch) {
  memcpy(scratch, value, (size_t)count * sizeof *scratch);
  return kth(scratch, count, count / 2);
}

static void take_median(float *value, ptrdiff_t count, float *scratch) {
  const float middle = median(value, count, scratch);
  for (ptrdiff_t i = 0; i < count; i++) value[i] -= middle;
}

/* The usual picture: the median of each block over the frames. */
static void find_usual(const float *block, ptrdiff_t frames, ptrdiff_t count, const bool *use,
                       float *scratch, float *usual) {
  for (ptrdiff_t b = 0; b < count; b++) {
    ptrdiff_t have = 0;
    for (ptrdiff_t f = 0; f < frames; f++)
      if (use[f]) scratch[have++] = block[f * count + b];
    usual[b] = have ? kth(scratch, have, have / 2) : 0;
  }
}

/* frame ← frame − gain·usual, less its median. */
static void take_usual(float *frame, const float *usual, ptrdiff_t count, float *scratch) {
  double both = 0, own = 0;
  for (ptrdiff_t b = 0; b < count; b++) {
    both += (double)frame[b] * (double)usual[b];
    own += (double)usual[b] * (double)usual[b];
  }
  const double gain = own > 0 ? fmin(fmax(both / own, 1 - MOST_GAIN), 1 + MOST_GAIN) : 1;
  for (ptrdiff_t b = 0; b < count; b++) frame[b] -= (float)gain * usual[b];
  take_median(frame, count, scratch);
}

static double noise_of(const float *frame, ptrdiff_t count, float *scratch) {
  for (ptrdiff_t b = 0; b < count; b++) scratch[b] = fabsf(frame[b]);
  return (double)kth(scratch, count, count / 2) / NORMAL;
}

static void rate(const float *frame, ptrdiff_t count, double own_noise, double noise,
                 struct willis_frame_contrast *of) {
  const double least = OUTSTANDING * fmax(own_noise, noise);
  double more = 0, unlike = 0;
  for (ptrdiff_t b = 0; b < count; b++) {
    const double value = (double)frame[b];
    more += fabs(value) > least ? value : 0;
    unlike += fabs(value);
  }
  *of =
      (struct willis_frame_contrast){more / (double)count / noise, unlike / (double)count / noise};
}

enum willis_status willis_contrast_rate(float *block, ptrdiff_t frames, ptrdiff_t count,
                                        const bool *use, struct willis_frame_contrast *of,
                                        bool *comes_and_goes, struct willis_error *err) {
  *comes_and_goes = false;
  for (ptrdiff_t f = 0; f < frames; f++) of[f] = (struct willis_frame_contrast){0, 0};
  if (count == 0) return WILLIS_OK;
  float *usual = willis_take(count, sizeof *usual);
  float *scratch = willis_take(count > frames ? count : frames, sizeof *scratch);
  float *noise = willis_take(frames, sizeof *noise);
  enum willis_status status = WILLIS_OK;
  if (!usual || !scratch || !noise) {
    status = willis_fail_memory(err, "pictures of a run", count + frames, sizeof *usual);
    goto out;
  }
  for (ptrdiff_t f = 0; f < frames; f++)
    if (use[f]) take_median(block + f * count, count, scratch);
  find_usual(block, frames, count, use, scratch, usual);
  ptrdiff_t used = 0;
  for (ptrdiff_t f = 0; f < frames; f++) {
    noise[f] = 0;
    if (!use[f]) continue;
    take_usual(block + f * count, usual, count, scratch);
    noise[f] = (float)noise_of(block + f * count, count, scratch);
    used++;
  }
  for (ptrdiff_t f = 0, have = 0; f < frames; f++)
    if (use[f]) scratch[have++] = noise[f];
  double own = used ? (double)kth(scratch, used, used / 2) : 0;
  /* Pictures without any noise still have that of float32. */
  for (ptrdiff_t b = 0; b < count; b++) own = fmax(own, 1e-6 * fabs((double)usual[b]));
  const double usual_noise = own > 0 ? own : 1;
  double least = INFINITY, most = -INFINITY;
  for (ptrdiff_t f = 0; f < frames; f++) {
    if (!use[f]) continue;
    rate(block + f * count, count, (double)noise[f], usual_noise, &of[f]);
    least = fmin(least, of[f].more);
    most = fmax(most, of[f].more);
  }
  *comes_and_goes = most - least > COMES_AND_GOES;
out:
  willis_release(usual);
  willis_release(scratch);
  willis_release(noise);
  return status;
}
