/* Encoder block: 3×3×3 convolution → batch normalisation → ReLU → 2×2×2 max pooling.
 *
 * x: [D][H][W][inputs] with even edges, y: [D/2][H/2][W/2][outputs]. Variants compute the same with
 * less work or memory; willis_encoder_block_plan() takes the first of the table that this processor
 * and the shape allow. Same bits for any number of threads.
 *
 * Inference also works on slabs, planes [begin, end) of y at a time, with begin even: the planes
 * come out with the same bits as from the whole volume. So does training, in several passes over
 * the planes, where the convolution's output is made again in each (struct willis_block_passes). */
#ifndef WILLIS_NN_ENCODER_BLOCK_H
#define WILLIS_NN_ENCODER_BLOCK_H

#include "base/memory.h"
#include "nn/block.h"
#include "nn/conv3d.h"

#include <stdbool.h>
#include <stdint.h>

struct willis_encoder_block;

/* What the block above the first needs to know of its output: y, and the maxima's positions. */
struct willis_pooled_planes {
  const float *y;
  const uint8_t *argmax;
};

/* Training by slabs: planes [begin, end) of x at a time, in order from 0, begin a multiple of 4. x
 * also holds `reach` planes before and after them, as far as the volume has them.
 *
 * Forward, `forward_passes` over all planes; of the last one is kept what y can be made of, shaped
 * like y. Of the first block nothing is kept: its y is made again from x by the block's slab().
 * Backward, `backward_passes`; what was kept gives way to what these need of y's gradient. */
struct willis_block_passes {
  int forward_passes, backward_passes, reach;
  bool takes_stored; /* see stored_argmax in struct willis_encoder_block */
  /* What lives through all passes, and what only through the forward or only through the backward
   * ones, on at most `planes` planes of x. */
  void (*plan)(struct willis_encoder_block *block, ptrdiff_t planes, struct willis_arena *arena);
  void (*plan_forward)(struct willis_encoder_block *block, ptrdiff_t planes,
                       struct willis_arena *arena);
  void (*plan_backward)(struct willis_encoder_block *block, ptrdiff_t planes,
                        struct willis_arena *arena);
  void (*start)(struct willis_encoder_block *block, const struct willis_block_parameters *p);
  /* kept: planes [begin/2, end/2) of what is kept; null for the first block. */
  void (*forward)(struct willis_encoder_block *block, const struct willis_block_parameters *p,
                  int pass, struct willis_planes x, ptrdiff_t begin, ptrdiff_t end, float *kept);
  void (*finish)(struct willis_encoder_block *block, const struct willis_block_parameters *p,
                 int pass);
  /* `voxels` voxels of y, which may be kept; may be called by several threads at once. */
  void (*output)(const struct willis_encoder_block *block, ptrdiff_t voxels, const float *kept,
                 float *y);
  /* Planes [begin, end) of y's gradient arrive, in order; kept is shaped like them. */
  void (*take_gradient)(struct willis_encoder_block *block, ptrdiff_t begin, ptrdiff_t end,
                        const float *d_y, float *kept);
  void (*start_backward)(struct willis_encoder_block *block,
                         const struct willis_block_parameters *p, int pass,
                         const struct willis_block_parameters *gradient);
  /* d: planes [begin/2, end/2) of what take_gradient() left; for the first block of y's gradient,
   * with y itself. In the last pass, the gradient of the convolution's output is left in d_raw,
   * planes [begin, end) (not by the first block). */
  void (*backward)(struct willis_encoder_block *block, const struct willis_block_parameters *p,
                   int pass, struct willis_planes x, ptrdiff_t begin, ptrdiff_t end, const float *d,
                   struct willis_pooled_planes pooled, float *d_raw);
  void (*finish_backward)(struct willis_encoder_block *block,
                          const struct willis_block_parameters *p, int pass,
                          const struct willis_block_parameters *gradient);
  /* Planes [begin, end) of x's gradient; d_raw holds one plane more on either side. */
  void (*input_gradient)(struct willis_encoder_block *block,
                         const struct willis_block_parameters *p, struct willis_planes d_raw,
                         ptrdiff_t begin, ptrdiff_t end, float *d_x);
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
  const struct willis_block_passes *passes;
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
  /* Who takes stored output of the convolution: a forward pass leaves it and the positions of its
   * maxima in these, where they are not null. A backward pass then finds it in d_raw. */
  float *stored_raw;
  uint8_t *stored_argmax;
  /* In backward passes over slabs. */
  float *packed_back, *weight_sum;
  float *slab_extreme;
  uint8_t *slab_argmax;
  void *scratch_back;
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

/* In place of plan and plan_scratch: chooses the variant for training by slabs, whose functions are
 * called through block->variant->passes, and takes what lives through all passes. */
void willis_encoder_block_plan_passes(struct willis_encoder_block *block,
                                      const struct willis_conv3d_shape *shape, ptrdiff_t planes,
                                      struct willis_arena *arena);

/* The variants, for tests. */
extern const struct willis_encoder_block_variant willis_encoder_block_plain;
extern const struct willis_encoder_block_variant
    willis_encoder_block_avx2;                                            /* encoder_block_avx2.c */
extern const struct willis_encoder_block_variant willis_first_block_avx2; /* first_block_avx2.c */

#endif
