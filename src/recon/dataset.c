/* Patients prepared for training: grey volume → projections (M4) → input (M5), and target (M6).
 * In memory a patient is its grey volume and its input, and the target is thresholded when asked
 * for; or it is its projections and the bits of its target, and the input is back-projected plane
 * by plane. When neither fits, the volume is read and projected again for every use: the chain is
 * deterministic, so all ways give the same bits. */
#define _GNU_SOURCE
#include "recon/dataset.h"
#include "recon/feed.h"
#include "recon/shape.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"

#include <willis/io.h>
#include <willis/projector.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A patient as projections. */
struct slim {
  struct willis_projections stack;
  struct willis_feed feed;
  uint8_t *truth; /* bits */
};

struct patient {
  struct willis_volume volume, input; /* no voxels when made anew */
  struct slim slim;                   /* empty when made anew */
  struct willis_shape shape;          /* once it has been varied */
  double otsu;
  unsigned char digest[WILLIS_DIGEST_BYTES];
};

struct willis_dataset {
  const struct willis_cohort *cohort;
  struct willis_sampling sampling;
  enum willis_dataset_form form;
  bool kept;
  ptrdiff_t count;
  struct patient *patient;
  /* Of the patient fetched last, unless kept. */
  struct willis_volume volume, input, truth;
  struct slim slim;
};

struct willis_sampling willis_sampling_defaults(void) {
  return (struct willis_sampling){
      .size = 64, .views = 10, .arc_deg = 90, .mode = WILLIS_PROJECTION_MAX};
}

static enum willis_status check_sampling(const struct willis_sampling *s,
                                         struct willis_error *err) {
  if (s->size < 8 || s->size > 4096)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "size %td: expected 8 to 4096", s->size);
  if (s->views < 2 || s->views > 90)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%d views: expected 2 to 90", s->views);
  if (!(s->arc_deg > 0 && s->arc_deg <= 360))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "an arc of %g degrees: expected 0 to 360",
                       s->arc_deg);
  const double near = s->source_to_isocenter_mm, far = s->source_to_detector_mm;
  if ((near != 0 || far != 0) && !(near > 0 && far > near && far < 1e5))
    return willis_fail(err, WILLIS_GEOMETRY,
                       "source to isocenter %g mm and source to detector %g mm: expected the first "
                       "above 0 and below the second, or none of them",
                       near, far);
  return WILLIS_OK;
}

/* ---- one patient ---- */

static enum willis_status load_shape(const char *path, enum willis_file_kind kind, ptrdiff_t size,
                                     bool tissue, const struct willis_warnings *warnings,
                                     struct willis_volume *volume, struct willis_error *err) {
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.size = size;
  options.tissue = tissue;
  struct willis_shape shape;
  enum willis_status status = willis_shape_read(path, kind, warnings, &shape, err);
  if (!status) status = willis_shape_voxelize(&shape, &options, warnings, volume, err);
  willis_shape_release(&shape);
  return status;
}

static enum willis_status load_scan(const char *path, ptrdiff_t size,
                                    const struct willis_warnings *warnings,
                                    struct willis_volume *volume, struct willis_error *err) {
  struct willis_volume scan = {0};
  struct willis_grid cubic;
  enum willis_status status = willis_volume_read(path, &scan, warnings, err);
  if (!status) status = willis_volume_orient_lps(&scan, warnings, err);
  if (!status) status = willis_grid_make_cubic(&scan.grid, size, 0, &cubic, err);
  if (status) goto out;
  if (willis_grid_equal(&scan.grid, &cubic)) {
    *volume = scan;
    scan = (struct willis_volume){0};
    goto out;
  }
  status = willis_volume_resample(&scan, &cubic, volume, err);
  if (!status)
    willis_warn(warnings, "%s: resampled to %td voxels of %.4g mm along each edge", path, size,
                cubic.spacing_mm[0]);
out:
  willis_volume_release(&scan);
  return status;
}

enum willis_status willis_case_load(const char *path, ptrdiff_t size, bool tissue,
                                    const struct willis_warnings *warnings,
                                    struct willis_volume *volume, struct willis_error *err) {
  *volume = (struct willis_volume){0};
  enum willis_file_kind kind;
  const char *format;
  enum willis_status status = willis_file_identify(path, &kind, &format, err);
  if (status) return status;
  switch (kind) {
  case WILLIS_FILE_MESH:
  case WILLIS_FILE_TREE:
    status = load_shape(path, kind, size, tissue, warnings, volume, err);
    break;
  case WILLIS_FILE_VOLUME:
    status = load_scan(path, size, warnings, volume, err);
    break;
  default:
    status = willis_fail(err, WILLIS_UNSUPPORTED, "%s: %s: expected a shape or a volume", path,
                         format ? format : "unknown content");
  }
  return status;
}

