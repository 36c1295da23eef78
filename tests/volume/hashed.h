/* The random numbers of tests/oracle/volume_*.py: 20 bits for number `i` of row `salt`. */
#ifndef TESTS_VOLUME_HASHED_H
#define TESTS_VOLUME_HASHED_H

#include <stdint.h>

static inline uint32_t hashed_bits(uint32_t i, uint32_t salt) {
  uint32_t x = i * 2654435761u + salt * 40503u;
  x ^= x >> 15;
  x *= 2246822519u;
  x ^= x >> 13;
  return x >> 12;
}

static inline float hashed_unit(uint32_t i, uint32_t salt) {
  return (float)hashed_bits(i, salt) * 0x1p-20f;
}

#endif
