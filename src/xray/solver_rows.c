/* SIRT, SART and CGLS.
 *
 * SIRT: x ← max(x + λ·D⁻¹·Aᵀ·W·(b − A·x), 0) with W = 1/row sums, D = column sums; SART does the
 * same with one view, or another subset of the views, at a time (Andersen & Kak 1984).
 * CGLS: conjugate gradients on Aᵀ·A·x = Aᵀ·b (Björck 1996). */
#include "xray/system.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"

#include <math.h>

enum willis_status willis_solve_sart(struct willis_system *system,
                                     const struct willis_solver_options *options,
                                     const struct willis_progress *progress, float *x,
                                     double *residual, struct willis_error *err) {
  enum willis_status status = WILLIS_OK;
  double data = willis_system_data(system);
  float *y = willis_take(system->pixels, sizeof *y), lambda = (float)options->lambda;
  float *step = willis_take(system->length, sizeof *step);
  if (!y || !step) {
    status = willis_fail_memory(err, "the images", system->pixels, sizeof *y);
    goto out;
  }
  int updates = options->iterations * system->subsets;
  for (int u = 0; u < updates; u++) {
    if (!willis_progress_report(progress, "updates", u, updates, "")) {
      status = willis_fail(err, WILLIS_CANCELLED, "stopped after %d of %d updates", u, updates);
      goto out;
    }
    int subset = willis_system_turn(u % system->subsets, system->subsets);
    (void)willis_system_residual(system, x, subset, system->subsets, y);
    status = willis_system_adjoint(system, y, subset, system->subsets, step, err);
    if (status) goto out;
#pragma omp parallel for schedule(static)
    for (ptrdiff_t i = 0; i < system->length; i++)
      if (system->mass[i] > 0) x[i] = fmaxf(x[i] - lambda * step[i] / system->mass[i], 0);
  }
  *residual = data > 0 ? sqrt(willis_system_residual(system, x, 0, 1, y) / data) : 0;
out:
  willis_release(y);
  willis_release(step);
  return status;
}

static void add_scaled(float *to, double factor, const float *from, ptrdiff_t count) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++) to[i] = (float)((double)to[i] + factor * (double)from[i]);
}

enum willis_status willis_solve_cgls(struct willis_system *system,
                                     const struct willis_solver_options *options,
                                     const struct willis_progress *progress, float *x,
                                     double *residual, struct willis_error *err) {
  enum willis_status status = WILLIS_OK;
  ptrdiff_t n = system->length, m = system->pixels;
  double data = willis_system_data(system);
  float *r = willis_take(m, sizeof *r), *q = willis_take(m, sizeof *q);
  float *p = willis_take_zeroed(n, sizeof *p), *s = willis_take(n, sizeof *s);
  if (!r || !q || !p || !s) {
    status = willis_fail_memory(err, "the images", m, sizeof *r);
    goto out;
  }
  for (ptrdiff_t i = 0; i < m; i++) r[i] = system->b[i];
  double before = 0;
  for (int k = 0; k < options->iterations; k++) {
    if (!willis_progress_report(progress, "iterations", k, options->iterations, "")) {
      status = willis_fail(err, WILLIS_CANCELLED, "stopped after %d of %d iterations", k,
                           options->iterations);
      goto out;
    }
    status = willis_system_adjoint(system, r, 0, 1, s, err);
    if (status) goto out;
    double now = willis_dot(s, s, n), beta = before > 0 ? now / before : 0;
    if (now == 0) break;
#pragma omp parallel for schedule(static)
    for (ptrdiff_t i = 0; i < n; i++) p[i] = (float)((double)s[i] + beta * (double)p[i]);
    willis_system_project(system, p, 0, 1, q);
    double steep = willis_dot(q, q, m);
    if (steep == 0) break;
    add_scaled(x, now / steep, p, n);
    add_scaled(r, -now / steep, q, m);
    before = now;
  }
  for (ptrdiff_t i = 0; i < n && options->nonnegative; i++) x[i] = fmaxf(x[i], 0);
  *residual = data > 0 ? sqrt(willis_system_residual(system, x, 0, 1, q) / data) : 0;
out:
  willis_release(r);
  willis_release(q);
  willis_release(p);
  willis_release(s);
  return status;
}
