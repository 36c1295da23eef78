/* Conversions with F16C. */
#include "nn/half.h"

#include <immintrin.h>

enum { LANES = 8 };

void willis_half_pack_f16c(ptrdiff_t count, const float *from, uint16_t *to) {
  for (ptrdiff_t i = 0; i < count; i += LANES)
    _mm_storeu_si128((__m128i *)(to + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
}

void willis_half_unpack_f16c(ptrdiff_t count, const uint16_t *from, float *to) {
  for (ptrdiff_t i = 0; i < count; i += LANES)
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(from + i))));
}
