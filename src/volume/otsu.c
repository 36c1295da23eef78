/* Otsu's threshold (M6): of all ways to cut the histogram in two, the one with the largest variance
 * between the classes, w1·w2·(m1 − m2)² (N. Otsu, IEEE Trans. SMC 9(1), 1979).
 *
 * Bins are those of scikit-image's threshold_otsu, which are numpy.histogram's: edges are computed
 * in double and rounded to float32, and a voxel's bin, guessed by one multiplication, is corrected
 * by one where the edges disagree. Counts are integers, so threads may add them in any order. */
#include "volume/otsu.h"

#include <willis/volume.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/uniform.h"

#include <float.h>
#include <math.h>

enum {
  FLOAT_BINS = 256,
  LANES = 4,            /* histograms a thread fills in turn: equal neighbours don't wait */
  BLOCK = 64,           /* voxels whose bins are guessed together */
  PIECE = 1 << 18,      /* voxels a thread takes at once */
  MOST_VALUES = 1 << 24 /* beyond it float32 doesn't tell integers apart */
};

struct histogram {
  ptrdiff_t bins;
  ptrdiff_t *count;
  double *centre;
  /* floating point: */
  float edge[FLOAT_BINS + 1];
  float low, bins_per_value;
  float doubt; /* in bins: a guess is right unless the place is this near to an edge */
  bool one_bin_a_value;
};

static enum willis_status histogram_init(struct histogram *h, float low, float high, bool integral,
                                         struct willis_error *err) {
  double width = (double)high - low;
  *h = (struct histogram){.bins = FLOAT_BINS, .low = low};
  if (!(width <= FLT_MAX))
    return willis_fail(err, WILLIS_NUMERIC,
                       "values from %g to %g: the range does not fit a 32-bit float", (double)low,
                       (double)high);
  h->one_bin_a_value = integral && width < MOST_VALUES;
  if (h->one_bin_a_value) h->bins = (ptrdiff_t)width + 1;
  h->count = willis_take_zeroed(h->bins, sizeof *h->count);
  h->centre = willis_take(h->bins, sizeof *h->centre);
  if (!h->count || !h->centre)
    return willis_fail_memory(err, "a histogram", h->bins, sizeof *h->count);
  if (h->one_bin_a_value) {
    for (ptrdiff_t b = 0; b < h->bins; b++) h->centre[b] = (double)low + (double)b;
    return WILLIS_OK;
  }
  /* Infinite where the range is a few denormal numbers. */
  h->bins_per_value = fminf(FLT_MAX, (float)FLOAT_BINS / (high - low));
  for (int b = 0; b < FLOAT_BINS; b++) h->edge[b] = (float)(b * (width / FLOAT_BINS) + low);
  h->edge[FLOAT_BINS] = high;
  /* Three roundings of up to 256 bins, and the rounding of the edges themselves. */
  double rounding = fmax(fabs((double)low), fabs((double)high)) * FLT_EPSILON;
  h->doubt = (float)fmin(1, 2 * FLOAT_BINS * FLT_EPSILON + rounding * h->bins_per_value);
  for (int b = 0; b < FLOAT_BINS; b++) {
    float sum = h->edge[b] + h->edge[b + 1];
    h->centre[b] = isfinite(sum) ? sum / 2 : 0.5 * ((double)h->edge[b] + h->edge[b + 1]);
  }
  return WILLIS_OK;
}

static void histogram_release(struct histogram *h) {
  willis_release(h->count);
  willis_release(h->centre);
}

static inline int float_bin(const struct histogram *h, float v) {
  int b = (int)((v - h->low) * h->bins_per_value);
  b -= b >= FLOAT_BINS;
  b -= v < h->edge[b];
  b += (v >= h->edge[b + 1]) & (b != FLOAT_BINS - 1);
  return b;
}

/* The guessed bins of a block, without branches so that it becomes vector code. False if a value is
 * so near to an edge that its guess may be wrong. */
static bool guess_bins(const struct histogram *h, const float *voxels, int *bin) {
  int near = 0;
  for (int i = 0; i < BLOCK; i++) {
    float place = (voxels[i] - h->low) * h->bins_per_value;
    float off = place - (float)(int)(place + 0.5f);
    bin[i] = (int)place;
    near |= (off < h->doubt) & (off > -h->doubt) & (place > h->doubt);
  }
  return !near;
}

