/* The block of conv3d_weight_block_avx2.h on AVX-512. */
#include "nn/conv3d_weight_block_avx2.h"

void willis_conv3d_weight_block_avx512(const struct slab *s, struct tile_block block,
                                       struct tile_block next, float *sum, float *v) {
  conv3d_weight_block(s, block, next, sum, v);
}
