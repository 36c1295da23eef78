/* How training fits into memory. What a step takes is counted by the trainer itself; here is what
 * stands around it: patients, their making, and the states that checkpoints hold.
 *
 * Training that recomputes gives its memory back between steps, so that making a patient and taking
 * a step do not add up. */
#include "base/error.h"
#include "base/parallel.h"
#include "nn/slice_gan_trainer.h"
#include "recon/feed.h"
#include "recon/hull_case.h"
#include "recon/padding.h"
#include "recon/shape.h"
#include "recon/slice_train.h"

#include <willis/io.h>
#include <willis/network.h>
#include <willis/train.h>

#include <string.h>

/* Blocks of parameters besides the trainer's: the network, the states of now and of the best, and a
 * file being written. */
enum { STATES = 8 };

struct need {
  size_t volume, images, truth; /* of a patient */
  size_t making;                /* beyond what stays of it */
  size_t slab;                  /* back-projecting planes */
  size_t states, inference;
  size_t trainer[WILLIS_TRAINING_PLANS], padding[WILLIS_TRAINING_PLANS];
};

/* A scan is read from a file, turned and resampled; a shape is filled in, a few layers of fine
 * samples at a time. */
static enum willis_status making_bytes(const struct willis_cohort *cohort, ptrdiff_t count,
                                       ptrdiff_t size, size_t volume, size_t *bytes,
                                       struct willis_error *err) {
  enum { FINE = 4, LAYERS = 3, SCAN = 3 };
  const size_t row = (size_t)size * FINE;
  *bytes = volume + (size_t)willis_parallel_threads() * LAYERS * FINE * row * row / 8;
  for (ptrdiff_t i = 0; i < count; i++) {
    enum willis_file_kind kind;
    const char *format;
    enum willis_status status = willis_file_identify(cohort->cases[i].path, &kind, &format, err);
    if (status) return status;
    if (kind == WILLIS_FILE_VOLUME && *bytes < SCAN * volume) *bytes = SCAN * volume;
  }
  return WILLIS_OK;
}

/* What a network cannot be trained by takes SIZE_MAX. */
static enum willis_status find_need(const struct willis_train_options *o,
                                    const struct willis_cohort *cohort, ptrdiff_t count,
                                    const struct willis_sampling *sampling, bool validates,
                                    struct need *need, struct willis_error *err) {
  struct willis_network *network = NULL;
  struct willis_trainer_options options = willis_trainer_defaults();
  const ptrdiff_t n = sampling->size, size[3] = {n, n, n}, edge = willis_padding_edge(n);
  const size_t plane = (size_t)n * (size_t)n * sizeof(float);
  for (int a = 0; a < 3; a++) options.size[a] = edge;
  options.precision = o->precision;
  *need = (struct need){.volume = plane * (size_t)n,
                        .images = plane * (size_t)sampling->views,
                        .truth = plane * (size_t)n / 32};
  if (edge > n) {
    const size_t voxels = (size_t)edge * (size_t)edge * (size_t)edge;
    need->padding[WILLIS_TRAINING_STORE] = 2 * voxels * sizeof(float);
    need->padding[WILLIS_TRAINING_RECOMPUTE] = voxels / 8;
  }
  need->slab = need->images * WILLIS_FEED_SLICES / (size_t)n + plane * WILLIS_FEED_SLICES;
  enum willis_status status = willis_network_create(willis_lesson_network(o), 0, &network, err);
  for (int plan = 0; plan < WILLIS_TRAINING_PLANS && !status; plan++) {
    if (willis_lesson_of(o)->drawn) break;
    options.plan = (enum willis_training_plan)plan;
    status = willis_training_bytes(network, &options, &need->trainer[plan], err);
    if (status == WILLIS_UNSUPPORTED) {
      need->trainer[plan] = SIZE_MAX;
      status = WILLIS_OK;
    }
  }
  if (!status && validates && !willis_lesson_of(o)->drawn)
    status = willis_inference_slabs_bytes(network, size, WILLIS_FEED_SLICES, &need->inference, err);
  if (!status) status = making_bytes(cohort, count, n, need->volume, &need->making, err);
  if (!status)
    need->states = (size_t)willis_network_parameter_count(network) * sizeof(float) * STATES;
  willis_network_destroy(network);
  return status;
}

