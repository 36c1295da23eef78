/* Which voxels are unknown, and their rows and columns. */
#include "xray/system.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <float.h>
#include <math.h>

/* Pixels below this part of the largest one count as 0: float32 rounding, and nothing more. */
static const float nothing = 1e-6f;
enum { CHUNK = 1 << 14 };

/* dense = the hull: what the lowest view allows, all kinds of beams as rays. */
static void hull(const struct willis_system *system, const float *pixels) {
  const ptrdiff_t *n = system->rays.size;
  ptrdiff_t count = n[0] * n[1] * n[2];
  struct willis_slab all = {0, n[2], system->dense};
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++) system->dense[i] = willis_gather_start(WILLIS_GATHER_LEAST);
  willis_rays_gather_slab(&system->rays, pixels, WILLIS_GATHER_LEAST, &all);
}

/* Bits of the unknown voxels of an octet; `near` is set if one of them or of their neighbours
 * before them along an axis lies in the octet. */
static uint32_t octet_lanes(const struct willis_system *system, ptrdiff_t x, ptrdiff_t y,
                            ptrdiff_t z, float least, bool *near) {
  const ptrdiff_t *n = system->rays.size, stride[3] = {1, n[0], n[0] * n[1]};
  uint32_t lanes = 0;
  *near = false;
  for (ptrdiff_t i = x * WILLIS_OCTET; i < (x + 1) * WILLIS_OCTET && i < n[0]; i++) {
    const ptrdiff_t at[3] = {i, y, z};
    const float *voxel = system->dense + (z * n[1] + y) * n[0] + i;
    if (*voxel > least && *voxel < FLT_MAX) lanes |= 1u << i % WILLIS_OCTET;
    for (int a = 0; a < 3; a++) {
      if (at[a] + 1 >= n[a]) continue;
      float next = voxel[stride[a]];
      *near |= next > least && next < FLT_MAX;
    }
  }
  *near |= lanes != 0;
  return lanes;
}

static enum willis_status find_octets(struct willis_system *system, struct willis_error *err) {
  const ptrdiff_t *n = system->rays.size;
  ptrdiff_t across = (n[0] + WILLIS_OCTET - 1) / WILLIS_OCTET, all = across * n[1] * n[2];
  float most = 0;
  bool near;
  for (ptrdiff_t p = 0; p < system->pixels; p++) most = fmaxf(most, system->b[p]);
  for (int pass = 0; pass < 2; pass++) {
    if (pass) {
      system->octet = willis_take(system->octets, sizeof *system->octet);
      if (!system->octet)
        return willis_fail_memory(err, "the unknowns", system->octets, sizeof *system->octet);
    }
    system->octets = system->unknowns = 0;
    for (ptrdiff_t o = 0; o < all; o++) {
      ptrdiff_t x = o % across, y = o / across % n[1], z = o / across / n[1];
      uint32_t lanes = octet_lanes(system, x, y, z, nothing * most, &near);
      if (!near) continue;
      if (pass)
        system->octet[system->octets] =
            (struct willis_octet){(int32_t)x, (int32_t)y, (int32_t)z, lanes};
      system->octets++;
      system->unknowns += __builtin_popcount(lanes);
    }
  }
  system->length = system->octets * WILLIS_OCTET;
  return WILLIS_OK;
}

void willis_system_store(struct willis_system *system, const float *x) {
  const ptrdiff_t *n = system->rays.size;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t o = 0; o < system->octets; o++) {
    const struct willis_octet *octet = system->octet + o;
    float *voxel = system->dense + (octet->z * n[1] + octet->y) * n[0] + octet->x * WILLIS_OCTET;
    for (int lane = 0; lane < WILLIS_OCTET; lane++)
      if (octet->lanes >> lane & 1) voxel[lane] = x[o * WILLIS_OCTET + lane];
  }
}

void willis_system_project(struct willis_system *system, const float *x, int subset, int subsets,
                           float *y) {
  ptrdiff_t image = system->rays.columns * system->rays.rows;
  willis_system_store(system, x);
  willis_rays_project(&system->rays, subset, subsets, system->dense, WILLIS_PROJECTION_SUM, 0, y);
  for (ptrdiff_t v = subset; system->marked && v < system->rays.view_count; v += subsets)
    for (ptrdiff_t p = v * image; p < (v + 1) * image; p++)
      if (isnan(system->marked[p])) y[p] = 0;
}

enum willis_status willis_system_adjoint(const struct willis_system *system, const float *y,
                                         int subset, int subsets, float *x,
                                         struct willis_error *err) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < system->length; i++) x[i] = 0;
  return willis_rays_adjoint(&system->rays, subset, subsets, y, system->octet, system->octets, x,
                             err);
}

