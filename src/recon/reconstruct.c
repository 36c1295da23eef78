/* Projections → back-projection → network → probability. */
#include <willis/reconstruct.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"

#include <willis/projector.h>
#include <willis/train.h>

#include <string.h>

enum { MULTIPLE = 8 };

enum willis_status willis_reconstruct_bytes(const struct willis_network *network,
                                            const struct willis_grid *grid, size_t *bytes,
                                            struct willis_error *err) {
  *bytes = 0;
  ptrdiff_t count = willis_grid_count(grid);
  if (!count) return willis_fail(err, WILLIS_GEOMETRY, "the output grid has no voxels or too many");
  enum willis_status status = willis_inference_bytes(network, grid->size, bytes, err);
  /* The back-projection and the probability. */
  *bytes += 2 * (size_t)count * sizeof(float);
  return status;
}

static enum willis_status check_memory(const struct willis_network *network,
                                       const struct willis_grid *grid, size_t most,
                                       struct willis_error *err) {
  size_t bytes;
  enum willis_status status = willis_reconstruct_bytes(network, grid, &bytes, err);
  if (status || !most || bytes <= most) return status;
  return willis_fail(err, WILLIS_OUT_OF_MEMORY,
                     "%td×%td×%td voxels need %.0f MiB, more than the %.0f MiB allowed; a smaller "
                     "size needs less",
                     grid->size[0], grid->size[1], grid->size[2], (double)bytes / (1 << 20),
                     (double)most / (1 << 20));
}

static void warn_about_size(const struct willis_grid *grid, const struct willis_model_card *card,
                            const struct willis_warnings *warnings) {
  const ptrdiff_t *n = grid->size;
  if (n[0] % MULTIPLE || n[1] % MULTIPLE || n[2] % MULTIPLE)
    willis_warn(warnings,
                "%td×%td×%td voxels are padded with zeros to multiples of %d for the "
                "network",
                n[0], n[1], n[2], MULTIPLE);
  /* The network knows vessels by their width in voxels. */
  if (card && card->size && (2 * n[0] < card->size || n[0] > 2 * card->size))
    willis_warn(warnings,
                "%td voxels along an edge, but the model was trained at %td: vessels "
                "look different to it",
                n[0], card->size);
}

static enum willis_status stage(const struct willis_progress *progress, int done,
                                struct willis_error *err) {
  if (willis_progress_report(progress, "reconstructing", done, 2, "steps")) return WILLIS_OK;
  return willis_fail(err, WILLIS_CANCELLED, "stopped while reconstructing");
}

enum willis_status willis_reconstruct(const struct willis_projections *stack,
                                      const struct willis_network *network,
                                      const struct willis_reconstruct_options *options,
                                      const struct willis_progress *progress,
                                      const struct willis_warnings *warnings,
                                      struct willis_volume *probability, struct willis_error *err) {
  *probability = (struct willis_volume){0};
  struct willis_volume input = {0};
  struct willis_model_card card;
  struct willis_grid grid;
  enum willis_status status = willis_projections_check(stack, err);
  bool described = false;
  if (!status) {
    /* Any model may also be one whose metadata say nothing. */
    status = willis_model_describe(network, &card, err);
    described = !status;
    if (status && options->any_model) status = WILLIS_OK;
  }
  if (!status && !options->any_model) status = willis_model_check(&card, stack, err);
  if (!status && options->grid)
    grid = *options->grid;
  else if (!status)
    status = willis_projections_output_grid(stack, 0, 0, &grid, err);
  if (!status) status = check_memory(network, &grid, options->max_memory, err);
  if (status) goto out;
  warn_about_size(&grid, described ? &card : NULL, warnings);
  status = stage(progress, 0, err);
  if (!status) status = willis_network_input(stack, &grid, &input, err);
  if (!status) status = stage(progress, 1, err);
  if (!status) status = willis_volume_create(probability, &grid, err);
  if (!status)
    status = willis_network_infer(network, grid.size, input.voxels, WILLIS_OUTPUT_PROBABILITY,
                                  probability->voxels, err);
  if (!status) (void)stage(progress, 2, NULL);
out:
  willis_volume_release(&input);
  if (status) willis_volume_release(probability);
  return status;
}
