/* The plain loops behind sparse layers, and the choice of kernel. */
#include "nn/pairs.h"

#include "base/cpu.h"

enum { PANEL = WILLIS_PAIRS_PANEL, LANES = 8 };

static int panel_width(int first, int outputs) {
  return outputs - first < PANEL ? outputs - first : PANEL;
}

void willis_pairs_pack(int inputs, int outputs, const float *w, ptrdiff_t k_stride,
                       ptrdiff_t o_stride, float *packed) {
  for (int first = 0; first < outputs; first += PANEL)
    for (int k = 0; k < inputs; k++)
      for (int o = first; o < first + panel_width(first, outputs); o++)
        *packed++ = w[k * k_stride + o * o_stride];
}

static void product(const struct willis_pairs *pairs, const float *x, ptrdiff_t x_stride,
                    int inputs, const float *packed, int outputs, float *y, ptrdiff_t y_stride) {
  for (ptrdiff_t p = 0; p < pairs->count; p++) {
    const float *row = x + pairs->from[p] * x_stride, *w = packed;
    for (int first = 0; first < outputs; first += PANEL) {
      const int width = panel_width(first, outputs);
      float *to = y + pairs->to[p] * y_stride + first;
      for (int k = 0; k < inputs; k++, w += width)
        for (int o = 0; o < width; o++) to[o] += row[k] * w[o];
    }
  }
}

static void outer(const struct willis_pairs *pairs, const float *x, ptrdiff_t x_stride, int inputs,
                  const float *d_y, ptrdiff_t y_stride, int outputs, float *d_w) {
  for (ptrdiff_t p = 0; p < pairs->count; p++) {
    const float *a = x + pairs->from[p] * x_stride, *b = d_y + pairs->to[p] * y_stride;
    for (int k = 0; k < inputs; k++)
      for (int o = 0; o < outputs; o++) d_w[(ptrdiff_t)k * outputs + o] += a[k] * b[o];
  }
}

const struct willis_pair_kernels willis_pairs_plain = {product, outer};

const struct willis_pair_kernels *willis_pair_kernels(int outputs) {
#ifdef WILLIS_HAVE_AVX2
  const unsigned features = willis_cpu_features();
  if (outputs % LANES == 0 && features & WILLIS_CPU_AVX512) return &willis_pairs_avx512;
  if (outputs % LANES == 0 && features & WILLIS_CPU_AVX2) return &willis_pairs_avx2;
#else
  (void)outputs;
#endif
  return &willis_pairs_plain;
}