static void count_block(const struct histogram *h, const float *voxels,
                        uint32_t lane[LANES][FLOAT_BINS]) {
  int bin[BLOCK];
  if (!guess_bins(h, voxels, bin))
    for (int i = 0; i < BLOCK; i++) bin[i] = float_bin(h, voxels[i]);
  for (int i = 0; i < BLOCK; i++) lane[i % LANES][bin[i]]++;
}

static void count_floats(struct histogram *h, const float *voxels, ptrdiff_t count,
                         const float *same) {
  ptrdiff_t pieces = (count + PIECE - 1) / PIECE;
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t piece = 0; piece < pieces; piece++) {
    uint32_t lane[LANES][FLOAT_BINS] = {0};
    ptrdiff_t i = piece * PIECE, end = i + PIECE < count ? i + PIECE : count;
    for (; i + BLOCK <= end; i += BLOCK)
      if (isnan(same[i / BLOCK]))
        count_block(h, voxels + i, lane);
      else
        lane[0][float_bin(h, same[i / BLOCK])] += BLOCK;
    for (; i < end; i++) lane[0][float_bin(h, voxels[i])]++;
    for (int b = 0; b < FLOAT_BINS; b++) {
      ptrdiff_t here = 0;
      for (int l = 0; l < LANES; l++) here += lane[l][b];
      if (!here) continue;
#pragma omp atomic
      h->count[b] += here;
    }
  }
}

static void count_integers(struct histogram *h, const float *voxels, ptrdiff_t count,
                           const float *same, ptrdiff_t *lanes) {
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (int lane = 0; lane < LANES; lane++) {
      ptrdiff_t *mine = lanes + lane * h->bins;
      const ptrdiff_t blocks = count / BLOCK;
      ptrdiff_t i = blocks / LANES * lane * BLOCK;
      const ptrdiff_t end = lane == LANES - 1 ? count : blocks / LANES * (lane + 1) * BLOCK;
      for (; i + BLOCK <= end; i += BLOCK)
        if (isnan(same[i / BLOCK]))
          for (int k = 0; k < BLOCK; k++) mine[(int)(voxels[i + k] - h->low)]++;
        else
          mine[(int)(same[i / BLOCK] - h->low)] += BLOCK;
      for (; i < end; i++) mine[(int)(voxels[i] - h->low)]++;
    }
#pragma omp for schedule(static)
    for (ptrdiff_t b = 0; b < h->bins; b++)
      for (int lane = 0; lane < LANES; lane++) h->count[b] += lanes[lane * h->bins + b];
  }
}

/* The centre of the bin after which to cut: the first with the largest variance between classes.
 * The sums run in scikit-image's order, from both ends. above[b]: mean of bins from b on. */
static enum willis_status cut(const struct histogram *h, double *threshold,
                              struct willis_error *err) {
  double *above = willis_take(h->bins, sizeof *above);
  if (!above) return willis_fail_memory(err, "class means", h->bins, sizeof *above);
  double weight = 0, sum = 0, all = 0, best = -1;
  for (ptrdiff_t b = h->bins - 1; b >= 0; b--) {
    all += (double)h->count[b];
    sum += (double)h->count[b] * h->centre[b];
    above[b] = sum / all;
  }
  sum = 0;
  for (ptrdiff_t b = 0; b < h->bins - 1; b++) {
    weight += (double)h->count[b];
    sum += (double)h->count[b] * h->centre[b];
    double difference = sum / weight - above[b + 1];
    double variance = weight * (all - weight) * (difference * difference);
    if (variance > best) {
      best = variance;
      *threshold = h->centre[b];
    }
  }
  willis_release(above);
  return WILLIS_OK;
}

struct look {
  float low, high;
  int bad; /* some value is not finite */
};

/* Of a few values that are not all the same. */
static void look_at(const float *voxels, ptrdiff_t count, struct look *look) {
  float low = look->low, high = look->high;
  int bad = look->bad;
#pragma omp simd reduction(min : low) reduction(max : high) reduction(| : bad)
  for (ptrdiff_t i = 0; i < count; i++) {
    float v = voxels[i];
    low = v < low ? v : low;
    high = v > high ? v : high;
    bad |= !(fabsf(v) <= FLT_MAX);
  }
  *look = (struct look){low, high, bad};
}

