/* Networks in weight files: which tensors there must be, under PyTorch's names (M7). */
#include "base/error.h"
#include "base/file.h"
#include "nn/network.h"
#include "nn/weights.h"

#include <math.h>
#include <string.h>

enum { FILE_LIMIT = 1 << 30 };

static bool same_shape(const struct willis_weights_entry *e, const struct willis_tensor_row *row) {
  if (e->rank != row->rank) return false;
  for (int d = 0; d < row->rank; d++)
    if (e->shape[d] != row->shape[d]) return false;
  return true;
}

static enum willis_status take_tensor(struct willis_network *n, int i,
                                      const struct willis_weights *weights,
                                      struct willis_error *err) {
  const struct willis_tensor_row *row = &n->tensor[i];
  const struct willis_weights_entry *e = willis_weights_find(weights, row->name);
  if (!e)
    return willis_fail(err, WILLIS_MISMATCH, "tensor %s is missing; network %s has it", row->name,
                       n->architecture->name);
  if (e->type == WILLIS_WEIGHTS_I64 || !same_shape(e, row))
    return willis_fail(err, WILLIS_MISMATCH,
                       "tensor %s is not F32 or F16 of the shape that network %s has", row->name,
                       n->architecture->name);
  float *values = willis_network_tensor(n, i).values;
  for (ptrdiff_t j = 0; j < row->count; j++) {
    values[j] = willis_weights_float(e, j);
    if (!isfinite(values[j]))
      return willis_fail(err, WILLIS_NUMERIC, "tensor %s: value %td is NaN or infinite", row->name,
                         j);
  }
  return WILLIS_OK;
}

static enum willis_status take_counter(struct willis_counter_row *row,
                                       const struct willis_weights *weights,
                                       struct willis_error *err) {
  const struct willis_weights_entry *e = willis_weights_find(weights, row->name);
  if (!e || e->type != WILLIS_WEIGHTS_I64 || e->count != 1)
    return willis_fail(err, WILLIS_MISMATCH, "tensor %s is missing or not one I64", row->name);
  row->value = willis_weights_integer(e, 0);
  return WILLIS_OK;
}

/* With everything the network wants found, a larger number means that there is something else. */
static enum willis_status check_count(const struct willis_network *n, ptrdiff_t counters,
                                      const struct willis_weights *weights,
                                      struct willis_error *err) {
  ptrdiff_t wanted = n->tensor_count + counters;
  if (weights->entry_count == wanted) return WILLIS_OK;
  return willis_fail(err, WILLIS_MISMATCH, "%td tensors, network %s has %td", weights->entry_count,
                     n->architecture->name, wanted);
}

static enum willis_status take_metadata(struct willis_network *n,
                                        const struct willis_weights *weights,
                                        struct willis_error *err) {
  const char *key;
  json_t *value;
  json_object_foreach(weights->metadata, key, value) {
    if (json_object_set(n->metadata, key, value))
      return willis_fail_memory(err, "metadata", 1, sizeof *value);
  }
  return WILLIS_OK;
}

static enum willis_status take_everything(struct willis_network *n,
                                          const struct willis_weights *weights,
                                          struct willis_error *err) {
  enum willis_status status = WILLIS_OK;
  ptrdiff_t counters = 0;
  for (int i = 0; i < n->tensor_count && status == WILLIS_OK; i++)
    status = take_tensor(n, i, weights, err);
  for (int l = 0; l < n->architecture->layer_count && status == WILLIS_OK; l++) {
    if (!n->architecture->layer[l].normalised) continue;
    status = take_counter(&n->counter[l], weights, err);
    counters++;
  }
  if (status == WILLIS_OK) status = check_count(n, counters, weights, err);
  return status == WILLIS_OK ? take_metadata(n, weights, err) : status;
}

enum willis_status willis_network_parse(const unsigned char *bytes, size_t size,
                                        struct willis_network **network, struct willis_error *err) {
  *network = NULL;
  struct willis_weights weights;
  struct willis_network *n = NULL;
  enum willis_status status = willis_weights_parse(bytes, size, &weights, err);
  if (status != WILLIS_OK) goto out;
  /* A state_dict saved by hand has no metadata; its tensors then say whether it fits. */
  const char *name = json_string_value(json_object_get(weights.metadata, "network"));
  status = willis_network_create_empty(name ? name : "dae", &n, err);
  if (status != WILLIS_OK) goto out;
  status = take_everything(n, &weights, err);
  if (status != WILLIS_OK) goto out;
  *network = n;
  n = NULL;
out:
  willis_network_destroy(n);
  willis_weights_release(&weights);
  return status;
}

enum willis_status willis_network_read(const char *path, struct willis_network **network,
                                       struct willis_error *err) {
  *network = NULL;
  unsigned char *bytes = NULL;
  size_t size = 0;
  enum willis_status status = willis_file_read(path, FILE_LIMIT, &bytes, &size, err);
  if (status != WILLIS_OK) return status;
  status = willis_network_parse(bytes, size, network, err);
  if (status != WILLIS_OK) willis_fail_in(err, status, path);
  willis_release(bytes);
  return status;
}

enum willis_status willis_network_write(const char *path, const struct willis_network *network,
                                        bool overwrite, struct willis_error *err) {
  const struct willis_architecture *a = network->architecture;
  ptrdiff_t most = network->tensor_count + a->layer_count, count = 0;
  struct willis_weights_item *item = willis_take(most, sizeof *item);
  if (!item) return willis_fail_memory(err, "the tensors of a file", most, sizeof *item);
  /* Integers first keep every tensor aligned to its own width. */
  for (int l = 0; l < a->layer_count; l++)
    if (a->layer[l].normalised)
      item[count++] = (struct willis_weights_item){.name = network->counter[l].name,
                                                   .type = WILLIS_WEIGHTS_I64,
                                                   .count = 1,
                                                   .values = &network->counter[l].value};
  for (int i = 0; i < network->tensor_count; i++) {
    const struct willis_tensor_row *row = &network->tensor[i];
    const float *block = row->learned ? network->parameters : network->statistics;
    item[count++] = (struct willis_weights_item){.name = row->name,
                                                 .type = WILLIS_WEIGHTS_F32,
                                                 .rank = row->rank,
                                                 .shape = row->shape,
                                                 .count = row->count,
                                                 .values = block + row->offset};
  }
  enum willis_status status =
      willis_weights_write(path, network->metadata, item, count, overwrite, err);
  willis_release(item);
  return status;
}
