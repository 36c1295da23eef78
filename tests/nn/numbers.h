/* Test data: numbers that Python makes too (tests/oracle/nn_numbers.py), JSON oracles, and norms.
 */
#ifndef WILLIS_TESTS_NN_NUMBERS_H
#define WILLIS_TESTS_NN_NUMBERS_H

#include "base/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Uniform in [−1, 1), a hash of stream and element. */
static inline float number(uint32_t stream, ptrdiff_t i) {
  uint32_t h = (uint32_t)i * 2654435761u + stream * 40503u + 12345u;
  for (int round = 0; round < 2; round++) {
    h ^= h >> 16;
    h *= 0x45D9F3Bu;
  }
  h ^= h >> 16;
  return (float)(h / 2147483648.0 - 1);
}

/* Freed by willis_release(). */
static inline float *numbers(uint32_t stream, ptrdiff_t count) {
  float *value = willis_take(count, sizeof *value);
  assert_non_null(value);
  for (ptrdiff_t i = 0; i < count; i++) value[i] = number(stream, i);
  return value;
}

static inline float *room_for(ptrdiff_t count) {
  float *value = willis_take(count, sizeof *value);
  assert_non_null(value);
  /* A pattern that is not a number: what is not written is noticed. */
  memset(value, 0xff, (size_t)count * sizeof *value);
  return value;
}

static inline double dot(const float *a, const float *b, ptrdiff_t count) {
  double sum = 0;
  for (ptrdiff_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

static inline double norm(const float *a, ptrdiff_t count) {
  return sqrt(dot(a, a, count));
}

/* ‖a − b‖/‖b‖. */
static inline double apart(const float *a, const float *b, ptrdiff_t count) {
  double sum = 0;
  for (ptrdiff_t i = 0; i < count; i++) {
    double d = (double)a[i] - (double)b[i];
    sum += d * d;
  }
  return sqrt(sum) / (norm(b, count) + 1e-30);
}

/* Reads tests/oracle/<name>; freed by json_decref(). Tests run in tests/nn. */
static inline json_t *oracle(const char *name) {
  char path[256];
  snprintf(path, sizeof path, "../oracle/%s", name);
  json_error_t problem;
  json_t *root = json_load_file(path, 0, &problem);
  if (!root) fail_msg("%s: %s", path, problem.text);
  return root;
}

static inline void assert_matches(const float *value, const json_t *expected, double tolerance,
                                  const char *what) {
  size_t count = json_array_size(expected);
  assert_true(count > 0);
  for (size_t i = 0; i < count; i++) {
    double e = json_number_value(json_array_get(expected, i));
    if (!(fabs((double)value[i] - e) <= tolerance * (1 + fabs(e))))
      fail_msg("%s[%zu] is %.9g, expected %.9g", what, i, (double)value[i], e);
  }
}

static inline void assert_below(double value, double limit, const char *what) {
  if (!(value <= limit)) fail_msg("%s: %g is above %g", what, value, limit);
}

#endif