/* The one look at memory that takes long: range, whether all values are finite, and of every block
 * its value when it has but one, else NaN. */
static struct look look(const float *voxels, ptrdiff_t count, float *same) {
  const ptrdiff_t blocks = count / BLOCK;
  float low = INFINITY, high = -INFINITY;
  int bad = 0;
#pragma omp parallel for reduction(min : low) reduction(max : high) reduction(| : bad)
  for (ptrdiff_t b = 0; b < blocks; b++) {
    const bool uniform = willis_is_uniform(voxels + b * BLOCK, BLOCK);
    struct look here = {low, high, bad};
    look_at(voxels + b * BLOCK, uniform ? 1 : BLOCK, &here);
    same[b] = uniform ? voxels[b * BLOCK] : NAN;
    low = here.low;
    high = here.high;
    bad = here.bad;
  }
  struct look all = {low, high, bad};
  look_at(voxels + blocks * BLOCK, count % BLOCK, &all);
  return all;
}

enum willis_status willis_volume_otsu(const struct willis_volume *volume, double *threshold,
                                      struct willis_error *err) {
  struct histogram h = {0};
  ptrdiff_t *lanes = NULL;
  ptrdiff_t count = willis_grid_count(&volume->grid);
  enum willis_status status = WILLIS_OK;
  float *same = willis_take(count / BLOCK + 1, sizeof *same);
  if (!same) return willis_fail_memory(err, "a histogram", count / BLOCK, sizeof *same);
  const struct look seen = look(volume->voxels, count, same);
  *threshold = seen.low;
  if (seen.bad) status = willis_volume_check_finite(volume, "volume", err);
  if (status || !(seen.high > seen.low)) goto out;

  status = histogram_init(&h, seen.low, seen.high, volume->integral, err);
  if (status) goto out;
  if (h.one_bin_a_value) {
    lanes = willis_take_zeroed(LANES * h.bins, sizeof *lanes);
    if (!lanes) {
      status = willis_fail_memory(err, "a histogram", LANES * h.bins, sizeof *lanes);
      goto out;
    }
    count_integers(&h, volume->voxels, count, same, lanes);
  } else
    count_floats(&h, volume->voxels, count, same);
  status = cut(&h, threshold, err);
out:
  willis_release(same);
  willis_release(lanes);
  histogram_release(&h);
  return status;
}

/* Where Otsu's variance is largest the threshold is this middle, and all of a gap is as good. */
static double middle_of_means(const struct histogram *h, double threshold) {
  double count[2] = {0}, sum[2] = {0};
  for (ptrdiff_t b = 0; b < h->bins; b++) {
    const int upper = h->centre[b] > threshold;
    count[upper] += (double)h->count[b];
    sum[upper] += (double)h->count[b] * h->centre[b];
  }
  /* Numbers so small that they fall into one bin. */
  if (!(count[0] > 0 && count[1] > 0)) return threshold;
  return (sum[0] / count[0] + sum[1] / count[1]) / 2;
}

enum willis_status willis_otsu_middle(const float *value, ptrdiff_t count, ptrdiff_t zeros,
                                      double *middle, struct willis_error *err) {
  struct histogram h = {0};
  struct look seen = {INFINITY, -INFINITY, 0};
  double threshold = 0;
  if (zeros || !count) seen.low = seen.high = 0;
  look_at(value, count, &seen);
  if (seen.bad) return willis_fail(err, WILLIS_NUMERIC, "a value is not finite");
  *middle = seen.low;
  if (!(seen.high > seen.low)) return WILLIS_OK;
  enum willis_status status = histogram_init(&h, seen.low, seen.high, false, err);
  if (!status) {
    for (ptrdiff_t i = 0; i < count; i++) h.count[float_bin(&h, value[i])]++;
    if (zeros) h.count[float_bin(&h, 0)] += zeros;
    status = cut(&h, &threshold, err);
  }
  if (!status) *middle = middle_of_means(&h, threshold);
  histogram_release(&h);
  return status;
}
