/* Every index once, and the same bits for any number of threads. */
#include "base/parallel.h"

#include "base/cpu.h"
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 100003 };
static unsigned char visits[COUNT];
static const ptrdiff_t chunks[] = {1, 7, 4096, COUNT, 2 * COUNT};
enum { CHUNKS = sizeof chunks / sizeof *chunks };

static void visit(ptrdiff_t begin, ptrdiff_t end, void *context) {
  ptrdiff_t chunk = *(ptrdiff_t *)context;
  assert_int_equal(begin % chunk, 0);
  assert_true(end > begin && end - begin <= chunk);
  for (ptrdiff_t i = begin; i < end; i++) visits[i]++;
}

static void test_every_index_is_visited_once(void **state) {
  (void)state;
  for (int threads = 1; threads <= 8; threads++)
    for (int c = 0; c < CHUNKS; c++) {
      willis_parallel_set_threads(threads);
      memset(visits, 0, sizeof visits);
      ptrdiff_t chunk = chunks[c];
      willis_parallel_for(COUNT, chunk, visit, &chunk);
      for (int i = 0; i < COUNT; i++)
        if (visits[i] != 1) fail_msg("index %d visited %d times", i, visits[i]);
    }
}

static void test_nothing_to_do(void **state) {
  (void)state;
  ptrdiff_t chunk = 5;
  double total[2] = {1, 1};
  willis_parallel_for(0, chunk, visit, &chunk);
  willis_parallel_sum(0, chunk, 2, NULL, NULL, total);
  assert_true(total[0] == 0 && total[1] == 0);
}

/* Values of very different size, so that another order gives other bits. */
static void add(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context) {
  (void)context;
  for (ptrdiff_t i = begin; i < end; i++) {
    sum[0] += exp(20 * willis_random_normal(1, 0, (uint64_t)i));
    sum[1] += 1;
  }
}

static void test_sums_have_the_same_bits(void **state) {
  (void)state;
  for (int c = 0; c < CHUNKS; c++) {
    double reference[2] = {0}, total[2];
    for (int threads = 1; threads <= 8; threads++) {
      willis_parallel_set_threads(threads);
      willis_parallel_sum(COUNT, chunks[c], 2, add, NULL, total);
      if (threads == 1) memcpy(reference, total, sizeof total);
      assert_memory_equal(total, reference, sizeof total);
    }
    assert_true(reference[1] == COUNT);
  }
}

static void test_thread_numbers(void **state) {
  (void)state;
  willis_parallel_set_threads(3);
  assert_int_equal(willis_parallel_threads(), 3);
  willis_parallel_set_threads(0);
  assert_true(willis_parallel_threads() >= 1);
}

static void test_features_can_be_masked(void **state) {
  (void)state;
  unsigned all = willis_cpu_features();
  willis_cpu_mask(0);
  assert_int_equal(willis_cpu_features(), 0);
  willis_cpu_mask(WILLIS_CPU_F16C);
  assert_int_equal(willis_cpu_features(), all & WILLIS_CPU_F16C);
  willis_cpu_mask(~0u);
  assert_int_equal(willis_cpu_features(), all);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_index_is_visited_once), cmocka_unit_test(test_nothing_to_do),
      cmocka_unit_test(test_sums_have_the_same_bits),     cmocka_unit_test(test_thread_numbers),
      cmocka_unit_test(test_features_can_be_masked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
