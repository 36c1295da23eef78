/* Numbers of either byte order out of bytes that need no alignment, and little-endian into them. */
#ifndef WILLIS_IO_BYTES_H
#define WILLIS_IO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t willis_load(const unsigned char *at, size_t bytes, bool big_endian) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; i++)
    value |= (uint64_t)at[i] << (8 * (big_endian ? bytes - 1 - i : i));
  return value;
}
static inline float willis_load_f32(const unsigned char *at, bool big_endian) {
  uint32_t bits = (uint32_t)willis_load(at, 4, big_endian);
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static inline double willis_load_f64(const unsigned char *at, bool big_endian) {
  uint64_t bits = willis_load(at, 8, big_endian);
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static inline void willis_store(unsigned char *at, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) at[i] = (unsigned char)(value >> (8 * i));
}
static inline void willis_store_f32(unsigned char *at, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  willis_store(at, bits, 4);
}

#endif
