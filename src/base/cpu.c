/* CPU features by the compiler's own detection. */
#include "base/cpu.h"

static unsigned allowed_features = ~0u;

unsigned willis_cpu_features(void) {
  unsigned found = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found |= WILLIS_CPU_AVX2;
  if (__builtin_cpu_supports("f16c")) found |= WILLIS_CPU_F16C;
#endif
  return found & allowed_features;
}

void willis_cpu_mask(unsigned allowed) {
  allowed_features = allowed;
}
