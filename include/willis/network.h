/* Networks that turn a back-projected volume into a vessel probability, and their training.
 *
 * Volumes are plain float arrays as in struct willis_volume: x fastest, then y, then z; `size` is
 * {x, y, z}. Networks are for one channel in and one out. Nothing here knows patients or files
 * other than weight files. Results have the same bits for any number of threads. A network or a
 * trainer is not to be used by two threads at a time. */
#ifndef WILLIS_NETWORK_H
#define WILLIS_NETWORK_H

#include <willis/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

WILLIS_BEGIN

struct willis_network;

/* A network with PyTorch's default initialisation, drawn from `seed`. `architecture` is "dae", the
 * paper's denoising autoencoder (M7), or "hull", a sparse network for the voxels of a visual hull
 * (doc/beyond.md), which works on projections: functions that take volumes refuse it. The caller
 * destroys it. UNSUPPORTED, OUT_OF_MEMORY. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_network_create(const char *architecture,
                                                                   uint64_t seed,
                                                                   struct willis_network **network,
                                                                   struct willis_error *err);
WILLIS_API void willis_network_destroy(struct willis_network *network);

/* Safetensors with the names and shapes of PyTorch's state_dict (M7). The metadata key `network`
 * says which architecture it is. FORMAT (broken), UNSUPPORTED (another architecture or data type),
 * MISMATCH (tensors missing, unknown, or of another shape), NUMERIC (a weight is not finite). */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_network_read(const char *path, struct willis_network **network, struct willis_error *err);
WILLIS_API WILLIS_CHECKED enum willis_status willis_network_parse(const unsigned char *bytes,
                                                                  size_t size,
                                                                  struct willis_network **network,
                                                                  struct willis_error *err);
WILLIS_API WILLIS_CHECKED enum willis_status
willis_network_write(const char *path, const struct willis_network *network, bool overwrite,
                     struct willis_error *err);

/* Metadata strings of the weight file: `network`, `views`, `arc_deg`, `projection`, `size`,
 * `threshold`, `trained_on`, `version` (M7), `calibration` (calibration.h), and whatever else a
 * file brought. Null when there is no such key; the string belongs to the network. A null value
 * removes the key; `network` cannot be changed (INVALID_ARGUMENT). */
WILLIS_API const char *willis_network_metadata(const struct willis_network *network,
                                               const char *key);
WILLIS_API WILLIS_CHECKED enum willis_status
willis_network_metadata_set(struct willis_network *network, const char *key, const char *value,
                            struct willis_error *err);

/* One named tensor of the network. `values` may be changed by the caller. Shapes are PyTorch's,
 * row-major. Learned ones have gradients, the others are running statistics. */
struct willis_network_tensor {
  const char *name;
  int rank;
  ptrdiff_t shape[5];
  ptrdiff_t count;
  float *values;
  bool learned;
};
WILLIS_API int willis_network_tensor_count(const struct willis_network *network);
WILLIS_API struct willis_network_tensor willis_network_tensor(struct willis_network *network,
                                                              int i);
/* By name; −1 if there is none. */
WILLIS_API int willis_network_tensor_find(const struct willis_network *network, const char *name);
/* Numbers that are learned: 360,481 for "dae". */
WILLIS_API ptrdiff_t willis_network_parameter_count(const struct willis_network *network);
/* Sets the bias of the last layer, the logit of a voxel about which nothing is known. With few
 * vessel voxels a start at −3 saves the steps that only learn the imbalance. */
WILLIS_API void willis_network_set_output_bias(struct willis_network *network, float bias);

enum willis_network_output { WILLIS_OUTPUT_PROBABILITY, WILLIS_OUTPUT_LOGIT };

/* x → y, both `size`, with running statistics. Edges that are not multiples of 8 are padded with
 * zeros at their high end and the result is cropped. Buffers of willis_inference_bytes() are
 * allocated and freed. INVALID_ARGUMENT (an edge < 1), OUT_OF_MEMORY, NUMERIC (not finite). */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_network_infer(const struct willis_network *network, const ptrdiff_t size[3], const float *x,
                     enum willis_network_output output, float *y, struct willis_error *err);
/* Exactly what willis_network_infer() allocates besides x and y. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_inference_bytes(const struct willis_network *network, const ptrdiff_t size[3], size_t *bytes,
                       struct willis_error *err);

/* The same from a stream of planes to a stream of planes, where neither x nor y nor any activation
 * exists whole: the same bits in a small part of the memory. Planes are slices z of `size`, and
 * come and go once, in order; `height` ≥ 1 of them are asked for at a time (the last may be fewer),
 * and more need more memory. Both functions are called from the calling thread; what they return
 * but OK ends the inference and is its result. The sink sees planes only until it returns. */
struct willis_plane_source {
  enum willis_status (*read)(ptrdiff_t begin, ptrdiff_t end, float *planes, void *context,
                             struct willis_error *err);
  void *context;
};
struct willis_plane_sink {
  enum willis_status (*write)(ptrdiff_t begin, ptrdiff_t end, const float *planes, void *context,
                              struct willis_error *err);
  void *context;
};
WILLIS_API WILLIS_CHECKED enum willis_status
willis_network_infer_slabs(const struct willis_network *network, const ptrdiff_t size[3],
                           ptrdiff_t height, const struct willis_plane_source *source,
                           enum willis_network_output output, const struct willis_plane_sink *sink,
                           struct willis_error *err);
/* Exactly what willis_network_infer_slabs() allocates. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_inference_slabs_bytes(const struct willis_network *network, const ptrdiff_t size[3],
                             ptrdiff_t height, size_t *bytes, struct willis_error *err);

/* Binary focal loss on logits (M8), mean over `count` voxels:
 *   α_t · (1 − p_t)^γ · BCE,   α_t = α where target is 1 and 1 − α where it is 0. */
