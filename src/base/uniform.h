/* Most of a volume of vessels is one value, over and over. */
#ifndef WILLIS_BASE_UNIFORM_H
#define WILLIS_BASE_UNIFORM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Whether all values have the bits of the first. */
static inline bool willis_is_uniform(const float *value, int count) {
  uint32_t first, other = 0;
  memcpy(&first, value, sizeof first);
  for (int i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, value + i, sizeof bits);
    other |= bits ^ first;
  }
  return !other;
}

#endif
