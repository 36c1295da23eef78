/* The readers, each called as the library's own path functions call it. */
#include "targets.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "io/angiogram.h"
#include "io/dicom.h"
#include "io/geometry_file.h"
#include "io/mesh_file.h"
#include "io/nifti.h"
#include "io/nrrd.h"
#include "io/stack.h"
#include "io/swc.h"
#include "nn/weights.h"
#include "recon/checkpoint.h"
#include "recon/train_run.h"

#include <willis/calibration.h>
#include <willis/network.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void broken(const char *what) {
  fprintf(stderr, "fuzz: %s\n", what);
  abort();
}

static void demand(bool kept, const char *promise) {
  if (!kept) broken(promise);
}

/* A failure says so in one line that a terminal can show. */
static void judge(enum willis_status status, const struct willis_error *err) {
  if (!status) return;
  demand(err->status == status, "the error's status is not the one returned");
  demand(err->message[0] != 0, "a failure without a message");
  for (const char *at = err->message; *at; at++)
    demand((unsigned char)*at >= 0x20 && *at != 0x7f, "a control byte in a message");
}

static void hear(const char *message, void *context) {
  (void)context;
  for (; *message; message++)
    demand((unsigned char)*message >= 0x20, "a control byte in a warning");
}
static const struct willis_warnings warnings = {hear, NULL};

/* ---- volumes ---- */

static volatile float touched; /* so that every value is really read */

static void look(const float *value, ptrdiff_t count) {
  float sum = 0;
  for (ptrdiff_t i = 0; i < count; i++) sum += value[i];
  touched = sum;
}

static void look_at_volume(enum willis_status status, struct willis_volume *volume) {
  if (status) {
    demand(!volume->voxels, "a failure that leaves a volume");
    return;
  }
  struct willis_error err;
  demand(willis_grid_check(&volume->grid, "grid", &err) == WILLIS_OK, "a volume on a broken grid");
  look(volume->voxels, willis_grid_count(&volume->grid));
  willis_volume_release(volume);
}

static bool run_nifti(const unsigned char *bytes, size_t size) {
  const struct willis_limits limits = willis_limits_defaults();
  struct willis_error err = {0};
  struct willis_volume volume = {0};
  struct willis_projections stack = {0};
  unsigned char *own = willis_take((ptrdiff_t)size, 1), *plain = NULL;
  size_t plain_size = 0;
  if (!own) return false;
  memcpy(own, bytes, size);
  willis_nifti_recognize(own, size);
  enum willis_status status = willis_nifti_expand(own, size, &limits, &plain, &plain_size, &err);
  judge(status, &err);
  if (!status) {
    status = willis_nifti_parse(plain, plain_size, &limits, &volume, &warnings, &err);
    judge(status, &err);
    look_at_volume(status, &volume);
    judge(willis_stack_parse_image(plain, plain_size, &limits, &stack, &err), &err);
    willis_projections_release(&stack);
  }
  if (plain != own) willis_release(plain);
  willis_release(own);
  return !status;
}

static bool run_nrrd(const unsigned char *bytes, size_t size) {
  const struct willis_limits limits = willis_limits_defaults();
  struct willis_error err = {0};
  struct willis_volume volume = {0};
  willis_nrrd_recognize(bytes, size);
  enum willis_status status =
      willis_nrrd_parse(bytes, size, &limits, NULL, &volume, &warnings, &err);
  judge(status, &err);
  look_at_volume(status, &volume);
  return !status;
}

static bool run_dicom(const unsigned char *bytes, size_t size) {
  const struct willis_limits limits = willis_limits_defaults();
  struct willis_error err = {0};
  struct willis_volume volume = {0};
  willis_dicom_recognize(bytes, size);
  enum willis_status status = willis_dicom_parse(bytes, size, &limits, &volume, &warnings, &err);
  judge(status, &err);
  look_at_volume(status, &volume);
  return !status;
}

static bool run_angiogram(const unsigned char *bytes, size_t size) {
  enum { FRAMES = 3 };
  const struct willis_limits limits = willis_limits_defaults();
  const struct willis_pose_override as_it_says = willis_pose_override_none();
  struct willis_error err = {0};
  struct willis_angiogram run;
  unsigned char *own = willis_take((ptrdiff_t)size, 1);
  if (!own) return false;
  memcpy(own, bytes, size);
  willis_angiogram_recognize(own, size);
  enum willis_status status = willis_angiogram_parse(own, size, &limits, &run, &warnings, &err);
  judge(status, &err);
  if (status) return false;
  const ptrdiff_t count = run.columns * run.rows;
  /* A compressed frame may claim any size: nothing is there until it has been decoded. */
  float *pixels = count <= 1 << 20 ? willis_take(count, sizeof *pixels) : NULL;
  for (ptrdiff_t f = 0; pixels && f < run.frame_count && f < FRAMES; f++) {
    const enum willis_status read = willis_angiogram_read(&run, f, pixels, &err);
    judge(read, &err);
    if (!read) look(pixels, count);
    status = status ? status : read;
    struct willis_view view;
    judge(willis_angiogram_view(&run, f, &as_it_says, &view, &err), &err);
  }
  willis_release(pixels);
  willis_angiogram_close(&run);
  return !status;
}

