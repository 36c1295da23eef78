/* Projections → back-projection → network → probability. */
#include <willis/reconstruct.h>

#include "base/error.h"
#include "base/memory.h"
#include "nn/slice_gan.h"
#include "recon/feed.h"
#include "recon/hull_levels.h"
#include "recon/hull_reconstruct.h"
#include "recon/slice_train.h"

#include <willis/projector.h>

#include <math.h>
#include <string.h>

enum { MULTIPLE = 8 };

static bool is_hull(const struct willis_network *network) {
  return !strcmp(willis_network_metadata(network, "network"), "hull");
}

static bool draws_slices(const struct willis_network *network) {
  return !strcmp(willis_network_metadata(network, "network"), "slice-generator");
}

/* What the network's edges are multiples of. */
static ptrdiff_t multiple(const struct willis_network *network) {
  return is_hull(network) ? 1 : draws_slices(network) ? willis_slice_generator.multiple : MULTIPLE;
}

static enum willis_status too_much(const char *what, const struct willis_grid *grid, size_t bytes,
                                   size_t most, struct willis_error *err) {
  return willis_fail(err, WILLIS_OUT_OF_MEMORY,
                     "%td×%td×%td voxels need %s %.1f MiB, more than the %.1f MiB allowed; a "
                     "smaller size needs less",
                     grid->size[0], grid->size[1], grid->size[2], what, (double)bytes / (1 << 20),
                     (double)most / (1 << 20));
}

static enum willis_status plan_slices(const struct willis_projections *stack,
                                      const struct willis_network *network,
                                      const struct willis_grid *grid, size_t held, size_t most,
                                      struct willis_reconstruct_plan *plan,
                                      struct willis_error *err) {
  size_t bytes = 0;
  enum willis_status status = willis_slice_reconstruct_bytes(stack, network, grid, &bytes, err);
  if (status) return status;
  *plan = (struct willis_reconstruct_plan){WILLIS_FEED_SLICES, held + bytes};
  return !most || plan->bytes <= most ? WILLIS_OK
                                      : too_much("at least", grid, plan->bytes, most, err);
}

/* Lists of the hull's voxels, whose number is only known when there is a hull. */
static enum willis_status plan_hull(const struct willis_projections *stack,
                                    const struct willis_grid *grid, size_t held, size_t most,
                                    struct willis_reconstruct_plan *plan,
                                    struct willis_error *err) {
  const size_t bytes = willis_hull_levels_bytes(stack, grid);
  *plan = (struct willis_reconstruct_plan){grid->size[2], held + bytes};
  if (!most || plan->bytes <= most) return WILLIS_OK;
  return too_much("for their hull about", grid, plan->bytes, most, err);
}

enum willis_status willis_reconstruct_plan(const struct willis_projections *stack,
                                           const struct willis_network *network,
                                           const struct willis_grid *grid, size_t held, size_t most,
                                           struct willis_reconstruct_plan *plan,
                                           struct willis_error *err) {
  /* Back-projection works on 32 slices at a time, however few are wanted. */
  static const ptrdiff_t heights[] = {32, 16, 8, 4};
  *plan = (struct willis_reconstruct_plan){0};
  if (!willis_grid_count(grid))
    return willis_fail(err, WILLIS_GEOMETRY, "the output grid has no voxels or too many");
  if (is_hull(network)) return plan_hull(stack, grid, held, most, plan, err);
  if (draws_slices(network)) return plan_slices(stack, network, grid, held, most, plan, err);
  for (size_t i = 0; i < sizeof heights / sizeof *heights; i++) {
    size_t views = 0, inference = 0;
    enum willis_status status = willis_backproject_slab_bytes(stack, grid, heights[i], &views, err);
    if (!status)
      status = willis_inference_slabs_bytes(network, grid->size, heights[i], &inference, err);
    if (status) return status;
    *plan = (struct willis_reconstruct_plan){heights[i], held + views + inference};
    if (!most || plan->bytes <= most) return WILLIS_OK;
  }
  return too_much("at least", grid, plan->bytes, most, err);
}

static void warn_about_size(const struct willis_network *network, const struct willis_grid *grid,
                            const struct willis_model_card *card,
                            const struct willis_warnings *warnings) {
  const ptrdiff_t *n = grid->size, m = multiple(network);
  /* Slices are drawn one by one. */
  if (n[0] % m || n[1] % m || (n[2] % m && !draws_slices(network)))
    willis_warn(warnings,
                "%td×%td×%td voxels are padded with zeros to multiples of %d for the "
                "network",
                n[0], n[1], n[2], (int)m);
  /* The network knows vessels by their width in voxels. */
  if (card && card->size && (2 * n[0] < card->size || n[0] > 2 * card->size))
    willis_warn(warnings,
                "%td voxels along an edge, but the model was trained at %td: vessels "
                "look different to it",
                n[0], card->size);
}

