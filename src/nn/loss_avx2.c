/* With s = (1 − 2t)·z and a target of 0 or 1, q = σ(s), so that its logarithm comes with BCE:
 *
 *   e = exp(−|s|),  BCE = max(s,0) + log1p(e),  log q = min(s,0) − log1p(e),
 *   L = α_t·exp(γ·log q)·BCE,  dL/dz = (1 − 2t)·α_t·exp(γ·log q)·( γ(1−q)·BCE + q ).
 *
 * Voxels with other targets take the plain way, one by one. */
#include "nn/loss_avx2.h"

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

enum { LANES = 4 };

#define INLINE static inline __attribute__((always_inline))

INLINE __m256d all(double x) {
  return _mm256_set1_pd(x);
}

/* exp(x) for x ≤ 0: 2ⁿ·exp(r) with |r| ≤ log(2)/2 and a Taylor series, whose first missing term is
 * 2e-16; 0 below −708. */
INLINE __m256d exp_of_negative(__m256d x) {
  static const double inverse_factorial[] = {1.0 / 479001600,
                                             1.0 / 39916800,
                                             1.0 / 3628800,
                                             1.0 / 362880,
                                             1.0 / 40320,
                                             1.0 / 5040,
                                             1.0 / 720,
                                             1.0 / 120,
                                             1.0 / 24,
                                             1.0 / 6,
                                             0.5,
                                             1,
                                             1};
  const __m256d least = all(-708), round = all(0x1.8p52);
  __m256d vanishes = _mm256_cmp_pd(x, least, _CMP_LT_OQ);
  x = _mm256_max_pd(least, x); /* in this order a NaN stays */
  __m256d shifted = _mm256_fmadd_pd(x, all(0x1.71547652b82fep0), round);
  __m256d n = _mm256_sub_pd(shifted, round);
  __m256d r = _mm256_fnmadd_pd(n, all(0x1.62e42fefa3800p-1), x);
  r = _mm256_fnmadd_pd(n, all(0x1.ef35793c76730p-45), r);
  __m256d sum = all(inverse_factorial[0]);
  for (size_t k = 1; k < sizeof inverse_factorial / sizeof *inverse_factorial; k++)
    sum = _mm256_fmadd_pd(sum, r, all(inverse_factorial[k]));
  __m256i exponent = _mm256_slli_epi64(_mm256_castpd_si256(shifted), 52);
  sum = _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(sum), exponent));
  return _mm256_andnot_pd(vanishes, sum);
}

/* log(1 + e) for e in [0,1]: 2·artanh(f/(2+f)) with f = e, or f = (e−1)/2 and log(2) on top. */
INLINE __m256d log_of_one_and(__m256d e) {
  __m256d upper = _mm256_cmp_pd(e, all(0x1.a827999fcef32p-2), _CMP_GT_OQ);
  __m256d half = _mm256_mul_pd(_mm256_sub_pd(e, all(1)), all(0.5));
  __m256d f = _mm256_blendv_pd(e, half, upper);
  __m256d s = _mm256_div_pd(f, _mm256_add_pd(all(2), f)), ss = _mm256_mul_pd(s, s);
  __m256d sum = all(1.0 / 21);
  for (int k = 19; k > 1; k -= 2) sum = _mm256_fmadd_pd(sum, ss, all(1.0 / k));
  __m256d log2 = _mm256_and_pd(upper, all(0x1.62e42fefa39efp-1));
  __m256d twice = _mm256_add_pd(s, s);
  return _mm256_add_pd(_mm256_fmadd_pd(_mm256_mul_pd(twice, ss), sum, twice), log2);
}

