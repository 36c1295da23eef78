/* pix2pix for slices of any multiple of 64 pixels: six halvings and a skip at each, a quarter of
 * its channels (the slices hold little). The innermost layer is not normalised, for at 64 pixels it
 * is one pixel. */
#include "nn/slice_gan.h"

enum { DOWN1, DOWN2, DOWN3, DOWN4, DOWN5, DOWN6, UP5, UP4, UP3, UP2, UP1, OUT, LAYERS };

#define DOWN WILLIS_LAYER_CONV3D
#define UP WILLIS_LAYER_CONV_TRANSPOSE3D
#define HALVE WILLIS_SLICE_STENCIL(4, 2, 1)
static const struct willis_layer layers[LAYERS] = {
    [DOWN1] = {"down1", DOWN, WILLIS_SLICE_CONDITIONS, 16, false, HALVE},
    [DOWN2] = {"down2", DOWN, 16, 32, true, HALVE},
    [DOWN3] = {"down3", DOWN, 32, 64, true, HALVE},
    [DOWN4] = {"down4", DOWN, 64, 128, true, HALVE},
    [DOWN5] = {"down5", DOWN, 128, 128, true, HALVE},
    [DOWN6] = {"down6", DOWN, 128, 128, false, HALVE},
    [UP5] = {"up5", UP, 128, 128, true, HALVE},
    [UP4] = {"up4", UP, 256, 128, true, HALVE},
    [UP3] = {"up3", UP, 256, 64, true, HALVE},
    [UP2] = {"up2", UP, 128, 32, true, HALVE},
    [UP1] = {"up1", UP, 64, 16, true, HALVE},
    [OUT] = {"out", UP, 32, 1, false, HALVE},
};

#define LEAKY .activation = WILLIS_ACTIVATION_LEAKY_RELU, .slope = 0.2f
#define RELU .activation = WILLIS_ACTIVATION_LEAKY_RELU
static const struct willis_graph_row rows[] = {
    {.op = WILLIS_OP_CONV, .layer = DOWN1, LEAKY, .name = "1/2"},
    {.op = WILLIS_OP_CONV, .layer = DOWN2, LEAKY, .name = "1/4"},
    {.op = WILLIS_OP_CONV, .layer = DOWN3, LEAKY, .name = "1/8"},
    {.op = WILLIS_OP_CONV, .layer = DOWN4, LEAKY, .name = "1/16"},
    {.op = WILLIS_OP_CONV, .layer = DOWN5, LEAKY, .name = "1/32"},
    {.op = WILLIS_OP_CONV, .layer = DOWN6, RELU},
    {.op = WILLIS_OP_CONV_TRANSPOSE, .layer = UP5, RELU, .dropout = 0.5},
    {.op = WILLIS_OP_CONCAT, .with = "1/32"},
    {.op = WILLIS_OP_CONV_TRANSPOSE, .layer = UP4, RELU, .dropout = 0.5},
    {.op = WILLIS_OP_CONCAT, .with = "1/16"},
    {.op = WILLIS_OP_CONV_TRANSPOSE, .layer = UP3, RELU},
    {.op = WILLIS_OP_CONCAT, .with = "1/8"},
    {.op = WILLIS_OP_CONV_TRANSPOSE, .layer = UP2, RELU},
    {.op = WILLIS_OP_CONCAT, .with = "1/4"},
    {.op = WILLIS_OP_CONV_TRANSPOSE, .layer = UP1, RELU},
    {.op = WILLIS_OP_CONCAT, .with = "1/2"},
    {.op = WILLIS_OP_CONV_TRANSPOSE, .layer = OUT, .activation = WILLIS_ACTIVATION_TANH},
};

enum { D1, D2, D3, D4, D_LAYERS };

static const struct willis_layer d_layers[D_LAYERS] = {
    [D1] = {"patch1", DOWN, WILLIS_SLICE_CONDITIONS + 1, 16, false, HALVE},
    [D2] = {"patch2", DOWN, 16, 32, true, HALVE},
    [D3] = {"patch3", DOWN, 32, 64, true, WILLIS_SLICE_STENCIL(4, 1, 1)},
    [D4] = {"patch4", DOWN, 64, 1, false, WILLIS_SLICE_STENCIL(4, 1, 1)},
};

static const struct willis_graph_row d_rows[] = {
    {.op = WILLIS_OP_CONV, .layer = D1, LEAKY},
    {.op = WILLIS_OP_CONV, .layer = D2, LEAKY},
    {.op = WILLIS_OP_CONV, .layer = D3, LEAKY},
    {.op = WILLIS_OP_CONV, .layer = D4},
};

const struct willis_graph willis_slice_generator_graph = {.layer = layers,
                                                          .row = rows,
                                                          .row_count = sizeof rows / sizeof *rows,
                                                          .inputs = WILLIS_SLICE_CONDITIONS};
const struct willis_graph willis_slice_discriminator_graph = {
    .layer = d_layers,
    .row = d_rows,
    .row_count = sizeof d_rows / sizeof *d_rows,
    .inputs = WILLIS_SLICE_CONDITIONS + 1};

/* Both are trained together, by slice_gan_trainer.c; alone they only infer. */
static void generator_plan(void *plan, struct willis_extent extent, struct willis_arena *arena) {
  willis_graph_plan(plan, &willis_slice_generator_graph, extent, false, arena);
}

static void discriminator_plan(void *plan, struct willis_extent extent,
                               struct willis_arena *arena) {
  willis_graph_plan(plan, &willis_slice_discriminator_graph, extent, false, arena);
}

static void slice_forward(void *plan, const struct willis_block_parameters *p, const float *x,
                          float *y) {
  willis_graph_forward(plan, p, x, y);
}

const struct willis_architecture willis_slice_generator = {
    .name = "slice-generator",
    .layer = layers,
    .layer_count = LAYERS,
    .multiple = 64,
    .plan_bytes = sizeof(struct willis_graph_plan),
    .plan = generator_plan,
    .forward = slice_forward,
};

const struct willis_architecture willis_slice_discriminator = {
    .name = "slice-discriminator",
    .layer = d_layers,
    .layer_count = D_LAYERS,
    .multiple = 4,
    .plan_bytes = sizeof(struct willis_graph_plan),
    .plan = discriminator_plan,
    .forward = slice_forward,
};
