/* y = tanh(x), elementwise over `count` values; y may be x. */
#ifndef WILLIS_NN_TANH_H
#define WILLIS_NN_TANH_H

#include <stddef.h>

void willis_tanh_forward(ptrdiff_t count, const float *x, float *y);
/* d_x = d_y·(1 − y²). d_x may be d_y. */
void willis_tanh_backward(ptrdiff_t count, const float *y, const float *d_y, float *d_x);

#endif
