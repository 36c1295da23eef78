/* The front of the solvers: defaults, doubts, and which method. */
#include "xray/system.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>

enum { MOST_ITERATIONS = 100000 };

static const struct method {
  const char *name;
  int passes, updates, views;
  double lambda;
} methods[] = {
#define ROW(name, word, passes, updates, views, lambda) {#word, passes, updates, views, lambda},
    WILLIS_SOLVER_LIST(ROW)
#undef ROW
};
enum { METHODS = sizeof methods / sizeof *methods };

/* FDK has no system and is not among them. */
static willis_solver *const solvers[METHODS] = {[WILLIS_SOLVER_SART] = willis_solve_sart,
                                                [WILLIS_SOLVER_SIRT] = willis_solve_sart,
                                                [WILLIS_SOLVER_CGLS] = willis_solve_cgls,
                                                [WILLIS_SOLVER_TV] = willis_solve_tv};

struct willis_solver_options willis_solver_defaults(enum willis_solver_method method,
                                                    ptrdiff_t view_count) {
  const struct method *row = methods + method;
  int subsets = row->views && view_count > row->views ? (int)view_count / row->views : 1;
  int passes = (row->updates + subsets - 1) / subsets;
  return (struct willis_solver_options){.method = method,
                                        .iterations = passes > row->passes ? passes : row->passes,
                                        .subsets = subsets,
                                        .lambda = row->lambda,
                                        .nonnegative = true};
}

static enum willis_status check_options(const struct willis_solver_options *options,
                                        ptrdiff_t view_count, struct willis_error *err) {
  if ((int)options->method < 0 || (int)options->method >= METHODS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "method %d is none", (int)options->method);
  const char *name = methods[options->method].name;
  bool rows = options->method == WILLIS_SOLVER_SART || options->method == WILLIS_SOLVER_SIRT;
  bool parts = rows || options->method == WILLIS_SOLVER_TV;
  if (options->iterations < 1 || options->iterations > MOST_ITERATIONS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%s: %d iterations, expected 1 to %d", name,
                       options->iterations, MOST_ITERATIONS);
  if (options->subsets < 1 || options->subsets > view_count)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%s: %d subsets of %td views", name,
                       options->subsets, view_count);
  if (!parts && options->subsets != 1)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%s takes all views at once: %d subsets", name,
                       options->subsets);
  if (rows && !(options->lambda > 0 && options->lambda < 2))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%s: lambda is %g, expected a relaxation above 0 and below 2", name,
                       options->lambda);
  if (!rows && !(options->lambda >= 0 && options->lambda < 1))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%s: lambda is %g, expected 0 to below 1",
                       name, options->lambda);
  return WILLIS_OK;
}

static enum willis_status check(const struct willis_projections *stack,
                                const struct willis_solver_options *options,
                                const struct willis_grid *grid, struct willis_error *err) {
  enum willis_status status = willis_projections_check(stack, err);
  if (!status) status = willis_grid_check(grid, "volume", err);
  if (!status) status = willis_operators_check_size(stack, grid, err);
  if (!status) status = check_options(options, stack->view_count, err);
  if (status) return status;
  if (stack->mode != WILLIS_PROJECTION_SUM)
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "these are maximum projections, %s needs line integrals (mode \"sum\"): "
                       "take hull or backproject, or segment the views first",
                       methods[options->method].name);
  return WILLIS_OK;
}

enum willis_status willis_solve(const struct willis_projections *stack,
                                const struct willis_solver_options *options,
                                const struct willis_progress *progress,
                                struct willis_volume *volume, struct willis_solver_report *report,
                                struct willis_error *err) {
  struct willis_solver_report ignored;
  if (!report) report = &ignored;
  enum willis_status status = check(stack, options, &volume->grid, err);
  if (status) return status;
  *report = (struct willis_solver_report){willis_grid_count(&volume->grid), 1, NAN};
  volume->integral = false;
  if (options->method == WILLIS_SOLVER_FDK)
    return willis_solve_fdk(stack, options->nonnegative, volume, err);

  struct willis_system system;
  status = willis_system_init(&system, stack, options->subsets, volume, err);
  if (status) return status;
  report->unknowns = system.unknowns;
  report->iterations = options->iterations;
  float *x = willis_take_zeroed(system.length, sizeof *x);
  status = x ? solvers[options->method](&system, options, progress, x, &report->residual, err)
             : willis_fail_memory(err, "the unknowns", system.length, sizeof *x);
  if (!status) willis_system_store(&system, x);
  willis_release(x);
  willis_system_release(&system);
  return status;
}
