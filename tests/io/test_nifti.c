/* NIfTI: headers made here byte by byte from the standard, and what Willis writes. */
#include "io/nifti.h"

#include "io_test.h"

#include <zlib.h>

/* ---- headers ---- */

/* Offsets of nifti1.h and nifti2.h. */
struct places {
  size_t header, dim, dim_width, datatype, bitpix, pixdim, real, offset, slope, units, units_width;
  size_t qform, code_width, quatern, origin, srow, magic;
};
static const struct places places[] = {
    {348, 40, 2, 70, 72, 76, 4, 108, 112, 123, 1, 252, 2, 256, 268, 280, 344},
    {540, 16, 8, 12, 14, 104, 8, 168, 176, 500, 4, 344, 4, 352, 376, 400, 4},
};
enum { ROOM = 1024 };

struct made {
  unsigned char bytes[ROOM];
  size_t size;
  bool second, big;
};

static void put(struct made *made, size_t at, uint64_t value, size_t width) {
  for (size_t i = 0; i < width; i++)
    made->bytes[at + (made->big ? width - 1 - i : i)] = (unsigned char)(value >> (8 * i));
}
static void put_f32(struct made *made, size_t at, float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  put(made, at, bits, 4);
}
static void put_real(struct made *made, size_t at, int i, double value) {
  uint64_t bits;
  memcpy(&bits, &value, 8);
  if (made->second)
    put(made, at + 8 * (size_t)i, bits, 8);
  else
    put_f32(made, at + 4 * (size_t)i, (float)value);
}
static const struct places *at(const struct made *made) {
  return &places[made->second];
}

/* 3 x 2 x 2 voxels of `bytes` bytes, 1 x 2 x 4 mm, sform: i to the right, j to the front. */
static struct made make(bool second, bool big, int datatype, size_t bytes) {
  struct made made = {.second = second, .big = big};
  const struct places *p = at(&made);
  const int dim[8] = {3, 3, 2, 2, 1, 1, 1, 1};
  put(&made, 0, p->header, 4);
  for (size_t i = 0; i < 8; i++)
    put(&made, p->dim + p->dim_width * i, (uint64_t)dim[i], p->dim_width);
  put(&made, p->datatype, (uint64_t)datatype, 2);
  put(&made, p->bitpix, 8 * bytes, 2);
  for (int i = 0; i < 4; i++) put_real(&made, p->pixdim, i, (double[]){1, 1, 2, 4}[i]);
  if (second)
    put(&made, p->offset, p->header + 4, 8);
  else
    put_real(&made, p->offset, 0, (double)(p->header + 4));
  put(&made, p->units, 2, p->units_width);
  put(&made, p->qform + p->code_width, 1, p->code_width);
  const double srow[12] = {1, 0, 0, -10, 0, 2, 0, -20, 0, 0, 4, -30};
  for (int i = 0; i < 12; i++) put_real(&made, p->srow, i, srow[i]);
  memcpy(made.bytes + p->magic, second ? "n+2\0\r\n\032\n" : "n+1", second ? 8 : 4);
  made.size = p->header + 4 + 12 * bytes;
  return made;
}

static enum willis_status parse(const struct made *made, struct willis_volume *volume,
                                const struct willis_warnings *warnings, struct willis_error *err) {
  struct willis_limits limits = willis_limits_defaults();
  return willis_nifti_parse(made->bytes, made->size, &limits, volume, warnings, err);
}

static enum willis_status read_and_release(const unsigned char *bytes, size_t size,
                                           struct willis_error *err) {
  struct willis_limits limits = willis_limits_defaults();
  struct willis_volume volume;
  enum willis_status status = willis_nifti_parse(bytes, size, &limits, &volume, NULL, err);
  willis_volume_release(&volume);
  return status;
}

/* ---- reading ---- */

