/* A list of steps, each of which changes the rows of one level; forward walks it down, backward up.
 *
 *   stem    h = W·voxel + b
 *   ray     h += exchange along the rays
 *   block   h += W₂ * ReLU(W₁ * norm(h) + b₁) + b₂        (* submanifold, 3³)
 *   down    h of the level above = W * h + b               (2³, stride 2)
 *   up      h += Wᵀ * h of the level above + b             (2³, transposed)
 *   head    logit = w · norm(h) + b
 *
 * In training every step leaves a copy; in inference each level has one buffer. */
#include "nn/hull_net.h"

#include "nn/network.h"
#include "nn/relu.h"
#include "nn/rms_norm.h"

#include <string.h>

enum { W0 = 24, W1 = 48, W2 = 72, W3 = 96 };

static const int width[WILLIS_LATTICE_LEVELS] = {W0, W1, W2, W3};

#define NO_STENCIL WILLIS_STENCIL(1, 1, 0)
#define RAY(name)                                                                                  \
  {name ".norm", WILLIS_LAYER_GAIN, W0, W0, false, NO_STENCIL},                                    \
      {name ".point", WILLIS_LAYER_LINEAR, W0, WILLIS_RAY_POINT, false, NO_STENCIL},               \
      {name ".view", WILLIS_LAYER_LINEAR_UNBIASED, WILLIS_RAY_INPUTS, WILLIS_RAY_HIDDEN, false,    \
       NO_STENCIL},                                                                                \
  {                                                                                                \
    name ".out", WILLIS_LAYER_LINEAR, WILLIS_RAY_POOLED, W0, false, NO_STENCIL                     \
  }
#define BLOCK(name, w)                                                                             \
  {name ".norm", WILLIS_LAYER_GAIN, w, w, false, NO_STENCIL},                                      \
      {name ".first", WILLIS_LAYER_CONV3D_SPARSE, w, w, false, WILLIS_STENCIL(3, 1, 1)}, {         \
    name ".second", WILLIS_LAYER_CONV3D_SPARSE, w, w, false, WILLIS_STENCIL(3, 1, 1)               \
  }
#define DOWN(name, from, to)                                                                       \
  { name, WILLIS_LAYER_CONV3D_STRIDED, from, to, false, WILLIS_STENCIL(2, 2, 0) }
#define UP(name, from, to)                                                                         \
  { name, WILLIS_LAYER_CONV_TRANSPOSE3D_SPARSE, from, to, false, WILLIS_STENCIL(2, 2, 0) }

/* clang-format off */
static const struct willis_layer layers[] = {
    {"stem", WILLIS_LAYER_LINEAR, WILLIS_HULL_VOXEL, W0, false, NO_STENCIL},
    RAY("ray1"), BLOCK("fine1", W0), RAY("ray2"), BLOCK("fine2", W0),
    DOWN("down1", W0, W1), BLOCK("enc1", W1),
    DOWN("down2", W1, W2), BLOCK("enc2", W2),
    DOWN("down3", W2, W3), BLOCK("enc3", W3),
    UP("up2", W3, W2), BLOCK("dec2", W2),
    UP("up1", W2, W1), BLOCK("dec1", W1),
    UP("up0", W1, W0), BLOCK("dec0", W0),
    RAY("ray3"), BLOCK("fine3", W0),
    {"head.norm", WILLIS_LAYER_GAIN, W0, W0, false, NO_STENCIL},
    {"head", WILLIS_LAYER_LINEAR, W0, 1, false, NO_STENCIL},
};

enum step_kind { STEP_STEM, STEP_RAY, STEP_BLOCK, STEP_DOWN, STEP_UP, STEP_HEAD };

/* The level whose rows a step changes. Steps take their layers in order. */
static const struct { enum step_kind kind; int level; } steps[WILLIS_HULL_STEPS] = {
    {STEP_STEM, 0},
    {STEP_RAY, 0}, {STEP_BLOCK, 0}, {STEP_RAY, 0}, {STEP_BLOCK, 0},
    {STEP_DOWN, 1}, {STEP_BLOCK, 1}, {STEP_DOWN, 2}, {STEP_BLOCK, 2}, {STEP_DOWN, 3}, {STEP_BLOCK, 3},
    {STEP_UP, 2}, {STEP_BLOCK, 2}, {STEP_UP, 1}, {STEP_BLOCK, 1}, {STEP_UP, 0}, {STEP_BLOCK, 0},
    {STEP_RAY, 0}, {STEP_BLOCK, 0},
    {STEP_HEAD, 0},
};
static const int layers_of[] = {
    [STEP_STEM] = 1, [STEP_RAY] = 4, [STEP_BLOCK] = 3, [STEP_DOWN] = 1, [STEP_UP] = 1, [STEP_HEAD] = 2,
};
/* clang-format on */

