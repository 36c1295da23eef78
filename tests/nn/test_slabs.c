/* Inference from planes to planes: the bits of the whole volume, memory as announced, errors passed
 * on. */
#include "numbers.h"

#include "base/cpu.h"
#include "base/error.h"
#include "base/parallel.h"

#include <willis/network.h>

#include <stdlib.h>

static void check(enum willis_status status, const struct willis_error *err) {
  if (status != WILLIS_OK) fail_msg("%s: %s", willis_status_name(status), err->message);
}

/* A network whose channels are scaled up and down, some of them negative. */
static struct willis_network *lively_network(void) {
  struct willis_error err;
  struct willis_network *n;
  check(willis_network_create("dae", 3, &n, &err), &err);
  for (int i = 0; i < willis_network_tensor_count(n); i++) {
    struct willis_network_tensor t = willis_network_tensor(n, i);
    if (t.rank > 1) continue;
    for (ptrdiff_t j = 0; j < t.count; j++)
      t.values[j] = strstr(t.name, "running_var") ? 1 + 0.5f * number(7, j)
                                                  : 0.3f + number(8 + (uint32_t)i, j);
  }
  return n;
}

/* A volume that is handed out and taken back by planes, and what may go wrong then. */
struct volume {
  ptrdiff_t size[3], plane, count;
  ptrdiff_t read, written; /* planes so far */
  ptrdiff_t height;
  ptrdiff_t refuse_read, refuse_write; /* from this plane on; −1: never */
  float *x, *y;
};

static struct volume volume_of(const ptrdiff_t size[3]) {
  struct volume v = {.size = {size[0], size[1], size[2]},
                     .plane = size[0] * size[1],
                     .count = size[0] * size[1] * size[2],
                     .refuse_read = -1,
                     .refuse_write = -1};
  v.x = numbers(1, v.count);
  v.y = room_for(v.count);
  return v;
}

static void volume_release(struct volume *v) {
  willis_release(v->x);
  willis_release(v->y);
}

static enum willis_status read_planes(ptrdiff_t begin, ptrdiff_t end, float *planes, void *context,
                                      struct willis_error *err) {
  struct volume *v = context;
  assert_int_equal(begin, v->read);
  assert_true(end > begin && end - begin <= v->height && end <= v->size[2]);
  if (v->refuse_read >= 0 && end > v->refuse_read)
    return willis_fail(err, WILLIS_CANCELLED, "no more planes");
  memcpy(planes, v->x + begin * v->plane, (size_t)((end - begin) * v->plane) * sizeof *planes);
  v->read = end;
  return WILLIS_OK;
}

static enum willis_status write_planes(ptrdiff_t begin, ptrdiff_t end, const float *planes,
                                       void *context, struct willis_error *err) {
  struct volume *v = context;
  assert_int_equal(begin, v->written);
  assert_true(end > begin && end <= v->size[2]);
  if (v->refuse_write >= 0 && end > v->refuse_write)
    return willis_fail(err, WILLIS_IO, "the disk is full");
  memcpy(v->y + begin * v->plane, planes, (size_t)((end - begin) * v->plane) * sizeof *planes);
  v->written = end;
  return WILLIS_OK;
}

static enum willis_status stream(const struct willis_network *n, struct volume *v, ptrdiff_t height,
                                 enum willis_network_output output, struct willis_error *err) {
  v->read = v->written = 0;
  v->height = height;
  memset(v->y, 0xff, (size_t)v->count * sizeof *v->y);
  struct willis_plane_source source = {read_planes, v};
  struct willis_plane_sink sink = {write_planes, v};
  return willis_network_infer_slabs(n, v->size, height, &source, output, &sink, err);
}

