/* Dropout whose mask is drawn again whenever it is needed. */
#include "nn/dropout.h"

#include "base/random.h"

enum { WORDS = 4 };

void willis_dropout(ptrdiff_t count, double rate, uint64_t seed, uint64_t stream, const float *x,
                    float *y) {
  const double limit = rate * 4294967296.0;
  const float scale = (float)(1 / (1 - rate));
#pragma omp parallel for schedule(static)
  for (ptrdiff_t first = 0; first < count; first += WORDS) {
    uint32_t word[WORDS];
    willis_random_words(seed, stream, (uint64_t)(first / WORDS), word);
    for (int w = 0; w < WORDS && first + w < count; w++)
      y[first + w] = word[w] < limit ? 0 : x[first + w] * scale;
  }
}
