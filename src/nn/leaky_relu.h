/* y = x > 0 ? x : slope·x, elementwise over `count` values, 0 ≤ slope < 1 (0: the rectifier, as
 * relu.h has it); y may be x. NaN stays NaN. */
#ifndef WILLIS_NN_LEAKY_RELU_H
#define WILLIS_NN_LEAKY_RELU_H

#include <stddef.h>

void willis_leaky_relu_forward(ptrdiff_t count, float slope, const float *x, float *y);
/* d_x = d_y where y > 0, else slope·d_y. d_x may be d_y. */
void willis_leaky_relu_backward(ptrdiff_t count, float slope, const float *y, const float *d_y,
                                float *d_x);

#endif
