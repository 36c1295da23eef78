/* Decoder: three 2×2×2 transposed convolutions of stride 2, batch normalisation and ReLU after the
 * first two; the last gives one logit a voxel.
 *
 * x: [D][H][W][width[0]], logit: [8D][8H][8W]; blocks go width[0] → width[1] → width[2] → 1.
 * Variants as in encoder_block.h. Same bits for any number of threads. */
#ifndef WILLIS_NN_DECODER_H
#define WILLIS_NN_DECODER_H

#include "base/memory.h"
#include "nn/block.h"
#include "nn/conv_transpose3d.h"

#include <stdbool.h>

enum { WILLIS_DECODER_BLOCKS = 3 };

struct willis_decoder;
struct willis_decoder_buffers; /* decoder_avx2.h */

struct willis_decoder_variant {
  const char *name;
  unsigned features;
  bool (*fits)(const int width[WILLIS_DECODER_BLOCKS]);
  void (*plan)(struct willis_decoder *decoder, struct willis_arena *arena);
  void (*plan_scratch)(struct willis_decoder *decoder, struct willis_arena *arena);
  void (*forward)(struct willis_decoder *decoder,
                  const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS], const float *x,
                  float *logit);
  void (*backward)(struct willis_decoder *decoder,
                   const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS], const float *x,
                   float *d_logit,
                   const struct willis_block_parameters gradient[WILLIS_DECODER_BLOCKS],
                   float *d_x);
};

struct willis_decoder {
  struct willis_conv_transpose3d_shape shape[WILLIS_DECODER_BLOCKS];
  bool training;
  const struct willis_decoder_variant *variant;
  /* Of blocks 0 and 1; `mean`, `variance` as in encoder_block.h. */
  double *mean[2], *variance[2];
  float *raw[2];        /* the transposed convolution's output */
  float *activation[2]; /* after normalisation and ReLU */
  float *d_activation[2];
  struct willis_decoder_buffers *buffers;
};

void willis_decoder_plan(struct willis_decoder *decoder, struct willis_extent extent,
                         const int width[WILLIS_DECODER_BLOCKS], bool training,
                         struct willis_arena *arena);
void willis_decoder_plan_scratch(struct willis_decoder *decoder, struct willis_arena *arena);
/* Batch statistics are left in decoder->mean and ->variance. */
void willis_decoder_forward(struct willis_decoder *decoder,
                            const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS],
                            const float *x, float *logit);
/* After a forward pass in training. Overwrites the gradient's arrays, d_x, and what forward saved.
 */
void willis_decoder_backward(struct willis_decoder *decoder,
                             const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS],
                             const float *x, float *d_logit,
                             const struct willis_block_parameters gradient[WILLIS_DECODER_BLOCKS],
                             float *d_x);

extern const struct willis_decoder_variant willis_decoder_plain;
extern const struct willis_decoder_variant willis_decoder_avx2; /* decoder_avx2.c */

#endif