/* Four voxels; `d_logit` is set. */
INLINE __m256d focal_values(const struct willis_focal *focal, const float *logit,
                            const float *target, float *d_logit) {
  const __m256d zero = _mm256_setzero_pd(), one = all(1), gamma = all(focal->gamma);
  __m256d t = _mm256_cvtps_pd(_mm_loadu_ps(target));
  __m256d sign = _mm256_fnmadd_pd(all(2), t, one);
  __m256d s = _mm256_mul_pd(sign, _mm256_cvtps_pd(_mm_loadu_ps(logit)));
  __m256d e = exp_of_negative(_mm256_or_pd(s, all(-0.0)));
  __m256d large = _mm256_div_pd(one, _mm256_add_pd(one, e)), small = _mm256_mul_pd(e, large);
  __m256d negative = _mm256_cmp_pd(s, zero, _CMP_LT_OQ);
  __m256d q = _mm256_blendv_pd(large, small, negative);
  __m256d not_q = _mm256_blendv_pd(small, large, negative);
  __m256d log1p_e = log_of_one_and(e);
  __m256d bce = _mm256_add_pd(_mm256_max_pd(zero, s), log1p_e);
  __m256d log_q = _mm256_sub_pd(_mm256_min_pd(zero, s), log1p_e);
  __m256d alpha = _mm256_fmadd_pd(all(2 * focal->alpha - 1), t, all(1 - focal->alpha));
  __m256d weight = _mm256_mul_pd(alpha, exp_of_negative(_mm256_mul_pd(gamma, log_q)));
  __m256d slope = _mm256_fmadd_pd(_mm256_mul_pd(gamma, not_q), bce, q);
  __m256d d_z = _mm256_mul_pd(_mm256_mul_pd(sign, weight), slope);
  _mm_storeu_ps(d_logit, _mm256_cvtpd_ps(_mm256_mul_pd(d_z, all(focal->scale))));
  return _mm256_mul_pd(weight, bce);
}

static bool all_plain(const float *target) {
  __m128 t = _mm_loadu_ps(target);
  __m128 plain = _mm_or_ps(_mm_cmpeq_ps(t, _mm_setzero_ps()), _mm_cmpeq_ps(t, _mm_set1_ps(1)));
  return _mm_movemask_ps(plain) == (1 << LANES) - 1;
}

/* The lanes whose targets are neither 0 nor 1. */
static __m256d correct(const struct willis_focal *focal, const float *logit, const float *target,
                       __m256d value, float *d_logit) {
  for (int i = 0; i < LANES; i++) {
    double d_z;
    if (target[i] == 0 || target[i] == 1) continue;
    value[i] = willis_focal_value(focal, (double)logit[i], (double)target[i], &d_z);
    d_logit[i] = (float)(d_z * focal->scale);
  }
  return value;
}

INLINE __m256d four(const struct willis_focal *focal, const float *logit, const float *target,
                    float *d_logit) {
  float d_z[LANES]; /* d_logit may be logit */
  __m256d value = focal_values(focal, logit, target, d_z);
  if (!all_plain(target)) value = correct(focal, logit, target, value, d_z);
  if (d_logit) _mm_storeu_ps(d_logit, _mm_loadu_ps(d_z));
  return value;
}

double willis_focal_sum_avx2(const struct willis_focal *focal, ptrdiff_t count, const float *logit,
                             const float *target, float *d_logit) {
  __m256d sum = _mm256_setzero_pd();
  ptrdiff_t i = 0;
  for (; i + LANES <= count; i += LANES)
    sum = _mm256_add_pd(sum, four(focal, logit + i, target + i, d_logit ? d_logit + i : NULL));
  if (i < count) {
    float z[LANES] = {0}, t[LANES] = {0}, d_z[LANES];
    size_t left = (size_t)(count - i);
    memcpy(z, logit + i, left * sizeof *z);
    memcpy(t, target + i, left * sizeof *t);
    __m256d value = four(focal, z, t, d_z);
    for (size_t k = left; k < LANES; k++) value[k] = 0;
    sum = _mm256_add_pd(sum, value);
    if (d_logit) memcpy(d_logit + i, d_z, left * sizeof *d_z);
  }
  return sum[0] + sum[1] + sum[2] + sum[3];
}