static void test_every_type_order_and_version(void **state) {
  (void)state;
  static const struct {
    int code;
    size_t bytes;
    char kind;
  } types[] = {{2, 1, 'u'}, {256, 1, 'i'},  {512, 2, 'u'},  {4, 2, 'i'},  {768, 4, 'u'},
               {8, 4, 'i'}, {1280, 8, 'u'}, {1024, 8, 'i'}, {16, 4, 'f'}, {64, 8, 'f'}};
  for (size_t t = 0; t < sizeof types / sizeof *types; t++)
    for (int form = 0; form < 4; form++) {
      struct made made = make(form & 1, form & 2, types[t].code, types[t].bytes);
      size_t data = at(&made)->header + 4;
      for (int i = 0; i < 12; i++) {
        double value = types[t].kind == 'u' ? i * 11 : i * 11 - 60;
        uint64_t bits = (uint64_t)(int64_t)value;
        if (types[t].kind == 'f') memcpy(&bits, &value, 8);
        if (types[t].kind == 'f' && types[t].bytes == 4)
          put_f32(&made, data + 4 * (size_t)i, (float)value);
        else
          put(&made, data + types[t].bytes * (size_t)i, bits, types[t].bytes);
      }
      struct willis_volume volume;
      assert_ok(parse(&made, &volume, NULL, &err));
      for (int i = 0; i < 12; i++)
        assert_true(volume.voxels[i] == (types[t].kind == 'u' ? i * 11 : i * 11 - 60));
      assert_int_equal(volume.integral, types[t].kind != 'f');
      willis_volume_release(&volume);
    }
}

