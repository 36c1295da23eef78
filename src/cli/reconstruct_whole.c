/* The half of `willis reconstruct` that needs the whole volume: mask, pieces and mesh. */
#include "cli/reconstruct.h"

static enum willis_status make_mask(const struct call *call, struct reconstruction *r,
                                    struct willis_error *err) {
  const struct option_value *o = call->option;
  enum willis_status status =
      willis_volume_threshold(&r->probability, r->threshold, true, &r->mask, err);
  if (!status)
    status =
        willis_mask_keep_components(&r->mask, (ptrdiff_t)o[KEEP_LARGEST].integer,
                                    (ptrdiff_t)o[MIN_VOXELS].integer, &r->found, &r->kept, err);
  ptrdiff_t count = willis_grid_count(&r->mask.grid);
  for (ptrdiff_t i = 0; i < count && !status; i++) r->voxels += r->mask.voxels[i] > 0.5f;
  return status;
}

/* The surface of the probability is smoother than that of the mask. Pieces that were dropped must
 * not come back, so the probability is 0 where it is high and the mask is not. */
static enum willis_status make_mesh(struct reconstruction *r, struct willis_error *err) {
  struct willis_volume field;
  enum willis_status status = willis_volume_create(&field, &r->probability.grid, err);
  if (status) return status;
  ptrdiff_t count = willis_grid_count(&field.grid);
  for (ptrdiff_t i = 0; i < count; i++) {
    float p = r->probability.voxels[i];
    field.voxels[i] = r->mask.voxels[i] > 0.5f || p < r->threshold ? p : 0;
  }
  status = willis_isosurface(&field, r->threshold, &r->mesh, err);
  willis_volume_release(&field);
  return status;
}

static enum willis_status write_all(const struct call *call, struct reconstruction *r,
                                    struct willis_error *err) {
  const struct option_value *o = call->option;
  enum willis_status status =
      willis_volume_write(call->output, &r->probability, WILLIS_VOXEL_FLOAT32, call->force, err);
  if (!status && o[MASK].given)
    status = willis_volume_write(o[MASK].text, &r->mask, WILLIS_VOXEL_UINT8, call->force, err);
  if (!status && o[MESH].given)
    status = willis_mesh_write(o[MESH].text, &r->mesh, call->force, err);
  return status;
}

enum willis_status reconstruct_whole(const struct call *call, struct reconstruction *r,
                                     const struct willis_reconstruct_options *options,
                                     struct willis_error *err) {
  enum willis_status status = willis_reconstruct(&r->stack, r->network, options, &call->progress,
                                                 &call->warnings, &r->probability, err);
  if (!status) status = make_mask(call, r, err);
  if (!status && call->option[MESH].given) status = make_mesh(r, err);
  return status ? status : write_all(call, r, err);
}
