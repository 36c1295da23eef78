/* NIfTI after nifti1.h and nifti2.h of the NIfTI library: its structures name the fields and its
 * quaternion functions turn them into axes. Its readers are not used: they trust dim[0], print, and
 * want files. */
#include "io/nifti.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/bytes.h"
#include "io/io.h"

#include <nifti2_io.h>

#include <math.h>
#include <string.h>

/* ---- fields ---- */

/* Where the header's fields are in either version; widths follow from the version. */
struct layout {
  size_t header, magic, dim, datatype, bitpix, pixdim, vox_offset, slope, intercept, units;
  size_t qform_code, sform_code, quatern, offset, srow;
};
static const struct layout layouts[] = {
    {sizeof(nifti_1_header), offsetof(nifti_1_header, magic), offsetof(nifti_1_header, dim),
     offsetof(nifti_1_header, datatype), offsetof(nifti_1_header, bitpix),
     offsetof(nifti_1_header, pixdim), offsetof(nifti_1_header, vox_offset),
     offsetof(nifti_1_header, scl_slope), offsetof(nifti_1_header, scl_inter),
     offsetof(nifti_1_header, xyzt_units), offsetof(nifti_1_header, qform_code),
     offsetof(nifti_1_header, sform_code), offsetof(nifti_1_header, quatern_b),
     offsetof(nifti_1_header, qoffset_x), offsetof(nifti_1_header, srow_x)},
    {sizeof(nifti_2_header), offsetof(nifti_2_header, magic), offsetof(nifti_2_header, dim),
     offsetof(nifti_2_header, datatype), offsetof(nifti_2_header, bitpix),
     offsetof(nifti_2_header, pixdim), offsetof(nifti_2_header, vox_offset),
     offsetof(nifti_2_header, scl_slope), offsetof(nifti_2_header, scl_inter),
     offsetof(nifti_2_header, xyzt_units), offsetof(nifti_2_header, qform_code),
     offsetof(nifti_2_header, sform_code), offsetof(nifti_2_header, quatern_b),
     offsetof(nifti_2_header, qoffset_x), offsetof(nifti_2_header, srow_x)},
};
_Static_assert(sizeof(nifti_1_header) == 348 && sizeof(nifti_2_header) == 540,
               "packed as in files");

struct reader {
  const unsigned char *bytes;
  const struct layout *at;
  bool big_endian, second; /* NIfTI-2 */
};

static int64_t load_integer(const struct reader *r, size_t at, size_t bytes) {
  uint64_t bits = willis_load(r->bytes + at, bytes, r->big_endian);
  return bytes == 2 ? (int16_t)bits : bytes == 4 ? (int32_t)bits : (int64_t)bits;
}
/* Element i of an array of floats (version 1) or doubles (version 2). */
static double load_real(const struct reader *r, size_t at, int i) {
  return r->second ? willis_load_f64(r->bytes + at + 8 * i, r->big_endian)
                   : (double)willis_load_f32(r->bytes + at + 4 * i, r->big_endian);
}

/* What the first four bytes say; false when they are no header size. */
static bool find_layout(const unsigned char *bytes, size_t size, struct reader *r) {
  if (size < 4) return false;
  for (int second = 0; second < 2; second++)
    for (int big = 0; big < 2; big++)
      if (willis_load(bytes, 4, big) == layouts[second].header) {
        *r = (struct reader){bytes, &layouts[second], big, second};
        return true;
      }
  return false;
}

bool willis_nifti_recognize(const unsigned char *bytes, size_t size) {
  struct reader r;
  return find_layout(bytes, size, &r);
}

/* ---- header ---- */

static const struct {
  int code;
  enum willis_sample_type type;
} datatypes[] = {
    {NIFTI_TYPE_UINT8, WILLIS_SAMPLE_U8},    {NIFTI_TYPE_INT8, WILLIS_SAMPLE_I8},
    {NIFTI_TYPE_UINT16, WILLIS_SAMPLE_U16},  {NIFTI_TYPE_INT16, WILLIS_SAMPLE_I16},
    {NIFTI_TYPE_UINT32, WILLIS_SAMPLE_U32},  {NIFTI_TYPE_INT32, WILLIS_SAMPLE_I32},
    {NIFTI_TYPE_UINT64, WILLIS_SAMPLE_U64},  {NIFTI_TYPE_INT64, WILLIS_SAMPLE_I64},
    {NIFTI_TYPE_FLOAT32, WILLIS_SAMPLE_F32}, {NIFTI_TYPE_FLOAT64, WILLIS_SAMPLE_F64},
};

