/* What a network tells the rest of the room about itself. A new network is a file with one such
 * table and a line in willis_architectures[] (network.c). */
#ifndef WILLIS_NN_ARCHITECTURE_H
#define WILLIS_NN_ARCHITECTURE_H

#include "base/memory.h"
#include "nn/block.h"
#include "nn/loss.h"
#include "nn/tensor.h"

#include <willis/network.h>

#include <stdbool.h>

/* Those from GAIN on are of sparse networks (hull_net.h). */
enum willis_layer_kind {
  WILLIS_LAYER_CONV3D,
  WILLIS_LAYER_CONV_TRANSPOSE3D,
  WILLIS_LAYER_GAIN, /* of an rms_norm */
  WILLIS_LAYER_LINEAR,
  WILLIS_LAYER_LINEAR_UNBIASED,
  WILLIS_LAYER_CONV3D_SPARSE,
  WILLIS_LAYER_CONV3D_STRIDED,
  WILLIS_LAYER_CONV_TRANSPOSE3D_SPARSE
};

/* A convolution or its like and what follows it. Tensors are called <name>.conv.weight or
 * <name>.deconv.weight and so on, and <name>.bn.weight … when it is normalised (M7). */
struct willis_layer {
  const char *name;
  enum willis_layer_kind kind;
  int inputs, outputs;
  bool normalised;
  struct willis_stencil stencil;
};

/* Batch statistics of one normalised layer after a forward pass in training. */
struct willis_batch_statistics {
  ptrdiff_t count; /* voxels */
  const double *mean, *variance;
};

/* Where slabs of planes [begin, end) of a padded volume come from and go to; in order, from plane 0
 * on. `write` may use the logits' memory. What they return but OK ends the inference. */
struct willis_slab_feed {
  enum willis_status (*read)(ptrdiff_t begin, ptrdiff_t end, float *x, void *context,
                             struct willis_error *err);
  enum willis_status (*write)(ptrdiff_t begin, ptrdiff_t end, float *logit, void *context,
                              struct willis_error *err);
  void *context;
};

/* A volume to learn from. x: [extent], or, where that is null, read by planes, which are asked for
 * more than once, each time in order from 0. What `read` returns but OK ends the step. */
struct willis_sample {
  const float *x;
  enum willis_status (*read)(ptrdiff_t begin, ptrdiff_t end, float *x, void *context,
                             struct willis_error *err);
  void *context;
  struct willis_target target;
  struct willis_focal focal;
};

/* One way to compute a gradient (enum willis_training_plan). p[layer] and gradient[layer]:
 * [layer_count]; `plan` is a struct of plan_bytes(). */
struct willis_training_method {
  size_t (*plan_bytes)(void);
  /* Takes every buffer of a step from the arena, which may only count. */
  void (*plan)(void *plan, struct willis_extent extent, struct willis_arena *arena);
  /* Forward with batch statistics, and backward: the sum of the voxels' losses, and the gradient of
   * their mean, overwritten. */
  enum willis_status (*gradient)(void *plan, const struct willis_block_parameters *p,
                                 const struct willis_sample *sample, double *loss,
                                 const struct willis_block_parameters *gradient,
                                 struct willis_error *err);
  struct willis_batch_statistics (*statistics)(const void *plan, int layer);
};

struct willis_architecture {
  const char *name;
  bool sparse; /* works on the voxels of a hull (hull_net.h): there is none of what follows
                  `multiple` */
  const struct willis_layer *layer;
  int layer_count;
  ptrdiff_t multiple; /* edges of its input are multiples of this */
  size_t plan_bytes;  /* of the struct that plan() and forward() get */
  /* Inference. Takes every buffer of it from the arena, which may only count. */
  void (*plan)(void *plan, struct willis_extent extent, struct willis_arena *arena);
  /* x and logit: [extent], one channel. */
  void (*forward)(void *plan, const struct willis_block_parameters *p, const float *x,
                  float *logit);
  /* The same inference from planes to planes, with running statistics: the same bits in little
   * memory. x is read `height` planes at a time. The plan is a struct of slabs_bytes(). */
  size_t (*slabs_bytes)(void);
  void (*plan_slabs)(void *plan, struct willis_extent extent, ptrdiff_t height,
                     struct willis_arena *arena);
  enum willis_status (*infer_slabs)(void *plan, const struct willis_block_parameters *p,
                                    const struct willis_slab_feed *feed, struct willis_error *err);
  /* With numbers stored as float, and with 16 bits; null where it cannot be trained so. */
  const struct willis_training_method *training[WILLIS_TRAINING_PLANS];
  const struct willis_training_method *training_half[WILLIS_TRAINING_PLANS];
};

#endif
