/* CPU features by the compiler's own detection. */
#include "base/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdbool.h>

/* Asked of the processor, since clang's builtin does not know the name. Whether the system keeps
 * the wide registers is what the builtin says of AVX2. */
static bool has_f16c(void) {
  unsigned a, b, c = 0, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

static unsigned allowed_features = ~0u;

unsigned willis_cpu_features(void) {
  unsigned found = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found |= WILLIS_CPU_AVX2;
  if (__builtin_cpu_supports("avx2") && has_f16c()) found |= WILLIS_CPU_F16C;
#endif
  return found & allowed_features;
}

void willis_cpu_mask(unsigned allowed) {
  allowed_features = allowed;
}