static enum willis_status read_magic(const struct reader *r, struct willis_error *err) {
  static const char *const single[] = {"n+1", "n+2"}, *const pair[] = {"ni1", "ni2"};
  const char *magic = (const char *)r->bytes + r->at->magic;
  if (memcmp(magic, single[r->second], 4) == 0) return WILLIS_OK;
  if (memcmp(magic, pair[r->second], 4) == 0)
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "header of a NIfTI pair (.hdr and .img), expected a single .nii");
  if (!r->second && magic[0] == 0)
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "Analyze 7.5 header, which has no orientation, expected NIfTI");
  return willis_fail(err, WILLIS_FORMAT, "byte %zu: NIfTI magic is wrong, expected \"%s\"",
                     r->at->magic, single[r->second]);
}

static enum willis_status read_sizes(const struct reader *r, const struct willis_limits *limits,
                                     struct willis_nifti *nifti, struct willis_error *err) {
  size_t width = r->second ? 8 : 2;
  int64_t dimensions = load_integer(r, r->at->dim, width);
  if (dimensions < 1 || dimensions > 7)
    return willis_fail(err, WILLIS_FORMAT, "byte %zu: dim[0] is %jd, expected 1 to 7", r->at->dim,
                       (intmax_t)dimensions);
  nifti->count = 1;
  for (int64_t i = 1; i <= dimensions; i++) {
    size_t at = r->at->dim + width * (size_t)i;
    int64_t n = load_integer(r, at, width);
    if (n < 1)
      return willis_fail(err, WILLIS_FORMAT, "byte %zu: dim[%jd] is %jd, expected at least 1", at,
                         (intmax_t)i, (intmax_t)n);
    if (i > 3 && n > 1)
      return willis_fail(err, WILLIS_UNSUPPORTED,
                         "byte %zu: %jd values along dimension %jd, expected one volume of 3", at,
                         (intmax_t)n, (intmax_t)i);
    if (n > limits->edge)
      return willis_fail(err, WILLIS_FORMAT, "byte %zu: dim[%jd] is %jd, at most %td are read", at,
                         (intmax_t)i, (intmax_t)n, limits->edge);
    if (i <= 3) nifti->size[i - 1] = (ptrdiff_t)n;
  }
  for (int axis = 0; axis < 3; axis++) {
    if (axis >= dimensions) nifti->size[axis] = 1;
    if (!willis_multiply(nifti->count, nifti->size[axis], &nifti->count))
      return willis_fail(err, WILLIS_FORMAT, "byte %zu: the sizes do not fit", r->at->dim);
  }
  return WILLIS_OK;
}

static enum willis_status read_type(const struct reader *r, struct willis_nifti *nifti,
                                    struct willis_error *err) {
  int64_t code = load_integer(r, r->at->datatype, 2), bits = load_integer(r, r->at->bitpix, 2);
  size_t row = 0, rows = sizeof datatypes / sizeof *datatypes;
  while (row < rows && datatypes[row].code != code) row++;
  if (row == rows)
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "byte %zu: datatype %jd, expected integers of 8 to 64 bits, float32 or "
                       "float64",
                       r->at->datatype, (intmax_t)code);
  nifti->samples = (struct willis_samples){datatypes[row].type, r->big_endian, 1, 0};
  size_t bytes = willis_sample_bytes(datatypes[row].type);
  if (bits != 8 * (int64_t)bytes)
    return willis_fail(err, WILLIS_FORMAT, "byte %zu: bitpix is %jd, but datatype %jd has %zu",
                       r->at->bitpix, (intmax_t)bits, (intmax_t)code, 8 * bytes);
  double slope = load_real(r, r->at->slope, 0), intercept = load_real(r, r->at->intercept, 0);
  /* 0 means none by the standard, NaN is how nibabel says none. */
  if (slope == 0 || isnan(slope)) return WILLIS_OK;
  if (!isfinite(slope) || !isfinite(intercept))
    return willis_fail(err, WILLIS_FORMAT, "byte %zu: scaling %g and %g, expected finite numbers",
                       r->at->slope, slope, intercept);
  nifti->samples.slope = slope;
  nifti->samples.intercept = intercept;
  return WILLIS_OK;
}