static size_t larger(size_t a, size_t b) {
  return a > b ? a : b;
}

/* Volume, input and truth; a kept patient is the first two of them. */
static size_t stored_bytes(const struct need *n, size_t patients) {
  return (patients ? 2 * patients + 1 : 3) * n->volume + 2 * n->images + n->truth + n->states +
         n->trainer[WILLIS_TRAINING_STORE] + n->padding[WILLIS_TRAINING_STORE] + n->inference;
}

static size_t recomputed_bytes(const struct need *n, size_t patients) {
  const size_t slim = (patients ? patients : 1) * (n->images + n->truth);
  const size_t step = larger(n->trainer[WILLIS_TRAINING_RECOMPUTE], n->inference) + n->slab;
  return n->states + slim + n->padding[WILLIS_TRAINING_RECOMPUTE] +
         larger(n->making + n->images, step);
}

/* The first way that fits. */
static enum willis_status choose(const struct willis_train_memory *ways, size_t count,
                                 const struct willis_sampling *sampling, size_t held, size_t most,
                                 struct willis_train_memory *memory, struct willis_error *err) {
  size_t least = SIZE_MAX;
  for (size_t i = 0; i < count; i++) {
    *memory = ways[i];
    memory->bytes += held;
    if (!most || memory->bytes <= most) return WILLIS_OK;
    if (memory->bytes < least) least = memory->bytes;
  }
  return willis_fail(err, WILLIS_OUT_OF_MEMORY,
                     "training at %td³ with %d views needs at least %.1f MiB, more than the %.1f "
                     "MiB allowed; a smaller size needs less",
                     sampling->size, sampling->views, (double)least / (1 << 20),
                     (double)most / (1 << 20));
}

/* Whatever learns from grey volumes keeps one a patient; beside it, truth and views of one. */
static enum willis_status choose_slices(const struct willis_train_options *options,
                                        const struct need *n, size_t patients,
                                        const struct willis_sampling *sampling, size_t held,
                                        size_t most, struct willis_train_memory *memory,
                                        struct willis_error *err) {
  struct willis_slice_gan_options o = willis_slice_gan_defaults();
  struct willis_network *player[2] = {NULL, NULL};
  o.slices = WILLIS_SLICES_A_STEP;
  o.size = sampling->size;
  enum willis_status status =
      willis_network_create(willis_lesson_network(options), 0, &player[0], err);
  if (!status) status = willis_network_create("slice-discriminator", 0, &player[1], err);
  if (!status) {
    const size_t plane = n->volume / (size_t)sampling->size;
    const size_t fixed = 2 * n->volume + n->making + 2 * n->images + n->states +
                         (4 * WILLIS_FEED_SLICES + 3 * WILLIS_SLICES_A_STEP) * plane +
                         willis_slice_gan_training_bytes(player[0], player[1], &o);
    const struct willis_train_memory ways[] = {
        {WILLIS_TRAINING_STORE, WILLIS_DATASET_GREY, true, fixed + patients * n->volume},
        {WILLIS_TRAINING_STORE, WILLIS_DATASET_GREY, false, fixed + n->volume},
    };
    status = choose(ways, sizeof ways / sizeof *ways, sampling, held, most, memory, err);
  }
  willis_network_destroy(player[0]);
  willis_network_destroy(player[1]);
  return status;
}

