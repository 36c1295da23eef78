/* Moments of patches from autocorrelations.
 *
 * With q = p + a, Σ_p P[p][a]·P[p][b] is Σ_q x[q]·x[q + (b − a)] over all q for which p lies in the
 * volume. Along an axis where a ≠ b, or a = b is the middle tap, that is every q for which both
 * values exist. Where a = b is the upper tap the first plane of q is missing, where it is the lower
 * tap the last plane. So each sum over a pair of rows is kept for all rows, for the first and for
 * the last of every axis, and the moments are put together from those. */
#include "nn/patch_moments_avx2.h"

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

/* Row pairs (dz, dy) of which one half of the 25 is enough, by symmetry. */
static const struct {
  int dz, dy;
} pairs[] = {{0, 0}, {0, 1},  {0, 2},  {1, -2}, {1, -1}, {1, 0}, {1, 1},
             {1, 2}, {2, -2}, {2, -1}, {2, 0},  {2, 1},  {2, 2}};

enum {
  PAIRS = sizeof pairs / sizeof *pairs,
  LAGS = 5, /* dx = −2 … 2 */
  ROWS = 8, /* rows that share float accumulators */
  LANES = 8
};

/* Which elements of an axis a sum runs over. */
enum part { ALL, FIRST, LAST, PARTS };

/* Sums over one row pair along x: five lags, and the products at both ends of lag 0. */
struct row_sums {
  double lag[LAGS];
  double end[PARTS]; /* FIRST and LAST */
};

/* One slab of the first factor. */
struct slab_sums {
  struct row_sums product[PAIRS][PARTS]; /* [part of y] */
  double value[PARTS][PARTS];            /* Σ x: [part of y][part of x] */
};

ptrdiff_t willis_patch_moments_scratch_count(struct willis_extent extent) {
  return extent.depth * (ptrdiff_t)(sizeof(struct slab_sums) / sizeof(double));
}

static double sum_lanes(__m256 v) {
  float lane[LANES];
  _mm256_storeu_ps(lane, v);
  double sum = 0;
  for (int i = 0; i < LANES; i++) sum += (double)lane[i];
  return sum;
}

/* Lanes i of 8 with 0 ≤ first + i < width. */
static __m256i lanes_inside(ptrdiff_t first, ptrdiff_t width) {
  __m256i at =
      _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int)first));
  return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_setzero_si256(), at),
                             _mm256_cmpgt_epi32(_mm256_set1_epi32((int)width), at));
}

/* sum[lag] += a[x]·b[x + lag − 2] over one row, zero beyond its ends. */
static void correlate_rows(const float *a, const float *b, ptrdiff_t width, __m256 sum[LAGS]) {
  for (ptrdiff_t x = 0; x < width; x += LANES) {
    const bool inside = x >= 2 && x + LANES + 2 <= width;
    __m256 left =
        inside ? _mm256_loadu_ps(a + x) : _mm256_maskload_ps(a + x, lanes_inside(x, width));
    for (int lag = 0; lag < LAGS; lag++) {
      const ptrdiff_t at = x + lag - 2;
      __m256 right =
          inside ? _mm256_loadu_ps(b + at) : _mm256_maskload_ps(b + at, lanes_inside(at, width));
      sum[lag] = _mm256_fmadd_ps(left, right, sum[lag]);
    }
  }
}

/* The sums of rows [begin, end) of slab z with the rows of pair k. */
static struct row_sums sum_rows(struct willis_extent e, struct willis_planes x, ptrdiff_t z,
                                ptrdiff_t begin, ptrdiff_t end, int k) {
  struct row_sums s = {{0}, {0}};
  const ptrdiff_t other = z + pairs[k].dz, w = e.width;
  if (other >= e.depth) return s;
  __m256 sum[LAGS];
  for (int lag = 0; lag < LAGS; lag++) sum[lag] = _mm256_setzero_ps();
  for (ptrdiff_t y = begin; y < end; y++) {
    const ptrdiff_t row = y + pairs[k].dy;
    if (row < 0 || row >= e.height) continue;
    const float *a = x.data + ((z - x.begin) * e.height + y) * w;
    const float *b = x.data + ((other - x.begin) * e.height + row) * w;
    correlate_rows(a, b, w, sum);
    s.end[FIRST] += (double)a[0] * (double)b[0];
    s.end[LAST] += (double)a[w - 1] * (double)b[w - 1];
  }
  for (int lag = 0; lag < LAGS; lag++) s.lag[lag] = sum_lanes(sum[lag]);
  return s;
}

static void add_rows(struct row_sums *to, const struct row_sums *from) {
  for (int lag = 0; lag < LAGS; lag++) to->lag[lag] += from->lag[lag];
  for (int part = FIRST; part <= LAST; part++) to->end[part] += from->end[part];
}

static void sum_values(struct willis_extent e, const float *slab, struct slab_sums *s) {
  for (ptrdiff_t y = 0; y < e.height; y++) {
    const float *row = slab + y * e.width;
    double value[PARTS] = {0, row[0], row[e.width - 1]};
    for (ptrdiff_t x = 0; x < e.width; x++) value[ALL] += (double)row[x];
    for (int part = ALL; part < PARTS; part++) {
      s->value[ALL][part] += value[part];
      if (y == 0) s->value[FIRST][part] = value[part];
      if (y == e.height - 1) s->value[LAST][part] = value[part];
    }
  }
}