static enum willis_status read_extent(const struct reader *r, struct willis_nifti *nifti,
                                      struct willis_error *err) {
  double offset = r->second ? (double)load_integer(r, r->at->vox_offset, 8)
                            : load_real(r, r->at->vox_offset, 0);
  double least = (double)(r->at->header + 4);
  if (!(offset >= least && offset <= 4294967296.0) || offset != floor(offset))
    return willis_fail(err, WILLIS_FORMAT,
                       "byte %zu: vox_offset is %g, expected a whole number from %g",
                       r->at->vox_offset, offset, least);
  ptrdiff_t bytes;
  if (!willis_multiply(nifti->count, (ptrdiff_t)willis_sample_bytes(nifti->samples.type), &bytes) ||
      bytes > PTRDIFF_MAX - (ptrdiff_t)offset)
    return willis_fail(err, WILLIS_FORMAT, "byte %zu: the sizes do not fit", r->at->dim);
  nifti->data = (size_t)offset;
  nifti->end = (size_t)offset + (size_t)bytes;
  return WILLIS_OK;
}

static void read_geometry(const struct reader *r, struct willis_nifti *nifti) {
  size_t real = r->second ? 8 : 4, code = r->second ? 4 : 2;
  for (int i = 0; i < 4; i++) nifti->pixdim[i] = load_real(r, r->at->pixdim, i);
  for (int i = 0; i < 3; i++) {
    nifti->quatern[i] = load_real(r, r->at->quatern, i);
    nifti->offset[i] = load_real(r, r->at->offset, i);
    for (int j = 0; j < 4; j++) nifti->srow[i][j] = load_real(r, r->at->srow + 4 * real * i, j);
  }
  nifti->qform_code = (int)load_integer(r, r->at->qform_code, code);
  nifti->sform_code = (int)load_integer(r, r->at->sform_code, code);
  int64_t units = r->second ? load_integer(r, r->at->units, 4) : r->bytes[r->at->units];
  int length = XYZT_TO_SPACE(units);
  nifti->mm = length == NIFTI_UNITS_METER ? 1000 : length == NIFTI_UNITS_MICRON ? 1e-3 : 1;
}

enum willis_status willis_nifti_header(const unsigned char *bytes, size_t size,
                                       const struct willis_limits *limits,
                                       struct willis_nifti *nifti, struct willis_error *err) {
  *nifti = (struct willis_nifti){0};
  struct reader r;
  if (!find_layout(bytes, size, &r))
    return willis_fail(err, WILLIS_FORMAT, "byte 0: expected the size of a NIfTI header");
  if (size < r.at->header)
    return willis_fail(err, WILLIS_FORMAT, "%zu bytes, but a NIfTI header has %zu", size,
                       r.at->header);
  nifti->version = r.second ? 2 : 1;
  enum willis_status status = read_magic(&r, err);
  if (!status) status = read_sizes(&r, limits, nifti, err);
  if (!status) status = read_type(&r, nifti, err);
  if (!status) status = read_extent(&r, nifti, err);
  if (!status) read_geometry(&r, nifti);
  return status;
}

enum willis_status willis_nifti_fits(const struct willis_nifti *nifti, size_t size,
                                     struct willis_error *err) {
  if (nifti->end <= size) return WILLIS_OK;
  return willis_fail(err, WILLIS_FORMAT,
                     "the header claims voxels from byte %zu to %zu, but there are %zu bytes",
                     nifti->data, nifti->end, size);
}

/* ---- geometry ---- */

/* The grid of an affine map in RAS mm. */
static void grid_from_ras(double affine[3][4], const ptrdiff_t size[3], struct willis_grid *grid) {
  for (int axis = 0; axis < 3; axis++) {
    double length = sqrt(affine[0][axis] * affine[0][axis] + affine[1][axis] * affine[1][axis] +
                         affine[2][axis] * affine[2][axis]);
    grid->size[axis] = size[axis];
    grid->spacing_mm[axis] = length;
    for (int row = 0; row < 3; row++) {
      double sign = row < 2 ? -1 : 1;                                            /* RAS to LPS */
      grid->direction[3 * row + axis] = sign * affine[row][axis] / length + 0.0; /* no −0 */
    }
  }
  for (int row = 0; row < 3; row++)
    grid->origin_mm[row] = (row < 2 ? -1 : 1) * affine[row][3] + 0.0;
}

static enum willis_status grid_from_qform(const struct willis_nifti *nifti,
                                          struct willis_grid *grid, struct willis_error *err) {
  const double *q = nifti->quatern, *o = nifti->offset;
  double norm = q[0] * q[0] + q[1] * q[1] + q[2] * q[2];
  if (!(norm <= 1.001))
    return willis_fail(err, WILLIS_GEOMETRY, "qform: quaternion of length %g, expected at most 1",
                       sqrt(norm));
  nifti_dmat44 m = nifti_quatern_to_dmat44(q[0], q[1], q[2], o[0], o[1], o[2], nifti->pixdim[1],
                                           nifti->pixdim[2], nifti->pixdim[3], nifti->pixdim[0]);
  double affine[3][4];
  for (int row = 0; row < 3; row++)
    for (int column = 0; column < 4; column++) affine[row][column] = nifti->mm * m.m[row][column];
  grid_from_ras(affine, nifti->size, grid);
  return willis_grid_check(grid, "qform", err);
}

