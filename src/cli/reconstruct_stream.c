/* What `willis reconstruct` writes slice by slice: the probability alone, and the ambiguity. */
#include "cli/reconstruct.h"

static enum willis_status write_slab(ptrdiff_t begin, ptrdiff_t end, const float *planes,
                                     void *context, struct willis_error *err) {
  struct reconstruction *r = context;
  ptrdiff_t count = (end - begin) * r->grid.size[0] * r->grid.size[1];
  for (ptrdiff_t i = 0; i < count; i++) r->voxels += (double)planes[i] >= r->threshold;
  return willis_volume_writer_put(r->writer, planes, count, err);
}

static enum willis_status write_doubt(ptrdiff_t begin, ptrdiff_t end, const float *planes,
                                      void *context, struct willis_error *err) {
  struct reconstruction *r = context;
  const ptrdiff_t count = (end - begin) * r->grid.size[0] * r->grid.size[1];
  return willis_volume_writer_put(r->ambiguity_writer, planes, count, err);
}

enum willis_status reconstruct_stream(const struct call *call, struct reconstruction *r,
                                      const struct willis_reconstruct_options *options,
                                      struct willis_error *err) {
  struct willis_plane_sink sink = {write_slab, r};
  enum willis_status status = willis_volume_writer_open(
      call->output, &r->grid, WILLIS_VOXEL_FLOAT32, call->force, &r->writer, err);
  if (!status)
    status = willis_reconstruct_slabs(&r->stack, r->network, options, &call->progress,
                                      &call->warnings, &sink, err);
  if (status) return status;
  status = willis_volume_writer_commit(r->writer, err);
  r->writer = NULL;
  return status;
}

enum willis_status reconstruct_ambiguity(const struct call *call, const char *path,
                                         struct reconstruction *r,
                                         struct willis_reconstruct_options *options,
                                         reconstruct_into *into, struct willis_error *err) {
  const struct willis_plane_sink sink = {write_doubt, r};
  options->ambiguity = &sink;
  enum willis_status status = willis_volume_writer_open(path, &r->grid, WILLIS_VOXEL_FLOAT32,
                                                        call->force, &r->ambiguity_writer, err);
  if (!status) status = into(call, r, options, err);
  options->ambiguity = NULL;
  if (status) return status;
  status = willis_volume_writer_commit(r->ambiguity_writer, err);
  r->ambiguity_writer = NULL;
  return status;
}
