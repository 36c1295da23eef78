/* The block of conv3d_block_avx2.h on AVX-512. */
#include "nn/conv3d_block_avx2.h"

void willis_conv3d_block_avx512(const struct pass *p, struct tile_block block,
                                struct tile_block next, double *sums, float *v) {
  conv3d_block(p, block, next, sums, v);
}