static void compare(const struct willis_network *n, struct volume *v, const ptrdiff_t *height,
                    const int *threads) {
  struct willis_error err;
  float *whole = room_for(v->count);
  willis_parallel_set_threads(1);
  check(willis_network_infer(n, v->size, v->x, WILLIS_OUTPUT_PROBABILITY, whole, &err), &err);
  for (; *height; height++)
    for (const int *t = threads; *t; t++) {
      willis_parallel_set_threads(*t);
      check(stream(n, v, *height, WILLIS_OUTPUT_PROBABILITY, &err), &err);
      assert_int_equal(v->written, v->size[2]);
      assert_memory_equal(v->y, whole, (size_t)v->count * sizeof *v->y);
    }
  willis_parallel_set_threads(0);
  willis_release(whole);
}

static void streams_have_the_bits_of_the_whole(void **state) {
  (void)state;
  struct willis_network *n = lively_network();
  /* Large planes make many steps of few tiles; small ones few steps. */
  static const ptrdiff_t sizes[][3] = {{8, 8, 8},    {40, 24, 32},   {13, 8, 17},
                                       {16, 30, 66}, {136, 120, 56}, {8, 16, 200}};
  static const ptrdiff_t heights[] = {1, 8, 11, 32, 1000, 0};
  static const int threads[] = {1, 2, 3, 8, 0};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct volume v = volume_of(sizes[i]);
    compare(n, &v, i == 4 ? heights + 3 : heights, i == 4 ? threads + 1 : threads);
    volume_release(&v);
  }
  willis_network_destroy(n);
}

static void the_plain_way_streams_too(void **state) {
  (void)state;
  struct willis_network *n = lively_network();
  static const ptrdiff_t sizes[][3] = {{8, 8, 8}, {9, 8, 26}};
  static const ptrdiff_t heights[] = {5, 0};
  static const int threads[] = {2, 0};
  willis_cpu_mask(0);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct volume v = volume_of(sizes[i]);
    compare(n, &v, heights, threads);
    volume_release(&v);
  }
  willis_cpu_mask(~0u);
  willis_network_destroy(n);
}

/* An allocator that keeps the highest sum of bytes, and fails at the n-th request. */
struct watch {
  size_t now, peak;
  int requests, fail_at, live;
};

enum { HEADER = 1 << 21 }; /* keeps any alignment that is asked for */

static void *watched_allocate(size_t bytes, size_t alignment, void *context) {
  struct watch *w = context;
  if (++w->requests == w->fail_at) return NULL;
  void *block = NULL;
  size_t head = alignment < 64 ? 64 : alignment;
  assert_true(head <= HEADER);
  if (posix_memalign(&block, head, bytes + head)) return NULL;
  unsigned char *user = (unsigned char *)block + head;
  memcpy(user - 16, &bytes, sizeof bytes);
  memcpy(user - 8, &head, sizeof head);
  w->now += bytes;
  if (w->peak < w->now) w->peak = w->now;
  w->live++;
  return user;
}

static void watched_release(void *block, void *context) {
  struct watch *w = context;
  unsigned char *user = block;
  size_t bytes, head;
  memcpy(&bytes, user - 16, sizeof bytes);
  memcpy(&head, user - 8, sizeof head);
  w->now -= bytes;
  w->live--;
  free(user - head);
}

static void memory_is_as_announced(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n = lively_network();
  struct watch w = {0};
  struct willis_allocator allocator = {watched_allocate, watched_release, &w};
  static const ptrdiff_t size[3] = {24, 17, 48};
  struct volume v = volume_of(size);
  for (unsigned mask = 0; mask < 2; mask++) {
    willis_cpu_mask(mask ? ~0u : 0u);
    size_t before = 0;
    for (ptrdiff_t height = 4; height < 64; height *= 4) {
      size_t bytes;
      check(willis_inference_slabs_bytes(n, size, height, &bytes, &err), &err);
      assert_true(bytes > before);
      before = bytes;
      willis_allocator_set(&allocator);
      w = (struct watch){0};
      check(stream(n, &v, height, WILLIS_OUTPUT_LOGIT, &err), &err);
      willis_allocator_set(NULL);
      assert_int_equal(w.peak, bytes);
      assert_int_equal(w.live, 0);
    }
  }
  willis_cpu_mask(~0u);
  volume_release(&v);
  willis_network_destroy(n);
}

