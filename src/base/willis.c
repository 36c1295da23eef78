/* Version, disclaimer and threads: the functions of the umbrella header. */
#include <willis/willis.h>

#include "base/parallel.h"

const char *willis_version(void) {
  return WILLIS_VERSION;
}

const char *willis_disclaimer(void) {
  return "Research software. Not a medical device. Not for diagnosis, treatment planning or any "
         "clinical use.";
}

void willis_threads_set(int threads) {
  willis_parallel_set_threads(threads);
}

int willis_threads_get(void) {
  return willis_parallel_threads();
}
