/* CPU features by the compiler's own detection. */
#include "base/cpu.h"

#include <stdatomic.h>

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

static unsigned detect(void) {
  unsigned found = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found |= WILLIS_CPU_AVX2;
  if (__builtin_cpu_supports("avx2") && has_f16c()) found |= WILLIS_CPU_F16C;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    found |= WILLIS_CPU_AVX512;
#endif
  return found;
}

static unsigned allowed_features = ~0u;

unsigned willis_cpu_features(void) {
  /* Under a hypervisor the question costs as much as a small layer: it is asked once. */
  enum { KNOWN = 1 << 30 };
  static atomic_uint known;
  unsigned found = atomic_load_explicit(&known, memory_order_relaxed);
  if (!found) {
    found = detect() | KNOWN;
    atomic_store_explicit(&known, found, memory_order_relaxed);
  }
  found &= allowed_features & ~(unsigned)KNOWN;
  /* The wide variants use what the narrow ones use. */
  return found & WILLIS_CPU_AVX2 ? found : found & ~(unsigned)WILLIS_CPU_AVX512;
}

void willis_cpu_mask(unsigned allowed) {
  allowed_features = allowed;
}