enum willis_status willis_train_memory(const struct willis_train_options *options,
                                       const struct willis_cohort *cohort, ptrdiff_t count,
                                       const struct willis_sampling *sampling, bool validates,
                                       size_t held, size_t most, struct willis_train_memory *memory,
                                       struct willis_error *err) {
  struct need need;
  *memory = (struct willis_train_memory){0};
  enum willis_status status = find_need(options, cohort, count, sampling, validates, &need, err);
  if (status) return status;
  if (willis_lesson_of(options)->drawn)
    return choose_slices(options, &need, (size_t)count, sampling, held, most, memory, err);
  const struct willis_train_memory ways[] = {
      {WILLIS_TRAINING_STORE, WILLIS_DATASET_VOLUMES, true, stored_bytes(&need, (size_t)count)},
      {WILLIS_TRAINING_STORE, WILLIS_DATASET_VOLUMES, false, stored_bytes(&need, 0)},
      {WILLIS_TRAINING_RECOMPUTE, WILLIS_DATASET_PROJECTIONS, true,
       recomputed_bytes(&need, (size_t)count)},
      {WILLIS_TRAINING_RECOMPUTE, WILLIS_DATASET_PROJECTIONS, false, recomputed_bytes(&need, 0)},
  };
  const size_t stored = 2, all = sizeof ways / sizeof *ways;
  bool recomputes = need.trainer[WILLIS_TRAINING_RECOMPUTE] < SIZE_MAX;
  return choose(ways, recomputes ? all : stored, sampling, held, most, memory, err);
}

/* Shapes that are varied stay in memory: all of them, and the largest once more while it is
 * changed, its corners in double too. */
static enum willis_status varied_bytes(const struct willis_cohort *cohort, ptrdiff_t count,
                                       size_t *bytes, struct willis_error *err) {
  enum { COPIES = 4 };
  size_t largest = 0;
  *bytes = 0;
  for (ptrdiff_t i = 0; i < count; i++) {
    enum willis_file_kind kind;
    const char *format;
    struct willis_shape shape;
    enum willis_status status = willis_file_identify(cohort->cases[i].path, &kind, &format, err);
    if (status) return status;
    if (kind == WILLIS_FILE_VOLUME) continue;
    status = willis_shape_read(cohort->cases[i].path, kind, NULL, &shape, err);
    const size_t own = status ? 0 : willis_shape_bytes(&shape);
    willis_shape_release(&shape);
    if (status) return status;
    *bytes += own;
    largest = larger(largest, own);
  }
  *bytes += COPIES * largest;
  return WILLIS_OK;
}

/* A patient is its grey volume; beside it another one made of its shape, its truth, its turned
 * volume and the hull. */
static size_t hull_bytes(const struct need *n, const struct willis_sampling *sampling, bool photons,
                         size_t patients) {
  const ptrdiff_t edge = sampling->size, size[3] = {edge, edge, edge};
  const ptrdiff_t rows = willis_hull_case_room(edge, photons), rays = (edge + 2) * (edge + 2);
  ptrdiff_t lattice[WILLIS_LATTICE_LEVELS];
  willis_lattice_most_rows(size, rows, 1, lattice);
  /* Validation infers while the buffers of training stay. */
  return (patients + 3) * n->volume + n->making + n->images + n->states +
         n->trainer[WILLIS_TRAINING_STORE] +
         willis_hull_case_bytes(size, rows, rays, sampling->views, true) +
         willis_hull_plan_bytes(lattice, rays, sampling->views, false);
}

enum willis_status willis_train_hull_memory(const struct willis_train_options *options,
                                            const struct willis_cohort *cohort, ptrdiff_t count,
                                            const struct willis_sampling *sampling, size_t held,
                                            size_t most, struct willis_train_memory *memory,
                                            struct willis_error *err) {
  struct need need;
  size_t shapes = 0;
  *memory = (struct willis_train_memory){0};
  enum willis_status status = find_need(options, cohort, count, sampling, false, &need, err);
  if (!status && options->vary) status = varied_bytes(cohort, count, &shapes, err);
  if (status) return status;
  const bool photons = options->disturbance.photons > 0;
  const struct willis_train_memory ways[] = {
      {WILLIS_TRAINING_STORE, WILLIS_DATASET_GREY, true,
       shapes + hull_bytes(&need, sampling, photons, (size_t)count)},
      {WILLIS_TRAINING_STORE, WILLIS_DATASET_GREY, false,
       shapes + hull_bytes(&need, sampling, photons, 1)},
  };
  return choose(ways, sizeof ways / sizeof *ways, sampling, held, most, memory, err);
}
