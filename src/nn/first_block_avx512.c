/* The row of first_block_row_avx2.h on AVX-512. */
#include "nn/first_block_row_avx2.h"

void willis_first_block_row_avx512(const float *lines, ptrdiff_t stride, ptrdiff_t width,
                                   int outputs, const float *packed, const float *shift, float *y,
                                   uint8_t *argmax) {
  first_block_row(lines, stride, width, outputs, packed, shift, y, argmax);
}
