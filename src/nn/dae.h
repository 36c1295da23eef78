/* The paper's denoising autoencoder (M7): three encoder blocks, then the decoder. */
#ifndef WILLIS_NN_DAE_H
#define WILLIS_NN_DAE_H

#include "nn/architecture.h"

extern const struct willis_architecture willis_dae;

#endif