static struct willis_view view_of(const struct willis_sampling *s, double angle_deg,
                                  const struct willis_grid *grid) {
  struct willis_view view = willis_view_parallel(angle_deg, grid);
  if (!(s->source_to_isocenter_mm > 0)) return view;
  view.kind = WILLIS_VIEW_CONE;
  view.source_to_isocenter_mm = s->source_to_isocenter_mm;
  view.source_to_detector_mm = s->source_to_detector_mm;
  view.column_spacing_mm *= s->source_to_detector_mm / s->source_to_isocenter_mm;
  view.row_spacing_mm *= s->source_to_detector_mm / s->source_to_isocenter_mm;
  return view;
}

enum willis_status willis_sampling_stack(const struct willis_sampling *sampling,
                                         const struct willis_grid *grid,
                                         struct willis_projections *stack,
                                         struct willis_error *err) {
  double angle[90];
  *stack = (struct willis_projections){0};
  enum willis_status status = check_sampling(sampling, err);
  if (!status) status = willis_views_arc(sampling->views, sampling->arc_deg, angle, err);
  if (!status)
    status = willis_projections_create(stack, grid->size[0], grid->size[2], sampling->views, err);
  if (status) return status;
  for (int k = 0; k < sampling->views; k++) stack->view[k] = view_of(sampling, angle[k], grid);
  willis_grid_centre(grid, stack->isocenter_mm);
  stack->mode = sampling->mode;
  stack->has_grid = true;
  stack->grid = *grid;
  return WILLIS_OK;
}

enum willis_status willis_network_input(const struct willis_projections *stack,
                                        const struct willis_grid *grid, struct willis_volume *input,
                                        struct willis_error *err) {
  enum willis_status status = willis_volume_create(input, grid, err);
  if (!status) status = willis_backproject(stack, input, err);
  if (status)
    willis_volume_release(input);
  else
    willis_volume_normalize(input);
  return status;
}

static enum willis_status make_input(const struct willis_dataset *dataset,
                                     const struct willis_volume *volume,
                                     struct willis_volume *input, struct willis_error *err) {
  struct willis_projections stack;
  enum willis_status status = willis_sampling_stack(&dataset->sampling, &volume->grid, &stack, err);
  if (!status) status = willis_project(volume, &stack, err);
  if (!status) status = willis_network_input(&stack, &volume->grid, input, err);
  willis_projections_release(&stack);
  return status;
}

static void slim_release(struct slim *slim) {
  willis_projections_release(&slim->stack);
  willis_release(slim->truth);
  *slim = (struct slim){0};
}

static enum willis_status pack_truth(const struct willis_volume *volume, double otsu,
                                     uint8_t **bits, struct willis_error *err) {
  const ptrdiff_t count = willis_grid_count(&volume->grid);
  if (!*bits) *bits = willis_take((count + 7) / 8, 1);
  if (!*bits) return willis_fail_memory(err, "a target", count / 8, 1);
  memset(*bits, 0, (size_t)(count + 7) / 8);
  for (ptrdiff_t v = 0; v < count; v++)
    if (volume->voxels[v] > otsu) (*bits)[v / 8] |= (uint8_t)(1 << v % 8);
  return WILLIS_OK;
}

/* Patient i without its volume, which is released on the way. */
static enum willis_status make_slim(const struct willis_dataset *dataset, ptrdiff_t i,
                                    struct willis_volume *volume, struct slim *slim,
                                    struct willis_error *err) {
  enum willis_status status =
      willis_sampling_stack(&dataset->sampling, &volume->grid, &slim->stack, err);
  if (!status) status = willis_project(volume, &slim->stack, err);
  if (!status) status = pack_truth(volume, dataset->patient[i].otsu, &slim->truth, err);
  willis_volume_release(volume);
  slim->feed = (struct willis_feed){.stack = &slim->stack, .grid = &slim->stack.grid};
  if (!status) status = willis_feed_range(&slim->feed, WILLIS_FEED_SLICES, err);
  return status;
}

