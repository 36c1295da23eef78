/* willis reconstruct: projections → probability, mask and mesh with a trained model. */
#define _GNU_SOURCE
#include "cli/inputs.h"
#include "cli/memory_use.h"
#include "cli/reconstruct.h"
#include "cli/report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option_row rows[] = {
    PREPARE_ROWS,
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
    [MAX_MEMORY] = {"max-memory", 0, OPTION_BYTES, "BYTES", NULL,
                    "Stay within this, the program included, or refuse", 0, 0},
    [AMBIGUITY] = {"ambiguity", 0, OPTION_OUTPUT, "VOL", NULL,
                   "Network hull: also write how far others could be what the views show", 0, 0},
    {0},
};

/* --models, the build tree's or checkout's models/, and what is installed beside the executable. */
static enum willis_status find_model(const struct call *call, struct reconstruction *r,
                                     ptrdiff_t size, struct willis_error *err) {
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

/* The network works along LPS: another volume's axes are turned as they would be on reading. */
static enum willis_status choose_lps_grid(const struct call *call, struct reconstruction *r,
                                          struct willis_error *err) {
  const char *like = call->option[LIKE].text;
  if (!call->option[LIKE].given)
    return choose_grid(call, &call->option[LIKE], &r->stack, &r->grid, err);
  struct willis_volume volume = {0};
  enum willis_status status = willis_volume_read(like, &volume, &call->warnings, err);
  if (!status) status = willis_volume_orient_lps(&volume, &call->warnings, err);
  if (!status) r->grid = volume.grid;
  willis_volume_release(&volume);
  return status;
}

/* Mask and mesh need the whole volume; the probability alone goes from slab to file. */
static bool wants_whole(const struct option_value *o) {
  return o[MASK].given || o[MESH].given || o[KEEP_LARGEST].given || o[MIN_VOXELS].given;
}

/* Says what will be needed, or refuses. */
static enum willis_status budget(const struct call *call, struct reconstruction *r,
                                 struct willis_reconstruct_options *options,
                                 struct willis_error *err) {
  const struct option_value *o = call->option;
  const size_t volume = (size_t)willis_grid_count(&r->grid) * sizeof(float);
  options->held_memory = memory_in_use();
  struct willis_reconstruct_plan plan;
  enum willis_status status = willis_reconstruct_plan(
      &r->stack, r->network, &r->grid, options->held_memory + (wants_whole(o) ? volume : 0),
      options->max_memory, &plan, err);
  if (status) return status;
  r->memory = plan.bytes;
  /* The probability, the mask, and the field that the mesh is cut from. */
  size_t after = options->held_memory + (size_t)(o[MESH].given ? 3 : 2) * volume;
  if (wants_whole(o) && r->memory < after) r->memory = after;
  if (options->max_memory && r->memory > options->max_memory) {
    snprintf(err->message, sizeof err->message,
             "mask and mesh of %td×%td×%td voxels need at least %.1f MiB, more than the %.1f MiB "
             "allowed; the probability alone needs less",
             r->grid.size[0], r->grid.size[1], r->grid.size[2], (double)r->memory / (1 << 20),
             (double)options->max_memory / (1 << 20));
    return err->status = WILLIS_OUT_OF_MEMORY;
  }
  if (r->memory < memory_peak()) r->memory = memory_peak();
  if (!call->quiet)
    fprintf(stderr, "willis: about %.0f MiB of memory\n", (double)r->memory / (1 << 20));
  return WILLIS_OK;
}

static enum willis_status reconstruct(const struct call *call, struct reconstruction *r,
                                      struct willis_error *err) {
  const struct option_value *o = call->option;
  struct willis_model_card card = {.threshold = 0.5};
  enum willis_status status = WILLIS_OK;
  if (!r->stack.pixels) status = load_stack(call, call->argument[0], &r->stack, err);
  if (!status) status = choose_lps_grid(call, r, err);
  if (!status) status = find_model(call, r, r->grid.size[0], err);
  if (!status) status = willis_network_read(r->model, &r->network, err);
  if (status) return status;
  struct willis_reconstruct_options options = {
      .grid = &r->grid,
      .max_memory = (size_t)o[MAX_MEMORY].integer,
      .any_model = o[ANY_MODEL].given,
  };
  if (o[ANY_MODEL].given && call->warnings.warn &&
      (willis_model_describe(r->network, &card, err) || willis_model_check(&card, &r->stack, err)))
    call->warnings.warn(err->message, call->warnings.context);
  if (willis_model_describe(r->network, &card, NULL))
    card = (struct willis_model_card){.threshold = 0.5};
  r->threshold = o[THRESHOLD].given ? o[THRESHOLD].real : willis_model_threshold(&card, &r->stack);
  status = budget(call, r, &options, err);
  if (status) return status;
  reconstruct_into *into = wants_whole(o) ? reconstruct_whole : reconstruct_stream;
  if (!o[AMBIGUITY].given) return into(call, r, &options, err);
  return reconstruct_ambiguity(call, o[AMBIGUITY].text, r, &options, into, err);
}

static int print_result(const struct call *call, const struct reconstruction *r) {
  const char *slash = strrchr(r->model, '/');
  const char *model = slash ? slash + 1 : r->model;
  const bool pieces = wants_whole(call->option);
  if (call->json) {
    json_t *root =
        json_pack("{s:s, s:f, s:I, s:I}", "model", model, "threshold", r->threshold,
                  "vessel_voxels", (json_int_t)r->voxels, "memory_bytes", (json_int_t)r->memory);
    if (root && pieces) {
      json_object_set_new(root, "pieces", json_integer(r->found));
      json_object_set_new(root, "pieces_kept", json_integer(r->kept));
    }
    return print_json(call, root);
  }
  fprintf(call->results, "model %s, threshold %.3g: %td vessel voxels", model, r->threshold,
          r->voxels);
  if (pieces) fprintf(call->results, " in %td pieces", r->kept);
  if (r->kept < r->found) fprintf(call->results, " (of %td)", r->found);
  fprintf(call->results, "\n%s\n", willis_disclaimer());
  return 0;
}

/* Several files are angiograms, or should be; one may also be a stack. */
static bool takes_angiograms(const struct call *call) {
  enum willis_file_kind kind;
  const char *format;
  if (call->argument_count > 1) return true;
  return !willis_file_identify(call->argument[0], &kind, &format, NULL) &&
         kind == WILLIS_FILE_ANGIOGRAM;
}

/* What is asked of DICOM files is not asked of a stack. */
static int refuse_more(const struct call *call) {
  for (int i = 0; i < PREPARE_ROW_COUNT; i++)
    if (call->option[i].given)
      return print_usage_error(call->command, "--%s is for DICOM angiograms, '%s' is none",
                               rows[i].name, call->argument[0]);
  return 0;
}

static int run(const struct call *call) {
  struct reconstruction *r = calloc(1, sizeof *r);
  struct willis_error err = {.status = WILLIS_OUT_OF_MEMORY, .message = "no memory"};
  if (!r) return print_error(NULL, &err);
  memory_give_back();
  int code = takes_angiograms(call) ? read_angiograms(call, &r->stack) : refuse_more(call);
  if (!code) code = reconstruct(call, r, &err) ? print_error(NULL, &err) : print_result(call, r);
  willis_volume_writer_abandon(r->writer);
  willis_volume_writer_abandon(r->ambiguity_writer);
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
    .arguments = "PROJ|XA.dcm... [-m MODEL] -o PROB",
    .summary = "Reconstruct a vessel volume from projections with a trained model",
    .details =
        "Writes the probability of vessel in every voxel; --mask and --mesh write what is above "
        "the threshold. Without -m a model for any views is taken, of the nearest size; where "
        "there is "
        "none, one for these views, angles and kind of projection. With three views and more such "
        "a model's word is refined until the pictures are explained, best when they are as fine "
        "as the volume. Models are looked up in "
        "--models, beside the executable and "
        "in ../share/willis/models. The output grid is --like, --size, or the one stored with the "
        "stack. Vessels can be invented or missed.\n"
        "DICOM angiograms are prepared as by `willis prepare`, whose options are here, and become "
        "masks as by `willis vessels` with its defaults; the volume lies in patient mm from the "
        "isocenter, on the cube that every view sees unless --size and --spacing say otherwise.\n"
        "The probability alone is made a few slices at a time and takes little memory; mask, mesh "
        "and the count of pieces take the whole volume.\n"
        "A calibrated model (`willis calibrate`) has a threshold for each number of views. "
        "--ambiguity is 0 where some view shows a voxel alone, and goes to 1 where in every view "
        "other voxels on the same rays are as probable; `willis render --overlay` draws it.",
    .least_arguments = 1,
    .most_arguments = MOST_RUNS,
    .needs_output = true,
    .rows = rows,
    .run = run,
};
