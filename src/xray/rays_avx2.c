/* Rays and shadows for AVX2: eight neighbouring rays, or eight neighbouring voxels, side by side.
 *
 * Positions are computed in double and become a whole number and a float32 remainder, or a float32
 * distance from the middle plane of the grid, so that the transposes agree within rounding. */
#include "xray/rays.h"

#include <immintrin.h>
#include <math.h>

struct eight {
  __m256d low, high;
};

/* a[0] + a[1]·lane for eight lanes. */
static struct eight ramp(double first, double step) {
  __m256d s = _mm256_set1_pd(step), f = _mm256_set1_pd(first);
  return (struct eight){_mm256_fmadd_pd(s, _mm256_setr_pd(0, 1, 2, 3), f),
                        _mm256_fmadd_pd(s, _mm256_setr_pd(4, 5, 6, 7), f)};
}

static struct eight quotient(struct eight a, struct eight b) {
  return (struct eight){_mm256_div_pd(a.low, b.low), _mm256_div_pd(a.high, b.high)};
}

static __m256 to_floats(struct eight a) {
  return _mm256_set_m128(_mm256_cvtpd_ps(a.high), _mm256_cvtpd_ps(a.low));
}

static __m256i to_cells(struct eight a) {
  return _mm256_set_m128i(_mm256_cvttpd_epi32(a.high), _mm256_cvttpd_epi32(a.low));
}

/* Whole part (rounded down) and what is beyond it. */
static __m256i split(struct eight a, __m256 *beyond) {
  struct eight whole = {_mm256_floor_pd(a.low), _mm256_floor_pd(a.high)};
  *beyond =
      to_floats((struct eight){_mm256_sub_pd(a.low, whole.low), _mm256_sub_pd(a.high, whole.high)});
  return to_cells(whole);
}

/* All ones where 0 ≤ x < n. */
static __m256i among(__m256i x, __m256i n) {
  return _mm256_and_si256(_mm256_cmpgt_epi32(x, _mm256_set1_epi32(-1)), _mm256_cmpgt_epi32(n, x));
}

