/* The paper's denoising autoencoder (M7): three encoder blocks, then the decoder. */
#ifndef WILLIS_NN_DAE_H
#define WILLIS_NN_DAE_H

#include "nn/architecture.h"

enum { WILLIS_DAE_ENCODERS = 3 };

extern const struct willis_architecture willis_dae;

/* dae_slabs.c: what stands in the table under these names. */
size_t willis_dae_slabs_bytes(void);
void willis_dae_plan_slabs(void *plan, struct willis_extent extent, ptrdiff_t height,
                           struct willis_arena *arena);
WILLIS_CHECKED enum willis_status willis_dae_infer_slabs(void *plan,
                                                         const struct willis_block_parameters *p,
                                                         const struct willis_slab_feed *feed,
                                                         struct willis_error *err);

#endif
