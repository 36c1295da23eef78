/* Digital subtraction angiography: frames of a run into attenuation, which is 0 where nothing is
 * and grows with what the X-rays passed (PS3.3, C.7.6.10). Values are −ln of linear intensities;
 * what is logarithmic already, or processed for display, is taken negative as it is. */
#ifndef WILLIS_XRAY_SUBTRACTION_H
#define WILLIS_XRAY_SUBTRACTION_H

#include <willis/angiogram.h>

/* A run whose frames are fetched when they are needed; more is more X-rays. */
struct willis_frames {
  ptrdiff_t columns, rows, count;
  enum willis_intensity intensity;
  enum willis_status (*read)(void *context, ptrdiff_t frame, float *pixels,
                             struct willis_error *err);
  void *context;
};

/* True when the operation makes something of `frame` (0-based) in a run of `count`: it is in a
 * range, and its mask and the frames to average exist. */
bool willis_subtraction_applies(const struct willis_subtraction *operation, ptrdiff_t frame,
                                ptrdiff_t count);
/* The first of the operations that applies; null when none does. */
const struct willis_subtraction *willis_subtraction_find(const struct willis_subtraction *list,
                                                         ptrdiff_t list_count, ptrdiff_t frame,
                                                         ptrdiff_t count);
/* The frame that TID and REV_TID subtract; it need not exist. */
ptrdiff_t willis_subtraction_mask(const struct willis_subtraction *operation, ptrdiff_t frame);

/* attenuation[rows·columns] of `frame`: the mean of the contrast frames less the mean of the
 * mask's, which is shifted by the operation's fractions of pixels (bilinear; the border holds
 * beyond itself). Without an operation (null, or NONE) the frame alone, whose zero means nothing.
 * INVALID_ARGUMENT when the operation does not apply. */
WILLIS_CHECKED enum willis_status willis_subtract(const struct willis_frames *frames,
                                                  const struct willis_subtraction *operation,
                                                  ptrdiff_t frame, float *attenuation,
                                                  struct willis_error *err);

#endif
