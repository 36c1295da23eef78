/* y = max(x, 0), elementwise over `count` values; y may be x. NaN stays NaN. */
#ifndef WILLIS_NN_RELU_H
#define WILLIS_NN_RELU_H

#include <stddef.h>

void willis_relu_forward(ptrdiff_t count, const float *x, float *y);
/* d_x = d_y where y > 0, else 0. d_x may be d_y. */
void willis_relu_backward(ptrdiff_t count, const float *y, const float *d_y, float *d_x);

#endif
