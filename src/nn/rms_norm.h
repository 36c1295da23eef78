/* Root-mean-square normalisation of every row (Zhang, Sennrich 2019), which needs no statistics of
 * a batch:  y[i][c] = gain[c] · x[i][c] / √(mean_c x[i][c]² + ε). x, y: [rows][channels]. The same
 * bits for any number of threads. */
#ifndef WILLIS_NN_RMS_NORM_H
#define WILLIS_NN_RMS_NORM_H

#include <stddef.h>

#define WILLIS_RMS_NORM_EPSILON 1e-5f

/* y may be x. */
void willis_rms_norm_forward(ptrdiff_t rows, int channels, const float *x, const float *gain,
                             float *y);
/* Adds to d_x; overwrites d_gain. At most 128 channels. */
void willis_rms_norm_backward(ptrdiff_t rows, int channels, const float *x, const float *gain,
                              const float *d_y, float *d_x, float *d_gain);

#endif
