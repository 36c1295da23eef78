/* Dropout (Srivastava et al. 2014), inverted: in training each of `count` values is zero with
 * probability `rate` and divided by 1 − rate otherwise; in inference nothing happens.
 *
 * Which values fall is a function of (seed, stream, element) alone, so the backward pass is the
 * same call on the gradient, and no mask is kept. y may be x. Same bits for any number of threads.
 */
#ifndef WILLIS_NN_DROPOUT_H
#define WILLIS_NN_DROPOUT_H

#include <stddef.h>
#include <stdint.h>

void willis_dropout(ptrdiff_t count, double rate, uint64_t seed, uint64_t stream, const float *x,
                    float *y);

#endif
