/* How contrast comes and goes in a run of pictures. */
#ifndef WILLIS_XRAY_CONTRAST_H
#define WILLIS_XRAY_CONTRAST_H

#include <willis/error.h>

#include <stdbool.h>
#include <stddef.h>

/* A picture as means over blocks of pixels: noise goes, vessels stay. */
struct willis_blocks {
  ptrdiff_t columns, rows, edge; /* of pictures; pixels along a block's edge */
  ptrdiff_t count;               /* of blocks */
};
struct willis_blocks willis_blocks_of(ptrdiff_t columns, ptrdiff_t rows);
/* block[…]: means of the pixels with shown[i] (null: all), without blocks of which less than half
 * is shown. Returns how many there are; without a picture that is all. */
ptrdiff_t willis_blocks_shrink(const struct willis_blocks *blocks, const float *picture,
                               const bool *shown, float *block);

/* What sets a frame apart from the run's median picture, in units of its noise. */
struct willis_frame_contrast {
  double more;   /* mean over all blocks of what stands out, less what is missing */
  double unlike; /* mean difference, either way */
};
/* block[frames·count] of attenuations, of which the frames with use[f] are compared; they are
 * changed. No blocks, no difference. A change of exposure (a lift of all, or a gain of up to 15 %)
 * does not count, nor does a frame's own noise. *comes_and_goes: whether frames differ by more than
 * what noise and exposure do. OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_contrast_rate(float *block, ptrdiff_t frames,
                                                       ptrdiff_t count, const bool *use,
                                                       struct willis_frame_contrast *of,
                                                       bool *comes_and_goes,
                                                       struct willis_error *err);

#endif
