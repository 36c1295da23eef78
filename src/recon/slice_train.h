/* The conditional GAN that draws a head slice by slice (nn/slice_gan.h): how it is taught and how
 * it draws.
 *
 * A slice's condition is, for each of the two views, that view's picture back-projected alone (M5)
 * and scaled to [−1, 1] over the whole head; its target is the Otsu mask, −1 and 1. A slice where a
 * view shows nothing but its lowest value can hold no vessel: it is neither learned from nor drawn.
 */
#ifndef WILLIS_RECON_SLICE_TRAIN_H
#define WILLIS_RECON_SLICE_TRAIN_H

#include "recon/lesson.h"

#include <willis/geometry.h>

extern const struct willis_lesson willis_slice_lesson;

/* Slices of a training step; all of one patient. */
enum { WILLIS_SLICES_A_STEP = 8 };

/* The probability ½(y + 1) of vessel in every voxel of the grid, slices in order. Slices that are
 * no squares of a multiple of 64 pixels are padded with nothing and cropped. INVALID_ARGUMENT
 * unless there are two views. */
WILLIS_CHECKED enum willis_status willis_slice_reconstruct(const struct willis_projections *stack,
                                                           const struct willis_network *network,
                                                           const struct willis_grid *grid,
                                                           const struct willis_progress *progress,
                                                           const struct willis_plane_sink *sink,
                                                           struct willis_error *err);
/* About what it takes besides the stack. */
WILLIS_CHECKED enum willis_status
willis_slice_reconstruct_bytes(const struct willis_projections *stack,
                               const struct willis_network *network, const struct willis_grid *grid,
                               size_t *bytes, struct willis_error *err);

#endif
