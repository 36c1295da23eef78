/* The half of `willis reconstruct` that begins with DICOM files: what `prepare` and `vessels` do.
 */
#include "cli/reconstruct.h"

/* A view without vessels would empty the model, and most likely the settings are at fault. */
static enum willis_status check_views(const struct call *call,
                                      const struct willis_projections *masks,
                                      const struct willis_prepared_view *done,
                                      struct willis_error *err) {
  const ptrdiff_t count = masks->columns * masks->rows;
  for (ptrdiff_t v = 0; v < masks->view_count; v++) {
    ptrdiff_t set = 0;
    for (ptrdiff_t i = 0; i < count; i++) set += masks->pixels[v * count + i] > 0;
    if (!call->quiet)
      fprintf(stderr, "willis: %s: frame %td at %g/%g: %.2f %% vessel\n",
              call->argument[done[v].run], done[v].first_frame, masks->view[v].primary_angle_deg,
              masks->view[v].secondary_angle_deg, 100 * (double)set / (double)count);
    if (set) continue;
    snprintf(err->message, sizeof err->message,
             "%.300s: no vessel found in frame %td; `willis prepare` and `willis vessels` make a "
             "stack with other settings, which can be reconstructed",
             call->argument[done[v].run], done[v].first_frame);
    return err->status = WILLIS_INVALID_ARGUMENT;
  }
  return WILLIS_OK;
}

int read_angiograms(const struct call *call, struct willis_projections *masks) {
  struct willis_prepare_options options;
  const struct willis_vessel_options vessels = willis_vessel_defaults();
  struct willis_projections stack = {0};
  struct willis_prepared_view *done = NULL;
  struct willis_error err;
  double pair[2 * MOST_RUNS];
  const int code = read_prepare_options(call, &options, pair);
  if (code) return code;
  enum willis_status status = prepare_arguments(call, &options, &stack, &done, &err);
  if (!status) status = willis_vessels_segment(&stack, &vessels, masks, &err);
  if (!status) status = check_views(call, masks, done, &err);
  willis_projections_release(&stack);
  willis_prepared_release(done);
  return status ? print_error(NULL, &err) : 0;
}
