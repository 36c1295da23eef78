/* Weight files: what is written is read again, and broken ones are refused by name. */
#include "numbers.h"

#include "base/file.h"
#include "nn/weights.h"

#include <willis/network.h>

#include <stdlib.h>
#include <unistd.h>

static void check(enum willis_status status, const struct willis_error *err) {
  if (status != WILLIS_OK) fail_msg("%s: %s", willis_status_name(status), err->message);
}

static const char *path_of(const char *name) {
  static char path[300];
  const char *folder = getenv("TMPDIR");
  snprintf(path, sizeof path, "%s/willis_weights_%d_%s", folder ? folder : "/tmp", (int)getpid(),
           name);
  return path;
}

static void written_networks_are_read_again(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *a, *b;
  const char *path = path_of("network.safetensors");
  check(willis_network_create("dae", 3, &a, &err), &err);
  check(willis_network_metadata_set(a, "views", "10", &err), &err);
  check(willis_network_metadata_set(a, "trained_on", "phantoms \"é\"\n", &err), &err);
  check(willis_network_write(path, a, false, &err), &err);
  assert_int_equal(willis_network_write(path, a, false, &err), WILLIS_EXISTS);
  check(willis_network_read(path, &b, &err), &err);
  assert_string_equal(willis_network_metadata(b, "views"), "10");
  assert_string_equal(willis_network_metadata(b, "trained_on"), "phantoms \"é\"\n");
  assert_string_equal(willis_network_metadata(b, "network"), "dae");
  assert_int_equal(willis_network_tensor_count(a), willis_network_tensor_count(b));
  for (int i = 0; i < willis_network_tensor_count(a); i++) {
    struct willis_network_tensor s = willis_network_tensor(a, i), t = willis_network_tensor(b, i);
    assert_string_equal(s.name, t.name);
    assert_memory_equal(s.values, t.values, (size_t)s.count * sizeof(float));
  }
  willis_network_destroy(a);
  willis_network_destroy(b);
  unlink(path);
  assert_int_equal(willis_network_read(path, &b, &err), WILLIS_IO);
  assert_null(b);
}

/* A file of one header and `data_bytes` zero bytes. */
struct file {
  unsigned char bytes[2048];
  size_t size;
};

static struct file file_of(const char *header, size_t data_bytes) {
  struct file f = {{0}, 0};
  size_t length = strlen(header);
  assert_true(8 + length + data_bytes <= sizeof f.bytes);
  for (int b = 0; b < 8; b++) f.bytes[b] = (unsigned char)(length >> 8 * b);
  memcpy(f.bytes + 8, header, length);
  f.size = 8 + length + data_bytes;
  return f;
}

static enum willis_status parse(const struct file *f, struct willis_error *err) {
  struct willis_weights weights;
  /* Exactly as large as the file: one byte too far is seen by the sanitizer. */
  unsigned char *bytes = willis_take((ptrdiff_t)f->size, 1);
  memcpy(bytes, f->bytes, f->size);
  enum willis_status status = willis_weights_parse(bytes, f->size, &weights, err);
  willis_weights_release(&weights);
  willis_release(bytes);
  return status;
}

