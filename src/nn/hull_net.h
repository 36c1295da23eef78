/* The network "hull": decides about the voxels of a visual hull, from any number of views. Residual
 * blocks of submanifold convolutions on four levels (lattice.h), and exchanges along the rays
 * (ray_exchange.h) at the finest. Which layers there are, in which order: hull_net.c. */
#ifndef WILLIS_NN_HULL_NET_H
#define WILLIS_NN_HULL_NET_H

#include "nn/architecture.h"
#include "nn/lattice.h"
#include "nn/ray_exchange.h"

#include <willis/network.h>

/* What is known of a voxel. */
enum { WILLIS_HULL_VOXEL = 12 };
enum { WILLIS_HULL_STEPS = 20, WILLIS_HULL_EXCHANGES = 3 };

/* What the network sees of one head. */
struct willis_hull_input {
  const struct willis_lattice *lattice;
  struct willis_ray_views views; /* rows: those of the lattice's level 0 */
  const float *voxel;            /* [rows][WILLIS_HULL_VOXEL] */
};

struct willis_hull_step {
  float *out;                      /* what it leaves; in inference all of a level share one */
  float *hidden;                   /* blocks */
  struct willis_ray_exchange *ray; /* ray exchanges */
};

/* Buffers for inputs of one lattice and number of rays. */
struct willis_hull_plan {
  bool training;
  struct willis_hull_step step[WILLIS_HULL_STEPS];
  float *level[WILLIS_LATTICE_LEVELS];   /* inference: what passes through */
  float *d_level[WILLIS_LATTICE_LEVELS]; /* training: its gradient */
  float *normal, *d_normal, *d_hidden;   /* scratch of blocks */
  float *packed;
  float *mirrored; /* inference: a block of parameters (hull_mirror.h) */
  struct willis_ray_exchange ray[WILLIS_HULL_EXCHANGES]; /* inference uses the first */
  struct willis_ray_scratch ray_scratch;
  float *logit; /* [rows], then its gradient */
};

extern const struct willis_architecture willis_hull_architecture;

/* Which inputs a model has learned from, `inputs` of its metadata: counted up when what the same
 * numbers mean changes. 2: the unit of line integrals by their solution. 3: the solution, after a
 * look, by what was said. */
#define WILLIS_HULL_INPUTS "3"

/* Takes every buffer from the arena, which may only count. */
void willis_hull_plan(struct willis_hull_plan *plan, const struct willis_hull_input *input,
                      bool training, struct willis_arena *arena);
/* What the buffers for a lattice of so many rows take. */
size_t willis_hull_plan_bytes(const ptrdiff_t rows[WILLIS_LATTICE_LEVELS], ptrdiff_t rays,
                              int views, bool training);
/* p[layer_count]; the result is plan->logit. */
void willis_hull_forward(struct willis_hull_plan *plan, const struct willis_block_parameters *p,
                         const struct willis_hull_input *input);
/* From plan->logit, which holds the gradient now. Overwrites the gradients. */
void willis_hull_backward(struct willis_hull_plan *plan, const struct willis_block_parameters *p,
                          const struct willis_hull_input *input,
                          const struct willis_block_parameters *gradient);

/* The logit of every row, as it is or as said of mirrored heads (hull_mirror.h). OUT_OF_MEMORY,
 * NUMERIC (not finite). */
WILLIS_CHECKED enum willis_status willis_hull_infer(const struct willis_network *network,
                                                    unsigned mirror,
                                                    const struct willis_hull_input *input,
                                                    float *logit, struct willis_error *err);

/* One head to learn from. `missed` true voxels are not in its hull. */
struct willis_hull_lesson {
  struct willis_hull_input input;
  const float *target; /* [rows] 0 or 1 */
  double missed;
};
/* As willis_trainer_gradient() with the loss of overlap_loss.h; a gradient longer than 1 is
 * shortened to 1. Memory for the activations grows with the largest lesson so far. */
WILLIS_CHECKED enum willis_status willis_trainer_hull_step(struct willis_trainer *trainer,
                                                           const struct willis_hull_lesson *lesson,
                                                           double *loss, struct willis_error *err);
/* What the trainer holds. */
size_t willis_trainer_hull_bytes(const struct willis_trainer *trainer);

#endif