/* Warnings were given when the patient was first read. */
static enum willis_status reload(const struct willis_dataset *dataset, ptrdiff_t i,
                                 struct willis_volume *volume, struct willis_error *err) {
  return willis_case_load(dataset->cohort->cases[i].path, dataset->sampling.size,
                          dataset->sampling.tissue, NULL, volume, err);
}

/* ---- digests ---- */

static enum willis_status digest_file(const char *path, unsigned char out[WILLIS_DIGEST_BYTES],
                                      struct willis_error *err) {
  unsigned char *bytes;
  size_t size;
  enum willis_status status =
      willis_file_read(path, willis_limits_defaults().file_bytes, &bytes, &size, err);
  if (status) return status;
  struct willis_digest digest;
  willis_digest_begin(&digest);
  willis_digest_add(&digest, bytes, size);
  willis_digest_end(&digest, out);
  willis_release(bytes);
  return WILLIS_OK;
}

static enum willis_status digest_path(const char *path, unsigned char out[WILLIS_DIGEST_BYTES],
                                      struct willis_error *err) {
  enum willis_path_kind kind;
  enum willis_status status = willis_path_look(path, &kind, err);
  if (status) return status;
  if (kind != WILLIS_PATH_FOLDER) return digest_file(path, out, err);
  struct willis_names names;
  struct willis_digest digest;
  status = willis_folder_list(path, &names, err);
  willis_digest_begin(&digest);
  for (ptrdiff_t i = 0; i < names.count && !status; i++) {
    char file[PATH_MAX];
    if (snprintf(file, sizeof file, "%s/%s", path, names.name[i]) >= PATH_MAX) continue;
    status = willis_path_look(file, &kind, err);
    if (status || kind != WILLIS_PATH_FILE) continue;
    status = digest_file(file, out, err);
    willis_digest_add(&digest, out, WILLIS_DIGEST_BYTES);
  }
  willis_names_release(&names);
  willis_digest_end(&digest, out);
  return status;
}

/* ---- the set ---- */

static bool report(const struct willis_progress *progress, ptrdiff_t done, ptrdiff_t total) {
  return willis_progress_report(progress, "patients", (double)done, (double)total, "patients");
}

/* Reads patient i once; keeps what is to be kept. */
static enum willis_status prepare(struct willis_dataset *dataset, ptrdiff_t i,
                                  const struct willis_warnings *warnings,
                                  struct willis_error *err) {
  struct patient *p = &dataset->patient[i];
  const char *path = dataset->cohort->cases[i].path;
  struct willis_volume volume = {0};
  enum willis_status status = digest_path(path, p->digest, err);
  if (!status)
    status = willis_case_load(path, dataset->sampling.size, dataset->sampling.tissue, warnings,
                              &volume, err);
  if (!status) status = willis_volume_otsu(&volume, &p->otsu, err);
  if (!status && dataset->kept && dataset->form == WILLIS_DATASET_PROJECTIONS)
    status = make_slim(dataset, i, &volume, &p->slim, err);
  else if (!status && dataset->kept && dataset->form == WILLIS_DATASET_VOLUMES)
    status = make_input(dataset, &volume, &p->input, err);
  if (!status && dataset->kept && dataset->form != WILLIS_DATASET_PROJECTIONS) {
    p->volume = volume;
    volume = (struct willis_volume){0};
  }
  willis_volume_release(&volume);
  return status;
}

enum willis_status willis_dataset_create(const struct willis_cohort *cohort, ptrdiff_t count,
                                         const struct willis_sampling *sampling,
                                         enum willis_dataset_form form, bool kept,
                                         const struct willis_progress *progress,
                                         const struct willis_warnings *warnings,
                                         struct willis_dataset **dataset,
                                         struct willis_error *err) {
  *dataset = NULL;
  enum willis_status status = check_sampling(sampling, err);
  if (status) return status;
  if (count < 1 || count > cohort->count)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%td patients wanted, %s has %td", count,
                       cohort->name, cohort->count);
  struct willis_dataset *d = willis_take_zeroed(1, sizeof *d);
  if (d) d->patient = willis_take_zeroed(count, sizeof *d->patient);
  if (!d || !d->patient) {
    willis_release(d);
    return willis_fail_memory(err, "the data set", count, sizeof *d->patient);
  }
  d->cohort = cohort;
  d->count = count;
  d->sampling = *sampling;
  d->form = form;
  d->kept = kept;
  for (ptrdiff_t i = 0; i < count && !status; i++) {
    if (!report(progress, i, count))
      status = willis_fail(err, WILLIS_CANCELLED, "stopped while preparing patients");
    else
      status = prepare(d, i, warnings, err);
  }
  if (!status) (void)report(progress, count, count);
  if (status)
    willis_dataset_destroy(d);
  else
    *dataset = d;
  return status;
}

