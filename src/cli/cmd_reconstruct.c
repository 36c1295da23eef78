/* willis reconstruct: projections → probability, mask and mesh with a trained model. */
#define _GNU_SOURCE
#include "cli/report.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  MODEL,
  MASK,
  MESH,
  THRESHOLD,
  KEEP_LARGEST,
  MIN_VOXELS,
  LIKE,
  SIZE,
  SPACING,
  MODELS,
  ANY_MODEL,
  MAX_MEMORY
};
static const struct option_row rows[] = {
    [MODEL] = {"model", 'm', OPTION_TEXT, "MODEL", NULL,
               "A .safetensors file or a short name; without: the one that fits", 0, 0},
    [MASK] = {"mask", 0, OPTION_OUTPUT, "MASK", NULL, "Also write the vessels as a mask", 0, 0},
    [MESH] = {"mesh", 0, OPTION_OUTPUT, "MESH.stl", NULL, "Also write their surface", 0, 0},
    [THRESHOLD] = {"threshold", 0, OPTION_REAL, "T", NULL,
                   "Vessel from this probability on; without: the model's own", 0, 1},
    [KEEP_LARGEST] = {"keep-largest", 0, OPTION_INTEGER, "N", "0",
                      "Keep the N largest pieces; 0: all", 0, 1e9},
    [MIN_VOXELS] = {"min-voxels", 0, OPTION_INTEGER, "N", "0", "Drop pieces of fewer voxels", 0,
                    1e12},
    [LIKE] = {"like", 0, OPTION_TEXT, "VOL", NULL, "Output grid: that of another volume", 0, 0},
    [SIZE] = {"size", 0, OPTION_INTEGER, "N", NULL, "Output grid: N voxels along each edge", 1,
              4096},
    [SPACING] = {"spacing", 0, OPTION_REAL, "MM", NULL, "With --size: edge of a voxel", 1e-6, 1e6},
    [MODELS] = {"models", 0, OPTION_TEXT, "DIR", NULL, "Where to look for models first", 0, 0},
    [ANY_MODEL] = {"any-model", 0, OPTION_FLAG, NULL, NULL,
                   "Take a model that does not fit the views", 0, 0},
    [MAX_MEMORY] = {"max-memory", 0, OPTION_BYTES, "BYTES", NULL, "Refuse if more is needed", 0, 0},
    {0},
};

/* What one call makes. */
struct result {
  struct willis_projections stack;
  struct willis_network *network;
  struct willis_volume probability, mask;
  struct willis_mesh mesh;
  char model[PATH_MAX];
  double threshold;
  ptrdiff_t voxels, found, kept;
};

static enum willis_status read_stack(const struct call *call, struct result *r,
                                     struct willis_error *err) {
  enum willis_file_kind kind;
  const char *format;
  enum willis_status status = willis_file_identify(call->argument[0], &kind, &format, err);
  if (status) return status;
  if (kind != WILLIS_FILE_PROJECTIONS) {
    snprintf(err->message, sizeof err->message,
             "%s: %s: expected a projection stack (.nii.gz with its .json); `willis prepare` "
             "makes one of DICOM angiograms",
             call->argument[0], format ? format : "unknown content");
    return err->status = WILLIS_UNSUPPORTED;
  }
  return willis_projections_read(call->argument[0], &r->stack, &call->warnings, err);
}

/* --models, the build tree's or checkout's models/, and what is installed beside the executable. */
static enum willis_status find_model(const struct call *call, struct result *r, ptrdiff_t size,
                                     struct willis_error *err) {
  static const char *const places[] = {"models", "../models", "../share/willis/models"};
  enum { PLACES = sizeof places / sizeof *places };
  char self[PATH_MAX], path[PLACES][PATH_MAX + 32];
  const char *folder[PLACES + 1] = {call->option[MODELS].text};
  int count = call->option[MODELS].given ? 1 : 0;
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  self[n > 0 ? n : 0] = 0;
  char *slash = strrchr(self, '/');
  if (slash) *slash = 0;
  for (int i = 0; slash && i < PLACES; i++) {
    snprintf(path[i], sizeof path[i], "%s/%s", self, places[i]);
    folder[count++] = path[i];
  }
  const char *name = call->option[MODEL].given ? call->option[MODEL].text : NULL;
  return willis_model_find(name, folder, count, &r->stack, size, r->model, sizeof r->model, err);
}