const struct willis_architecture willis_hull_architecture = {
    .name = "hull",
    .sparse = true,
    .layer = layers,
    .layer_count = sizeof layers / sizeof *layers,
    .multiple = 1,
    .plan_bytes = sizeof(struct willis_hull_plan),
};

/* ---- buffers ---- */

static ptrdiff_t rows_of(const struct willis_hull_input *input, int level) {
  return input->lattice->level[level].rows;
}

static ptrdiff_t level_size(const struct willis_hull_input *input, int level) {
  return rows_of(input, level) * width[level];
}

static ptrdiff_t largest_level(const struct willis_hull_input *input) {
  ptrdiff_t most = 0;
  for (int l = 0; l < WILLIS_LATTICE_LEVELS; l++)
    if (level_size(input, l) > most) most = level_size(input, l);
  return most;
}

static void plan_step(struct willis_hull_plan *plan, int s, const struct willis_hull_input *input,
                      struct willis_ray_exchange *ray, struct willis_arena *arena) {
  struct willis_hull_step *step = &plan->step[s];
  const ptrdiff_t size = level_size(input, steps[s].level);
  if (steps[s].kind == STEP_RAY) step->ray = ray;
  if (plan->training) {
    if (steps[s].kind != STEP_HEAD) step->out = willis_arena_take(arena, size, sizeof(float));
    if (steps[s].kind == STEP_BLOCK) step->hidden = willis_arena_take(arena, size, sizeof(float));
  } else {
    step->out = plan->level[steps[s].level];
  }
}

void willis_hull_plan(struct willis_hull_plan *plan, const struct willis_hull_input *input,
                      bool training, struct willis_arena *arena) {
  const ptrdiff_t most = largest_level(input);
  *plan = (struct willis_hull_plan){.training = training};
  for (int l = 0; l < WILLIS_LATTICE_LEVELS; l++) {
    float *buffer = willis_arena_take(arena, level_size(input, l), sizeof(float));
    *(training ? &plan->d_level[l] : &plan->level[l]) = buffer;
  }
  for (int e = 0; training && e < WILLIS_HULL_EXCHANGES; e++)
    willis_ray_exchange_plan(&plan->ray[e], rows_of(input, 0), input->views.views, W0, training,
                             arena);
  for (int s = 0, e = 0; s < WILLIS_HULL_STEPS; s++) {
    plan_step(plan, s, input, &plan->ray[e], arena);
    e += training && steps[s].kind == STEP_RAY;
  }
  plan->logit = willis_arena_take(arena, rows_of(input, 0), sizeof(float));
  plan->packed = willis_arena_take(arena, (ptrdiff_t)W3 * W3 * WILLIS_AROUND, sizeof(float));
  if (!training)
    plan->mirrored = willis_arena_take(
        arena, willis_architecture_parameter_count(&willis_hull_architecture), sizeof(float));
  /* Blocks and exchanges work one at a time. */
  size_t mark = arena->used;
  plan->normal = willis_arena_take(arena, most, sizeof(float));
  plan->d_hidden = willis_arena_take(arena, most, sizeof(float));
  if (training) plan->d_normal = willis_arena_take(arena, most, sizeof(float));
  size_t end = arena->used;
  willis_arena_rewind(arena, mark);
  if (!training)
    willis_ray_exchange_plan(&plan->ray[0], rows_of(input, 0), input->views.views, W0, training,
                             arena);
  willis_ray_exchange_plan_scratch(&plan->ray_scratch, rows_of(input, 0), input->views.rays, W0,
                                   training, arena);
  if (arena->used < end) arena->used = end;
}

size_t willis_hull_plan_bytes(const ptrdiff_t rows[WILLIS_LATTICE_LEVELS], ptrdiff_t rays,
                              int views, bool training) {
  struct willis_lattice lattice = {0};
  struct willis_arena counting = {0};
  struct willis_hull_plan plan;
  for (int l = 0; l < WILLIS_LATTICE_LEVELS; l++) lattice.level[l].rows = rows[l];
  const struct willis_hull_input input = {.lattice = &lattice,
                                          .views = {.rows = rows[0], .rays = rays, .views = views}};
  willis_hull_plan(&plan, &input, training, &counting);
  return counting.peak;
}

/* ---- forward ---- */