/* Row sums become weights; columns are summed subset by subset. */
static enum willis_status weigh(struct willis_system *system, struct willis_error *err) {
  float *one = willis_take(system->length, sizeof *one);
  float *ones = willis_take(system->pixels, sizeof *ones);
  enum willis_status status = WILLIS_OK;
  if (!one || !ones) {
    status = willis_fail_memory(err, "the sums of the rays", system->pixels, sizeof *ones);
    goto out;
  }
  for (ptrdiff_t i = 0; i < system->length; i++)
    one[i] = system->octet[i / WILLIS_OCTET].lanes >> i % WILLIS_OCTET & 1 ? 1 : 0;
  willis_system_project(system, one, 0, 1, system->weight);
  /* From now on rays need only visit the unknowns, and these only be set. */
  status = willis_rays_skip(&system->rays, system->dense, 0, err);
  if (status) goto out;
  double carried = 0, values = 0;
  for (ptrdiff_t p = 0; p < system->pixels; p++) {
    float row = system->weight[p], b = fmaxf(system->b[p], 0);
    system->weight[p] = row > 0 ? 1 / row : 0;
    ones[p] = system->marked && isnan(system->marked[p]) ? 0 : 1;
    carried += row > 0 ? (double)b : 0;
    values += (double)b * (double)(b * system->weight[p]);
  }
  system->scale = carried > 0 ? values / carried : 0;
  for (int s = 0; s < system->subsets && !status; s++) {
    status = willis_system_adjoint(system, ones, s, system->subsets, one, err);
    for (ptrdiff_t i = 0; i < system->length; i++)
      system->mass[i] = s ? fmaxf(system->mass[i], one[i]) : one[i];
  }
out:
  willis_release(one);
  willis_release(ones);
  return status;
}

static enum willis_status check_pixels(const struct willis_projections *stack,
                                       struct willis_error *err) {
  ptrdiff_t image = stack->columns * stack->rows;
  for (ptrdiff_t p = 0; p < image * stack->view_count; p++)
    if (!isfinite(stack->pixels[p]))
      return willis_fail(err, WILLIS_NUMERIC, "view %td: pixel (%td, %td) is %g", p / image,
                         p % image % stack->columns, p % image / stack->columns,
                         (double)stack->pixels[p]);
  return WILLIS_OK;
}

enum willis_status willis_system_init(struct willis_system *system,
                                      const struct willis_projections *stack, int subsets,
                                      struct willis_volume *volume, struct willis_error *err) {
  *system = (struct willis_system){.b = stack->pixels,
                                   .dense = volume->voxels,
                                   .pixels = stack->columns * stack->rows * stack->view_count,
                                   .subsets = subsets};
  enum willis_status status = check_pixels(stack, err);
  if (!status)
    status = willis_rays_init(&system->rays, stack, NULL, stack->view_count, &volume->grid, err);
  if (status) return status;
  status = willis_mark_hidden(stack, &system->marked, err);
  if (status) goto out;
  hull(system, system->marked ? system->marked : system->b);
  status = find_octets(system, err);
  if (status) goto out;
  ptrdiff_t voxels = willis_grid_count(&volume->grid);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < voxels; i++) volume->voxels[i] = 0;
  system->weight = willis_take(system->pixels, sizeof *system->weight);
  system->mass = willis_take(system->length, sizeof *system->mass);
  if (!system->weight || !system->mass)
    status = willis_fail_memory(err, "the weights", system->pixels, sizeof *system->weight);
  if (!status) status = weigh(system, err);
out:
  if (status) willis_system_release(system);
  return status;
}

void willis_system_release(struct willis_system *system) {
  willis_rays_release(&system->rays);
  willis_release(system->octet);
  willis_release(system->marked);
  willis_release(system->weight);
  willis_release(system->mass);
  *system = (struct willis_system){0};
}

struct difference {
  const struct willis_system *system;
  float *y;
};

static void subtract(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context) {
  struct difference *d = context;
  for (ptrdiff_t p = begin; p < end; p++) {
    float off = d->y[p] - d->system->b[p], weighed = off * d->system->weight[p];
    sum[0] += (double)off * (double)weighed;
    d->y[p] = weighed;
  }
}

double willis_system_residual(struct willis_system *system, const float *x, int subset, int subsets,
                              float *y) {
  ptrdiff_t image = system->rays.columns * system->rays.rows;
  double total = 0;
  willis_system_project(system, x, subset, subsets, y);
  for (ptrdiff_t v = subset; v < system->rays.view_count; v += subsets) {
    struct willis_system part = *system;
    struct difference d = {&part, y + v * image};
    double sum;
    part.b += v * image;
    part.weight += v * image;
    willis_parallel_sum(image, CHUNK, 1, subtract, &d, &sum);
    total += sum;
  }
  return total;
}

double willis_system_data(const struct willis_system *system) {
  double sum = 0;
  for (ptrdiff_t p = 0; p < system->pixels; p++)
    sum += (double)system->b[p] * (double)system->b[p] * (double)system->weight[p];
  return sum;
}

int willis_system_turn(int turn, int subsets) {
  /* Steps of about the golden section that share no factor with `subsets` visit every subset. */
  int step = (int)(0.381966 * subsets) + 1;
  for (;; step++) {
    int a = subsets, b = step;
    while (b) {
      int rest = a % b;
      a = b;
      b = rest;
    }
    if (a == 1) return (int)((long long)turn * step % subsets);
  }
}

struct pair {
  const float *a, *b;
};

static void add_products(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context) {
  const struct pair *pair = context;
  for (ptrdiff_t i = begin; i < end; i++) sum[0] += (double)pair->a[i] * (double)pair->b[i];
}

double willis_dot(const float *a, const float *b, ptrdiff_t count) {
  struct pair pair = {a, b};
  double sum;
  willis_parallel_sum(count, CHUNK, 1, add_products, &pair, &sum);
  return sum;
}