static enum willis_status grid_from_sform(const struct willis_nifti *nifti,
                                          struct willis_grid *grid, struct willis_error *err) {
  double affine[3][4];
  for (int row = 0; row < 3; row++)
    for (int column = 0; column < 4; column++)
      affine[row][column] = nifti->mm * nifti->srow[row][column];
  grid_from_ras(affine, nifti->size, grid);
  for (int axis = 0; axis < 3; axis++) {
    double expected = nifti->mm * nifti->pixdim[axis + 1];
    if (!(fabs(grid->spacing_mm[axis] - expected) <= 0.01 * expected))
      return willis_fail(err, WILLIS_GEOMETRY,
                         "voxels are %g mm along axis %d by the sform, but %g mm by pixdim",
                         grid->spacing_mm[axis], axis, expected);
  }
  return willis_grid_check(grid, "sform", err);
}

static enum willis_status read_grid(const struct willis_nifti *nifti, struct willis_grid *grid,
                                    const struct willis_warnings *warnings,
                                    struct willis_error *err) {
  for (int i = 1; i <= 3; i++)
    if (!(nifti->pixdim[i] > 0) || !isfinite(nifti->pixdim[i]))
      return willis_fail(err, WILLIS_GEOMETRY, "pixdim[%d] is %g, expected a positive spacing", i,
                         nifti->pixdim[i]);
  if (nifti->sform_code > 0) {
    struct willis_error why;
    enum willis_status status = grid_from_sform(nifti, grid, &why);
    if (!status) return status;
    if (nifti->qform_code <= 0) return willis_fail(err, why.status, "%s", why.message);
    willis_warn(warnings, "the qform is taken, for the sform is contradictory: %s", why.message);
  }
  if (nifti->qform_code > 0) return grid_from_qform(nifti, grid, err);
  willis_warn(warnings, "no orientation in the file (qform and sform codes are 0): axes are taken "
                        "as right, front, head");
  double affine[3][4] = {{0}};
  for (int axis = 0; axis < 3; axis++) affine[axis][axis] = nifti->mm * nifti->pixdim[axis + 1];
  grid_from_ras(affine, nifti->size, grid);
  return willis_grid_check(grid, "pixdim", err);
}

/* ---- whole files ---- */

enum willis_status willis_nifti_parse(const unsigned char *bytes, size_t size,
                                      const struct willis_limits *limits,
                                      struct willis_volume *volume,
                                      const struct willis_warnings *warnings,
                                      struct willis_error *err) {
  *volume = (struct willis_volume){0};
  struct willis_nifti nifti;
  struct willis_grid grid;
  enum willis_status status = willis_nifti_header(bytes, size, limits, &nifti, err);
  if (!status) status = willis_nifti_fits(&nifti, size, err);
  if (!status) status = read_grid(&nifti, &grid, warnings, err);
  if (!status) status = willis_volume_create(volume, &grid, err);
  if (status) return status;
  willis_samples_decode(&nifti.samples, bytes + nifti.data, nifti.count, volume->voxels);
  volume->integral = willis_samples_integral(&nifti.samples);
  return WILLIS_OK;
}

enum willis_status willis_nifti_expand(unsigned char *bytes, size_t size,
                                       const struct willis_limits *limits, unsigned char **plain,
                                       size_t *plain_size, struct willis_error *err) {
  *plain = bytes;
  *plain_size = size;
  if (!willis_is_gzip(bytes, size)) return WILLIS_OK;
  unsigned char head[WILLIS_NIFTI_HEADER_BYTES];
  size_t got = willis_gunzip_head(bytes, size, head, sizeof head);
  struct willis_nifti nifti;
  enum willis_status status = WILLIS_OK;
  if (got < sizeof head) {
    /* So short that it is either whole, and the header's reader says what is missing, or cut. */
    unsigned char *all;
    size_t all_size;
    status = willis_gunzip(bytes, size, sizeof head, &all, &all_size, err);
    willis_release(all);
  }
  if (!status) status = willis_nifti_header(head, got, limits, &nifti, err);
  if (status) return status;
  if (nifti.end > limits->expanded_bytes)
    return willis_fail(err, WILLIS_FORMAT, "the header claims %zu bytes, at most %zu are read",
                       nifti.end, limits->expanded_bytes);
  return willis_gunzip(bytes, size, nifti.end, plain, plain_size, err);
}

