/* How alike two grey volumes are: PSNR, and SSIM (Wang et al. 2004) as scikit-image computes it.
 *
 * SSIM takes means, variances and covariance (divided by n−1) in every box of 7³ voxels that lies
 * inside the volume; sums over the box slide along z in columns and are added up along y and x. */
#include <willis/metrics.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <math.h>

enum { BOX = 7, SUMS = 5, SLICES = 16, CHUNK = 1 << 14 };

struct job {
  const struct willis_volume *a, *b;
  double range;
  double *room; /* a chunk's columns [SUMS][ny·nx] and rows [SUMS][nx], chunk by chunk */
};

static void add_squares(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context) {
  const struct job *job = context;
  for (ptrdiff_t i = begin; i < end; i++) {
    double off = (double)job->a->voxels[i] - (double)job->b->voxels[i];
    sum[0] += off * off;
  }
}

static void add_slice(const struct job *job, double *columns, ptrdiff_t z, double sign) {
  ptrdiff_t slice = job->a->grid.size[0] * job->a->grid.size[1];
  for (ptrdiff_t i = 0; i < slice; i++) {
    double a = (double)job->a->voxels[z * slice + i], b = (double)job->b->voxels[z * slice + i];
    const double value[SUMS] = {a, b, a * a, b * b, a * b};
    for (int s = 0; s < SUMS; s++) columns[s * slice + i] += sign * value[s];
  }
}

static double similarity(const double sum[SUMS], double range) {
  const double n = BOX * BOX * BOX, c1 = pow(0.01 * range, 2), c2 = pow(0.03 * range, 2);
  double a = sum[0] / n, b = sum[1] / n, unbiased = n / (n - 1);
  double var_a = unbiased * (sum[2] / n - a * a), var_b = unbiased * (sum[3] / n - b * b);
  double covariance = unbiased * (sum[4] / n - a * b);
  return (2 * a * b + c1) * (2 * covariance + c2) / ((a * a + b * b + c1) * (var_a + var_b + c2));
}

/* Boxes whose first slice is z: the columns hold their sums along z. */
static double slice_similarity(const struct job *job, const double *columns, double *rows) {
  ptrdiff_t nx = job->a->grid.size[0], ny = job->a->grid.size[1];
  double total = 0;
  for (ptrdiff_t y = 0; y + BOX <= ny; y++) {
    for (ptrdiff_t i = 0; i < SUMS * nx; i++) {
      const double *from = columns + i / nx * nx * ny + y * nx + i % nx;
      rows[i] = 0;
      for (int k = 0; k < BOX; k++) rows[i] += from[k * nx];
    }
    for (ptrdiff_t x = 0; x + BOX <= nx; x++) {
      double sum[SUMS] = {0};
      for (int s = 0; s < SUMS; s++)
        for (int k = 0; k < BOX; k++) sum[s] += rows[s * nx + x + k];
      total += similarity(sum, job->range);
    }
  }
  return total;
}

static void add_similarity(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context) {
  const struct job *job = context;
  ptrdiff_t nx = job->a->grid.size[0], slice = nx * job->a->grid.size[1];
  double *columns = job->room + begin / SLICES * SUMS * (slice + nx),
         *rows = columns + SUMS * slice;
  for (ptrdiff_t i = 0; i < SUMS * slice; i++) columns[i] = 0;
  for (ptrdiff_t z = begin; z < begin + BOX - 1; z++) add_slice(job, columns, z, 1);
  for (ptrdiff_t z = begin; z < end; z++) {
    add_slice(job, columns, z + BOX - 1, 1);
    sum[0] += slice_similarity(job, columns, rows);
    add_slice(job, columns, z, -1);
  }
}

enum willis_status willis_image_compare(const struct willis_volume *volume,
                                        const struct willis_volume *truth, double range,
                                        struct willis_image_scores *scores,
                                        struct willis_error *err) {
  const ptrdiff_t *n = truth->grid.size;
  if (!willis_grid_equal(&volume->grid, &truth->grid))
    return willis_fail(err, WILLIS_MISMATCH, "the two volumes lie on different grids");
  if (!(isfinite(range) && range > 0))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "range %g, expected a number above 0", range);
  enum willis_status status = willis_volume_check_finite(volume, "volume", err);
  if (!status) status = willis_volume_check_finite(truth, "truth", err);
  if (status) return status;
  struct job job = {.a = volume, .b = truth, .range = range};
  double sum;
  ptrdiff_t count = willis_grid_count(&truth->grid);
  willis_parallel_sum(count, CHUNK, 1, add_squares, &job, &sum);
  *scores = (struct willis_image_scores){10 * log10(range * range * (double)count / sum), NAN};
  if (n[0] < BOX || n[1] < BOX || n[2] < BOX) return WILLIS_OK;

  ptrdiff_t boxes = n[2] - BOX + 1, chunks = (boxes + SLICES - 1) / SLICES;
  job.room = willis_take(chunks, (size_t)(SUMS * (n[0] * n[1] + n[0])) * sizeof *job.room);
  if (!job.room) return willis_fail_memory(err, "sums", chunks, (size_t)(n[0] * n[1]));
  willis_parallel_sum(boxes, SLICES, 1, add_similarity, &job, &sum);
  scores->ssim = sum / (double)(boxes * (n[1] - BOX + 1) * (n[0] - BOX + 1));
  willis_release(job.room);
  return WILLIS_OK;
}