/* ---- shapes ---- */

static bool run_mesh(willis_mesh_parser *parse, const unsigned char *bytes, size_t size) {
  struct willis_error err = {0};
  struct willis_mesh mesh;
  enum willis_status status = parse(bytes, size, &mesh, &warnings, &err);
  judge(status, &err);
  demand(!status || (!mesh.vertex && !mesh.triangle), "a failure that leaves a mesh");
  for (ptrdiff_t i = 0; i < 3 * mesh.triangle_count; i++)
    demand((ptrdiff_t)mesh.triangle[i] < mesh.vertex_count, "a triangle without its vertex");
  for (ptrdiff_t i = 0; i < 3 * mesh.vertex_count; i++)
    demand(isfinite(mesh.vertex[i]), "a vertex that is nowhere");
  willis_mesh_release(&mesh);
  return !status;
}
static bool run_obj(const unsigned char *bytes, size_t size) {
  willis_obj_recognize(bytes, size, size);
  return run_mesh(willis_obj_parse, bytes, size);
}
static bool run_stl(const unsigned char *bytes, size_t size) {
  willis_stl_recognize(bytes, size, size);
  return run_mesh(willis_stl_parse, bytes, size);
}
static bool run_ply(const unsigned char *bytes, size_t size) {
  willis_ply_recognize(bytes, size, size);
  return run_mesh(willis_ply_parse, bytes, size);
}

static bool run_swc(const unsigned char *bytes, size_t size) {
  struct willis_error err = {0};
  struct willis_tree tree;
  willis_swc_recognize(bytes, size);
  enum willis_status status = willis_swc_parse(bytes, size, &tree, &warnings, &err);
  judge(status, &err);
  demand(!status || !tree.node, "a failure that leaves a tree");
  for (ptrdiff_t i = 0; i < tree.node_count; i++)
    demand(tree.node[i].parent >= -1 && tree.node[i].parent < tree.node_count &&
               isfinite(tree.node[i].radius_mm),
           "a node without its parent");
  willis_tree_release(&tree);
  return !status;
}

/* Compressed files of any kind that has no header with sizes: shapes. */
static bool run_gzip(const unsigned char *bytes, size_t size) {
  struct willis_error err = {0};
  unsigned char head[64], *plain;
  size_t plain_size;
  willis_gunzip_head(bytes, size, head, sizeof head);
  enum willis_status status = willis_gunzip(bytes, size, 1 << 16, &plain, &plain_size, &err);
  judge(status, &err);
  demand(status || plain_size <= 1 << 16, "more came out than was allowed");
  willis_release(plain);
  return !status;
}

/* ---- geometry ---- */

static bool run_stack(const unsigned char *bytes, size_t size) {
  struct willis_error err = {0};
  struct willis_projections stack;
  if (willis_projections_create(&stack, 3, 2, 2, &err)) return false;
  enum willis_status status = willis_stack_parse_json(bytes, size, &stack, &err);
  judge(status, &err);
  demand(status || willis_projections_check(&stack, &err) == WILLIS_OK, "an impossible stack");
  willis_projections_release(&stack);
  return !status;
}

/* A copy that ends with a zero, which readers of whole texts are promised. */
static unsigned char *with_end(const unsigned char *bytes, size_t size) {
  unsigned char *own = willis_take((ptrdiff_t)size + 1, 1);
  if (!own) return NULL;
  if (size) memcpy(own, bytes, size);
  own[size] = 0;
  return own;
}

static bool run_geometry(const unsigned char *bytes, size_t size) {
  const struct willis_view_file of = {.columns = 3, .rows = 2, .pixel_spacing_mm = 0.5};
  struct willis_error err = {0};
  struct willis_view_list list;
  unsigned char *own = with_end(bytes, size);
  if (!own) return false;
  enum willis_status status = willis_views_parse(own, size, &of, &list, &err);
  judge(status, &err);
  willis_view_list_release(&list);
  willis_release(own);
  return !status;
}