/* Beside what the plan takes. */
static size_t held(const struct willis_reconstruct_options *options, const struct willis_grid *grid,
                   bool whole) {
  return options->held_memory + (whole ? (size_t)willis_grid_count(grid) * sizeof(float) : 0);
}

/* What is left for the plan, 0 for as much as it wants. */
static size_t room(const struct willis_reconstruct_options *options, const struct willis_grid *grid,
                   bool whole) {
  return options->max_memory ? options->max_memory - held(options, grid, whole) : 0;
}

/* Everything that can be refused, before any work. */
static enum willis_status prepare(const struct willis_projections *stack,
                                  const struct willis_network *network,
                                  const struct willis_reconstruct_options *options,
                                  const struct willis_warnings *warnings, bool whole,
                                  struct willis_grid *grid, struct willis_reconstruct_plan *plan,
                                  struct willis_error *err) {
  struct willis_model_card card;
  enum willis_status status = willis_projections_check(stack, err);
  if (status) return status;
  if (options->ambiguity && !is_hull(network))
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "network %s says nothing about ambiguity, only network hull does",
                       willis_network_metadata(network, "network"));
  status = willis_model_describe(network, &card, err);
  bool described = !status;
  /* Any model may also be one whose metadata say nothing. */
  if (status && options->any_model) status = WILLIS_OK;
  if (!status && !options->any_model) status = willis_model_check(&card, stack, err);
  if (!status && options->grid)
    *grid = *options->grid;
  else if (!status)
    status = willis_projections_output_grid(stack, 0, 0, grid, err);
  if (status) return status;
  status = willis_reconstruct_plan(stack, network, grid, held(options, grid, whole),
                                   options->max_memory, plan, err);
  if (!status) warn_about_size(network, grid, described ? &card : NULL, warnings);
  return status;
}

static enum willis_status run(const struct willis_projections *stack,
                              const struct willis_network *network, const struct willis_grid *grid,
                              ptrdiff_t height, size_t most,
                              const struct willis_plane_sink *ambiguity,
                              const struct willis_progress *progress,
                              const struct willis_plane_sink *sink, struct willis_error *err) {
  struct willis_feed feed = {.stack = stack, .grid = grid, .progress = progress};
  struct willis_plane_source source = {willis_feed_read, &feed};
  if (is_hull(network))
    return willis_hull_reconstruct(stack, network, grid, sink, ambiguity, most, err);
  if (draws_slices(network))
    return willis_slice_reconstruct(stack, network, grid, progress, sink, err);
  enum willis_status status = willis_feed_range(&feed, height, err);
  if (!status)
    status = willis_network_infer_slabs(network, grid->size, height, &source,
                                        WILLIS_OUTPUT_PROBABILITY, sink, err);
  /* Done: whoever wants to stop now may not. */
  if (!status) (void)willis_feed_report(&feed, "reconstructing", grid->size[2], NULL);
  return status;
}

enum willis_status willis_reconstruct_slabs(const struct willis_projections *stack,
                                            const struct willis_network *network,
                                            const struct willis_reconstruct_options *options,
                                            const struct willis_progress *progress,
                                            const struct willis_warnings *warnings,
                                            const struct willis_plane_sink *sink,
                                            struct willis_error *err) {
  struct willis_grid grid;
  struct willis_reconstruct_plan plan;
  enum willis_status status = prepare(stack, network, options, warnings, false, &grid, &plan, err);
  if (status) return status;
  return run(stack, network, &grid, plan.height, room(options, &grid, false), options->ambiguity,
             progress, sink, err);
}

enum willis_status willis_reconstruct(const struct willis_projections *stack,
                                      const struct willis_network *network,
                                      const struct willis_reconstruct_options *options,
                                      const struct willis_progress *progress,
                                      const struct willis_warnings *warnings,
                                      struct willis_volume *probability, struct willis_error *err) {
  *probability = (struct willis_volume){0};
  struct willis_grid grid;
  struct willis_reconstruct_plan plan;
  struct willis_plane_sink sink = {willis_keep_planes, probability};
  enum willis_status status = prepare(stack, network, options, warnings, true, &grid, &plan, err);
  if (!status) status = willis_volume_create(probability, &grid, err);
  if (!status)
    status = run(stack, network, &grid, plan.height, room(options, &grid, true), options->ambiguity,
                 progress, &sink, err);
  if (status) willis_volume_release(probability);
  return status;
}