static void test_scaling(void **state) {
  (void)state;
  static const struct {
    double slope, intercept;
    float value;
    bool integral;
  } cases[] = {{0, 5, 7, true},
               {2, -3, 11, true},
               {0.5, 0, 3.5f, false},
               {NAN, 4, 7, true},
               {1, 0.25, 7.25f, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int form = 0; form < 4; form++) {
      struct made made = make(form & 1, form & 2, 2, 1);
      put_real(&made, at(&made)->slope, 0, cases[i].slope);
      put_real(&made, at(&made)->slope, 1, cases[i].intercept);
      made.bytes[at(&made)->header + 4] = 7;
      struct willis_volume volume;
      assert_ok(parse(&made, &volume, NULL, &err));
      assert_true(volume.voxels[0] == cases[i].value);
      assert_int_equal(volume.integral, cases[i].integral);
      willis_volume_release(&volume);
    }
}

static void set_qform(struct made *made, double b, double c, double d, double x, double y, double z,
                      double qfac) {
  const struct places *p = at(made);
  put(made, p->qform, 1, p->code_width);
  const double value[6] = {b, c, d, x, y, z};
  for (int i = 0; i < 6; i++) put_real(made, p->quatern, i, value[i]);
  put_real(made, p->pixdim, 0, qfac);
}
static void set_sform_code(struct made *made, int code) {
  put(made, at(made)->qform + at(made)->code_width, (uint64_t)code, at(made)->code_width);
}

static void assert_place(const struct made *made, const double origin[3], const double x[3],
                         double scale, int warnings) {
  struct willis_volume volume;
  struct heard heard = {0};
  assert_ok(parse(made, &volume, LISTEN(heard), &err));
  assert_int_equal(heard.count, warnings);
  for (int i = 0; i < 3; i++) {
    assert_true(fabs(volume.grid.origin_mm[i] - origin[i]) < 1e-5 * scale);
    assert_true(fabs(volume.grid.direction[3 * i] - x[i]) < 1e-6);
    assert_true(fabs(volume.grid.spacing_mm[i] - scale * (double[]){1, 2, 4}[i]) < 1e-6 * scale);
  }
  willis_volume_release(&volume);
}

/* RAS in the file, LPS in memory: x and y change sign. */
static void test_which_geometry_counts(void **state) {
  (void)state;
  static const double minus_x[3] = {-1, 0, 0}, minus_y[3] = {0, -1, 0};
  for (int form = 0; form < 4; form++) {
    struct made made = make(form & 1, form & 2, 2, 1);
    assert_place(&made, (double[]){10, 20, -30}, minus_x, 1, 0);
    /* A qform turned by 90° about z loses against the sform … */
    set_qform(&made, 0, 0, sqrt(0.5), 1, 2, 3, 1);
    assert_place(&made, (double[]){10, 20, -30}, minus_x, 1, 0);
    /* … unless the sform has no code … */
    set_sform_code(&made, 0);
    assert_place(&made, (double[]){-1, -2, 3}, minus_y, 1, 0);
    /* … or shears … */
    set_sform_code(&made, 1);
    put_real(&made, at(&made)->srow, 1, 0.2);
    assert_place(&made, (double[]){-1, -2, 3}, minus_y, 1, 1);
    /* … or says other voxel sizes than pixdim. */
    put_real(&made, at(&made)->srow, 1, 0);
    put_real(&made, at(&made)->srow, 0, 1.5);
    assert_place(&made, (double[]){-1, -2, 3}, minus_y, 1, 1);
    /* Nothing known: pixdim along RAS, said aloud. */
    set_sform_code(&made, 0);
    put(&made, at(&made)->qform, 0, at(&made)->code_width);
    assert_place(&made, (double[]){0, 0, 0}, minus_x, 1, 1);
  }
}

static void test_units(void **state) {
  (void)state;
  static const double minus_x[3] = {-1, 0, 0};
  for (int form = 0; form < 4; form++) {
    struct made made = make(form & 1, form & 2, 2, 1);
    const struct places *p = at(&made);
    put(&made, p->units, 1, p->units_width); /* metres */
    assert_place(&made, (double[]){1e4, 2e4, -3e4}, minus_x, 1000, 0);
    put(&made, p->units, 3 + 8, p->units_width); /* micrometres, seconds */
    assert_place(&made, (double[]){0.01, 0.02, -0.03}, minus_x, 1e-3, 0);
  }
}

static void test_left_handed_qform(void **state) {
  (void)state;
  struct made made = make(false, false, 2, 1);
  set_sform_code(&made, 0);
  set_qform(&made, 0, 0, 0, 0, 0, 0, -1);
  struct willis_volume volume;
  assert_ok(parse(&made, &volume, NULL, &err));
  assert_true(volume.grid.direction[8] == -1);
  assert_true(volume.grid.direction[0] == -1 && volume.grid.direction[4] == -1);
  willis_volume_release(&volume);
}

/* ---- what is refused ---- */

static void test_bad_headers(void **state) {
  (void)state;
  static const struct {
    size_t at, width;
    int64_t value; /* or, with width 0, the bits of `real` */
    float real;
    enum willis_status status;
    const char *part;
  } cases[] = {
      {0, 4, 347, 0, WILLIS_FORMAT, "byte 0"},
      {40, 2, 0, 0, WILLIS_FORMAT, "dim[0] is 0"},
      {40, 2, 200, 0, WILLIS_FORMAT, "dim[0] is 200"},
      {40, 2, -1, 0, WILLIS_FORMAT, "dim[0] is -1"},
      {42, 2, 0, 0, WILLIS_FORMAT, "dim[1] is 0"},
      {44, 2, -5, 0, WILLIS_FORMAT, "dim[2] is -5"},
      {44, 2, 5000, 0, WILLIS_FORMAT, "at most 4096"},
      {46, 2, 4000, 0, WILLIS_FORMAT, "claims voxels from byte 352"},
      {40, 2, 2, 0, WILLIS_OK, NULL},
      {70, 2, 128, 0, WILLIS_UNSUPPORTED, "datatype 128"},
      {70, 2, 32, 0, WILLIS_UNSUPPORTED, "datatype 32"},
      {70, 2, 4, 0, WILLIS_FORMAT, "bitpix is 8"},
      {80, 0, 0, 0, WILLIS_GEOMETRY, "pixdim[1] is 0"},
      {84, 0, 0, -2, WILLIS_GEOMETRY, "pixdim[2] is -2"},
      {88, 0, 0, NAN, WILLIS_GEOMETRY, "pixdim[3] is"},
      {108, 0, 0, 100, WILLIS_FORMAT, "vox_offset is 100"},
      {108, 0, 0, 352.5f, WILLIS_FORMAT, "vox_offset is 352.5"},
      {108, 0, 0, INFINITY, WILLIS_FORMAT, "vox_offset is inf"},
      {108, 0, 0, 353, WILLIS_FORMAT, "there are 364 bytes"},
      {112, 0, 0, INFINITY, WILLIS_FORMAT, "scaling"},
      {280, 0, 0, NAN, WILLIS_GEOMETRY, "sform"},
      {284, 0, 0, 0.5f, WILLIS_GEOMETRY, "sform"},
      {292, 0, 0, NAN, WILLIS_GEOMETRY, "origin"},
      {344, 4, 0x00316974, 0, WILLIS_FORMAT, "magic"},
      {344, 4, 0x0031696e, 0, WILLIS_UNSUPPORTED, "pair"},
      {344, 4, 0, 0, WILLIS_UNSUPPORTED, "Analyze"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct made made = make(false, false, 2, 1);
    if (cases[i].width)
      put(&made, cases[i].at, (uint64_t)cases[i].value, cases[i].width);
    else
      put_f32(&made, cases[i].at, cases[i].real);
    assert_status(read_and_release(made.bytes, made.size, &err), cases[i].status, cases[i].part);
  }
  struct made made = make(false, false, 2, 1);
  put(&made, 40, 4, 2);
  assert_ok(read_and_release(made.bytes, made.size, &err));
  put(&made, 48, 21, 2);
  assert_status(read_and_release(made.bytes, made.size, &err), WILLIS_UNSUPPORTED,
                "21 values along dimension 4");
}

static void test_bad_quaternion(void **state) {
  (void)state;
  struct made made = make(false, false, 2, 1);
  set_sform_code(&made, 0);
  set_qform(&made, 1, 1, 0, 0, 0, 0, 1);
  assert_status(read_and_release(made.bytes, made.size, &err), WILLIS_GEOMETRY, "quaternion");
  set_qform(&made, NAN, 0, 0, 0, 0, 0, 1);
  assert_status(read_and_release(made.bytes, made.size, &err), WILLIS_GEOMETRY, "quaternion");
}

static void test_any_bytes(void **state) {
  (void)state;
  for (int form = 0; form < 4; form++) {
    struct made made = make(form & 1, form & 2, 16, 4);
    cut_everywhere(read_and_release, made.bytes, made.size, made.size);
    change_everywhere(read_and_release, made.bytes, made.size);
    starve(read_and_release, made.bytes, made.size);
  }
}

static void test_not_finite(void **state) {
  (void)state;
  const char *path = scratch_path("a.nii");
  struct made made = make(false, false, 16, 4);
  put_f32(&made, 352 + 4 * 7, INFINITY);
  put_file(path, made.bytes, made.size);
  struct willis_volume volume;
  assert_status(willis_volume_read(path, &volume, NULL, &err), WILLIS_NUMERIC, "(1,0,1)");
}

/* ---- compressed ---- */

static void put_gzip(const char *path, const unsigned char *bytes, size_t size, size_t zeros) {
  gzFile file = gzopen(path, "wb9");
  assert_non_null(file);
  assert_int_equal(gzwrite(file, bytes, (unsigned)size), (int)size);
  static const unsigned char nothing[1 << 16];
  for (; zeros; zeros -= zeros < sizeof nothing ? zeros : sizeof nothing)
    gzwrite(file, nothing, (unsigned)(zeros < sizeof nothing ? zeros : sizeof nothing));
  gzclose(file);
}

static void test_compressed_claims(void **state) {
  (void)state;
  const char *path = scratch_path("a.nii.gz");
  struct made made = make(false, false, 2, 1);
  struct willis_volume volume;
  put_gzip(path, made.bytes, made.size, 0);
  assert_ok(willis_volume_read(path, &volume, NULL, &err));
  willis_volume_release(&volume);
  /* One byte more than the header claims, and a bomb of 200 MB. */
  put_gzip(path, made.bytes, made.size, 1);
  assert_status(willis_volume_read(path, &volume, NULL, &err), WILLIS_FORMAT, "beyond 364 bytes");
  put_gzip(path, made.bytes, made.size, 200000000);
  assert_status(willis_volume_read(path, &volume, NULL, &err), WILLIS_FORMAT, "beyond 364 bytes");
  /* Claims of 64 GB in a file of 400 bytes. */
  for (size_t i = 0; i < 3; i++) put(&made, 42 + 2 * i, 4000, 2);
  put_gzip(path, made.bytes, made.size, 0);
  assert_status(willis_volume_read(path, &volume, NULL, &err), WILLIS_FORMAT, "claims");
}

/* ---- writing ---- */

static void test_write_read_is_identity(void **state) {
  (void)state;
  static const enum willis_voxel_type types[] = {WILLIS_VOXEL_FLOAT32, WILLIS_VOXEL_UINT8,
                                                 WILLIS_VOXEL_INT16};
  static const char *const names[] = {"a.nii", "a.nii.gz", "a.nrrd"};
  struct willis_grid grids[] = {oblique_grid(false), oblique_grid(true),
                                willis_grid_cube(6, 0.7, NULL), oblique_grid(false)};
  grids[3].size[0] = grids[3].size[1] = grids[3].size[2] = 1;
  for (size_t g = 0; g < sizeof grids / sizeof *grids; g++)
    for (size_t n = 0; n < 3; n++)
      for (size_t t = 0; t < 3; t++) {
        struct willis_volume out, in;
        struct heard heard = {0};
        const char *path = scratch_path(names[n]);
        assert_ok(willis_volume_create(&out, &grids[g], &err));
        fill(&out);
        assert_ok(willis_volume_write(path, &out, types[t], true, &err));
        assert_ok(willis_volume_read(path, &in, LISTEN(heard), &err));
        assert_int_equal(heard.count, 0);
        assert_same_values(&out, &in);
        /* NIfTI-1's header holds floats, NRRD's text holds doubles. */
        assert_same_place(&out.grid, &in.grid, n < 2 ? 2e-5 : 1e-12);
        assert_int_equal(in.integral, types[t] != WILLIS_VOXEL_FLOAT32);
        willis_volume_release(&out);
        willis_volume_release(&in);
      }
}

static void test_write_refuses(void **state) {
  (void)state;
  struct willis_volume volume;
  struct willis_grid grid = oblique_grid(false);
  assert_ok(willis_volume_create(&volume, &grid, &err));
  const char *path = scratch_path("a.nii.gz");
  volume.voxels[13] = 256;
  assert_status(willis_volume_write(path, &volume, WILLIS_VOXEL_UINT8, false, &err),
                WILLIS_INVALID_ARGUMENT, "value 13 to write is 256, which uint8 cannot hold");
  volume.voxels[13] = 0.5f;
  assert_status(willis_volume_write(path, &volume, WILLIS_VOXEL_INT16, false, &err),
                WILLIS_INVALID_ARGUMENT, "0.5");
  volume.voxels[13] = NAN;
  assert_status(willis_volume_write(path, &volume, WILLIS_VOXEL_FLOAT32, false, &err),
                WILLIS_NUMERIC, "value 13");
  volume.voxels[13] = 1;
  volume.grid.spacing_mm[1] = 0;
  assert_status(willis_volume_write(path, &volume, WILLIS_VOXEL_FLOAT32, false, &err),
                WILLIS_GEOMETRY, "spacing 0");
  volume.grid.spacing_mm[1] = 1;
  assert_status(
      willis_volume_write(scratch_path("a.img"), &volume, WILLIS_VOXEL_UINT8, false, &err),
      WILLIS_INVALID_ARGUMENT, ".nrrd");
  assert_int_equal(scratch_count(), 0);
  assert_ok(willis_volume_write(path, &volume, WILLIS_VOXEL_UINT8, false, &err));
  assert_status(willis_volume_write(path, &volume, WILLIS_VOXEL_UINT8, false, &err), WILLIS_EXISTS,
                "exists");
  willis_volume_release(&volume);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_type_order_and_version),
      cmocka_unit_test(test_scaling),
      cmocka_unit_test(test_which_geometry_counts),
      cmocka_unit_test(test_units),
      cmocka_unit_test(test_left_handed_qform),
      cmocka_unit_test(test_bad_headers),
      cmocka_unit_test(test_bad_quaternion),
      cmocka_unit_test(test_any_bytes),
      SCRATCH_TEST(test_not_finite),
      SCRATCH_TEST(test_compressed_claims),
      SCRATCH_TEST(test_write_read_is_identity),
      SCRATCH_TEST(test_write_refuses),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
