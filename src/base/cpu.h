/* What this processor can do, less what a test has switched off. */
#ifndef WILLIS_BASE_CPU_H
#define WILLIS_BASE_CPU_H

enum willis_cpu_feature {
  WILLIS_CPU_AVX2 = 1, /* AVX2 and FMA */
  WILLIS_CPU_F16C = 2,
  WILLIS_CPU_AVX512 = 4 /* AVX-512 F, DQ and VL; only with AVX2 */
};

/* Bits of enum willis_cpu_feature. */
unsigned willis_cpu_features(void);
/* Only features in `allowed` are reported from now on (~0u: all that there are). For tests. */
void willis_cpu_mask(unsigned allowed);

#endif
