/* Conversion loops, one a type, written once as a macro. */
#include "io/samples.h"

#include "base/error.h"
#include "base/parallel.h"
#include "io/bytes.h"
#include "io/text.h"

#include <math.h>

/* X(name, C type, unsigned type of the same size, is an integer) in the order of the enum. */
#define SAMPLE_TYPES(X)                                                                            \
  X(u8, uint8_t, uint8_t, true)                                                                    \
  X(i8, int8_t, uint8_t, true)                                                                     \
  X(u16, uint16_t, uint16_t, true)                                                                 \
  X(i16, int16_t, uint16_t, true)                                                                  \
  X(u32, uint32_t, uint32_t, true)                                                                 \
  X(i32, int32_t, uint32_t, true)                                                                  \
  X(u64, uint64_t, uint64_t, true)                                                                 \
  X(i64, int64_t, uint64_t, true)                                                                  \
  X(f32, float, uint32_t, false)                                                                   \
  X(f64, double, uint64_t, false)

enum { CHUNK = 1 << 16 };

struct decode_job {
  const struct willis_samples *samples;
  const unsigned char *bytes;
  float *value;
};

#define DECODE(name, sample_type, bits_type, integer)                                              \
  static void decode_##name(ptrdiff_t begin, ptrdiff_t end, void *context) {                       \
    const struct decode_job *job = context;                                                        \
    const bool big_endian = job->samples->big_endian;                                              \
    const double slope = job->samples->slope, intercept = job->samples->intercept;                 \
    for (ptrdiff_t i = begin; i < end; i++) {                                                      \
      const unsigned char *at = job->bytes + (size_t)i * sizeof(bits_type);                        \
      bits_type bits = (bits_type)willis_load(at, sizeof bits, big_endian);                        \
      sample_type sample;                                                                          \
      memcpy(&sample, &bits, sizeof sample);                                                       \
      job->value[i] = (float)(slope * (double)sample + intercept);                                 \
    }                                                                                              \
  }
SAMPLE_TYPES(DECODE)

static const struct {
  size_t bytes;
  bool integer;
  void (*decode)(ptrdiff_t begin, ptrdiff_t end, void *context);
} sample_table[] = {
#define ROW(name, sample_type, bits_type, integer) {sizeof(sample_type), integer, decode_##name},
    SAMPLE_TYPES(ROW)};

size_t willis_sample_bytes(enum willis_sample_type type) {
  return sample_table[type].bytes;
}

bool willis_samples_integral(const struct willis_samples *samples) {
  return sample_table[samples->type].integer && samples->slope == floor(samples->slope) &&
         samples->intercept == floor(samples->intercept);
}

void willis_samples_decode(const struct willis_samples *samples, const unsigned char *bytes,
                           ptrdiff_t count, float *value) {
  struct decode_job job = {samples, bytes, value};
  willis_parallel_for(count, CHUNK, sample_table[samples->type].decode, &job);
}

static const struct {
  const char *name;
  size_t bytes;
  bool integer;
  float least, most;
} voxel_table[] = {
    [WILLIS_VOXEL_FLOAT32] = {"float32", 4, false, 0, 0},
    [WILLIS_VOXEL_UINT8] = {"uint8", 1, true, 0, UINT8_MAX},
    [WILLIS_VOXEL_INT16] = {"int16", 2, true, INT16_MIN, INT16_MAX},
};

size_t willis_voxel_bytes(enum willis_voxel_type type) {
  return voxel_table[type].bytes;
}

static enum willis_status check_values(const float *value, ptrdiff_t count,
                                       enum willis_voxel_type type, struct willis_error *err) {
  for (ptrdiff_t i = 0; i < count; i++)
    if (!isfinite(value[i]))
      return willis_fail(err, WILLIS_NUMERIC, "value %td to write is %g, expected a finite number",
                         i, (double)value[i]);
  if (!voxel_table[type].integer) return WILLIS_OK;
  for (ptrdiff_t i = 0; i < count; i++)
    if (value[i] < voxel_table[type].least || value[i] > voxel_table[type].most ||
        value[i] != floorf(value[i]))
      return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                         "value %td to write is %g, which %s cannot hold", i, (double)value[i],
                         voxel_table[type].name);
  return WILLIS_OK;
}

enum willis_status willis_voxels_put(struct willis_writer *writer, const float *value,
                                     ptrdiff_t count, enum willis_voxel_type type,
                                     struct willis_error *err) {
  enum willis_status status = check_values(value, count, type, err);
  if (status) return status;
  struct willis_out out = {.writer = writer, .err = err};
  for (ptrdiff_t i = 0; i < count && !out.status; i++) {
    unsigned char bytes[8];
    if (type == WILLIS_VOXEL_FLOAT32)
      willis_store_f32(bytes, value[i]);
    else
      willis_store(bytes, (uint64_t)(int64_t)value[i], voxel_table[type].bytes);
    willis_out_put(&out, bytes, voxel_table[type].bytes);
  }
  return willis_out_flush(&out);
}
