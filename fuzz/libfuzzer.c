/* One target as libFuzzer calls it; which one is decided when this is compiled. */
#include "targets.h"

#include "base/parallel.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const struct fuzz_target *target;
  if (!target) {
    target = fuzz_target_named(FUZZ_TARGET);
    willis_parallel_set_threads(1);
    if (!target) abort();
  }
  fuzz_run(target, bytes, size);
  return 0;
}