/* The point of it all: a volume four times as deep takes no more. */
static void memory_does_not_grow_with_depth(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n = lively_network();
  size_t low, high, whole;
  check(willis_inference_slabs_bytes(n, (ptrdiff_t[]){128, 128, 256}, 8, &low, &err), &err);
  check(willis_inference_slabs_bytes(n, (ptrdiff_t[]){128, 128, 1024}, 8, &high, &err), &err);
  check(willis_inference_bytes(n, (ptrdiff_t[]){128, 128, 1024}, &whole, &err), &err);
  assert_int_equal(low, high);
  assert_true(10 * high < whole);
  willis_network_destroy(n);
}

static void any_allocation_may_fail(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n = lively_network();
  struct watch w = {0};
  struct willis_allocator allocator = {watched_allocate, watched_release, &w};
  static const ptrdiff_t size[3] = {8, 8, 16};
  struct volume v = volume_of(size);
  willis_allocator_set(&allocator);
  check(stream(n, &v, 8, WILLIS_OUTPUT_LOGIT, &err), &err);
  const int requests = w.requests;
  assert_true(requests >= 3);
  for (int i = 1; i <= requests; i++) {
    w = (struct watch){.fail_at = i};
    assert_int_equal(stream(n, &v, 8, WILLIS_OUTPUT_LOGIT, &err), WILLIS_OUT_OF_MEMORY);
    assert_int_equal(w.live, 0);
  }
  willis_allocator_set(NULL);
  volume_release(&v);
  willis_network_destroy(n);
}

static void errors_are_passed_on(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n = lively_network();
  static const ptrdiff_t size[3] = {9, 8, 40};
  struct volume v = volume_of(size);
  v.refuse_read = 24;
  assert_int_equal(stream(n, &v, 8, WILLIS_OUTPUT_LOGIT, &err), WILLIS_CANCELLED);
  assert_string_equal(err.message, "no more planes");
  v.refuse_read = -1;
  v.refuse_write = 20;
  assert_int_equal(stream(n, &v, 8, WILLIS_OUTPUT_LOGIT, &err), WILLIS_IO);
  assert_int_equal(v.written, 16);
  v.refuse_write = -1;
  v.x[30 * v.plane] = NAN;
  assert_int_equal(stream(n, &v, 8, WILLIS_OUTPUT_LOGIT, &err), WILLIS_NUMERIC);
  assert_non_null(strstr(err.message, "1 voxels of its input, planes 24 to 31"));
  /* What the numbers of the network make infinite is seen on the way out. */
  v.x[30 * v.plane] = 0;
  willis_network_set_output_bias(n, INFINITY);
  assert_int_equal(stream(n, &v, 8, WILLIS_OUTPUT_LOGIT, &err), WILLIS_NUMERIC);
  assert_non_null(strstr(err.message, "came out"));
  assert_int_equal(stream(n, &v, 0, WILLIS_OUTPUT_LOGIT, &err), WILLIS_INVALID_ARGUMENT);
  v.size[1] = 0;
  assert_int_equal(stream(n, &v, 8, WILLIS_OUTPUT_LOGIT, &err), WILLIS_INVALID_ARGUMENT);
  volume_release(&v);
  willis_network_destroy(n);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(streams_have_the_bits_of_the_whole),
      cmocka_unit_test(the_plain_way_streams_too),
      cmocka_unit_test(memory_is_as_announced),
      cmocka_unit_test(memory_does_not_grow_with_depth),
      cmocka_unit_test(any_allocation_may_fail),
      cmocka_unit_test(errors_are_passed_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