static enum willis_status choose_grid(const struct call *call, const struct result *r,
                                      struct willis_grid *grid, struct willis_error *err) {
  const struct option_value *o = call->option;
  if (!o[LIKE].given)
    return willis_projections_output_grid(&r->stack, (ptrdiff_t)o[SIZE].integer,
                                          o[SPACING].given ? o[SPACING].real : 0, grid, err);
  struct willis_volume like = {0};
  enum willis_status status = willis_volume_read(o[LIKE].text, &like, &call->warnings, err);
  if (!status) status = willis_volume_orient_lps(&like, &call->warnings, err);
  if (!status) *grid = like.grid;
  willis_volume_release(&like);
  return status;
}

static enum willis_status make_mask(const struct call *call, struct result *r,
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
static enum willis_status make_mesh(struct result *r, struct willis_error *err) {
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

static enum willis_status write_all(const struct call *call, struct result *r,
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

static enum willis_status reconstruct(const struct call *call, struct result *r,
                                      struct willis_error *err) {
  const struct option_value *o = call->option;
  struct willis_grid grid;
  struct willis_model_card card = {.threshold = 0.5};
  enum willis_status status = read_stack(call, r, err);
  if (!status) status = choose_grid(call, r, &grid, err);
  if (!status) status = find_model(call, r, grid.size[0], err);
  if (!status) status = willis_network_read(r->model, &r->network, err);
  if (status) return status;
  struct willis_reconstruct_options options = {
      .grid = &grid,
      .max_memory = (size_t)o[MAX_MEMORY].integer,
      .any_model = o[ANY_MODEL].given,
  };
  if (o[ANY_MODEL].given && call->warnings.warn &&
      (willis_model_describe(r->network, &card, err) || willis_model_check(&card, &r->stack, err)))
    call->warnings.warn(err->message, call->warnings.context);
  status = willis_reconstruct(&r->stack, r->network, &options, &call->progress, &call->warnings,
                              &r->probability, err);
  if (status) return status;
  if (willis_model_describe(r->network, &card, NULL)) card.threshold = 0.5;
  r->threshold = o[THRESHOLD].given ? o[THRESHOLD].real : card.threshold;
  status = make_mask(call, r, err);
  if (!status && o[MESH].given) status = make_mesh(r, err);
  return status ? status : write_all(call, r, err);
}

static int print_result(const struct call *call, const struct result *r) {
  const char *slash = strrchr(r->model, '/');
  const char *model = slash ? slash + 1 : r->model;
  if (call->json)
    return print_json(call,
                      json_pack("{s:s, s:f, s:I, s:I, s:I}", "model", model, "threshold",
                                r->threshold, "vessel_voxels", (json_int_t)r->voxels, "pieces",
                                (json_int_t)r->found, "pieces_kept", (json_int_t)r->kept));
  fprintf(call->results, "model %s, threshold %.3g: %td vessel voxels in %td pieces", model,
          r->threshold, r->voxels, r->kept);
  if (r->kept < r->found) fprintf(call->results, " (of %td)", r->found);
  fprintf(call->results, "\n%s\n", willis_disclaimer());
  return 0;
}

static int run(const struct call *call) {
  struct result *r = calloc(1, sizeof *r);
  struct willis_error err = {.status = WILLIS_OUT_OF_MEMORY, .message = "no memory"};
  if (!r) return print_error(NULL, &err);
  int code = reconstruct(call, r, &err) ? print_error(NULL, &err) : print_result(call, r);
  willis_mesh_release(&r->mesh);
  willis_volume_release(&r->mask);
  willis_volume_release(&r->probability);
  willis_network_destroy(r->network);
  willis_projections_release(&r->stack);
  free(r);
  return code;
}

const struct command cmd_reconstruct = {
    .name = "reconstruct",
    .arguments = "PROJ [-m MODEL] -o PROB",
    .summary = "Reconstruct a vessel volume from projections with a trained model",
    .details =
        "Writes the probability of vessel in every voxel; --mask and --mesh write what is above "
        "the threshold. Without -m the model is taken that fits the number of views, their angles "
        "and how they were projected; models are looked up in --models, beside the executable and "
        "in ../share/willis/models. The output grid is --like, --size, or the one stored with the "
        "stack. Vessels can be invented or missed.",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .rows = rows,
    .run = run,
};
