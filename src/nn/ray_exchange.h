/* What voxels on a ray tell each other, and what the views tell a voxel. Every voxel bids for its
 * rays, those around its shadow with linear weights w; on every ray the bids are weighed against
 * each other as a softmax does; what comes of that and what the view shows go through a small
 * network, for every view the same; mean and maximum over the views change the voxel. So any number
 * of views in any order will do.
 *
 *   [bid, self] = W_p·norm(x) + b_p                               R and E numbers a voxel
 *   rival_v = log Σ_r w_ir Σ_j w_jr exp(bid_j) − bid_i            r: rays of view v; 0 for who is
 *                                                                 alone in the middle of a ray
 *   e_v = ReLU(W_r·[rival_v, seen_v, about_v] + self)
 *   y = x + W_o·[mean_v e_v, max_v e_v] + b_o                     over views that see the voxel
 *
 * x, y: [rows][channels]. norm: rms_norm.h. The same bits for any number of threads. */
#ifndef WILLIS_NN_RAY_EXCHANGE_H
#define WILLIS_NN_RAY_EXCHANGE_H

#include "base/memory.h"
#include "base/ray_place.h"

#include <stddef.h>
#include <stdint.h>

enum {
  WILLIS_RAY_BIDS = 8,    /* R */
  WILLIS_RAY_HIDDEN = 24, /* E */
  WILLIS_RAY_SEEN = 7,    /* numbers that a view shows at a voxel */
  WILLIS_RAY_ABOUT = 3,   /* numbers that describe a view */
  WILLIS_RAY_INPUTS = WILLIS_RAY_BIDS + WILLIS_RAY_SEEN + WILLIS_RAY_ABOUT,
  WILLIS_RAY_POINT = WILLIS_RAY_BIDS + WILLIS_RAY_HIDDEN,
  WILLIS_RAY_POOLED = 2 * WILLIS_RAY_HIDDEN,
  WILLIS_RAY_MOST_VIEWS = 254
};

/* `rows` voxels in `views` views. */
struct willis_ray_views {
  ptrdiff_t rows, rays;
  int views;
  const struct willis_ray_place *place; /* [views][rows], rays below `rays` */
  const int32_t *pitch;                 /* [views] rays in a row of them */
  const float *seen;                    /* [views][rows][WILLIS_RAY_SEEN] */
  const float *about;                   /* [views][WILLIS_RAY_ABOUT] */
  const float *share;                   /* [rows] 1/(views that see it), 0 for none */
};

/* As PyTorch's nn.Linear: weight [outputs][inputs]. */
struct willis_ray_parameters {
  float *gain;                      /* [channels] */
  float *point_weight, *point_bias; /* [POINT][channels] */
  float *ray_weight;                /* [HIDDEN][INPUTS] */
  float *out_weight, *out_bias;     /* [channels][POOLED] */
};

/* What forward leaves for backward. */
struct willis_ray_exchange {
  int channels;
  ptrdiff_t rows;
  float *point;  /* [rows][POINT] */
  float *pooled; /* [rows][POOLED]; null in inference from few views */
  uint8_t *best; /* [rows][HIDDEN], the view of the maximum; 255 for none */
};

/* Memory that layers share, one at a time; the second part in training. */
struct willis_ray_scratch {
  float top[WILLIS_RAY_BIDS]; /* the highest bids */
  float *weight;              /* [rows][BIDS] exp(bid − top) */
  float *among;               /* [2][rows][BIDS] Σ w Σ w·weight */
  float *level;               /* [2][rays][BIDS] */
  float *packed, *packed_out; /* weights */
  float *d_rival;
  float *normal;             /* [rows][channels] */
  float *d_point, *d_pooled; /* [rows][POINT], [rows][POOLED] */
  float *d_normal;           /* [rows][channels] */
  float *d_weight;           /* [shards][INPUTS][HIDDEN] */
};

/* From an arena, which may only count; `training` for backward too. At most POOLED channels. */
void willis_ray_exchange_plan(struct willis_ray_exchange *layer, ptrdiff_t rows, int views,
                              int channels, bool training, struct willis_arena *arena);
void willis_ray_exchange_plan_scratch(struct willis_ray_scratch *scratch, ptrdiff_t rows,
                                      ptrdiff_t rays, int channels, bool training,
                                      struct willis_arena *arena);

/* y may be x when there will be no backward. */
void willis_ray_exchange_forward(struct willis_ray_exchange *layer,
                                 const struct willis_ray_views *views,
                                 const struct willis_ray_parameters *p, const float *x, float *y,
                                 struct willis_ray_scratch *scratch);
/* d_x comes as the gradient of y and leaves as that of x. Overwrites the gradients. */
void willis_ray_exchange_backward(struct willis_ray_exchange *layer,
                                  const struct willis_ray_views *views,
                                  const struct willis_ray_parameters *p, const float *x, float *d_x,
                                  const struct willis_ray_parameters *gradient,
                                  struct willis_ray_scratch *scratch);

#endif
