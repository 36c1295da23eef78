/* Philox against the authors' known answers, and the distributions made from it. */
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* philox4x32-10 of Random123's kat_vectors: counter and key words, least significant first. */
static void test_known_answers(void **state) {
  (void)state;
  static const struct {
    uint64_t seed, stream, counter;
    uint32_t word[4];
  } known[] = {
      {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {0x299f31d0a4093822,
       0x0370734413198a2e,
       0x85a308d3243f6a88,
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    uint32_t word[4];
    willis_random_words(known[i].seed, known[i].stream, known[i].counter, word);
    assert_memory_equal(word, known[i].word, sizeof word);
  }
}

static void test_a_value_depends_on_its_three_numbers(void **state) {
  (void)state;
  double value = willis_random_uniform(1, 2, 3);
  assert_true(value == willis_random_uniform(1, 2, 3));
  assert_true(value != willis_random_uniform(2, 2, 3));
  assert_true(value != willis_random_uniform(1, 3, 3));
  assert_true(value != willis_random_uniform(1, 2, 4));
  assert_true(value != willis_random_uniform(1, 2, 3 + ((uint64_t)1 << 32)));
}

enum { COUNT = 200000 };

/* Mean, variance and correlation of neighbours within five standard errors. */
static void test_uniform(void **state) {
  (void)state;
  double sum = 0, squares = 0, products = 0, last = 0;
  for (uint64_t i = 0; i < COUNT; i++) {
    double u = willis_random_uniform(7, 0, i);
    assert_true(u >= 0 && u < 1);
    sum += u;
    squares += (u - 0.5) * (u - 0.5);
    products += (u - 0.5) * last;
    last = u - 0.5;
  }
  assert_true(fabs(sum / COUNT - 0.5) < 5 * sqrt(1 / 12.0 / COUNT));
  assert_true(fabs(squares / COUNT - 1 / 12.0) < 5 * sqrt(1 / 180.0 / COUNT));
  assert_true(fabs(products / COUNT) < 5 / 12.0 / sqrt(COUNT));
}

static void test_normal(void **state) {
  (void)state;
  double moment[5] = {0};
  int beyond_two = 0;
  for (uint64_t i = 0; i < COUNT; i++) {
    double z = willis_random_normal(7, 1, i), power = 1;
    assert_true(isfinite(z));
    for (int k = 0; k < 5; k++, power *= z) moment[k] += power;
    beyond_two += fabs(z) > 2;
  }
  double se = 5 / sqrt(COUNT);
  assert_true(fabs(moment[1] / COUNT) < se);
  assert_true(fabs(moment[2] / COUNT - 1) < se * sqrt(2));
  assert_true(fabs(moment[3] / COUNT) < se * sqrt(15));
  assert_true(fabs(moment[4] / COUNT - 3) < se * sqrt(96));
  double p = erfc(sqrt(2));
  assert_true(fabs((double)beyond_two / COUNT - p) < se * sqrt(p * (1 - p)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_answers),
      cmocka_unit_test(test_a_value_depends_on_its_three_numbers),
      cmocka_unit_test(test_uniform),
      cmocka_unit_test(test_normal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