/* ---- writing ---- */

static void store_grid(unsigned char *header, const struct willis_grid *grid) {
  nifti_dmat44 m = {{{0}}};
  for (int row = 0; row < 3; row++) {
    double sign = row < 2 ? -1 : 1; /* LPS to RAS */
    for (int axis = 0; axis < 3; axis++)
      m.m[row][axis] = sign * grid->direction[3 * row + axis] * grid->spacing_mm[axis];
    m.m[row][3] = sign * grid->origin_mm[row];
    for (int column = 0; column < 4; column++)
      willis_store_f32(header + layouts[0].srow + 16 * row + 4 * column, (float)m.m[row][column]);
  }
  m.m[3][3] = 1;
  double q[3], o[3], spacing[3], qfac;
  nifti_dmat44_to_quatern(m, &q[0], &q[1], &q[2], &o[0], &o[1], &o[2], &spacing[0], &spacing[1],
                          &spacing[2], &qfac);
  for (int i = 0; i < 3; i++) {
    willis_store_f32(header + layouts[0].quatern + 4 * i, (float)q[i]);
    willis_store_f32(header + layouts[0].offset + 4 * i, (float)o[i]);
  }
  willis_store_f32(header + layouts[0].pixdim, (float)qfac);
  willis_store(header + layouts[0].qform_code, NIFTI_XFORM_SCANNER_ANAT, 2);
  willis_store(header + layouts[0].sform_code, NIFTI_XFORM_SCANNER_ANAT, 2);
}

enum willis_status willis_nifti_print_header(struct willis_writer *writer, const ptrdiff_t size[3],
                                             const double spacing[3],
                                             const struct willis_grid *grid,
                                             enum willis_voxel_type type,
                                             struct willis_error *err) {
  static const int codes[] = {[WILLIS_VOXEL_FLOAT32] = NIFTI_TYPE_FLOAT32,
                              [WILLIS_VOXEL_UINT8] = NIFTI_TYPE_UINT8,
                              [WILLIS_VOXEL_INT16] = NIFTI_TYPE_INT16};
  const struct layout *at = &layouts[0];
  unsigned char header[sizeof(nifti_1_header) + 4] = {0};
  willis_store(header, sizeof(nifti_1_header), 4);
  willis_store(header + at->dim, 3, 2);
  willis_store_f32(header + at->pixdim, 1);
  for (int axis = 0; axis < 3; axis++) {
    if (size[axis] > INT16_MAX)
      return willis_fail(err, WILLIS_UNSUPPORTED,
                         "%td voxels along axis %d, but NIfTI-1 counts to %d", size[axis], axis,
                         INT16_MAX);
    willis_store(header + at->dim + 2 + 2 * axis, (uint64_t)size[axis], 2);
    willis_store_f32(header + at->pixdim + 4 + 4 * axis, (float)spacing[axis]);
  }
  for (int i = 4; i <= 7; i++) willis_store(header + at->dim + 2 * i, 1, 2);
  willis_store(header + at->datatype, (uint64_t)codes[type], 2);
  willis_store(header + at->bitpix, 8 * willis_voxel_bytes(type), 2);
  willis_store_f32(header + at->vox_offset, sizeof header);
  willis_store_f32(header + at->slope, 1);
  header[at->units] = NIFTI_UNITS_MM;
  _Static_assert(sizeof WILLIS_FILE_COMMENT <= sizeof((nifti_1_header *)0)->descrip, "fits");
  memcpy(header + offsetof(nifti_1_header, descrip), WILLIS_FILE_COMMENT,
         sizeof WILLIS_FILE_COMMENT);
  memcpy(header + at->magic, "n+1", 4);
  if (grid) store_grid(header, grid);
  return willis_writer_put(writer, header, sizeof header, err);
}

enum willis_status willis_nifti_print(struct willis_writer *writer, const ptrdiff_t size[3],
                                      const double spacing[3], const struct willis_grid *grid,
                                      const float *value, enum willis_voxel_type type,
                                      struct willis_error *err) {
  enum willis_status status = willis_nifti_print_header(writer, size, spacing, grid, type, err);
  ptrdiff_t count = size[0] * size[1] * size[2];
  return status ? status : willis_voxels_put(writer, value, count, type, err);
}
