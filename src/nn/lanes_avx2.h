/* Vectors of LANES floats under the same names on AVX2 and on AVX-512, for kernels that are written
 * once (…_avx2.h) and compiled for both. What happens in a lane is the same, so the bits are. */
#ifndef WILLIS_NN_LANES_AVX2_H
#define WILLIS_NN_LANES_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#define LANES_INLINE static inline __attribute__((always_inline))

#ifdef __AVX512F__

enum { LANES = 16 };
typedef __m512 lanes;
typedef __m512i lanes_int;
#define LANES_CALL(name) _mm512_##name

#else

enum { LANES = 8 };
typedef __m256 lanes;
typedef __m256i lanes_int;
#define LANES_CALL(name) _mm256_##name

#endif

LANES_INLINE lanes lanes_zero(void) {
  return LANES_CALL(setzero_ps)();
}
LANES_INLINE lanes lanes_all(float value) {
  return LANES_CALL(set1_ps)(value);
}
/* Aligned to a vector; …_any: anywhere. */
LANES_INLINE lanes lanes_load(const float *p) {
  return LANES_CALL(load_ps)(p);
}
LANES_INLINE lanes lanes_load_any(const float *p) {
  return LANES_CALL(loadu_ps)(p);
}
LANES_INLINE void lanes_store(float *p, lanes v) {
  LANES_CALL(store_ps)(p, v);
}
LANES_INLINE void lanes_store_any(float *p, lanes v) {
  LANES_CALL(storeu_ps)(p, v);
}
/* Past the caches; aligned. */
LANES_INLINE void lanes_stream(float *p, lanes v) {
  LANES_CALL(stream_ps)(p, v);
}
LANES_INLINE lanes lanes_add(lanes a, lanes b) {
  return LANES_CALL(add_ps)(a, b);
}
LANES_INLINE lanes lanes_sub(lanes a, lanes b) {
  return LANES_CALL(sub_ps)(a, b);
}
LANES_INLINE lanes lanes_mul(lanes a, lanes b) {
  return LANES_CALL(mul_ps)(a, b);
}
/* a·b + c and c − a·b, rounded once. */
LANES_INLINE lanes lanes_fmadd(lanes a, lanes b, lanes c) {
  return LANES_CALL(fmadd_ps)(a, b, c);
}
LANES_INLINE lanes lanes_fnmadd(lanes a, lanes b, lanes c) {
  return LANES_CALL(fnmadd_ps)(a, b, c);
}
LANES_INLINE lanes lanes_xor(lanes a, lanes b) {
  return LANES_CALL(xor_ps)(a, b);
}
LANES_INLINE lanes_int lanes_no_position(void) {
#ifdef __AVX512F__
  return _mm512_setzero_si512();
#else
  return _mm256_setzero_si256();
#endif
}

/* The sign bit where v < 0, else nothing. */
LANES_INLINE lanes lanes_sign_if_negative(lanes v) {
#ifdef __AVX512F__
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_LT_OQ),
                             _mm512_set1_ps(-0.0f));
#else
  return _mm256_and_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_LT_OQ), _mm256_set1_ps(-0.0f));
#endif
}

/* v, but 0 where it is 0 or less. NaN stays. */
LANES_INLINE lanes lanes_rectify(lanes v) {
#ifdef __AVX512F__
  return _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_LE_OQ),
                            _mm512_setzero_ps());
#else
  return _mm256_andnot_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_LE_OQ), v);
#endif
}

/* best and where ← the larger of best and value, and its position k. */
LANES_INLINE void lanes_keep_larger(lanes value, int k, lanes *best, lanes_int *where) {
#ifdef __AVX512F__
  __mmask16 larger = _mm512_cmp_ps_mask(value, *best, _CMP_GT_OQ);
  *best = _mm512_mask_mov_ps(*best, larger, value);
  *where = _mm512_mask_mov_epi32(*where, larger, _mm512_set1_epi32(k));
#else
  __m256 larger = _mm256_cmp_ps(value, *best, _CMP_GT_OQ);
  *best = _mm256_blendv_ps(*best, value, larger);
  *where = _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(*where),
                                                _mm256_castsi256_ps(_mm256_set1_epi32(k)), larger));
#endif
}

/* `value` in the lanes whose byte is `wanted`, else 0. */
LANES_INLINE lanes lanes_where_byte(const uint8_t *bytes, int wanted, lanes value) {
#ifdef __AVX512F__
  __m512i found = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)bytes));
  return _mm512_maskz_mov_ps(_mm512_cmpeq_epi32_mask(found, _mm512_set1_epi32(wanted)), value);
#else
  __m256i found = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)bytes));
  return _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(found, _mm256_set1_epi32(wanted))),
                       value);
#endif
}

/* 16 positions as bytes. */
LANES_INLINE void lanes_store_bytes(uint8_t *to, const lanes_int where[16 / LANES]) {
#ifdef __AVX512F__
  _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8(where[0]));
#else
  /* Packs work in halves, so the middle quarters change places. */
  __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(where[0], where[1]), 0xd8);
  _mm_storeu_si128((__m128i *)to, _mm_packus_epi16(_mm256_castsi256_si128(words),
                                                   _mm256_extracti128_si256(words, 1)));
#endif
}

#endif
