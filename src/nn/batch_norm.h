/* Batch normalisation over voxels (Ioffe, Szegedy 2015), forward and backward.
 *
 *   y[p][c] = gamma[c] · (x[p][c] − mean[c]) · inverse_sd[c] + beta[c],
 *   inverse_sd = 1/√(variance + ε)
 *
 * x, y: [count][channels]. Training uses the mean and the biased variance of x itself; inference
 * the running ones. y may be x. Sums in double, the same bits for any number of threads. */
#ifndef WILLIS_NN_BATCH_NORM_H
#define WILLIS_NN_BATCH_NORM_H

#include <stddef.h>

/* PyTorch's defaults (M9). */
#define WILLIS_BATCH_NORM_EPSILON 1e-5
#define WILLIS_BATCH_NORM_MOMENTUM 0.1

/* mean[c] and biased variance[c] over the voxels. */
void willis_batch_norm_statistics(ptrdiff_t count, int channels, const float *x, double *mean,
                                  double *variance);
void willis_batch_norm_forward(ptrdiff_t count, int channels, const float *x, const double *mean,
                               const double *variance, const float *gamma, const float *beta,
                               float *y);
/* Through the batch statistics: with x̂ = (x − mean)·inverse_sd,
 *   d_gamma = Σ d_y·x̂,  d_beta = Σ d_y,
 *   d_x = gamma · inverse_sd · (d_y − d_beta/count − x̂ · d_gamma/count).
 * d_x may be d_y. */
void willis_batch_norm_backward(ptrdiff_t count, int channels, const float *x, const double *mean,
                                const double *variance, const float *gamma, const float *d_y,
                                float *d_x, float *d_gamma, float *d_beta);
/* The same for voxels that come in parts, in order; the same bits. Statistics: sum[c] += Σ x for
 * the mean, then, with centre = mean, sum[c] += Σ (x − centre)² for the variance. Backward: sum[c]
 * += Σ d_y and product[c] += Σ d_y·(x − mean), then d_x with the sums over all `total` voxels. */
void willis_batch_norm_add(ptrdiff_t count, int channels, const float *x, const double *centre,
                           double *sum);
void willis_batch_norm_backward_add(ptrdiff_t count, int channels, const float *x,
                                    const double *mean, const float *d_y, double *sum,
                                    double *product);
void willis_batch_norm_backward_apply(ptrdiff_t total, ptrdiff_t count, int channels,
                                      const float *x, const double *mean, const double *variance,
                                      const float *gamma, const double *sum, const double *product,
                                      const float *d_y, float *d_x);
/* d_gamma and d_beta from those sums. */
void willis_batch_norm_backward_finish(int channels, const double *variance, const double *sum,
                                       const double *product, float *d_gamma, float *d_beta);
/* running ← (1 − momentum)·running + momentum·batch, the variance unbiased (M9). */
void willis_batch_norm_track(ptrdiff_t count, int channels, const double *mean,
                             const double *variance, float *running_mean, float *running_variance);

#endif
