/* Encoder block: 3×3×3 convolution → batch normalisation → ReLU → 2×2×2 max pooling.
 *
 * x: [D][H][W][inputs] with even edges, y: [D/2][H/2][W/2][outputs]. Variants compute the same with
 * less work or memory; willis_encoder_block_plan() takes the first of the table that this processor
 * and the shape allow. Same bits for any number of threads.
 *
 * Inference also works on slabs, planes [begin, end) of y at a time, with begin even: the planes
 * come out with the same bits as from the whole volume. */
#ifndef WILLIS_NN_ENCODER_BLOCK_H
#define WILLIS_NN_ENCODER_BLOCK_H

#include "base/memory.h"
#include "nn/block.h"
#include "nn/conv3d.h"

#include <stdbool.h>
#include <stdint.h>

struct willis_encoder_block;

/* Planes [begin, end) along z of a tensor, from `data` on. */
struct willis_planes {
  const float *data;
  ptrdiff_t begin, end;
};

/* One way to compute it. Methods get only blocks that the same variant planned. */
struct willis_encoder_block_variant {
  const char *name;
  unsigned features; /* enum willis_cpu_feature bits it needs */
  bool (*fits)(const struct willis_conv3d_shape *shape);
  /* Takes from the arena what lives from forward to backward. */
  void (*plan)(struct willis_encoder_block *block, struct willis_arena *arena);
  /* Takes what lives during one call; all parts of a network share this memory. */
  void (*plan_scratch)(struct willis_encoder_block *block, struct willis_arena *arena);
  void (*forward)(struct willis_encoder_block *block, const struct willis_block_parameters *p,
                  const float *x, float *y);
  void (*backward)(struct willis_encoder_block *block, const struct willis_block_parameters *p,
                   const float *x, const float *y, float *d_y,
                   const struct willis_block_parameters *gradient, float *d_x);
  /* The functions of the same names below. */
  void (*plan_slabs)(struct willis_encoder_block *block, ptrdiff_t planes,
                     struct willis_arena *arena);
  void (*start_slabs)(struct willis_encoder_block *block, const struct willis_block_parameters *p);
  void (*slab)(struct willis_encoder_block *block, const struct willis_block_parameters *p,
               struct willis_planes x, ptrdiff_t begin, ptrdiff_t end, float *y);
};

struct willis_encoder_block {
  struct willis_conv3d_shape shape;
  bool training;
  const struct willis_encoder_block_variant *variant;
  /* From forward to backward; a variant takes what it needs. */
  double *mean, *variance; /* [outputs]; of the batch, or the running ones in inference */
  float *raw;              /* [D][H][W][outputs]: the convolution's output */
  float *extreme;          /* [D/2][H/2][W/2][outputs]: the raw value that pooling takes */
  uint8_t *argmax;         /* shaped like extreme; as in max_pool.h */
  double *moments;         /* of the input's 3×3×3 patches */
  /* During a call. */
  float *activation, *d_activation; /* like raw */
  float *packed;                    /* weights, or their gradient, in a kernel's own form */
  float *channels;                  /* a few numbers for each output channel */
  double *sums;                     /* partial sums */
  void *scratch;
};

/* With a counting arena the pointers stay null and only the bytes are learned. */
void willis_encoder_block_plan(struct willis_encoder_block *block,
                               const struct willis_conv3d_shape *shape, bool training,
                               struct willis_arena *arena);
void willis_encoder_block_plan_scratch(struct willis_encoder_block *block,
                                       struct willis_arena *arena);
/* In training, batch statistics are left in block->mean and ->variance and the running ones are not
 * touched. */
void willis_encoder_block_forward(struct willis_encoder_block *block,
                                  const struct willis_block_parameters *p, const float *x,
                                  float *y);
/* After a forward pass in training, with its x and y. Overwrites the gradient's arrays, d_x (null
 * when nobody wants it), d_y, and what forward saved. */
void willis_encoder_block_backward(struct willis_encoder_block *block,
                                   const struct willis_block_parameters *p, const float *x,
                                   const float *y, float *d_y,
                                   const struct willis_block_parameters *gradient, float *d_x);

/* In place of plan and plan_scratch: what inference on at most `planes` planes of y at a time
 * takes. */
void willis_encoder_block_plan_slabs(struct willis_encoder_block *block,
                                     const struct willis_conv3d_shape *shape, ptrdiff_t planes,
                                     struct willis_arena *arena);
/* Once, before the slabs. */
void willis_encoder_block_start_slabs(struct willis_encoder_block *block,
                                      const struct willis_block_parameters *p);
/* y: planes [begin, end). x holds those of planes [2·begin − 1, 2·end + 1) that the volume has. */
void willis_encoder_block_slab(struct willis_encoder_block *block,
                               const struct willis_block_parameters *p, struct willis_planes x,
                               ptrdiff_t begin, ptrdiff_t end, float *y);

/* The variants, for tests. */
extern const struct willis_encoder_block_variant willis_encoder_block_plain;
extern const struct willis_encoder_block_variant
    willis_encoder_block_avx2;                                            /* encoder_block_avx2.c */
extern const struct willis_encoder_block_variant willis_first_block_avx2; /* first_block_avx2.c */

#endif
