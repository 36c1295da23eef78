/* What one block of a network (a convolution, and batch normalisation after it) learns and tracks,
 * as pointers into the network's parameter block or into a gradient block of the same layout. */
#ifndef WILLIS_NN_BLOCK_H
#define WILLIS_NN_BLOCK_H

/* Blocks without normalisation have null from gamma on; gradients have null running statistics. */
struct willis_block_parameters {
  float *weight, *bias;
  float *gamma, *beta;
  float *running_mean, *running_variance;
};

#endif