static __m256 magnitude(__m256 x) {
  return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

static __m256 lerp(__m256 a, __m256 b, __m256 f) {
  return _mm256_fmadd_ps(f, _mm256_sub_ps(b, a), a);
}

/* Eight positions in a plane: cells, fractions, and which of the two cells are inside. */
struct side {
  __m256i offset, in[2];
  __m256 beyond;
};

static struct side side(__m256 at, ptrdiff_t n, ptrdiff_t stride) {
  struct side s;
  __m256i one = _mm256_set1_epi32(1), most = _mm256_set1_epi32((int)n);
  __m256 low = _mm256_floor_ps(at);
  __m256i cell = _mm256_cvttps_epi32(low);
  s.beyond = _mm256_sub_ps(at, low);
  s.in[0] = among(cell, most);
  s.in[1] = among(_mm256_add_epi32(cell, one), most);
  s.offset = _mm256_mullo_epi32(cell, _mm256_set1_epi32((int)stride));
  return s;
}

struct plane {
  ptrdiff_t n[2], stride[2];
  __m256 background;
};

static __m256 tap(const float *from, __m256i offset, __m256i on, __m256 otherwise) {
  return _mm256_mask_i32gather_ps(otherwise, from, offset, _mm256_castsi256_ps(on), 4);
}

static __m256 in_plane(const float *voxels, const struct plane *plane, __m256 at0, __m256 at1) {
  struct side b = side(at0, plane->n[0], plane->stride[0]);
  struct side c = side(at1, plane->n[1], plane->stride[1]);
  __m256i any =
      _mm256_and_si256(_mm256_or_si256(b.in[0], b.in[1]), _mm256_or_si256(c.in[0], c.in[1]));
  if (_mm256_testz_si256(any, any)) return plane->background;
  __m256i offset = _mm256_add_epi32(b.offset, c.offset);
  const float *next = voxels + plane->stride[1];
  ptrdiff_t along = plane->stride[0];
  __m256 low = lerp(
      tap(voxels, offset, _mm256_and_si256(b.in[0], c.in[0]), plane->background),
      tap(voxels + along, offset, _mm256_and_si256(b.in[1], c.in[0]), plane->background), b.beyond);
  __m256 high = lerp(
      tap(next, offset, _mm256_and_si256(b.in[0], c.in[1]), plane->background),
      tap(next + along, offset, _mm256_and_si256(b.in[1], c.in[1]), plane->background), b.beyond);
  return lerp(low, high, c.beyond);
}

static struct eight ray_ramp(const double x[3], double column, double row) {
  return ramp(willis_ray_at(x, column, row), x[1]);
}

static void project(const struct willis_ray_map *map, const struct willis_tile *tile,
                    ptrdiff_t chunk, const float *voxels, enum willis_projection_mode mode,
                    float background, ptrdiff_t first_column, ptrdiff_t row,
                    float out[WILLIS_TILE]) {
  __m256 most = _mm256_set1_ps(background), sum = _mm256_setzero_ps();
  if (!tile->planes) {
    _mm256_storeu_ps(out, mode == WILLIS_PROJECTION_MAX ? most : sum);
    return;
  }
  const ptrdiff_t all[3] = {1, map->size[0], map->size[0] * map->size[1]};
  int a = tile->axis, b = (a + 1) % 3, c = (a + 2) % 3;
  const struct plane plane = {{map->size[b], map->size[c]}, {all[b], all[c]}, most};

  double column = (double)first_column, r = (double)row;
  ptrdiff_t middle = map->size[a] / 2;
  struct eight steep = ray_ramp(map->beam[a], column, r),
               start = ray_ramp(map->start[a], column, r);
  __m256d m = _mm256_set1_pd((double)middle);
  struct eight t = {_mm256_sub_pd(m, start.low), _mm256_sub_pd(m, start.high)};
  __m256 slope[2], at[2];
  for (int k = 0; k < 2; k++) {
    int axis = k ? c : b;
    struct eight s = quotient(ray_ramp(map->beam[axis], column, r), steep);
    struct eight from = ray_ramp(map->start[axis], column, r);
    slope[k] = to_floats(s);
    at[k] = to_floats((struct eight){_mm256_fmadd_pd(t.low, s.low, from.low),
                                     _mm256_fmadd_pd(t.high, s.high, from.high)});
  }
  for (uint64_t planes = tile->planes; planes; planes &= planes - 1) {
    ptrdiff_t i = __builtin_ctzll(planes) * chunk;
    ptrdiff_t end = i + chunk < map->size[a] ? i + chunk : map->size[a];
    for (; i < end; i++) {
      __m256 away = _mm256_set1_ps((float)(i - middle));
      __m256 value = in_plane(voxels + i * all[a], &plane, _mm256_fmadd_ps(away, slope[0], at[0]),
                              _mm256_fmadd_ps(away, slope[1], at[1]));
      sum = _mm256_add_ps(sum, value);
      most = _mm256_max_ps(most, value);
    }
  }
  if (mode == WILLIS_PROJECTION_MAX) {
    _mm256_storeu_ps(out, most);
    return;
  }
  float step[WILLIS_TILE];
  for (int lane = 0; lane < WILLIS_TILE; lane++)
    step[lane] = (float)willis_ray_step_mm(map, a, column + lane, r);
  _mm256_storeu_ps(out, _mm256_mul_ps(sum, _mm256_loadu_ps(step)));
}

static struct eight shadow_ramp(const double h[4], const struct willis_octet *octet) {
  return ramp(willis_affine(h, (double)octet->x * WILLIS_OCTET, octet->y, octet->z), h[0]);
}

static __m256i lanes_on(uint32_t lanes) {
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)lanes), bit), bit);
}

/* By how much the rays of the next column (p = 0) or row (1) miss the voxels along in-plane axis b,
 * times the beam; see hats() in rays_plain.c. */
static __m256 miss(const struct willis_ray_map *map, int a, int b, int p,
                   const struct willis_octet *octet) {
  const double voxel[3] = {(double)octet->x * WILLIS_OCTET, octet->y, octet->z};
  double first = map->beam[b][1 + p] * (voxel[a] - map->start[a][0]) -
                 map->beam[a][1 + p] * (voxel[b] - map->start[b][0]) +
                 map->beam[a][0] * map->start[b][1 + p] - map->beam[b][0] * map->start[a][1 + p];
  double step = (a == 0 ? map->beam[b][1 + p] : 0) - (b == 0 ? map->beam[a][1 + p] : 0);
  return to_floats(ramp(first, step));
}

static float largest(__m256 x) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  m = _mm_max_ss(m, _mm_shuffle_ps(m, m, 1));
  return _mm_cvtss_f32(m);
}

/* Where the shadows of an octet are, and from which to which pixel, counted from each shadow's own
 * whole one, some of their hats reach. */
struct shadows {
  __m256i column, row;
  __m256 beyond[2], slope[2][2];
  int first[2], last[2];
};

