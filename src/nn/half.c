/* Conversions bit by bit, and the choice of the processor's own. */
#include "nn/half.h"

#include "base/cpu.h"

#include <stdbool.h>
#include <string.h>

enum { LANES = 8, CHUNK = 1 << 14 };

static uint16_t pack_one(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  const uint32_t size = bits & 0x7fffffff;
  if (size > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (size >> 13 & 0x1ff));
  if (size >= 0x477ff000) return sign | 0x7c00; /* what rounds to 65536 or more */
  /* The mantissa with its leading 1, to be shifted so far that its last bit counts 2⁻²⁴ or what the
   * exponent says. */
  const int exponent = (int)(size >> 23) - 127;
  if (exponent < -25) return sign;
  const uint32_t mantissa = (size & 0x7fffff) | 0x800000;
  const int shift = exponent < -14 ? -exponent - 1 : 13;
  const uint32_t half = 1u << (shift - 1), rest = mantissa & (2 * half - 1);
  uint32_t kept = mantissa >> shift;
  if (rest > half || (rest == half && kept & 1)) kept++;
  /* Adding lets a mantissa that rounds up to 2 carry into the exponent. */
  return (uint16_t)(sign + kept + (exponent < -14 ? 0 : (uint32_t)(exponent + 14) << 10));
}

static float unpack_one(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1f;
  const uint32_t mantissa = half & 0x3ff;
  uint32_t bits = sign | (exponent + 112) << 23 | mantissa << 13;
  if (exponent == 31) bits = sign | 0x7f800000 | mantissa << 13 | (mantissa ? 0x400000 : 0);
  float value;
  if (exponent == 0) {
    value = (float)mantissa * 0x1p-24f;
    return sign ? -value : value;
  }
  memcpy(&value, &bits, sizeof value);
  return value;
}

static bool has_f16c(void) {
#ifdef WILLIS_HAVE_AVX2
  return willis_cpu_features() & WILLIS_CPU_F16C;
#else
  return false;
#endif
}

static void pack_row(bool fast, ptrdiff_t count, const float *from, uint16_t *to) {
  ptrdiff_t done = 0;
#ifdef WILLIS_HAVE_AVX2
  if (fast) willis_half_pack_f16c(done = count / LANES * LANES, from, to);
#else
  (void)fast;
#endif
  for (; done < count; done++) to[done] = pack_one(from[done]);
}

static void unpack_row(bool fast, ptrdiff_t count, const uint16_t *from, float *to) {
  ptrdiff_t done = 0;
#ifdef WILLIS_HAVE_AVX2
  if (fast) willis_half_unpack_f16c(done = count / LANES * LANES, from, to);
#else
  (void)fast;
#endif
  for (; done < count; done++) to[done] = unpack_one(from[done]);
}

void willis_half_pack(ptrdiff_t count, const float *from, uint16_t *to) {
  pack_row(has_f16c(), count, from, to);
}

void willis_half_unpack(ptrdiff_t count, const uint16_t *from, float *to) {
  unpack_row(has_f16c(), count, from, to);
}

/* Asking the processor takes longer than a short row. */
void willis_half_unpack_rows(ptrdiff_t rows, ptrdiff_t count, const uint16_t *from,
                             ptrdiff_t stride, float *to) {
  const bool fast = has_f16c();
  for (ptrdiff_t r = 0; r < rows; r++) unpack_row(fast, count, from + r * stride, to + r * count);
}

void willis_half_pack_all(ptrdiff_t count, const float *from, uint16_t *to) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t at = 0; at < count; at += CHUNK)
    willis_half_pack(count - at < CHUNK ? count - at : CHUNK, from + at, to + at);
}

void willis_half_unpack_all(ptrdiff_t count, const uint16_t *from, float *to) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t at = 0; at < count; at += CHUNK)
    willis_half_unpack(count - at < CHUNK ? count - at : CHUNK, from + at, to + at);
}
