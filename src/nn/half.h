/* Numbers of 16 bits (IEEE binary16) as storage; arithmetic is done in float.
 *
 * To 16 bits they are rounded to the nearest, of two the even one; beyond 65504 they become
 * infinite, below 2⁻²⁴ zero. The same bits with and without F16C. */
#ifndef WILLIS_NN_HALF_H
#define WILLIS_NN_HALF_H

#include <stddef.h>
#include <stdint.h>

/* By the calling thread. */
void willis_half_pack(ptrdiff_t count, const float *from, uint16_t *to);
void willis_half_unpack(ptrdiff_t count, const uint16_t *from, float *to);
/* Rows of `count` that lie `stride` apart, close together. */
void willis_half_unpack_rows(ptrdiff_t rows, ptrdiff_t count, const uint16_t *from,
                             ptrdiff_t stride, float *to);
/* The same with all threads. */
void willis_half_pack_all(ptrdiff_t count, const float *from, uint16_t *to);
void willis_half_unpack_all(ptrdiff_t count, const uint16_t *from, float *to);

/* half_avx2.c; count is a multiple of 8. */
void willis_half_pack_f16c(ptrdiff_t count, const float *from, uint16_t *to);
void willis_half_unpack_f16c(ptrdiff_t count, const uint16_t *from, float *to);

#endif