static struct shadows shadows(const struct willis_ray_map *map, int axis, ptrdiff_t columns,
                              ptrdiff_t rows, const struct willis_octet *octet) {
  struct shadows s;
  struct eight weight = shadow_ramp(map->shadow[2], octet);
  s.column = split(quotient(shadow_ramp(map->shadow[0], octet), weight), &s.beyond[0]);
  s.row = split(quotient(shadow_ramp(map->shadow[1], octet), weight), &s.beyond[1]);
  for (int k = 0; k < 2; k++)
    for (int p = 0; p < 2; p++) s.slope[k][p] = miss(map, axis, (axis + 1 + k) % 3, p, octet);

  __m256 one = _mm256_set1_ps(1), beam[3];
  for (int p = 0; p < 3; p++) beam[p] = _mm256_set1_ps((float)map->beam[axis][p]);
  __m256 area = magnitude(
      _mm256_fmsub_ps(s.slope[0][0], s.slope[1][1], _mm256_mul_ps(s.slope[0][1], s.slope[1][0])));
  __m256 middle = _mm256_fmadd_ps(beam[2], _mm256_cvtepi32_ps(s.row),
                                  _mm256_fmadd_ps(beam[1], _mm256_cvtepi32_ps(s.column), beam[0]));
  __m256 reach[2], shrink = one;
  for (int p = 0; p < 2; p++) {
    reach[p] = _mm256_div_ps(
        _mm256_add_ps(magnitude(s.slope[0][1 - p]), magnitude(s.slope[1][1 - p])), area);
    shrink = _mm256_fnmadd_ps(magnitude(beam[1 + p]), reach[p], shrink);
  }
  /* The beam is taken at the shadow's whole pixel: up to one pixel off. */
  middle = _mm256_add_ps(magnitude(middle), _mm256_add_ps(magnitude(beam[1]), magnitude(beam[2])));
  __m256 whole = _mm256_div_ps(middle, shrink);
  bool bounded = _mm256_movemask_ps(_mm256_cmp_ps(shrink, _mm256_setzero_ps(), _CMP_GT_OQ)) == 255;
  const ptrdiff_t most[2] = {columns, rows};
  for (int p = 0; p < 2; p++) {
    float limit = (float)most[p] + 1;
    __m256 far = _mm256_mul_ps(_mm256_mul_ps(reach[p], whole), _mm256_set1_ps(1.0001f));
    s.last[p] =
        (int)(bounded ? fminf(floorf(largest(_mm256_add_ps(far, s.beyond[p]))), limit) : limit);
    s.first[p] =
        -(int)(bounded ? fminf(floorf(largest(_mm256_sub_ps(far, s.beyond[p]))), limit) : limit);
  }
  return s;
}

static __m256 hat(const __m256 slope[2], __m256 dc, __m256 dr, __m256 per_beam) {
  __m256 off = _mm256_fmadd_ps(slope[0], dc, _mm256_mul_ps(slope[1], dr));
  return _mm256_sub_ps(_mm256_set1_ps(1), magnitude(_mm256_mul_ps(off, per_beam)));
}

static void adjoint(const struct willis_ray_map *map, int axis, const float *image,
                    ptrdiff_t columns, ptrdiff_t rows, const struct willis_octet *octet,
                    ptrdiff_t count, float *value) {
  __m256 one = _mm256_set1_ps(1), zero = _mm256_setzero_ps(), beam[3];
  for (int p = 0; p < 3; p++) beam[p] = _mm256_set1_ps((float)map->beam[axis][p]);
  __m256i width = _mm256_set1_epi32((int)columns), height = _mm256_set1_epi32((int)rows);
  for (ptrdiff_t o = 0; o < count; o++) {
    struct shadows s = shadows(map, axis, columns, rows, octet + o);
    __m256i on = lanes_on(octet[o].lanes);
    __m256 sum = zero;
    for (int r = s.first[1]; r <= s.last[1]; r++) {
      __m256i row = _mm256_add_epi32(s.row, _mm256_set1_epi32(r));
      __m256i row_on = _mm256_and_si256(on, among(row, height));
      if (_mm256_testz_si256(row_on, row_on)) continue;
      __m256 dr = _mm256_sub_ps(_mm256_set1_ps((float)r), s.beyond[1]);
      __m256 row_beam = _mm256_fmadd_ps(beam[2], _mm256_cvtepi32_ps(row), beam[0]);
      __m256i first = _mm256_mullo_epi32(row, width);
      for (int c = s.first[0]; c <= s.last[0]; c++) {
        __m256i column = _mm256_add_epi32(s.column, _mm256_set1_epi32(c));
        __m256 dc = _mm256_sub_ps(_mm256_set1_ps((float)c), s.beyond[0]);
        __m256 per_beam =
            _mm256_div_ps(one, _mm256_fmadd_ps(beam[1], _mm256_cvtepi32_ps(column), row_beam));
        __m256 u = hat(s.slope[0], dc, dr, per_beam), v = hat(s.slope[1], dc, dr, per_beam);
        __m256i in = _mm256_and_si256(row_on, among(column, width));
        __m256 lit = _mm256_and_ps(_mm256_castsi256_ps(in),
                                   _mm256_cmp_ps(_mm256_min_ps(u, v), zero, _CMP_GT_OQ));
        if (_mm256_testz_ps(lit, lit)) continue;
        __m256 pixel =
            _mm256_mask_i32gather_ps(zero, image, _mm256_add_epi32(first, column), lit, 4);
        sum = _mm256_fmadd_ps(_mm256_mul_ps(u, v), pixel, sum);
      }
    }
    float *to = value + o * WILLIS_OCTET;
    sum = _mm256_and_ps(sum, _mm256_castsi256_ps(on));
    _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), sum));
  }
}