/* ---- weights and checkpoints ---- */

static bool run_safetensors(const unsigned char *bytes, size_t size) {
  struct willis_error err = {0};
  struct willis_weights weights;
  struct willis_network *network = NULL;
  enum willis_status status = willis_weights_parse(bytes, size, &weights, &err);
  judge(status, &err);
  for (ptrdiff_t i = 0; i < weights.entry_count && !status; i++)
    for (ptrdiff_t k = 0; k < weights.entry[i].count; k++)
      touched = weights.entry[i].type == WILLIS_WEIGHTS_I64
                    ? (float)willis_weights_integer(&weights.entry[i], k)
                    : willis_weights_float(&weights.entry[i], k);
  willis_weights_release(&weights);
  judge(willis_network_parse(bytes, size, &network, &err), &err);
  willis_network_destroy(network);
  return !status;
}

static bool run_calibration(const unsigned char *bytes, size_t size) {
  struct willis_error err = {0};
  struct willis_calibration calibration;
  unsigned char *own = with_end(bytes, size);
  if (!own) return false;
  enum willis_status status = willis_calibration_parse((const char *)own, &calibration, &err);
  judge(status, &err);
  for (int i = 0; i < calibration.count && !status; i++) {
    const struct willis_calibration_row *row = &calibration.row[i];
    demand(row->views >= 1 && row->views <= 1000, "a number of views that cannot be");
    demand(row->temperature >= 0.01 && row->temperature <= 100, "a temperature that cannot be");
    demand(row->threshold >= 0 && row->threshold <= 1, "a threshold that cannot be");
  }
  willis_release(own);
  return !status;
}

static bool run_checkpoint(const unsigned char *bytes, size_t size) {
  struct willis_error err = {0};
  struct willis_sections sections;
  enum willis_status status = willis_sections_parse(bytes, size, &sections, &err);
  judge(status, &err);
  demand(!status || !sections.count, "sections of a checkpoint that was refused");
  unsigned sum = 0;
  for (int i = 0; i < sections.count; i++) {
    const struct willis_section *section = &sections.section[i];
    demand(memchr(section->tag, 0, sizeof section->tag) != NULL, "a tag without an end");
    willis_sections_find(&sections, section->tag);
    for (size_t k = 0; k < section->size; k++) sum += ((const unsigned char *)section->bytes)[k];
  }
  touched = (float)sum;
  return !status;
}

static bool run_log(const unsigned char *bytes, size_t size) {
  struct willis_error err = {0};
  struct willis_epoch *epoch;
  ptrdiff_t count;
  unsigned char *own = with_end(bytes, size);
  if (!own) return false;
  enum willis_status status = willis_log_parse(own, size, &epoch, &count, &err);
  judge(status, &err);
  for (ptrdiff_t i = 0; i < count; i++) touched = (float)epoch[i].seconds;
  willis_release(epoch);
  willis_release(own);
  return !status;
}

/* ---- the table ---- */

#define WORDS(...)                                                                                 \
  (const char *const[]) {                                                                          \
    __VA_ARGS__, NULL                                                                              \
  }