static struct willis_ray_parameters ray_parameters(const struct willis_block_parameters *p) {
  return (struct willis_ray_parameters){.gain = p[0].weight,
                                        .point_weight = p[1].weight,
                                        .point_bias = p[1].bias,
                                        .ray_weight = p[2].weight,
                                        .out_weight = p[3].weight,
                                        .out_bias = p[3].bias};
}

static struct willis_sparse_conv around(int channels) {
  return (struct willis_sparse_conv){channels, channels, WILLIS_AROUND, false};
}
static struct willis_sparse_conv down_to(int level) {
  return (struct willis_sparse_conv){width[level - 1], width[level], WILLIS_OCTANTS, false};
}
static struct willis_sparse_conv up_to(int level) {
  return (struct willis_sparse_conv){width[level + 1], width[level], WILLIS_OCTANTS, true};
}

static const struct willis_taps *each_row(struct willis_taps *table, ptrdiff_t rows) {
  *table = (struct willis_taps){rows, 1, NULL, table, false};
  return table;
}

static void block_forward(struct willis_hull_plan *plan, int s,
                          const struct willis_block_parameters *p,
                          const struct willis_lattice_level *level, float *h) {
  const struct willis_sparse_conv conv = around(width[steps[s].level]);
  float *hidden = plan->training ? plan->step[s].hidden : plan->d_hidden;
  willis_rms_norm_forward(level->rows, conv.inputs, h, p[0].weight, plan->normal);
  willis_sparse_conv_forward(&conv, &level->around, plan->normal, p[1].weight, p[1].bias, false,
                             hidden, plan->packed);
  willis_relu_forward(level->rows * conv.inputs, hidden, hidden);
  willis_sparse_conv_forward(&conv, &level->around, hidden, p[2].weight, p[2].bias, true, h,
                             plan->packed);
}

static void head_forward(struct willis_hull_plan *plan, const struct willis_block_parameters *p,
                         ptrdiff_t rows, const float *h) {
  willis_rms_norm_forward(rows, W0, h, p[0].weight, plan->normal);
  for (ptrdiff_t i = 0; i < rows; i++) {
    float sum = p[1].bias[0];
    for (int c = 0; c < W0; c++) sum += p[1].weight[c] * plan->normal[i * W0 + c];
    plan->logit[i] = sum;
  }
}

void willis_hull_forward(struct willis_hull_plan *plan, const struct willis_block_parameters *p,
                         const struct willis_hull_input *input) {
  const float *last[WILLIS_LATTICE_LEVELS] = {NULL};
  for (int s = 0; s < WILLIS_HULL_STEPS; p += layers_of[steps[s].kind], s++) {
    const int l = steps[s].level;
    const struct willis_lattice_level *level = &input->lattice->level[l];
    float *h = plan->step[s].out;
    struct willis_taps each;
    const bool changes =
        steps[s].kind == STEP_RAY || steps[s].kind == STEP_BLOCK || steps[s].kind == STEP_UP;
    if (changes && plan->training) memcpy(h, last[l], (size_t)level_size(input, l) * sizeof *h);
    if (steps[s].kind == STEP_STEM) {
      const struct willis_sparse_conv conv = {WILLIS_HULL_VOXEL, W0, 1, false};
      willis_sparse_conv_forward(&conv, each_row(&each, level->rows), input->voxel, p->weight,
                                 p->bias, false, h, plan->packed);
    } else if (steps[s].kind == STEP_RAY) {
      const struct willis_ray_parameters rays = ray_parameters(p);
      willis_ray_exchange_forward(plan->step[s].ray, &input->views, &rays, h, h,
                                  &plan->ray_scratch);
    } else if (steps[s].kind == STEP_BLOCK) {
      block_forward(plan, s, p, level, h);
    } else if (steps[s].kind == STEP_DOWN) {
      const struct willis_sparse_conv conv = down_to(l);
      willis_sparse_conv_forward(&conv, &level->children, last[l - 1], p->weight, p->bias, false, h,
                                 plan->packed);
    } else if (steps[s].kind == STEP_UP) {
      const struct willis_sparse_conv conv = up_to(l);
      willis_sparse_conv_forward(&conv, &level->parents, last[l + 1], p->weight, p->bias, true, h,
                                 plan->packed);
    } else {
      head_forward(plan, p, level->rows, last[0]);
    }
    if (steps[s].kind != STEP_HEAD) last[l] = h;
  }
}

/* ---- backward ---- */