WILLIS_API double willis_focal_loss(ptrdiff_t count, const float *logit, const float *target,
                                    double alpha, double gamma);

/* What a step keeps in memory. The results have the same bits, except with 16 bits a number. */
enum willis_training_plan {
  WILLIS_TRAINING_STORE,     /* everything that the way back needs: the fastest */
  WILLIS_TRAINING_RECOMPUTE, /* little: the rest is computed again, which takes a third longer */
  WILLIS_TRAINING_PLANS
};

/* How activations and their gradients are stored. Arithmetic, parameters and moments are float. */
enum willis_precision {
  WILLIS_PRECISION_F32,
  WILLIS_PRECISION_F16, /* half the memory; the loss is scaled (willis_trainer_loss_scale()) */
  WILLIS_PRECISIONS
};

/* Training of one volume a step with Adam (M9). */
struct willis_trainer_options {
  ptrdiff_t size[3];               /* of every volume; edges are multiples of 8 */
  double alpha, gamma;             /* focal loss: 0.5, 0.2 (M8) */
  double learning_rate;            /* 1e-3 */
  double beta1, beta2;             /* 0.9, 0.999 */
  double epsilon;                  /* 1e-8 */
  enum willis_training_plan plan;  /* WILLIS_TRAINING_STORE */
  enum willis_precision precision; /* WILLIS_PRECISION_F32 */
};
WILLIS_API struct willis_trainer_options willis_trainer_defaults(void);

/* Exactly what a trainer of these options allocates. Nothing more is allocated by its steps. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_training_bytes(const struct willis_network *network,
                      const struct willis_trainer_options *options, size_t *bytes,
                      struct willis_error *err);

struct willis_trainer;
/* Borrows the network, which must outlive the trainer. Its steps use at most as many threads as
 * there were when it was made. INVALID_ARGUMENT, OUT_OF_MEMORY. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_trainer_create(struct willis_network *network, const struct willis_trainer_options *options,
                      struct willis_trainer **trainer, struct willis_error *err);
WILLIS_API void willis_trainer_destroy(struct willis_trainer *trainer);

/* One step: forward with batch statistics, loss, backward, Adam, running statistics. target: 0 or
 * 1 (values between are allowed), same size as x. *loss is that before the update. NUMERIC when
 * the loss or a gradient is NaN or infinite: the network and the moments are as before the step,
 * and the message names the step and the first such layer. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_trainer_step(struct willis_trainer *trainer,
                                                                 const float *x,
                                                                 const float *target, double *loss,
                                                                 struct willis_error *err);
/* The same step for a volume that need not exist whole, with WILLIS_TRAINING_RECOMPUTE: planes of x
 * are asked for several times, each time in order from 0, up to 32 at a time. target: one bit a
 * voxel, x fastest, voxel i is bit i mod 8 of byte i/8. INVALID_ARGUMENT with another plan, and
 * what the source returns; then nothing has changed. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_trainer_step_planes(struct willis_trainer *trainer, const struct willis_plane_source *x,
                           const unsigned char *target, double *loss, struct willis_error *err);
/* The two halves of a step, for sums over ranks in between. The gradient block holds the learned
 * tensors in their order, willis_network_parameter_count() values, and may be changed. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_trainer_gradient(struct willis_trainer *trainer, const float *x, const float *target,
                        double *loss, struct willis_error *err);
WILLIS_API WILLIS_CHECKED enum willis_status willis_trainer_update(struct willis_trainer *trainer,
                                                                   struct willis_error *err);
WILLIS_API float *willis_trainer_gradient_block(struct willis_trainer *trainer);

/* With WILLIS_PRECISION_F16 the loss is multiplied by a power of two before it goes back, so that
 * gradients stay above what 16 bits can hold, and the gradient block is divided by it. It starts at
 * about the number of voxels. A step whose gradient is not finite is skipped: nothing is updated,
 * and the scale is halved; after 200 steps without that it is doubled. Below 1 it does not go: then
 * the step is NUMERIC. */
struct willis_loss_scale {
  double scale;     /* 1 with WILLIS_PRECISION_F32 */
  uint64_t good;    /* steps since it last changed */
  uint64_t skipped; /* steps that were not made */
};
WILLIS_API struct willis_loss_scale willis_trainer_loss_scale(const struct willis_trainer *trainer);
/* A power of two from 1 to 2^60, for tests and for those who know better. */
WILLIS_API void willis_trainer_set_loss_scale(struct willis_trainer *trainer, double scale);

/* Steps done, skipped ones among them. */
WILLIS_API uint64_t willis_trainer_steps(const struct willis_trainer *trainer);
WILLIS_API void willis_trainer_set_learning_rate(struct willis_trainer *trainer, double rate);

/* Everything that training changes as one flat block for checkpoints: parameters, running
 * statistics, Adam's moments, step counter, and with WILLIS_PRECISION_F16 the loss's scale.
 * Training that goes on from an imported block gives the same bits as training that never stopped.
 * The block has a fixed size for an architecture and a precision and is only for the byte order it
 * was written with. */
WILLIS_API size_t willis_trainer_state_bytes(const struct willis_trainer *trainer);
WILLIS_API void willis_trainer_state_export(const struct willis_trainer *trainer, void *block);
/* MISMATCH when `size` is not that of this trainer, NUMERIC when a value is not finite; then
 * nothing has changed. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_trainer_state_import(struct willis_trainer *trainer, const void *block, size_t size,
                            struct willis_error *err);

WILLIS_END

#endif