static void broken_headers_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *what, *header;
    size_t data_bytes;
    enum willis_status expected;
  } cases[] = {
      {"good", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, WILLIS_OK},
      {"good scalar", "{\"a\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]}}", 8,
       WILLIS_OK},
      {"good metadata",
       "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F16\",\"shape\":[0],\"data_offsets\":[0,"
       "0]}}",
       0, WILLIS_OK},
      {"not JSON", "{\"a\":", 0, WILLIS_FORMAT},
      {"a list", "[]", 0, WILLIS_FORMAT},
      {"the same name twice",
       "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},"
       "\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}",
       0, WILLIS_FORMAT},
      {"metadata with a number", "{\"__metadata__\":{\"k\":1}}", 0, WILLIS_FORMAT},
      {"an entry that is no object", "{\"a\":3}", 0, WILLIS_FORMAT},
      {"no data type", "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, WILLIS_FORMAT},
      {"another data type", "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}",
       8, WILLIS_UNSUPPORTED},
      {"no shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, WILLIS_FORMAT},
      {"negative edge", "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8,
       WILLIS_FORMAT},
      {"an edge with a fraction",
       "{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, WILLIS_FORMAT},
      {"a product that does not fit",
       "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}", 8,
       WILLIS_FORMAT},
      {"nine edges",
       "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
       WILLIS_FORMAT},
      {"offsets beyond the data",
       "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 8, WILLIS_FORMAT},
      {"offsets that go back", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
       8, WILLIS_FORMAT},
      {"offsets of another size",
       "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, WILLIS_FORMAT},
      {"data that nobody owns", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
       12, WILLIS_FORMAT},
      {"a hole",
       "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
       "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
       12, WILLIS_FORMAT},
      {"tensors that overlap",
       "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
       "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
       12, WILLIS_FORMAT},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct willis_error err = {0};
    struct file f = file_of(cases[i].header, cases[i].data_bytes);
    enum willis_status status = parse(&f, &err);
    if (status != cases[i].expected)
      fail_msg("%s: %s (%s)", cases[i].what, willis_status_name(status), err.message);
  }
}

static void broken_lengths_are_refused(void **state) {
  (void)state;
  struct willis_error err;
  struct file f = file_of("{}", 0);
  assert_int_equal(parse(&f, &err), WILLIS_OK);
  for (size_t size = 0; size < f.size; size++) {
    struct file cut = f;
    cut.size = size;
    assert_int_equal(parse(&cut, &err), WILLIS_FORMAT);
  }
  for (int b = 0; b < 8; b++) {
    struct file longer = f;
    longer.bytes[b] ^= 0x80;
    assert_int_equal(parse(&longer, &err), WILLIS_FORMAT);
  }
}

static void halves_are_exact(void **state) {
  (void)state;
  static const struct {
    unsigned char bytes[2];
    float value;
  } cases[] = {{{0x00, 0x3c}, 1},        {{0x00, 0xc0}, -2},       {{0xff, 0x7b}, 65504},
               {{0x01, 0x00}, 0x1p-24f}, {{0x00, 0x04}, 0x1p-14f}, {{0x00, 0x00}, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct willis_weights_entry e = {
        .type = WILLIS_WEIGHTS_F16, .count = 1, .data = cases[i].bytes};
    assert_true(willis_weights_float(&e, 0) == cases[i].value);
  }
  const unsigned char infinity[2] = {0x00, 0x7c}, nan[2] = {0x01, 0x7c};
  struct willis_weights_entry e = {.type = WILLIS_WEIGHTS_F16, .count = 1, .data = infinity};
  assert_true(isinf(willis_weights_float(&e, 0)));
  e.data = nan;
  assert_true(isnan(willis_weights_float(&e, 0)));
}

/* The bytes of a written network with `from` replaced by `to`, of the same length. */
static unsigned char *changed_network(const char *from, const char *to, size_t *size) {
  struct willis_error err;
  struct willis_network *n;
  unsigned char *bytes;
  const char *path = path_of("changed.safetensors");
  check(willis_network_create("dae", 3, &n, &err), &err);
  check(willis_network_write(path, n, true, &err), &err);
  check(willis_file_read(path, 1 << 24, &bytes, size, &err), &err);
  willis_network_destroy(n);
  unlink(path);
  char *at = strstr((char *)bytes + 8, from);
  assert_non_null(at);
  assert_int_equal(strlen(from), strlen(to));
  memcpy(at, to, strlen(to));
  return bytes;
}

static void foreign_networks_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *from, *to;
    enum willis_status expected;
    const char *message;
  } cases[] = {
      {"\"dae\"", "\"gan\"", WILLIS_UNSUPPORTED, "gan"},
      {"enc2.conv.weight", "enc2.conv.wheat1", WILLIS_MISMATCH, "enc2.conv.weight is missing"},
      {"[64,32,3,3,3]", "[32,64,3,3,3]", WILLIS_MISMATCH, "enc2.conv.weight"},
      {"enc3.bn.num_batches_tracked", "enc3.bn.num_batches_trapped", WILLIS_MISMATCH,
       "enc3.bn.num_batches_tracked"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct willis_error err = {0};
    struct willis_network *n;
    size_t size;
    unsigned char *bytes = changed_network(cases[i].from, cases[i].to, &size);
    assert_int_equal(willis_network_parse(bytes, size, &n, &err), cases[i].expected);
    assert_null(n);
    if (!strstr(err.message, cases[i].message)) fail_msg("%s", err.message);
    willis_release(bytes);
  }
}

static void weights_that_are_not_finite_are_refused(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n;
  size_t size;
  unsigned char *bytes = changed_network("\"dae\"", "\"dae\"", &size);
  memset(bytes + size - 4, 0xff, 4);
  assert_int_equal(willis_network_parse(bytes, size, &n, &err), WILLIS_NUMERIC);
  assert_non_null(strstr(err.message, "dec3.deconv.bias"));
  willis_release(bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(written_networks_are_read_again),
      cmocka_unit_test(broken_headers_are_refused),
      cmocka_unit_test(broken_lengths_are_refused),
      cmocka_unit_test(halves_are_exact),
      cmocka_unit_test(foreign_networks_are_refused),
      cmocka_unit_test(weights_that_are_not_finite_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
