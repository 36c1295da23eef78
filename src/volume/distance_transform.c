/* Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, Theory of Computing 8,
 * 2012. The squared distance splits into axes:
 *   D(x,y,z) = min over z' of ( (z−z')² + min over y' of ( (y−y')² + min over x' of … ) )
 * and each one-dimensional minimum is the lower envelope of parabolas, found in one sweep. Along x
 * the function is 0 or infinite, so two scans do. In double: at 4096 voxels squares stay exact. */
#include "volume/distance_transform.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <math.h>
#include <omp.h>

/* Lines along y or z are taken side by side so that whole cache lines of doubles are read. */
enum { SIDE_BY_SIDE = 8 };

struct envelope {
  double *value;  /* the line, SIDE_BY_SIDE interleaved */
  double *height; /* of each parabola in the envelope */
  double *from;   /* where it takes over, in mm */
  ptrdiff_t *at;  /* its sample */
};

static void nearest_along_row(const unsigned char *feature, ptrdiff_t n, double spacing,
                              double *squared) {
  ptrdiff_t last = -1;
  for (ptrdiff_t x = 0; x < n; x++) {
    if (feature[x]) last = x;
    squared[x] = last < 0 ? INFINITY : (double)(x - last) * spacing;
  }
  last = -1;
  for (ptrdiff_t x = n - 1; x >= 0; x--) {
    if (feature[x]) last = x;
    double after = last < 0 ? INFINITY : (double)(last - x) * spacing;
    double nearest = after < squared[x] ? after : squared[x];
    squared[x] = nearest * nearest;
  }
}

/* line[i·stride] becomes min over j of ((i−j)·spacing)² + line[j·stride]. */
static void lower_envelope(double *line, ptrdiff_t n, ptrdiff_t stride, double spacing,
                           struct envelope *e) {
  ptrdiff_t parabolas = 0;
  for (ptrdiff_t j = 0; j < n; j++) {
    double height = line[j * stride];
    if (height == INFINITY) continue;
    double place = (double)j * spacing, from = -INFINITY;
    while (parabolas > 0) {
      double other = (double)e->at[parabolas - 1] * spacing;
      /* where both are equal: (s−place)² + height = (s−other)² + its height */
      from = 0.5 * ((height - e->height[parabolas - 1]) / (place - other) + place + other);
      if (from > e->from[parabolas - 1]) break;
      parabolas--;
      from = -INFINITY;
    }
    e->at[parabolas] = j;
    e->height[parabolas] = height;
    e->from[parabolas++] = from;
  }
  if (parabolas == 0) return;
  ptrdiff_t p = 0;
  for (ptrdiff_t i = 0; i < n; i++) {
    while (p + 1 < parabolas && e->from[p + 1] < (double)i * spacing) p++;
    double away = (double)(i - e->at[p]) * spacing;
    line[i * stride] = away * away + e->height[p];
  }
}

/* Every line of n samples `step` apart; `lines` of them start one after the other at `first`. */
static void sweep(double *first, ptrdiff_t lines, ptrdiff_t n, ptrdiff_t step, double spacing,
                  struct envelope *e) {
  for (ptrdiff_t begin = 0; begin < lines; begin += SIDE_BY_SIDE) {
    ptrdiff_t width = lines - begin < SIDE_BY_SIDE ? lines - begin : SIDE_BY_SIDE;
    for (ptrdiff_t i = 0; i < n; i++)
      for (ptrdiff_t w = 0; w < width; w++)
        e->value[i * SIDE_BY_SIDE + w] = first[i * step + begin + w];
    for (ptrdiff_t w = 0; w < width; w++) lower_envelope(e->value + w, n, SIDE_BY_SIDE, spacing, e);
    for (ptrdiff_t i = 0; i < n; i++)
      for (ptrdiff_t w = 0; w < width; w++)
        first[i * step + begin + w] = e->value[i * SIDE_BY_SIDE + w];
  }
}

enum willis_status willis_distance_transform(const unsigned char *feature, const ptrdiff_t size[3],
                                             const double spacing_mm[3], double *squared_mm2,
                                             struct willis_error *err) {
  enum willis_status status = WILLIS_OK;
  ptrdiff_t rows = size[1] * size[2], plane = size[0] * size[1];
  ptrdiff_t longest = size[1] > size[2] ? size[1] : size[2];
  int threads = willis_parallel_threads();
  ptrdiff_t items = threads * longest;
  double *value = willis_take(items, SIDE_BY_SIDE * sizeof *value);
  double *height = willis_take(items, sizeof *height);
  double *from = willis_take(items, sizeof *from);
  ptrdiff_t *at = willis_take(items, sizeof *at);
  if (!value || !height || !from || !at) {
    status = willis_fail_memory(err, "the distance transform", items,
                                (SIDE_BY_SIDE + 3) * sizeof *value);
    goto out;
  }
#pragma omp parallel num_threads(threads)
  {
    ptrdiff_t mine = omp_get_thread_num() * longest;
    struct envelope e = {value + mine * SIDE_BY_SIDE, height + mine, from + mine, at + mine};
#pragma omp for schedule(static)
    for (ptrdiff_t row = 0; row < rows; row++)
      nearest_along_row(feature + row * size[0], size[0], spacing_mm[0],
                        squared_mm2 + row * size[0]);
#pragma omp for schedule(static)
    for (ptrdiff_t z = 0; z < size[2]; z++)
      sweep(squared_mm2 + z * plane, size[0], size[1], size[0], spacing_mm[1], &e);
#pragma omp for schedule(static)
    for (ptrdiff_t y = 0; y < size[1]; y++)
      sweep(squared_mm2 + y * size[0], size[0], size[2], plane, spacing_mm[2], &e);
  }
out:
  willis_release(value);
  willis_release(height);
  willis_release(from);
  willis_release(at);
  return status;
}
