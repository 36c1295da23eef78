/* The paper's denoising autoencoder (M7): three encoder blocks, then the decoder. */
#ifndef WILLIS_NN_DAE_H
#define WILLIS_NN_DAE_H

#include "nn/architecture.h"
#include "nn/decoder.h"
#include "nn/encoder_block.h"

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

/* Batch statistics of a layer of encoder[WILLIS_DAE_ENCODERS] and decoder. */
struct willis_batch_statistics willis_dae_statistics(const struct willis_encoder_block *encoder,
                                                     const struct willis_decoder *decoder,
                                                     int layer);

/* dae_passes.c: training in little memory, and with 16 bits. */
extern const struct willis_training_method willis_dae_recompute, willis_dae_half_store,
    willis_dae_half_recompute;
/* What exists whole is stored with 16 bits; and, only then, the convolutions' outputs too. */
struct willis_dae_storage {
  bool half, stored;
};
/* Their plan, with slabs of the least height that has so many tiles of 4×4×4 voxels; for tests. */
void willis_dae_plan_passes(void *plan, struct willis_extent extent, ptrdiff_t tiles,
                            struct willis_dae_storage storage, struct willis_arena *arena);

#endif
