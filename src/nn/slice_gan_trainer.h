/* Training of the slice by slice conditional GAN (slice_gan.h). One step on a batch of slices:
 *
 *   discriminator: ½·BCE(D(c, t), 1) + ½·BCE(D(c, G(c)), 0)
 *   generator:     BCE(D(c, G(c)), 1) + λ·mean |G(c) − t|
 *
 * each followed by Adam with β1 = 0.5 (Isola et al. 2017, equations 1 to 4). λ = 0 is the pure GAN.
 * Same bits for any number of threads. */
#ifndef WILLIS_NN_SLICE_GAN_TRAINER_H
#define WILLIS_NN_SLICE_GAN_TRAINER_H

#include <willis/error.h>

#include <stddef.h>
#include <stdint.h>

struct willis_network;

struct willis_slice_gan_options {
  ptrdiff_t slices, size; /* of a batch; edge of a slice, a multiple of 64 */
  double l1;              /* λ: 100 */
  double learning_rate;   /* 2e-4 */
  uint64_t seed;          /* of dropout */
};
struct willis_slice_gan_options willis_slice_gan_defaults(void);

struct willis_slice_gan_loss {
  double discriminator, generator, l1; /* l1 without its weight */
};

struct willis_slice_gan_trainer;
/* The two networks ("slice-generator", "slice-discriminator") are borrowed and learn. */
WILLIS_CHECKED enum willis_status willis_slice_gan_trainer_create(
    struct willis_network *generator, struct willis_network *discriminator,
    const struct willis_slice_gan_options *options, struct willis_slice_gan_trainer **trainer,
    struct willis_error *err);
void willis_slice_gan_trainer_destroy(struct willis_slice_gan_trainer *trainer);
/* condition: [slices][size][size][2], target: [slices][size][size], all in [−1, 1]. NUMERIC when a
 * loss or a gradient is not finite; then nothing has changed. */
WILLIS_CHECKED enum willis_status willis_slice_gan_step(struct willis_slice_gan_trainer *trainer,
                                                        const float *condition, const float *target,
                                                        struct willis_slice_gan_loss *loss,
                                                        struct willis_error *err);

uint64_t willis_slice_gan_steps(const struct willis_slice_gan_trainer *trainer);
void willis_slice_gan_set_learning_rate(struct willis_slice_gan_trainer *trainer, double rate);
/* Exactly what a trainer of these options allocates; nothing more is allocated by its steps. */
size_t willis_slice_gan_training_bytes(const struct willis_network *generator,
                                       const struct willis_network *discriminator,
                                       const struct willis_slice_gan_options *options);

/* Everything that a step changes, for checkpoints. MISMATCH for another size; NUMERIC. */
size_t willis_slice_gan_state_bytes(const struct willis_slice_gan_trainer *trainer);
void willis_slice_gan_state_export(const struct willis_slice_gan_trainer *trainer, void *block);
WILLIS_CHECKED enum willis_status
willis_slice_gan_state_import(struct willis_slice_gan_trainer *trainer, const void *block,
                              size_t size, struct willis_error *err);

/* A trained generator on slices: y [slices][size][size] in [−1, 1], with running statistics and no
 * dropout, so that it gives one answer. */
WILLIS_CHECKED enum willis_status
willis_slice_generator_draw(const struct willis_network *generator, ptrdiff_t slices,
                            ptrdiff_t size, const float *condition, float *y,
                            struct willis_error *err);
/* Exactly what that allocates. */
WILLIS_CHECKED enum willis_status
willis_slice_generator_bytes(const struct willis_network *generator, ptrdiff_t slices,
                             ptrdiff_t size, size_t *bytes, struct willis_error *err);

#endif
