/* Non-negative least squares with total variation:
 *
 *   minimise ½‖A·x − b‖²_W + λ·Σ|∇x| over x ≥ 0,   W = 1/row sums
 *
 * by FISTA (Beck & Teboulle 2009) with restarts (O'Donoghue & Candès 2015): Aᵀ·W·A is at most the
 * largest column sum, so the step is known. The proximal step is solved in its dual, a vector of
 * length ≤ 1 for every voxel, which is kept from one iteration to the next, so that a few steps do.
 * With subsets each gradient is that of one subset of the views: faster at first, less exact. */
#include "xray/system.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"

#include <math.h>
#include <string.h>

enum { DUAL_STEPS = 8 };

/* Where the octets after and before an octet along x, y, z are; −1 for none. */
struct neighbours {
  int32_t after[3], before[3];
};

struct tv {
  struct willis_system *system;
  struct neighbours *near; /* [octets] */
  float *dual[3];          /* [length] */
};

static enum willis_status find_neighbours(struct tv *tv, struct willis_error *err) {
  const struct willis_system *system = tv->system;
  const ptrdiff_t *n = system->rays.size;
  ptrdiff_t across = (n[0] + WILLIS_OCTET - 1) / WILLIS_OCTET, all = across * n[1] * n[2];
  const ptrdiff_t edge[3] = {across, n[1], n[2]}, stride[3] = {1, across, across * n[1]};
  int32_t *place = willis_take(all, sizeof *place);
  if (!place) return willis_fail_memory(err, "the octets", all, sizeof *place);
  memset(place, 0xff, (size_t)all * sizeof *place);
  for (ptrdiff_t o = 0; o < system->octets; o++) {
    const struct willis_octet *octet = system->octet + o;
    place[(octet->z * n[1] + octet->y) * across + octet->x] = (int32_t)o;
  }
  for (ptrdiff_t o = 0; o < system->octets; o++) {
    const struct willis_octet *octet = system->octet + o;
    const ptrdiff_t at[3] = {octet->x, octet->y, octet->z};
    const int32_t *here = place + (octet->z * n[1] + octet->y) * across + octet->x;
    for (int a = 0; a < 3; a++) {
      tv->near[o].after[a] = at[a] + 1 < edge[a] ? here[stride[a]] : -1;
      tv->near[o].before[a] = at[a] > 0 ? here[-stride[a]] : -1;
    }
  }
  willis_release(place);
  return WILLIS_OK;
}

static const float zeros[WILLIS_OCTET];

static const float *octet_of(const float *x, int32_t o) {
  return o < 0 ? zeros : x + (ptrdiff_t)o * WILLIS_OCTET;
}

/* x = max(z + t·div(dual), 0) on the unknowns. */
static void primal(const struct tv *tv, const float *z, float t, float *x) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t o = 0; o < tv->system->octets; o++) {
    const struct neighbours *near = tv->near + o;
    uint32_t lanes = tv->system->octet[o].lanes;
    const float *px = tv->dual[0] + o * WILLIS_OCTET, *py = tv->dual[1] + o * WILLIS_OCTET;
    const float *pz = tv->dual[2] + o * WILLIS_OCTET;
    const float *left = octet_of(tv->dual[0], near->before[0]);
    const float *front = octet_of(tv->dual[1], near->before[1]);
    const float *below = octet_of(tv->dual[2], near->before[2]);
    for (int i = 0; i < WILLIS_OCTET; i++) {
      float before = i ? px[i - 1] : left[WILLIS_OCTET - 1];
      float div = px[i] - before + py[i] - front[i] + pz[i] - below[i];
      float value = fmaxf(z[o * WILLIS_OCTET + i] + t * div, 0);
      x[o * WILLIS_OCTET + i] = lanes >> i & 1 ? value : 0;
    }
  }
}

/* dual = (dual + step·∇x) shortened to at most 1. */
static void climb(const struct tv *tv, const float *x, float step) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t o = 0; o < tv->system->octets; o++) {
    const struct neighbours *near = tv->near + o;
    const float *here = x + o * WILLIS_OCTET, *right = octet_of(x, near->after[0]);
    const float *back = octet_of(x, near->after[1]), *above = octet_of(x, near->after[2]);
    for (int i = 0; i < WILLIS_OCTET; i++) {
      ptrdiff_t at = o * WILLIS_OCTET + i;
      float next = i + 1 < WILLIS_OCTET ? here[i + 1] : right[0];
      float p[3] = {tv->dual[0][at] + step * (next - here[i]),
                    tv->dual[1][at] + step * (back[i] - here[i]),
                    tv->dual[2][at] + step * (above[i] - here[i])};
      float shrink = 1 / fmaxf(1, sqrtf(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]));
      for (int a = 0; a < 3; a++) tv->dual[a][at] = p[a] * shrink;
    }
  }
}

