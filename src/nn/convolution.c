/* Convolution by its definition, and the choice between it and its variants. */
#include "nn/convolution.h"

#include "base/cpu.h"

static void edges(struct willis_extent e, ptrdiff_t edge[3]) {
  edge[0] = e.depth;
  edge[1] = e.height;
  edge[2] = e.width;
}

struct willis_extent willis_convolution_extent(const struct willis_convolution *c) {
  ptrdiff_t edge[3];
  edges(c->extent, edge);
  for (int d = 0; d < 3; d++)
    edge[d] = (edge[d] + 2 * c->stencil.pad[d] - c->stencil.kernel[d]) / c->stencil.stride[d] + 1;
  return (struct willis_extent){edge[0], edge[1], edge[2]};
}

/* ---- plain ---- */

static bool plain_fits(const struct willis_convolution *c) {
  (void)c;
  return true;
}

static size_t plain_scratch_bytes(const struct willis_convolution *c) {
  (void)c;
  return 0;
}

/* The voxel of x under tap k of output voxel (z, y, x) of `out`, or −1 outside. */
static ptrdiff_t source(const struct willis_convolution *c, const ptrdiff_t at[3], int tap) {
  const struct willis_stencil *w = &c->stencil;
  const int k[3] = {tap / (w->kernel[1] * w->kernel[2]), tap / w->kernel[2] % w->kernel[1],
                    tap % w->kernel[2]};
  ptrdiff_t edge[3], index = 0;
  edges(c->extent, edge);
  for (int d = 0; d < 3; d++) {
    ptrdiff_t p = w->stride[d] * at[d] - w->pad[d] + k[d];
    if (p < 0 || p >= edge[d]) return -1;
    index = index * edge[d] + p;
  }
  return index;
}

/* Where output voxel `o` of the whole order lies. */
static void place(struct willis_extent out, ptrdiff_t o, ptrdiff_t at[3]) {
  at[0] = o / (out.height * out.width);
  at[1] = o / out.width % out.height;
  at[2] = o % out.width;
}

static void plain_forward(const struct willis_convolution *c, const float *x, const float *weight,
                          float *y, void *scratch) {
  (void)scratch;
  const struct willis_extent out = willis_convolution_extent(c);
  const ptrdiff_t voxels = willis_extent_count(out);
  const int taps = willis_stencil_taps(&c->stencil);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t o = 0; o < voxels; o++) {
    ptrdiff_t at[3];
    place(out, o, at);
    for (int to = 0; to < c->outputs; to++) {
      double sum = 0;
      for (int k = 0; k < taps; k++) {
        ptrdiff_t p = source(c, at, k);
        if (p < 0) continue;
        for (int i = 0; i < c->inputs; i++)
          sum += (double)weight[((ptrdiff_t)to * c->inputs + i) * taps + k] *
                 (double)x[p * c->inputs + i];
      }
      y[o * c->outputs + to] = (float)sum;
    }
  }
}

/* A thread owns one input channel, so that no two add to the same voxel. */
static void plain_backward_data(const struct willis_convolution *c, const float *d_y,
                                const float *weight, float *d_x, void *scratch) {
  (void)scratch;
  const struct willis_extent out = willis_convolution_extent(c);
  const ptrdiff_t voxels = willis_extent_count(out);
  const int taps = willis_stencil_taps(&c->stencil);
#pragma omp parallel for schedule(dynamic, 1)
  for (int i = 0; i < c->inputs; i++) {
    for (ptrdiff_t p = 0; p < willis_extent_count(c->extent); p++) d_x[p * c->inputs + i] = 0;
    for (ptrdiff_t o = 0; o < voxels; o++) {
      ptrdiff_t at[3];
      place(out, o, at);
      for (int k = 0; k < taps; k++) {
        ptrdiff_t p = source(c, at, k);
        if (p < 0) continue;
        double sum = 0;
        for (int from = 0; from < c->outputs; from++)
          sum += (double)weight[((ptrdiff_t)from * c->inputs + i) * taps + k] *
                 (double)d_y[o * c->outputs + from];
        d_x[p * c->inputs + i] += (float)sum;
      }
    }
  }
}

static void plain_backward_weight(const struct willis_convolution *c, const float *x,
                                  const float *d_y, float *d_weight, void *scratch) {
  (void)scratch;
  const struct willis_extent out = willis_convolution_extent(c);
  const ptrdiff_t voxels = willis_extent_count(out);
  const int taps = willis_stencil_taps(&c->stencil);
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t w = 0; w < (ptrdiff_t)c->outputs * c->inputs * taps; w++) {
    const int k = (int)(w % taps), i = (int)(w / taps % c->inputs);
    const int to = (int)(w / taps / c->inputs);
    double sum = 0;
    for (ptrdiff_t o = 0; o < voxels; o++) {
      ptrdiff_t at[3];
      place(out, o, at);
      ptrdiff_t p = source(c, at, k);
      if (p >= 0) sum += (double)d_y[o * c->outputs + to] * (double)x[p * c->inputs + i];
    }
    d_weight[w] = (float)sum;
  }
}

const struct willis_convolution_variant willis_convolution_plain = {
    .name = "plain",
    .fits = plain_fits,
    .scratch_bytes = plain_scratch_bytes,
    .forward = plain_forward,
    .backward_data = plain_backward_data,
    .backward_weight = plain_backward_weight,
};

/* ---- choice ---- */

/* Best first; the plain one fits everything. */
static const struct willis_convolution_variant *const variants[] = {
#ifdef WILLIS_HAVE_AVX2
    &willis_convolution_winograd_avx2,
    &willis_convolution_patches_avx2,
#endif
    &willis_convolution_plain,
};

size_t willis_convolution_plan(struct willis_convolution *c) {
  const unsigned have = willis_cpu_features();
  /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are what is counted. */
  size_t v = 0, last = sizeof variants / sizeof *variants - 1;
  while (v < last &&
         ((have & variants[v]->features) != variants[v]->features || !variants[v]->fits(c)))
    v++;
  c->variant = variants[v];
  return c->variant->scratch_bytes(c);
}

void willis_convolution_forward(const struct willis_convolution *c, const float *x,
                                const float *weight, float *y, void *scratch) {
  c->variant->forward(c, x, weight, y, scratch);
}

void willis_convolution_backward_data(const struct willis_convolution *c, const float *d_y,
                                      const float *weight, float *d_x, void *scratch) {
  c->variant->backward_data(c, d_y, weight, d_x, scratch);
}

void willis_convolution_backward_weight(const struct willis_convolution *c, const float *x,
                                        const float *d_y, float *d_weight, void *scratch) {
  c->variant->backward_weight(c, x, d_y, d_weight, scratch);
}
