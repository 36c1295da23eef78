/* Noise of photons: a pixel p of a stack whose largest is P lets N·exp(−p/P) of N photons through
 * (Beer & Lambert; the darkest ray absorbs 1 − 1/e); a Poisson draw k of them is read as
 * −P·ln(max(k, ½)/N). Few expected photons are drawn by inversion, many as a rounded normal, whose
 * distribution function differs from Poisson's by less than 1/100 from 100 on. */
#include "xray/disturbance.h"

#include "base/error.h"
#include "base/random.h"

#include <math.h>

/* "angle", "shift", "photon" in ASCII. */
static const uint64_t angle_stream = 0x616e676c65, shift_stream = 0x7368696674,
                      photon_stream = 0x70686f746f6e;
static const double many = 100;

static double poisson(uint64_t seed, uint64_t counter, double mean) {
  if (mean > many)
    return fmax(0, rint(mean + sqrt(mean) * willis_random_normal(seed, photon_stream, counter)));
  double left = willis_random_uniform(seed, photon_stream, counter), part = exp(-mean);
  int count = 0;
  while (left >= part && part > 0) {
    left -= part;
    part *= mean / ++count;
  }
  return count;
}

static void count_photons(struct willis_projections *stack, double photons, uint64_t seed) {
  const ptrdiff_t count = stack->columns * stack->rows * stack->view_count;
  double most = 0;
  for (ptrdiff_t i = 0; i < count; i++) most = fmax(most, (double)stack->pixels[i]);
  if (!(most > 0)) return;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++) {
    const double k = poisson(seed, (uint64_t)i, photons * exp(-(double)stack->pixels[i] / most));
    stack->pixels[i] = (float)(-most * log(fmax(k, 0.5) / photons));
  }
}

static bool possible(double x, double most) {
  return x >= 0 && x <= most;
}

enum willis_status willis_disturbance_check(const struct willis_disturbance *d,
                                            struct willis_error *err) {
  if (!possible(d->angle_sd_deg, 45) || !possible(d->shift_sd_pixels, 1e4) ||
      !possible(d->photons, 1e15))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "angle error %g, shift error %g, %g photons: expected 0 to 45 degrees, 0 to "
                       "10000 pixels, 0 to 1e15",
                       d->angle_sd_deg, d->shift_sd_pixels, d->photons);
  return WILLIS_OK;
}

/* Views say −360 to 360 degrees. */
static double same_direction(double angle_deg) {
  return fabs(angle_deg) > 360 ? fmod(angle_deg, 360) : angle_deg;
}

enum willis_status willis_projections_disturb(struct willis_projections *stack,
                                              const struct willis_disturbance *d,
                                              struct willis_error *err) {
  enum willis_status status = willis_disturbance_check(d, err);
  if (status) return status;
  if (d->photons > 0 && stack->mode != WILLIS_PROJECTION_SUM)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "photons go with line integrals, not with maximum projections");
  for (ptrdiff_t v = 0; v < stack->view_count; v++) {
    struct willis_view *view = &stack->view[v];
    const uint64_t at = (uint64_t)v * 2;
    const double turn = d->angle_sd_deg * willis_random_normal(d->seed, angle_stream, at);
    view->primary_angle_deg = same_direction(view->primary_angle_deg + turn);
    view->principal_column += d->shift_sd_pixels * willis_random_normal(d->seed, shift_stream, at);
    view->principal_row += d->shift_sd_pixels * willis_random_normal(d->seed, shift_stream, at + 1);
  }
  if (d->photons > 0) count_photons(stack, d->photons, d->seed);
  return WILLIS_OK;
}