void willis_dataset_destroy(struct willis_dataset *dataset) {
  if (!dataset) return;
  for (ptrdiff_t i = 0; i < dataset->count; i++) {
    willis_volume_release(&dataset->patient[i].volume);
    willis_volume_release(&dataset->patient[i].input);
    slim_release(&dataset->patient[i].slim);
    willis_shape_release(&dataset->patient[i].shape);
  }
  slim_release(&dataset->slim);
  willis_volume_release(&dataset->volume);
  willis_volume_release(&dataset->input);
  willis_volume_release(&dataset->truth);
  willis_release(dataset->patient);
  willis_release(dataset);
}

enum willis_status willis_dataset_set_views(struct willis_dataset *dataset, int views,
                                            const struct willis_progress *progress,
                                            struct willis_error *err) {
  if (dataset->sampling.views == views) return WILLIS_OK;
  dataset->sampling.views = views;
  enum willis_status status = check_sampling(&dataset->sampling, err);
  const bool made = dataset->kept && dataset->form != WILLIS_DATASET_GREY;
  for (ptrdiff_t i = 0; made && i < dataset->count && !status; i++) {
    struct patient *p = &dataset->patient[i];
    willis_volume_release(&p->input);
    slim_release(&p->slim);
    if (!report(progress, i, dataset->count))
      status = willis_fail(err, WILLIS_CANCELLED, "stopped while projecting patients");
    else if (dataset->form == WILLIS_DATASET_VOLUMES)
      status = make_input(dataset, &p->volume, &p->input, err);
    else {
      status = reload(dataset, i, &dataset->volume, err);
      if (!status) status = make_slim(dataset, i, &dataset->volume, &p->slim, err);
    }
  }
  return status;
}

ptrdiff_t willis_dataset_count(const struct willis_dataset *dataset) {
  return dataset->count;
}

const char *willis_dataset_name(const struct willis_dataset *dataset, ptrdiff_t i) {
  return dataset->cohort->cases[i].name;
}

const struct willis_sampling *willis_dataset_sampling(const struct willis_dataset *dataset) {
  return &dataset->sampling;
}

const unsigned char *willis_dataset_digest(const struct willis_dataset *dataset, ptrdiff_t i) {
  return dataset->patient[i].digest;
}

