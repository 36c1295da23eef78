/* Philox4x32 with ten rounds: multiply, exchange halves, add the key's Weyl sequence. Constants
 * from Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC 2011). */
#define _GNU_SOURCE
#include "base/random.h"

#include <math.h>

enum { ROUNDS = 10 };

void willis_random_words(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t word[4]) {
  uint32_t c[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), (uint32_t)stream,
                   (uint32_t)(stream >> 32)};
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int r = 0; r < ROUNDS; r++) {
    uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
    uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b,
                        (uint32_t)(a >> 32) ^ c[3] ^ k1, (uint32_t)a};
    for (int i = 0; i < 4; i++) c[i] = next[i];
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (int i = 0; i < 4; i++) word[i] = c[i];
}

static double unit(uint32_t high, uint32_t low) {
  uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
  return (double)bits * 0x1p-53;
}

double willis_random_uniform(uint64_t seed, uint64_t stream, uint64_t counter) {
  uint32_t w[4];
  willis_random_words(seed, stream, counter, w);
  return unit(w[0], w[1]);
}

double willis_random_normal(uint64_t seed, uint64_t stream, uint64_t counter) {
  uint32_t w[4];
  willis_random_words(seed, stream, counter, w);
  double radius = sqrt(-2.0 * log1p(-unit(w[0], w[1])));
  return radius * cos(2.0 * M_PI * unit(w[2], w[3]));
}
