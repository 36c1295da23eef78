/* From projections to probability: models looked up and held against the stack, padding, memory. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "patients.h"

#include "base/memory.h"

static struct willis_volume phantom;
static struct willis_projections stack;

static void write_model(const char *name, const char *views, const char *size) {
  static const char *const fixed[][2] = {
      {"arc_deg", "90"}, {"projection", "max"}, {"threshold", "0.4"}, {"trained_on", "phantoms"}};
  struct willis_network *network;
  assert_int_equal(willis_network_create("dae", 1, &network, NULL), WILLIS_OK);
  for (int i = 0; i < 4; i++)
    assert_int_equal(willis_network_metadata_set(network, fixed[i][0], fixed[i][1], NULL),
                     WILLIS_OK);
  assert_int_equal(willis_network_metadata_set(network, "views", views, NULL), WILLIS_OK);
  assert_int_equal(willis_network_metadata_set(network, "size", size, NULL), WILLIS_OK);
  assert_int_equal(willis_network_write(scratch_path(name), network, true, NULL), WILLIS_OK);
  willis_network_destroy(network);
}

static int set_up(void **state) {
  struct willis_tree tree;
  struct willis_voxelize_options options = willis_voxelize_defaults();
  struct willis_sampling sampling = willis_sampling_defaults();
  options.size = 20; /* no multiple of 8 */
  sampling.views = 3;
  if (scratch_make(state) || willis_tree_phantom(1, &tree, NULL) ||
      willis_tree_voxelize(&tree, &options, NULL, &phantom, NULL) ||
      willis_sampling_stack(&sampling, &phantom.grid, &stack, NULL) ||
      willis_project(&phantom, &stack, NULL))
    return -1;
  willis_tree_release(&tree);
  write_model("dae-3.safetensors", "3", "64");
  write_model("dae-3-big.safetensors", "3", "128");
  write_model("dae-5.safetensors", "5", "64");
  write_model("broken.safetensors", "many", "64");
  return 0;
}

static int tear_down(void **state) {
  willis_projections_release(&stack);
  willis_volume_release(&phantom);
  return scratch_remove(state);
}

static void finds_models(void **state) {
  (void)state;
  const char *folder[] = {"/nowhere", scratch_folder};
  char path[512];
  struct willis_error err;
  static const struct {
    const char *name;
    ptrdiff_t size;
    const char *found;
  } wanted[] = {{"dae-5", 64, "dae-5.safetensors"},
                {NULL, 64, "dae-3.safetensors"},
                {NULL, 100, "dae-3-big.safetensors"}};
  for (int i = 0; i < 3; i++) {
    assert_int_equal(willis_model_find(wanted[i].name, folder, 2, &stack, wanted[i].size, path,
                                       sizeof path, &err),
                     WILLIS_OK);
    assert_string_equal(path, scratch_path(wanted[i].found));
  }
  assert_int_equal(willis_model_find("dae-7", folder, 2, &stack, 64, path, sizeof path, &err),
                   WILLIS_IO);
  assert_non_null(strstr(err.message, "dae-3, dae-3-big, dae-5"));
  stack.mode = WILLIS_PROJECTION_SUM;
  assert_int_equal(willis_model_find(NULL, folder, 2, &stack, 64, path, sizeof path, &err),
                   WILLIS_MISMATCH);
  stack.mode = WILLIS_PROJECTION_MAX;
  assert_int_equal(
      willis_model_find("./dae-9.safetensors", folder, 2, &stack, 64, path, sizeof path, &err),
      WILLIS_IO);
}

static enum willis_status reconstruct(const char *model, struct willis_reconstruct_options options,
                                      struct willis_volume *probability, struct willis_error *err) {
  struct willis_network *network;
  assert_int_equal(willis_network_read(scratch_path(model), &network, NULL), WILLIS_OK);
  enum willis_status status =
      willis_reconstruct(&stack, network, &options, NULL, NULL, probability, err);
  willis_network_destroy(network);
  return status;
}

static void refuses_models_that_do_not_fit(void **state) {
  (void)state;
  struct willis_reconstruct_options options = {0};
  struct willis_volume probability;
  struct willis_error err;
  assert_int_equal(reconstruct("dae-5.safetensors", options, &probability, &err), WILLIS_MISMATCH);
  assert_non_null(strstr(err.message, "5 views"));
  assert_int_equal(reconstruct("broken.safetensors", options, &probability, &err), WILLIS_FORMAT);
  options.any_model = true;
  assert_int_equal(reconstruct("dae-5.safetensors", options, &probability, &err), WILLIS_OK);
  willis_volume_release(&probability);
  options.any_model = false;
  double kept = stack.view[1].primary_angle_deg;
  stack.view[1].primary_angle_deg = 60;
  assert_int_equal(reconstruct("dae-3.safetensors", options, &probability, &err), WILLIS_MISMATCH);
  stack.view[1].primary_angle_deg = kept;
}

static void gives_probabilities_on_the_grid(void **state) {
  (void)state;
  struct willis_reconstruct_options options = {0};
  struct willis_volume probability;
  struct willis_error err;
  assert_int_equal(reconstruct("dae-3.safetensors", options, &probability, &err), WILLIS_OK);
  assert_true(willis_grid_equal(&probability.grid, &phantom.grid));
  float low, high;
  willis_volume_range(&probability, &low, &high);
  assert_true(low > 0 && high < 1 && low < high);
  willis_volume_release(&probability);
}