/* Cell and fraction of places on a line of n pixels, as willis_base(); `seen` loses what is off. */
static __m256i pixel_base(struct eight at, ptrdiff_t n, __m256 *beyond, __m256i *seen) {
  __m256d low = _mm256_set1_pd(-WILLIS_BORDER),
          high = _mm256_set1_pd((double)(n - 1) + WILLIS_BORDER);
  __m256d zero = _mm256_setzero_pd(), last = _mm256_set1_pd((double)(n > 1 ? n - 2 : 0));
  __m256d half[2] = {at.low, at.high}, cell[2];
  __m128i inside[2];
  for (int k = 0; k < 2; k++) {
    __m256d in = _mm256_and_pd(_mm256_cmp_pd(half[k], low, _CMP_GE_OQ),
                               _mm256_cmp_pd(half[k], high, _CMP_LE_OQ));
    __m256i packed = _mm256_permutevar8x32_epi32(_mm256_castpd_si256(in),
                                                 _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    inside[k] = _mm256_castsi256_si128(packed);
    cell[k] = _mm256_max_pd(_mm256_min_pd(_mm256_floor_pd(half[k]), last), zero);
  }
  *seen = _mm256_and_si256(*seen, _mm256_set_m128i(inside[1], inside[0]));
  *beyond =
      to_floats((struct eight){_mm256_sub_pd(half[0], cell[0]), _mm256_sub_pd(half[1], cell[1])});
  return to_cells((struct eight){cell[0], cell[1]});
}

static void gather(const struct willis_ray_map *map, const float *image, ptrdiff_t columns,
                   ptrdiff_t rows, enum willis_gather how, const struct willis_octet *octet,
                   ptrdiff_t count, float *value) {
  ptrdiff_t right = columns > 1, below = rows > 1 ? columns : 0;
  __m256 zero = _mm256_setzero_ps();
  for (ptrdiff_t o = 0; o < count; o++) {
    __m256i seen = lanes_on(octet[o].lanes);
    struct eight weight = shadow_ramp(map->shadow[2], octet + o);
    __m256 fc, fr;
    __m256i c =
        pixel_base(quotient(shadow_ramp(map->shadow[0], octet + o), weight), columns, &fc, &seen);
    __m256i r =
        pixel_base(quotient(shadow_ramp(map->shadow[1], octet + o), weight), rows, &fr, &seen);
    if (_mm256_testz_si256(seen, seen)) continue;
    __m256i at = _mm256_add_epi32(_mm256_mullo_epi32(r, _mm256_set1_epi32((int)columns)), c);
    __m256 top = lerp(tap(image, at, seen, zero), tap(image + right, at, seen, zero), fc);
    const float *next = image + below;
    __m256 bottom = lerp(tap(next, at, seen, zero), tap(next + right, at, seen, zero), fc);
    __m256 found = lerp(top, bottom, fr), before = _mm256_loadu_ps(value + o * WILLIS_OCTET), after;
    if (how == WILLIS_GATHER_LEAST) {
      after = _mm256_min_ps(found, before);
    } else {
      __m256 w = to_floats(weight);
      if (how == WILLIS_GATHER_CLOSER) found = _mm256_div_ps(found, _mm256_mul_ps(w, w));
      after = _mm256_add_ps(before, found);
    }
    _mm256_storeu_ps(value + o * WILLIS_OCTET,
                     _mm256_blendv_ps(before, after, _mm256_castsi256_ps(seen)));
  }
}

const struct willis_ray_kernels willis_ray_avx2 = {project, adjoint, gather};
