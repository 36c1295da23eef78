/* With s = 1/√(mean x² + ε) and g = gain·d_y:  d_x = s·g − x·s³·(Σ g·x)/C,  d_gain = Σ d_y·x·s. */
#include "nn/rms_norm.h"

#include <math.h>

enum { SHARDS = 8, MOST = 128 };

static float scale_of(const float *x, int channels) {
  float sum = 0;
  for (int c = 0; c < channels; c++) sum += x[c] * x[c];
  return 1 / sqrtf(sum / (float)channels + WILLIS_RMS_NORM_EPSILON);
}

void willis_rms_norm_forward(ptrdiff_t rows, int channels, const float *x, const float *gain,
                             float *y) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < rows; i++) {
    const float *from = x + i * channels, s = scale_of(from, channels);
    for (int c = 0; c < channels; c++) y[i * channels + c] = gain[c] * (from[c] * s);
  }
}

void willis_rms_norm_backward(ptrdiff_t rows, int channels, const float *x, const float *gain,
                              const float *d_y, float *d_x, float *d_gain) {
  float part[SHARDS][MOST];
#pragma omp parallel for schedule(static, 1)
  for (int shard = 0; shard < SHARDS; shard++) {
    float *own = part[shard];
    for (int c = 0; c < channels; c++) own[c] = 0;
    for (ptrdiff_t i = rows * shard / SHARDS; i < rows * (shard + 1) / SHARDS; i++) {
      const float *from = x + i * channels, *d = d_y + i * channels;
      const float s = scale_of(from, channels);
      float product = 0;
      for (int c = 0; c < channels; c++) product += gain[c] * d[c] * from[c];
      const float slope = product * s * s * s / (float)channels;
      for (int c = 0; c < channels; c++) {
        own[c] += d[c] * from[c] * s;
        d_x[i * channels + c] += s * gain[c] * d[c] - from[c] * slope;
      }
    }
  }
  for (int c = 0; c < channels; c++) {
    d_gain[c] = 0;
    for (int shard = 0; shard < SHARDS; shard++) d_gain[c] += part[shard][c];
  }
}
