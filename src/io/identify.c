/* What a path holds, from its first bytes. The name decides only where bytes cannot: for surfaces
 * and trees that are broken from the start, so that their reader can say what is wrong. */
#define _GNU_SOURCE
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "io/angiogram.h"
#include "io/bytes.h"
#include "io/dicom.h"
#include "io/io.h"
#include "io/mesh_file.h"
#include "io/nifti.h"
#include "io/nrrd.h"
#include "io/stack.h"
#include "io/swc.h"

#include <string.h>

enum { HEAD = 1 << 16 };

/* Safetensors: the length of a JSON object, at most 100 MB, then the object. */
static bool is_model(const unsigned char *bytes, size_t size) {
  return size > 8 && bytes[8] == '{' && willis_load(bytes, 8, false) <= 100000000;
}

/* A text beside the image that speaks of views: other software puts other texts there. */
static enum willis_status has_views(const char *path, bool *found, struct willis_error *err) {
  char *json = NULL;
  unsigned char *bytes = NULL;
  size_t size = 0;
  enum willis_path_kind kind = WILLIS_PATH_NONE;
  *found = false;
  enum willis_status status = willis_stack_json_path(path, &json, err);
  if (status == WILLIS_INVALID_ARGUMENT) return WILLIS_OK; /* no name of a stack */
  if (!status) status = willis_path_look(json, &kind, err);
  if (!status && kind == WILLIS_PATH_FILE)
    status = willis_file_read(json, WILLIS_STACK_JSON_BYTES, &bytes, &size, err);
  if (status == WILLIS_FORMAT) status = WILLIS_OK; /* larger than any of ours */
  *found = !status && bytes && memmem(bytes, size, "\"views\"", 7);
  willis_release(bytes);
  willis_release(json);
  return status;
}

static enum willis_file_kind identify_bytes(const char *path, const unsigned char *bytes,
                                            size_t size, size_t whole, const char **format) {
  const struct {
    bool is_it;
    const char *format;
    enum willis_file_kind kind;
  } row[] = {
      {willis_nifti_recognize(bytes, size), "NIfTI", WILLIS_FILE_VOLUME},
      {willis_nrrd_recognize(bytes, size), "NRRD", WILLIS_FILE_VOLUME},
      {willis_angiogram_recognize(bytes, size), "DICOM", WILLIS_FILE_ANGIOGRAM},
      {willis_dicom_recognize(bytes, size), "DICOM", WILLIS_FILE_VOLUME},
      {is_model(bytes, size), "safetensors", WILLIS_FILE_MODEL},
      {willis_swc_recognize(bytes, size), "SWC", WILLIS_FILE_TREE},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    if (row[i].is_it) {
      *format = row[i].format;
      return row[i].kind;
    }
  const struct willis_mesh_format *mesh = willis_mesh_formats;
  while (mesh->name && !mesh->recognize(bytes, size, whole)) mesh++;
  if (!mesh->name) mesh = willis_mesh_format_named(path, NULL);
  if (mesh->name) {
    *format = mesh->name;
    return WILLIS_FILE_MESH;
  }
  bool is_swc = willis_path_ends(path, ".swc");
  *format = is_swc ? "SWC" : "unknown";
  return is_swc ? WILLIS_FILE_TREE : WILLIS_FILE_UNKNOWN;
}

enum willis_status willis_file_identify(const char *path, enum willis_file_kind *kind,
                                        const char **format, struct willis_error *err) {
  *kind = WILLIS_FILE_UNKNOWN;
  *format = "unknown";
  enum willis_path_kind place;
  enum willis_status status = willis_path_look(path, &place, err);
  if (status) return status;
  if (place == WILLIS_PATH_FOLDER) {
    *kind = WILLIS_FILE_VOLUME;
    *format = "DICOM folder";
    return WILLIS_OK;
  }
  unsigned char *head = willis_take(2 * HEAD, 1);
  if (!head) return willis_fail_memory(err, "a file's first bytes", 2 * HEAD, 1);
  size_t got, whole;
  status = willis_file_head(path, head, HEAD, &got, &whole, err);
  if (!status && willis_is_gzip(head, got)) {
    unsigned char *plain = head + HEAD;
    size_t plain_got = willis_gunzip_head(head, got, plain, HEAD);
    /* How long the whole is inside is not known, unless this is all of it. */
    *kind = identify_bytes(path, plain, plain_got, plain_got < HEAD ? plain_got : 0, format);
  } else if (!status) {
    *kind = identify_bytes(path, head, got, whole, format);
  }
  willis_release(head);
  bool is_stack = false;
  if (!status && !strcmp(*format, "NIfTI")) status = has_views(path, &is_stack, err);
  if (is_stack) *kind = WILLIS_FILE_PROJECTIONS;
  return status;
}