const struct fuzz_target fuzz_targets[] = {
    {"angiogram", run_angiogram, FUZZ_DICOM | FUZZ_COMPRESSED, " .dcm ", NULL},
    {"calibration", run_calibration, FUZZ_TEXT, "", WORDS("max", "sum", ";", " ", "nan", "1e99")},
    {"checkpoint", run_checkpoint, FUZZ_CHECKPOINT, "", NULL},
    {"dicom", run_dicom, FUZZ_DICOM | FUZZ_COMPRESSED, " .dcm ", NULL},
    {"geometry", run_geometry, FUZZ_TEXT, " .xml ",
     WORDS("<Projection>", "</Projection>", "<Matrix>", "</Matrix>", "<GantryAngle>1</GantryAngle>",
           "<SourceToDetectorDistance>", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "&b;", "<![CDATA[",
           "]]>", "<a>", "<?xml version='1.0' encoding='utf-16'?>", "\"views\"", "{", "[",
           "1 0 0 0")},
    {"gzip", run_gzip, FUZZ_COMPRESSED, " .gz ", NULL},
    {"log", run_log, FUZZ_TEXT, "", WORDS(",", "\n", ",,,,,,,\n", "nan", "1,2,3,4,5,6,7,8\n")},
    {"nifti", run_nifti, FUZZ_COMPRESSED, " .nii .gz ", NULL},
    {"nrrd", run_nrrd, FUZZ_TEXT | FUZZ_COMPRESSED, " .nrrd .nhdr ",
     WORDS("NRRD0005", "encoding: gzip\n", "encoding: ascii\n", "encoding: raw\n", "endian: big\n",
           "sizes:", "spacings:", "space directions:", "(0,0,1)", "none", "byte skip: -1\n",
           "line skip: 2\n", "data file: x.raw\n", "type: double\n", "dimension: 4\n",
           "space origin:", "space units: \"cm\" \"m\" \"um\"\n", "space: RAS\n", "\n\n")},
    {"obj", run_obj, FUZZ_TEXT, " .obj ", WORDS("v", "f", "vn", "1//2", "-1", "/", "\\", "#")},
    {"ply", run_ply, FUZZ_TEXT, " .ply ",
     WORDS("element vertex", "element face", "element x", "property", "list", "uchar", "double",
           "int", "format ascii 1.0", "format binary_big_endian 1.0", "end_header\n",
           "vertex_indices", "comment")},
    {"safetensors", run_safetensors, FUZZ_SAFETENSORS | FUZZ_TEXT, "",
     WORDS("\"__metadata__\":{}", "\"dtype\":\"F16\"", "\"I64\"", "\"BF16\"", "\"shape\":[]",
           "\"data_offsets\":[0,0]", "{", "}", "[", "]", ",", "\"network\":\"dae\"")},
    {"stack", run_stack, FUZZ_TEXT, " .json ",
     WORDS("null", "true", "{", "}", "[", "]", ",", "\"grid\":", "\"kind\":\"cone\"", "\"sum\"",
           "\"source_offset_mm\":[0,1]", "1e999", "\"\\u0000\"", "\"views\":[]")},
    {"stl", run_stl, FUZZ_TEXT, " .stl ",
     WORDS("solid", "facet normal 0 0 1\n", "outer loop\n", "vertex", "endloop\n", "endfacet\n",
           "endsolid\n")},
    {"swc", run_swc, FUZZ_TEXT, " .swc ", WORDS("-1", "#", "1 1 0 0 0 1 -1\n", "\xef\xbb\xbf")},
    {0},
};

const struct fuzz_target *fuzz_target_named(const char *name) {
  for (const struct fuzz_target *target = fuzz_targets; target->name; target++)
    if (strcmp(target->name, name) == 0) return target;
  return NULL;
}

/* ---- memory ---- */

/* Before each block: its size and where it really begins. */
struct meter {
  size_t now, most;
};
struct tag {
  size_t bytes;
  void *start;
};

static void *metered_allocate(size_t bytes, size_t alignment, void *context) {
  struct meter *meter = context;
  struct tag tag = {bytes, NULL};
  if (alignment < sizeof tag || bytes > (size_t)1 << 40 ||
      posix_memalign(&tag.start, alignment, bytes + alignment))
    return NULL;
  unsigned char *block = (unsigned char *)tag.start + alignment;
  memcpy(block - sizeof tag, &tag, sizeof tag);
  meter->now += bytes;
  if (meter->now > meter->most) meter->most = meter->now;
  return block;
}

static void metered_release(void *block, void *context) {
  struct meter *meter = context;
  struct tag tag;
  memcpy(&tag, (unsigned char *)block - sizeof tag, sizeof tag);
  meter->now -= tag.bytes;
  free(tag.start);
}

bool fuzz_run(const struct fuzz_target *target, const unsigned char *bytes, size_t size) {
  /* Deflate makes at most 1032 bytes of one, and a byte becomes a float. Everything else starts
   * with tables of a few thousand entries and doubles them. */
  enum { TABLES = 4 << 20, PICTURE = 28 << 20, RATIO = 64, COMPRESSED_RATIO = 6 * 1032 };
  /* Four Mi pixels may come out of very little: six bytes each while they are decoded. */
  const size_t tables = target->knows & FUZZ_DICOM ? PICTURE : TABLES;
  const size_t ratio = target->knows & FUZZ_COMPRESSED ? COMPRESSED_RATIO : RATIO;
  struct meter meter = {0};
  const struct willis_allocator metered = {metered_allocate, metered_release, &meter};
  unsigned char *exact = malloc(size ? size : 1);
  if (!exact) broken("no memory for an input");
  if (size) memcpy(exact, bytes, size);
  willis_allocator_set(&metered);
  const bool was_read = target->run(exact, size);
  willis_allocator_set(NULL);
  free(exact);
  demand(meter.now == 0, "memory of the library is still held");
  if (meter.most > tables + ratio * size) {
    fprintf(stderr, "fuzz: %zu bytes were held for an input of %zu\n", meter.most, size);
    abort();
  }
  return was_read;
}