static void block_backward(struct willis_hull_plan *plan, int s,
                           const struct willis_block_parameters *p,
                           const struct willis_lattice_level *level, const float *x, float *d,
                           const struct willis_block_parameters *gradient) {
  const struct willis_sparse_conv conv = around(width[steps[s].level]);
  const float *hidden = plan->step[s].hidden;
  willis_sparse_conv_backward_weight(&conv, &level->around, hidden, d, gradient[2].weight,
                                     gradient[2].bias, plan->packed);
  willis_sparse_conv_backward_data(&conv, &level->around, d, p[2].weight, false, plan->d_hidden,
                                   plan->packed);
  willis_relu_backward(level->rows * conv.inputs, hidden, plan->d_hidden, plan->d_hidden);
  willis_rms_norm_forward(level->rows, conv.inputs, x, p[0].weight, plan->normal);
  willis_sparse_conv_backward_weight(&conv, &level->around, plan->normal, plan->d_hidden,
                                     gradient[1].weight, gradient[1].bias, plan->packed);
  willis_sparse_conv_backward_data(&conv, &level->around, plan->d_hidden, p[1].weight, false,
                                   plan->d_normal, plan->packed);
  willis_rms_norm_backward(level->rows, conv.inputs, x, p[0].weight, plan->d_normal, d,
                           gradient[0].weight);
}

static void head_backward(struct willis_hull_plan *plan, const struct willis_block_parameters *p,
                          ptrdiff_t rows, const float *h, float *d,
                          const struct willis_block_parameters *gradient) {
  double d_weight[W0] = {0}, d_bias = 0;
  willis_rms_norm_forward(rows, W0, h, p[0].weight, plan->normal);
  for (ptrdiff_t i = 0; i < rows; i++) {
    const float g = plan->logit[i];
    d_bias += (double)g;
    for (int c = 0; c < W0; c++) {
      d_weight[c] += (double)(g * plan->normal[i * W0 + c]);
      plan->d_normal[i * W0 + c] = g * p[1].weight[c];
    }
  }
  for (int c = 0; c < W0; c++) gradient[1].weight[c] = (float)d_weight[c];
  gradient[1].bias[0] = (float)d_bias;
  memset(d, 0, (size_t)(rows * W0) * sizeof *d);
  willis_rms_norm_backward(rows, W0, h, p[0].weight, plan->d_normal, d, gradient[0].weight);
}

/* What the step before `s` on a level left. */
static const float *before(const struct willis_hull_plan *plan, int s, int level) {
  while (steps[--s].level != level) continue;
  return plan->step[s].out;
}

void willis_hull_backward(struct willis_hull_plan *plan, const struct willis_block_parameters *p,
                          const struct willis_hull_input *input,
                          const struct willis_block_parameters *gradient) {
  int at = willis_hull_architecture.layer_count;
  for (int s = WILLIS_HULL_STEPS - 1; s >= 0; s--) {
    at -= layers_of[steps[s].kind];
    const int l = steps[s].level;
    const struct willis_lattice_level *level = &input->lattice->level[l];
    const struct willis_block_parameters *own = p + at, *to = gradient + at;
    float *d = plan->d_level[l];
    struct willis_taps each;
    if (steps[s].kind == STEP_HEAD) {
      head_backward(plan, own, level->rows, before(plan, s, l), d, to);
    } else if (steps[s].kind == STEP_RAY) {
      const struct willis_ray_parameters rays = ray_parameters(own), d_rays = ray_parameters(to);
      willis_ray_exchange_backward(plan->step[s].ray, &input->views, &rays, before(plan, s, l), d,
                                   &d_rays, &plan->ray_scratch);
    } else if (steps[s].kind == STEP_BLOCK) {
      block_backward(plan, s, own, level, before(plan, s, l), d, to);
    } else if (steps[s].kind == STEP_DOWN) {
      const struct willis_sparse_conv conv = down_to(l);
      willis_sparse_conv_backward_weight(&conv, &level->children, before(plan, s, l - 1), d,
                                         to->weight, to->bias, plan->packed);
      willis_sparse_conv_backward_data(&conv, &level->children, d, own->weight, true,
                                       plan->d_level[l - 1], plan->packed);
    } else if (steps[s].kind == STEP_UP) {
      const struct willis_sparse_conv conv = up_to(l);
      willis_sparse_conv_backward_weight(&conv, &level->parents, before(plan, s, l + 1), d,
                                         to->weight, to->bias, plan->packed);
      willis_sparse_conv_backward_data(&conv, &level->parents, d, own->weight, false,
                                       plan->d_level[l + 1], plan->packed);
    } else {
      const struct willis_sparse_conv conv = {WILLIS_HULL_VOXEL, W0, 1, false};
      willis_sparse_conv_backward_weight(&conv, each_row(&each, level->rows), input->voxel, d,
                                         to->weight, to->bias, plan->packed);
    }
  }
}
