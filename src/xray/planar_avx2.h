/* What the AVX2 kernels of planar views share. Included by files built for AVX2 and FMA only.
 *
 * Weights in the plane are the same for every slice, so slices lie in the lanes of the vectors:
 * volumes and images are packed from "x fastest" to "slice fastest", a slab of slices at a time. */
#ifndef WILLIS_XRAY_PLANAR_AVX2_H
#define WILLIS_XRAY_PLANAR_AVX2_H

#include "xray/operators.h"

#include <immintrin.h>

enum willis_status willis_project_avx2(const struct willis_planar *views, const float *voxels,
                                       enum willis_projection_mode mode, float background,
                                       float *pixels, struct willis_error *err);
enum willis_status willis_project_adjoint_avx2(const struct willis_planar *views,
                                               const float *pixels, float *voxels,
                                               struct willis_error *err);
enum willis_status willis_gather_avx2(const struct willis_planar *views, const float *pixels,
                                      enum willis_gather how, const struct willis_slab *slab,
                                      struct willis_error *err);
enum willis_status willis_gather_bytes_avx2(const struct willis_planar *views, ptrdiff_t slices,
                                            size_t *bytes, struct willis_error *err);
enum willis_status willis_gather_adjoint_avx2(const struct willis_planar *views,
                                              const float *voxels, float *pixels,
                                              struct willis_error *err);

/* Eight vectors of eight, transposed in place. */
static inline void willis_transpose8(__m256 r[8]) {
  __m256 pair[8], four[8];
  for (int i = 0; i < 8; i += 2) {
    pair[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    pair[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    four[i] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0x44);
    four[i + 1] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0xee);
    four[i + 2] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0x44);
    four[i + 3] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0xee);
  }
  for (int i = 0; i < 4; i++) {
    r[i] = _mm256_permute2f128_ps(four[i], four[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(four[i], four[i + 4], 0x31);
  }
}

/* packed[x·lanes + lane] = row[lane·stride + x] for `count` values x of `used` rows; the lanes from
 * `used` to `lanes`, a multiple of eight, become `filler`. A negative stride walks upwards. */
static inline void willis_pack(float *packed, ptrdiff_t lanes, const float *row, ptrdiff_t stride,
                               ptrdiff_t used, ptrdiff_t count, float filler) {
  for (ptrdiff_t lane = 0; lane < lanes; lane += 8) {
    ptrdiff_t x = 0;
    for (; x + 8 <= count && lane + 8 <= used; x += 8) {
      __m256 r[8];
      for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(row + (lane + i) * stride + x);
      willis_transpose8(r);
      for (int i = 0; i < 8; i++) _mm256_store_ps(packed + (x + i) * lanes + lane, r[i]);
    }
    for (; x < count; x++)
      for (ptrdiff_t i = lane; i < lane + 8; i++)
        packed[x * lanes + i] = i < used ? row[i * stride + x] : filler;
  }
}

/* The way back; `add` adds to the rows instead of overwriting them. */
static inline void willis_unpack(const float *packed, ptrdiff_t lanes, float *row, ptrdiff_t stride,
                                 ptrdiff_t used, ptrdiff_t count, bool add) {
  for (ptrdiff_t lane = 0; lane < used; lane += 8) {
    ptrdiff_t x = 0;
    for (; x + 8 <= count && lane + 8 <= used; x += 8) {
      __m256 r[8];
      for (int i = 0; i < 8; i++) r[i] = _mm256_load_ps(packed + (x + i) * lanes + lane);
      willis_transpose8(r);
      for (int i = 0; i < 8; i++) {
        float *to = row + (lane + i) * stride + x;
        _mm256_storeu_ps(to, add ? _mm256_add_ps(_mm256_loadu_ps(to), r[i]) : r[i]);
      }
    }
    for (; x < count; x++)
      for (ptrdiff_t i = lane; i < lane + 8 && i < used; i++)
        row[i * stride + x] = (add ? row[i * stride + x] : 0) + packed[x * lanes + i];
  }
}

/* Eight positions in units of cells: cell (kept within least … most) and the fraction beyond it, as
 * willis_base() does for one. */
static inline __m256i willis_base8(__m256 x, ptrdiff_t least, ptrdiff_t most, __m256 *fraction) {
  __m256i cell = _mm256_cvttps_epi32(_mm256_floor_ps(x));
  cell = _mm256_min_epi32(cell, _mm256_set1_epi32((int)most));
  cell = _mm256_max_epi32(cell, _mm256_set1_epi32((int)least));
  *fraction = _mm256_sub_ps(x, _mm256_cvtepi32_ps(cell));
  return cell;
}

#endif
