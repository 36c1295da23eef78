/* Decoder: three 2×2×2 transposed convolutions of stride 2, batch normalisation and ReLU after the
 * first two; the last gives one logit a voxel.
 *
 * x: [D][H][W][width[0]], logit: [8D][8H][8W]; blocks go width[0] → width[1] → width[2] → 1. A
 * voxel of x is called a point. In training the logits are never written down: loss and gradient
 * are made of them where they arise. Variants as in encoder_block.h. Same bits for any number of
 * threads, and for both ways to train. */
#ifndef WILLIS_NN_DECODER_H
#define WILLIS_NN_DECODER_H

#include "base/memory.h"
#include "nn/block.h"
#include "nn/conv_transpose3d.h"
#include "nn/loss.h"

#include <stdbool.h>

enum { WILLIS_DECODER_BLOCKS = 3 };

struct willis_decoder;

enum willis_decoder_use {
  WILLIS_DECODER_INFER,
  WILLIS_DECODER_STORE,    /* training that keeps what it makes */
  WILLIS_DECODER_RECOMPUTE /* training that makes most of it again, in less memory */
};

/* x of a training pass: whole, or, where that is null, read by points, by several threads at once.
 */
struct willis_decoder_input {
  const float *x;
  void (*read)(const void *context, ptrdiff_t begin, ptrdiff_t end, float *x);
  const void *context;
};
/* What training compares with. */
struct willis_decoder_goal {
  struct willis_target target; /* [8D][8H][8W] */
  struct willis_focal focal;
};

struct willis_decoder_variant {
  const char *name;
  unsigned features;
  bool (*fits)(const int width[WILLIS_DECODER_BLOCKS]);
  void (*plan)(struct willis_decoder *decoder, struct willis_arena *arena);
  void (*plan_scratch)(struct willis_decoder *decoder, struct willis_arena *arena);
  void (*forward)(struct willis_decoder *decoder,
                  const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS], const float *x,
                  float *logit);
  /* The functions of the same names below. */
  double (*gradient)(struct willis_decoder *decoder,
                     const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS],
                     const struct willis_decoder_input *input,
                     const struct willis_decoder_goal *goal,
                     const struct willis_block_parameters gradient[WILLIS_DECODER_BLOCKS]);
  void (*input_gradient)(struct willis_decoder *decoder,
                         const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS],
                         ptrdiff_t begin, ptrdiff_t end, float *d_x);
};

/* The fast decoder's, during a call (decoder_avx2.h has the names): what passes hand on, and packed
 * weights (gemm_avx2.h) with what the products start from. */
struct willis_decoder_buffers {
  float *u1;               /* [M][8·w1]; null: made again where it is needed */
  float *d1;               /* like u1; null: */
  uint16_t *half1;         /* the same with 16 bits */
  double *a1_sum;          /* [w1] */
  double *a1_gram;         /* [w1][w1]: Σ a1·a1ᵀ over rows */
  float *packed1, *start1; /* w0 → 8·w1 */
  float *packed2, *start2; /* w1 → 8·w2, scale2 and shift2 within */
  float *packed3, *start3; /* w2 → 8 */
  float *scale1, *shift1;  /* [w1] */
  float *centre1;          /* [w1]: a number near u1's mean */
  float *scale2, *shift2;  /* [w2] */
  float *back1;            /* 8·w1 → w0 */
  float *back2;            /* 8·w2 → w1, scale2 within */
  float *back3;            /* 8 → w2 */
  float *back_gram;        /* w1 → w1: the normalisation's own gradient */
  float *back_start;       /* [w1] */
  float *zero;             /* as many as the largest width */
  float *tap_sums;         /* [8][w0][w1] */
  double *tap_totals;      /* like tap_sums; may be job_sums */
  double *job_sums;        /* [jobs][job_sum_count] */
  double *job_loss;        /* [jobs] */
  float *threads;          /* tiles and their sums */
};

struct willis_decoder {
  struct willis_conv_transpose3d_shape shape[WILLIS_DECODER_BLOCKS];
  enum willis_decoder_use use;
  bool half; /* what passes hand on is stored with 16 bits; set before plan_scratch */
  const struct willis_decoder_variant *variant;
  /* Of blocks 0 and 1; `mean`, `variance` as in encoder_block.h. */
  double *mean[2], *variance[2];
  /* During a call. */
  float *raw[2];        /* the transposed convolution's output */
  float *activation[2]; /* after normalisation and ReLU */
  float *d_activation[2];
  float *logit, *target, *x;
  double *sum[2], *weight_sum;
  int stage; /* how far the plain one's slab is */
  const struct willis_decoder_input *input;
  const struct willis_decoder_goal *goal;
  struct willis_decoder_buffers buffers;
};

void willis_decoder_plan(struct willis_decoder *decoder, struct willis_extent extent,
                         const int width[WILLIS_DECODER_BLOCKS], enum willis_decoder_use use,
                         struct willis_arena *arena);
void willis_decoder_plan_scratch(struct willis_decoder *decoder, struct willis_arena *arena);
/* Inference. */
void willis_decoder_forward(struct willis_decoder *decoder,
                            const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS],
                            const float *x, float *logit);
/* Training, forward and backward: the focal loss's sum over all voxels, and the gradient's arrays.
 * Batch statistics are left in decoder->mean and ->variance. */
double willis_decoder_gradient(struct willis_decoder *decoder,
                               const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS],
                               const struct willis_decoder_input *input,
                               const struct willis_decoder_goal *goal,
                               const struct willis_block_parameters gradient[3]);
/* After that, while the scratch memory is as it left it: the gradient of points [begin, end) of x;
 * those of several calls are whole planes, in order from the first. */
void willis_decoder_input_gradient(struct willis_decoder *decoder,
                                   const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS],
                                   ptrdiff_t begin, ptrdiff_t end, float *d_x);

extern const struct willis_decoder_variant willis_decoder_plain;
extern const struct willis_decoder_variant willis_decoder_avx2; /* decoder_avx2.c */

#endif