static enum willis_status mark_truth(struct willis_dataset *dataset,
                                     const struct willis_volume *volume, double otsu,
                                     struct willis_error *err) {
  struct willis_volume *truth = &dataset->truth;
  enum willis_status status = WILLIS_OK;
  if (!truth->voxels) status = willis_volume_create(truth, &volume->grid, err);
  if (status) return status;
  truth->grid = volume->grid;
  const ptrdiff_t count = willis_grid_count(&volume->grid);
  /* Created or refused. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
  for (ptrdiff_t v = 0; v < count; v++) truth->voxels[v] = volume->voxels[v] > otsu ? 1 : 0;
  return WILLIS_OK;
}

enum willis_status willis_dataset_fetch(struct willis_dataset *dataset, ptrdiff_t i,
                                        struct willis_pair *pair, struct willis_error *err) {
  struct patient *p = &dataset->patient[i];
  enum willis_status status = WILLIS_OK;
  const bool grey = dataset->form == WILLIS_DATASET_GREY;
  if (dataset->form == WILLIS_DATASET_PROJECTIONS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "a data set of projections has no volumes");
  if (!dataset->kept) {
    willis_volume_release(&dataset->volume);
    willis_volume_release(&dataset->input);
    status = reload(dataset, i, &dataset->volume, err);
    if (!status && !grey) status = make_input(dataset, &dataset->volume, &dataset->input, err);
    if (status) return status;
  }
  const struct willis_volume *volume = dataset->kept ? &p->volume : &dataset->volume;
  const struct willis_volume *input = dataset->kept ? &p->input : &dataset->input;
  *pair = (struct willis_pair){volume, grey ? NULL : input, &dataset->truth};
  return mark_truth(dataset, volume, p->otsu, err);
}

enum willis_status willis_dataset_fetch_changed(struct willis_dataset *dataset, ptrdiff_t i,
                                                const struct willis_shape_change *change,
                                                struct willis_pair *pair,
                                                struct willis_error *err) {
  const char *path = dataset->cohort->cases[i].path;
  struct willis_shape *shape = &dataset->patient[i].shape, changed = {0};
  enum willis_file_kind kind;
  const char *format;
  enum willis_status status = WILLIS_OK;
  if (willis_shape_empty(shape)) {
    status = willis_file_identify(path, &kind, &format, err);
    if (!status && kind == WILLIS_FILE_VOLUME) return willis_dataset_fetch(dataset, i, pair, err);
    if (!status) status = willis_shape_read(path, kind, NULL, shape, err);
  }
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.size = dataset->sampling.size;
  options.tissue = dataset->sampling.tissue;
  options.margin = change->margin;
  double otsu = 0;
  if (!status) status = willis_shape_change(shape, change, &changed, err);
  willis_volume_release(&dataset->volume);
  if (!status) status = willis_shape_voxelize(&changed, &options, NULL, &dataset->volume, err);
  if (!status) status = willis_volume_otsu(&dataset->volume, &otsu, err);
  willis_shape_release(&changed);
  if (status) return status;
  *pair = (struct willis_pair){&dataset->volume, NULL, &dataset->truth};
  return mark_truth(dataset, &dataset->volume, otsu, err);
}

static enum willis_status read_voxels(ptrdiff_t begin, ptrdiff_t end, float *planes, void *context,
                                      struct willis_error *err) {
  (void)err;
  const struct willis_volume *volume = context;
  const ptrdiff_t plane = volume->grid.size[0] * volume->grid.size[1];
  memcpy(planes, volume->voxels + begin * plane, (size_t)((end - begin) * plane) * sizeof *planes);
  return WILLIS_OK;
}

enum willis_status willis_dataset_fetch_planes(struct willis_dataset *dataset, ptrdiff_t i,
                                               struct willis_planes_pair *pair,
                                               struct willis_error *err) {
  enum willis_status status;
  if (dataset->form == WILLIS_DATASET_GREY)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "a data set of grey volumes has no inputs");
  if (dataset->form == WILLIS_DATASET_VOLUMES) {
    struct willis_pair whole;
    status = willis_dataset_fetch(dataset, i, &whole, err);
    if (!status) status = pack_truth(whole.truth, 0.5, &dataset->slim.truth, err);
    if (!status)
      *pair = (struct willis_planes_pair){
          &whole.input->grid, {read_voxels, (void *)(uintptr_t)whole.input}, dataset->slim.truth};
    return status;
  }
  struct slim *slim = dataset->kept ? &dataset->patient[i].slim : &dataset->slim;
  if (!dataset->kept) {
    slim_release(slim);
    status = reload(dataset, i, &dataset->volume, err);
    if (!status) status = make_slim(dataset, i, &dataset->volume, slim, err);
    if (status) return status;
  }
  *pair =
      (struct willis_planes_pair){slim->feed.grid, {willis_feed_read, &slim->feed}, slim->truth};
  return WILLIS_OK;
}

ptrdiff_t willis_subset_count(const struct willis_subset *subset) {
  return subset->end > subset->begin ? subset->end - subset->begin : 0;
}

void willis_sampling_digest_beams(const struct willis_sampling *s, struct willis_digest *digest) {
  if (s->source_to_isocenter_mm > 0)
    willis_digest_add_text(digest, "source %.17g %.17g\n", s->source_to_isocenter_mm,
                           s->source_to_detector_mm);
}

void willis_subset_digest(const struct willis_subset *subset, struct willis_digest *digest) {
  ptrdiff_t count = willis_subset_count(subset);
  willis_digest_add_text(digest, "patients %td\n", count);
  if (!count) return;
  const struct willis_sampling *s = &subset->dataset->sampling;
  willis_digest_add_text(digest, "size %td views %d arc %.17g mode %d tissue %d\n", s->size,
                         s->views, s->arc_deg, (int)s->mode, (int)s->tissue);
  willis_sampling_digest_beams(s, digest);
  for (ptrdiff_t i = subset->begin; i < subset->end; i++)
    willis_digest_add(digest, subset->dataset->patient[i].digest, WILLIS_DIGEST_BYTES);
}