/* Slab by slab or whole: the same probability as from the whole back-projection at once. */
static void streams_the_same_bits(void **state) {
  (void)state;
  struct willis_network *network;
  struct willis_volume probability, input;
  assert_int_equal(willis_network_read(scratch_path("dae-3.safetensors"), &network, NULL),
                   WILLIS_OK);
  assert_int_equal(willis_network_input(&stack, &phantom.grid, &input, NULL), WILLIS_OK);
  const ptrdiff_t *size = phantom.grid.size;
  size_t bytes = (size_t)willis_grid_count(&phantom.grid) * sizeof(float);
  float *expected = willis_take((ptrdiff_t)bytes, 1);
  assert_int_equal(
      willis_network_infer(network, size, input.voxels, WILLIS_OUTPUT_PROBABILITY, expected, NULL),
      WILLIS_OK);
  struct willis_reconstruct_plan loose, tight;
  struct willis_error err;
  assert_int_equal(willis_reconstruct_plan(&stack, network, &phantom.grid, 0, 0, &loose, &err),
                   WILLIS_OK);
  assert_int_equal(willis_reconstruct_plan(&stack, network, &phantom.grid, 0, 1, &tight, &err),
                   WILLIS_OUT_OF_MEMORY);
  assert_true(tight.height < loose.height && tight.bytes < loose.bytes);
  assert_non_null(strstr(err.message, "at least"));
  for (int i = 0; i < 2; i++) {
    struct willis_reconstruct_options options = {.max_memory =
                                                     i ? tight.bytes + bytes : loose.bytes + bytes};
    assert_int_equal(reconstruct("dae-3.safetensors", options, &probability, &err), WILLIS_OK);
    assert_memory_equal(probability.voxels, expected, bytes);
    willis_volume_release(&probability);
  }
  willis_release(expected);
  willis_volume_release(&input);
  willis_network_destroy(network);
}

/* The highest sum of bytes taken at a time. */
struct watch {
  size_t now, peak;
};

enum { HEAD = 1 << 21 }; /* keeps any alignment that is asked for */

static void *watched_allocate(size_t bytes, size_t alignment, void *context) {
  struct watch *w = context;
  size_t head = alignment > HEAD ? 0 : alignment;
  void *block = NULL;
  if (!head || posix_memalign(&block, head, bytes + head)) return NULL;
  unsigned char *user = (unsigned char *)block + head;
  memcpy(user - 16, &bytes, sizeof bytes);
  memcpy(user - 8, &head, sizeof head);
  w->now += bytes;
  if (w->peak < w->now) w->peak = w->now;
  return user;
}

static void watched_release(void *block, void *context) {
  unsigned char *user = block;
  size_t bytes, head;
  memcpy(&bytes, user - 16, sizeof bytes);
  memcpy(&head, user - 8, sizeof head);
  ((struct watch *)context)->now -= bytes;
  free(user - head);
}

static enum willis_status drop_slab(ptrdiff_t begin, ptrdiff_t end, const float *planes,
                                    void *context, struct willis_error *err) {
  (void)begin, (void)end, (void)planes, (void)err;
  return *(enum willis_status *)context;
}

static void stays_within_memory(void **state) {
  (void)state;
  struct willis_network *network;
  struct willis_reconstruct_plan plan;
  struct willis_error err;
  struct watch watch = {0};
  struct willis_allocator allocator = {watched_allocate, watched_release, &watch};
  enum willis_status answer = WILLIS_OK;
  struct willis_plane_sink sink = {drop_slab, &answer};
  struct willis_reconstruct_options options = {0};
  assert_int_equal(willis_network_read(scratch_path("dae-3.safetensors"), &network, NULL),
                   WILLIS_OK);
  assert_int_equal(willis_reconstruct_plan(&stack, network, &phantom.grid, 0, 0, &plan, &err),
                   WILLIS_OK);
  willis_allocator_set(&allocator);
  assert_int_equal(willis_reconstruct_slabs(&stack, network, &options, NULL, NULL, &sink, &err),
                   WILLIS_OK);
  willis_allocator_set(NULL);
  assert_int_equal(watch.now, 0);
  assert_true(watch.peak <= plan.bytes && 10 * watch.peak >= 9 * plan.bytes);
  /* What the caller holds counts, and so does a volume for the result. */
  size_t volume = (size_t)willis_grid_count(&phantom.grid) * sizeof(float);
  options = (struct willis_reconstruct_options){.max_memory = plan.bytes, .held_memory = 100};
  struct willis_reconstruct_plan least;
  assert_int_equal(willis_reconstruct_plan(&stack, network, &phantom.grid, 0, 1, &least, &err),
                   WILLIS_OUT_OF_MEMORY);
  struct willis_volume probability;
  options.max_memory = least.bytes + 100;
  assert_int_equal(willis_reconstruct_slabs(&stack, network, &options, NULL, NULL, &sink, &err),
                   WILLIS_OK);
  options.max_memory--;
  assert_int_equal(willis_reconstruct_slabs(&stack, network, &options, NULL, NULL, &sink, &err),
                   WILLIS_OUT_OF_MEMORY);
  options = (struct willis_reconstruct_options){.max_memory = least.bytes + volume};
  assert_int_equal(reconstruct("dae-3.safetensors", options, &probability, &err), WILLIS_OK);
  willis_volume_release(&probability);
  options.max_memory--;
  assert_int_equal(reconstruct("dae-3.safetensors", options, &probability, &err),
                   WILLIS_OUT_OF_MEMORY);
  answer = WILLIS_IO;
  options.max_memory = 0;
  assert_int_equal(willis_reconstruct_slabs(&stack, network, &options, NULL, NULL, &sink, &err),
                   WILLIS_IO);
  willis_network_destroy(network);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_models),
      cmocka_unit_test(refuses_models_that_do_not_fit),
      cmocka_unit_test(gives_probabilities_on_the_grid),
      cmocka_unit_test(streams_the_same_bits),
      cmocka_unit_test(stays_within_memory),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