/* x = the point nearest to z with t times its total variation added to half the square distance. */
static void shrink_variation(const struct tv *tv, const float *z, float t, float *x) {
  if (t > 0) {
    for (int k = 0; k < DUAL_STEPS; k++) {
      primal(tv, z, t, x);
      climb(tv, x, 1 / (12 * t));
    }
  }
  primal(tv, z, t, x);
}

static float largest(const float *value, ptrdiff_t count) {
  float most = 0;
  for (ptrdiff_t i = 0; i < count; i++) most = fmaxf(most, value[i]);
  return most;
}

/* y = x + momentum·(x − old), old = x. Returns ⟨y − x, x − old⟩ of before: above 0, the momentum
 * points the wrong way. */
static double turned(const float *y, const float *x, const float *old, ptrdiff_t count) {
  double sum = 0;
  for (ptrdiff_t i = 0; i < count; i++)
    sum += ((double)y[i] - (double)x[i]) * ((double)x[i] - (double)old[i]);
  return sum;
}

struct room {
  float *images, *gradient, *y, *old;
};

static enum willis_status iterate(struct tv *tv, const struct willis_solver_options *options,
                                  const struct willis_progress *progress, struct room room,
                                  float *x, struct willis_error *err) {
  struct willis_system *system = tv->system;
  ptrdiff_t n = system->length;
  int updates = options->iterations * system->subsets;
  float most = largest(system->mass, n), step = most > 0 ? 1 / most : 0;
  float t = (float)(options->lambda * system->scale);
  double momentum = 1;
  for (int u = 0; u < updates; u++) {
    if (!willis_progress_report(progress, "updates", u, updates, ""))
      return willis_fail(err, WILLIS_CANCELLED, "stopped after %d of %d updates", u, updates);
    int subset = willis_system_turn(u % system->subsets, system->subsets);
    (void)willis_system_residual(system, room.y, subset, system->subsets, room.images);
    enum willis_status status =
        willis_system_adjoint(system, room.images, subset, system->subsets, room.gradient, err);
    if (status) return status;
#pragma omp parallel for schedule(static)
    for (ptrdiff_t i = 0; i < n; i++) room.gradient[i] = room.y[i] - step * room.gradient[i];
    memcpy(room.old, x, (size_t)n * sizeof *x);
    shrink_variation(tv, room.gradient, t, x);
    if (turned(room.y, x, room.old, n) > 0) momentum = 1;
    double next = (1 + sqrt(1 + 4 * momentum * momentum)) / 2;
    float ahead = (float)((momentum - 1) / next);
    momentum = next;
#pragma omp parallel for schedule(static)
    for (ptrdiff_t i = 0; i < n; i++) room.y[i] = x[i] + ahead * (x[i] - room.old[i]);
  }
  return WILLIS_OK;
}

enum willis_status willis_solve_tv(struct willis_system *system,
                                   const struct willis_solver_options *options,
                                   const struct willis_progress *progress, float *x,
                                   double *residual, struct willis_error *err) {
  ptrdiff_t n = system->length;
  double data = willis_system_data(system);
  struct tv tv = {.system = system, .near = willis_take(system->octets, sizeof *tv.near)};
  struct room room = {willis_take(system->pixels, sizeof(float)), willis_take(n, sizeof(float)),
                      willis_take_zeroed(n, sizeof(float)), willis_take(n, sizeof(float))};
  bool short_of = !tv.near || !room.images || !room.gradient || !room.y || !room.old;
  for (int a = 0; a < 3; a++) {
    tv.dual[a] = willis_take_zeroed(n, sizeof(float));
    short_of |= !tv.dual[a];
  }
  enum willis_status status =
      short_of ? willis_fail_memory(err, "the images and unknowns", system->pixels, sizeof(float))
               : find_neighbours(&tv, err);
  if (!status) status = iterate(&tv, options, progress, room, x, err);
  if (!status)
    *residual = data > 0 ? sqrt(willis_system_residual(system, x, 0, 1, room.images) / data) : 0;
  for (int a = 0; a < 3; a++) willis_release(tv.dual[a]);
  willis_release(tv.near);
  willis_release(room.images);
  willis_release(room.gradient);
  willis_release(room.y);
  willis_release(room.old);
  return status;
}