static void sum_slab(struct willis_extent e, struct willis_planes x, ptrdiff_t z,
                     struct slab_sums *s) {
  memset(s, 0, sizeof *s);
  sum_values(e, x.data + (z - x.begin) * e.height * e.width, s);
  for (ptrdiff_t begin = 0, end = 1; begin < e.height; begin = end) {
    /* The first and the last row stand alone. */
    end = begin == 0 ? 1 : begin + ROWS < e.height - 1 ? begin + ROWS : e.height - 1;
    if (begin == e.height - 1) end = e.height;
    for (int k = 0; k < PAIRS; k++) {
      struct row_sums rows = sum_rows(e, x, z, begin, end, k);
      add_rows(&s->product[k][ALL], &rows);
      if (begin == 0) s->product[k][FIRST] = rows;
      if (end == e.height) s->product[k][LAST] = rows;
    }
  }
}

/* What is left out for tap a of an axis when the other factor has the same tap. */
static enum part missing(int a) {
  return a == 2 ? FIRST : a == 0 ? LAST : ALL;
}

/* The row sums of pair k without the parts of z and y (ALL: nothing) that are missing. total: of
 * all slabs, the first, the last. */
static struct row_sums seen_rows(const struct slab_sums total[PARTS], int k, enum part z,
                                 enum part y) {
  struct row_sums s = total[ALL].product[k][ALL];
  const struct {
    enum part z, y;
    double sign;
  } less[] = {{z, ALL, -1}, {ALL, y, -1}, {z, y, 1}};
  for (int i = 0; i < 3; i++) {
    bool counts = (i == 1 || z != ALL) && (i == 0 || y != ALL);
    if (!counts) continue;
    const struct row_sums *r = &total[less[i].z].product[k][less[i].y];
    for (int lag = 0; lag < LAGS; lag++) s.lag[lag] += less[i].sign * r->lag[lag];
    for (int part = FIRST; part <= LAST; part++) s.end[part] += less[i].sign * r->end[part];
  }
  return s;
}

static double patch_product(const struct slab_sums total[PARTS], int a, int b) {
  int dz = b / 9 - a / 9, dy = b / 3 % 3 - a / 3 % 3;
  if (dz < 0 || (dz == 0 && dy < 0)) return patch_product(total, b, a);
  int k = 0;
  while (pairs[k].dz != dz || pairs[k].dy != dy) k++;
  struct row_sums s =
      seen_rows(total, k, dz == 0 ? missing(a / 9) : ALL, dy == 0 ? missing(a / 3 % 3) : ALL);
  int dx = b % 3 - a % 3;
  enum part gone = dx == 0 ? missing(a % 3) : ALL;
  return s.lag[dx + 2] - (gone == ALL ? 0 : s.end[gone]);
}

/* Inclusion and exclusion over the three axes. */
static double patch_sum(const struct slab_sums total[PARTS], int a) {
  const enum part gone[3] = {missing(a / 9), missing(a / 3 % 3), missing(a % 3)};
  double sum = 0;
  for (int set = 0; set < 8; set++) {
    enum part part[3];
    double sign = 1;
    bool counts = true;
    for (int axis = 0; axis < 3; axis++) {
      bool taken = set >> axis & 1;
      part[axis] = taken ? gone[axis] : ALL;
      if (taken) sign = -sign;
      counts = counts && !(taken && gone[axis] == ALL);
    }
    if (counts) sum += sign * total[part[0]].value[part[1]][part[2]];
  }
  return sum;
}

void willis_patch_moments_add(struct willis_extent extent, struct willis_planes x, ptrdiff_t begin,
                              ptrdiff_t end, double *scratch) {
  struct slab_sums *slab = (struct slab_sums *)scratch;
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t z = begin; z < end; z++) sum_slab(extent, x, z, &slab[z]);
}

void willis_patch_moments_finish(struct willis_extent extent, const double *scratch,
                                 struct willis_patch_moments *moments) {
  const struct slab_sums *slab = (const struct slab_sums *)scratch;
  struct slab_sums total[PARTS];
  total[FIRST] = slab[0];
  total[LAST] = slab[extent.depth - 1];
  memset(&total[ALL], 0, sizeof total[ALL]);
  for (ptrdiff_t z = 0; z < extent.depth; z++) {
    const double *from = (const double *)&slab[z];
    double *to = (double *)&total[ALL];
    for (size_t i = 0; i < sizeof *slab / sizeof(double); i++) to[i] += from[i];
  }
  const double n = (double)willis_extent_count(extent);
  for (int a = 0; a < WILLIS_PATCH; a++) moments->mean[a] = patch_sum(total, a) / n;
  for (int a = 0; a < WILLIS_PATCH; a++)
    for (int b = 0; b < WILLIS_PATCH; b++)
      moments->covariance[a][b] =
          patch_product(total, a, b) / n - moments->mean[a] * moments->mean[b];
}

void willis_patch_moments(struct willis_extent extent, const float *x,
                          struct willis_patch_moments *moments, double *scratch) {
  struct willis_planes whole = {x, 0, extent.depth};
  willis_patch_moments_add(extent, whole, 0, extent.depth, scratch);
  willis_patch_moments_finish(extent, scratch, moments);
}
