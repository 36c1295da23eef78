/* A 3D U-Net (Çiçek et al. 2016) of three levels, sized to the paper network's arithmetic: 23.7
 * thousand operations a voxel forward, where that has 23.3. What the field would try first, and so
 * the fair comparison. */
#include "nn/unet.h"

#include "nn/dice_loss.h"

enum {
  ENC1A,
  ENC1B,
  ENC2A,
  ENC2B,
  ENC3A,
  ENC3B,
  UP2,
  DEC2A,
  DEC2B,
  UP1,
  DEC1A,
  DEC1B,
  HEAD,
  LAYERS
};

#define CONV3 WILLIS_LAYER_CONV3D
#define UP3 WILLIS_LAYER_CONV_TRANSPOSE3D
static const struct willis_layer layers[LAYERS] = {
    [ENC1A] = {"enc1a", CONV3, 1, 8, true, WILLIS_STENCIL(3, 1, 1)},
    [ENC1B] = {"enc1b", CONV3, 8, 8, true, WILLIS_STENCIL(3, 1, 1)},
    [ENC2A] = {"enc2a", CONV3, 8, 16, true, WILLIS_STENCIL(3, 1, 1)},
    [ENC2B] = {"enc2b", CONV3, 16, 16, true, WILLIS_STENCIL(3, 1, 1)},
    [ENC3A] = {"enc3a", CONV3, 16, 32, true, WILLIS_STENCIL(3, 1, 1)},
    [ENC3B] = {"enc3b", CONV3, 32, 32, true, WILLIS_STENCIL(3, 1, 1)},
    [UP2] = {"up2", UP3, 32, 16, false, WILLIS_STENCIL(2, 2, 0)},
    [DEC2A] = {"dec2a", CONV3, 32, 16, true, WILLIS_STENCIL(3, 1, 1)},
    [DEC2B] = {"dec2b", CONV3, 16, 16, true, WILLIS_STENCIL(3, 1, 1)},
    [UP1] = {"up1", UP3, 16, 8, false, WILLIS_STENCIL(2, 2, 0)},
    [DEC1A] = {"dec1a", CONV3, 16, 8, true, WILLIS_STENCIL(3, 1, 1)},
    [DEC1B] = {"dec1b", CONV3, 8, 8, true, WILLIS_STENCIL(3, 1, 1)},
    [HEAD] = {"head", CONV3, 8, 1, false, WILLIS_STENCIL(1, 1, 0)},
};

#define RELU .activation = WILLIS_ACTIVATION_LEAKY_RELU
static const struct willis_graph_row rows[] = {
    {.op = WILLIS_OP_CONV, .layer = ENC1A, RELU},
    {.op = WILLIS_OP_CONV, .layer = ENC1B, RELU, .name = "level 1"},
    {.op = WILLIS_OP_MAX_POOL},
    {.op = WILLIS_OP_CONV, .layer = ENC2A, RELU},
    {.op = WILLIS_OP_CONV, .layer = ENC2B, RELU, .name = "level 2"},
    {.op = WILLIS_OP_MAX_POOL},
    {.op = WILLIS_OP_CONV, .layer = ENC3A, RELU},
    {.op = WILLIS_OP_CONV, .layer = ENC3B, RELU},
    {.op = WILLIS_OP_CONV_TRANSPOSE, .layer = UP2},
    {.op = WILLIS_OP_CONCAT, .with = "level 2"},
    {.op = WILLIS_OP_CONV, .layer = DEC2A, RELU},
    {.op = WILLIS_OP_CONV, .layer = DEC2B, RELU},
    {.op = WILLIS_OP_CONV_TRANSPOSE, .layer = UP1},
    {.op = WILLIS_OP_CONCAT, .with = "level 1"},
    {.op = WILLIS_OP_CONV, .layer = DEC1A, RELU},
    {.op = WILLIS_OP_CONV, .layer = DEC1B, RELU},
    {.op = WILLIS_OP_CONV, .layer = HEAD},
};

const struct willis_graph willis_unet_graph = {
    .layer = layers, .row = rows, .row_count = sizeof rows / sizeof *rows, .inputs = 1};

/* ---- inference ---- */

static void unet_plan(void *plan, struct willis_extent extent, struct willis_arena *arena) {
  willis_graph_plan(plan, &willis_unet_graph, extent, false, arena);
}

static void unet_forward(void *plan, const struct willis_block_parameters *p, const float *x,
                         float *logit) {
  willis_graph_forward(plan, p, x, logit);
}

/* ---- training: focal loss and soft Dice, one to one ---- */

struct unet_training {
  struct willis_graph_plan graph;
  struct willis_extent extent;
  float *logit, *d_logit, *target; /* [extent] */
};

static size_t training_bytes(void) {
  return sizeof(struct unet_training);
}

static void training_plan(void *plan, struct willis_extent extent, struct willis_arena *arena) {
  struct unet_training *t = plan;
  const ptrdiff_t count = willis_extent_count(extent);
  willis_graph_plan(&t->graph, &willis_unet_graph, extent, true, arena);
  t->extent = extent;
  t->logit = willis_arena_take(arena, count, sizeof *t->logit);
  t->d_logit = willis_arena_take(arena, count, sizeof *t->d_logit);
  t->target = willis_arena_take(arena, count, sizeof *t->target);
}

static enum willis_status training_gradient(void *plan, const struct willis_block_parameters *p,
                                            const struct willis_sample *sample, double *loss,
                                            const struct willis_block_parameters *gradient,
                                            struct willis_error *err) {
  (void)err;
  struct unet_training *t = plan;
  const ptrdiff_t count = willis_extent_count(t->extent);
  const float *target = sample->target.values;
  if (!target) {
    willis_target_read(&sample->target, 0, count, t->target);
    target = t->target;
  }
  willis_graph_forward(&t->graph, p, sample->x, t->logit);
  *loss = willis_focal_sum(&sample->focal, count, t->logit, target, t->d_logit);
  /* What is handed on is a sum over voxels; Dice is a number of the whole volume. */
  *loss += (double)count * willis_dice_loss_gradient(count, t->logit, target, 1, t->d_logit);
  willis_graph_backward(&t->graph, p, sample->x, t->d_logit, gradient, NULL);
  return WILLIS_OK;
}

static struct willis_batch_statistics training_statistics(const void *plan, int layer) {
  const struct unet_training *t = plan;
  return willis_graph_statistics(&t->graph, layer);
}

static const struct willis_training_method store = {
    .plan_bytes = training_bytes,
    .plan = training_plan,
    .gradient = training_gradient,
    .statistics = training_statistics,
};

const struct willis_architecture willis_unet = {
    .name = "unet",
    .layer = layers,
    .layer_count = LAYERS,
    .multiple = 4,
    .plan_bytes = sizeof(struct willis_graph_plan),
    .plan = unet_plan,
    .forward = unet_forward,
    .training = {[WILLIS_TRAINING_STORE] = &store},
};
