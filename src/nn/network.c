/* Networks as blocks of named numbers: creation, initialisation, metadata, access. */
#include "nn/network.h"

#include "base/error.h"
#include "base/random.h"
#include "nn/dae.h"
#include "nn/hull_net.h"
#include "nn/slice_gan.h"
#include "nn/unet.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct willis_architecture *const willis_architectures[] = {
    &willis_dae, &willis_unet, &willis_slice_generator, &willis_slice_discriminator,
    &willis_hull_architecture};

/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are what is counted. */
enum { ARCHITECTURES = sizeof willis_architectures / sizeof *willis_architectures };

const struct willis_architecture *willis_architecture_find(const char *name) {
  for (int i = 0; i < ARCHITECTURES; i++)
    if (!strcmp(willis_architectures[i]->name, name)) return willis_architectures[i];
  return NULL;
}

/* The tensors of one layer, in the order of PyTorch's state_dict and of the fields of
 * struct willis_block_parameters. */
static const struct {
  const char *name;
  bool normalisation, learned;
  float start;
} layer_tensors[] = {
    {"weight", false, true, 0}, {"bias", false, true, 0},         {"weight", true, true, 1},
    {"bias", true, true, 0},    {"running_mean", true, false, 0}, {"running_var", true, false, 1},
};

enum { LAYER_TENSORS = sizeof layer_tensors / sizeof *layer_tensors };

/* Weights start uniform in ±spread/√fan, fan = inputs · taps. PyTorch's default for the dense ones:
 * spread 1, and for transposed convolutions the second dimension of the weight, the outputs, in
 * place of the inputs. Sparse ones start so that the variance stays, for as many taps as usually
 * are there. */
#define KEEP_VARIANCE 1.7320508
static const struct layer_kind {
  const char *operation;
  int rank;
  bool transposed, biased, fans_from_outputs;
  double spread;
  int taps; /* 0: all of the stencil's */
} layer_kinds[] = {
    [WILLIS_LAYER_CONV3D] = {"conv", 5, false, true, false, 1, 0},
    [WILLIS_LAYER_CONV_TRANSPOSE3D] = {"deconv", 5, true, true, true, 1, 0},
    [WILLIS_LAYER_GAIN] = {"rms", 1, false, false, false, 0, 1},
    [WILLIS_LAYER_LINEAR] = {"linear", 2, false, true, false, KEEP_VARIANCE, 1},
    [WILLIS_LAYER_LINEAR_UNBIASED] = {"linear", 2, false, false, false, KEEP_VARIANCE, 1},
    [WILLIS_LAYER_CONV3D_SPARSE] = {"conv", 5, false, true, false, KEEP_VARIANCE, 12},
    [WILLIS_LAYER_CONV3D_STRIDED] = {"conv", 5, false, true, false, KEEP_VARIANCE, 4},
    [WILLIS_LAYER_CONV_TRANSPOSE3D_SPARSE] = {"deconv", 5, true, true, false, KEEP_VARIANCE, 1},
};

/* Whether the layer has tensor i of the table above. */
static bool has_tensor(const struct willis_layer *layer, int i) {
  if (layer_tensors[i].normalisation) return layer->normalised;
  return i == 0 || layer_kinds[layer->kind].biased;
}

static void describe_tensor(const struct willis_layer *layer, int i,
                            struct willis_tensor_row *row) {
  const struct layer_kind *kind = &layer_kinds[layer->kind];
  snprintf(row->name, sizeof row->name, "%s.%s.%s", layer->name,
           layer_tensors[i].normalisation ? "bn" : kind->operation, layer_tensors[i].name);
  row->rank = 1;
  row->shape[0] = layer->outputs;
  if (i == 0) {
    row->rank = kind->rank;
    row->shape[0] = kind->transposed ? layer->inputs : layer->outputs;
    row->shape[1] = kind->transposed ? layer->outputs : layer->inputs;
    for (int d = 2; d < kind->rank; d++) row->shape[d] = layer->stencil.kernel[d - 2];
  }
  row->learned = layer_tensors[i].learned;
  row->count = 1;
  for (int d = 0; d < row->rank; d++) row->count *= row->shape[d];
}

static void describe(struct willis_network *n) {
  for (int l = 0; l < n->architecture->layer_count; l++) {
    const struct willis_layer *layer = &n->architecture->layer[l];
    for (int i = 0; i < LAYER_TENSORS; i++) {
      if (!has_tensor(layer, i)) continue;
      struct willis_tensor_row *row = &n->tensor[n->tensor_count++];
      describe_tensor(layer, i, row);
      ptrdiff_t *total = row->learned ? &n->parameter_count : &n->statistics_count;
      row->offset = *total;
      *total += row->count;
    }
    if (layer->normalised)
      snprintf(n->counter[l].name, sizeof n->counter[l].name, "%s.bn.num_batches_tracked",
               layer->name);
  }
}

ptrdiff_t willis_architecture_parameter_count(const struct willis_architecture *architecture) {
  ptrdiff_t count = 0;
  for (int l = 0; l < architecture->layer_count; l++)
    for (int i = 0; i < LAYER_TENSORS; i++) {
      struct willis_tensor_row row;
      if (!has_tensor(&architecture->layer[l], i)) continue;
      describe_tensor(&architecture->layer[l], i, &row);
      count += row.learned ? row.count : 0;
    }
  return count;
}

enum willis_status willis_network_create_empty(const char *architecture,
                                               struct willis_network **network,
                                               struct willis_error *err) {
  *network = NULL;
  const struct willis_architecture *a = willis_architecture_find(architecture);
  if (!a)
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "no network is called '%s'; there are: dae, hull, unet, slice-generator",
                       architecture);
  struct willis_network *n = willis_take_zeroed(1, sizeof *n);
  if (!n) goto out;
  n->architecture = a;
  n->tensor = willis_take_zeroed((ptrdiff_t)a->layer_count * LAYER_TENSORS, sizeof *n->tensor);
  n->counter = willis_take_zeroed(a->layer_count, sizeof *n->counter);
  n->metadata = json_object();
  if (!n->tensor || !n->counter || !n->metadata) goto out;
  describe(n);
  n->parameters = willis_take_zeroed(n->parameter_count, sizeof *n->parameters);
  n->statistics = willis_take_zeroed(n->statistics_count, sizeof *n->statistics);
  if (!n->parameters || !n->statistics) goto out;
  if (json_object_set_new(n->metadata, "network", json_string(a->name))) goto out;
  *network = n;
  return WILLIS_OK;
out:
  willis_network_destroy(n);
  return willis_fail_memory(err, "a network", 1, sizeof *n);
}

static void initialise(struct willis_network *n, uint64_t seed) {
  int t = 0;
  for (int l = 0; l < n->architecture->layer_count; l++) {
    const struct willis_layer *layer = &n->architecture->layer[l];
    const struct layer_kind *kind = &layer_kinds[layer->kind];
    double taps = kind->taps ? kind->taps : willis_stencil_taps(&layer->stencil);
    double bound =
        kind->spread / sqrt((kind->fans_from_outputs ? layer->outputs : layer->inputs) * taps);
    for (int i = 0; i < LAYER_TENSORS; i++) {
      if (!has_tensor(layer, i)) continue;
      struct willis_network_tensor tensor = willis_network_tensor(n, t);
      const bool drawn = !layer_tensors[i].normalisation && kind->spread > 0;
      const float start = layer_tensors[i].normalisation ? layer_tensors[i].start : 1;
      for (ptrdiff_t j = 0; j < tensor.count; j++)
        tensor.values[j] =
            drawn ? (float)(bound * (2 * willis_random_uniform(seed, (uint64_t)t, (uint64_t)j) - 1))
                  : start;
      t++;
    }
  }
}

enum willis_status willis_network_create(const char *architecture, uint64_t seed,
                                         struct willis_network **network,
                                         struct willis_error *err) {
  enum willis_status status = willis_network_create_empty(architecture, network, err);
  if (status == WILLIS_OK) initialise(*network, seed);
  return status;
}

void willis_network_destroy(struct willis_network *network) {
  if (!network) return;
  json_decref(network->metadata);
  willis_release(network->statistics);
  willis_release(network->parameters);
  willis_release(network->counter);
  willis_release(network->tensor);
  willis_release(network);
}

const char *willis_network_metadata(const struct willis_network *network, const char *key) {
  return json_string_value(json_object_get(network->metadata, key));
}

enum willis_status willis_network_metadata_set(struct willis_network *network, const char *key,
                                               const char *value, struct willis_error *err) {
  if (!strcmp(key, "network"))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "metadata key 'network' is the network's own and cannot be set");
  if (!value) {
    json_object_del(network->metadata, key);
    return WILLIS_OK;
  }
  if (json_object_set_new(network->metadata, key, json_string(value)))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "metadata '%s' is not UTF-8 text", key);
  return WILLIS_OK;
}

int willis_network_tensor_count(const struct willis_network *network) {
  return network->tensor_count;
}

struct willis_network_tensor willis_network_tensor(struct willis_network *network, int i) {
  const struct willis_tensor_row *row = &network->tensor[i];
  struct willis_network_tensor t = {
      .name = row->name,
      .rank = row->rank,
      .count = row->count,
      .values = (row->learned ? network->parameters : network->statistics) + row->offset,
      .learned = row->learned};
  memcpy(t.shape, row->shape, sizeof t.shape);
  return t;
}

int willis_network_tensor_find(const struct willis_network *network, const char *name) {
  for (int i = 0; i < network->tensor_count; i++)
    if (!strcmp(network->tensor[i].name, name)) return i;
  return -1;
}

ptrdiff_t willis_network_parameter_count(const struct willis_network *network) {
  return network->parameter_count;
}

void willis_network_set_output_bias(struct willis_network *network, float bias) {
  struct willis_network_tensor last = willis_network_tensor(network, network->tensor_count - 1);
  for (ptrdiff_t i = 0; i < last.count; i++) last.values[i] = bias;
}

void willis_network_blocks(const struct willis_network *network, float *parameters,
                           float *statistics, struct willis_block_parameters *p) {
  int t = 0;
  for (int l = 0; l < network->architecture->layer_count; l++) {
    float **const field[] = {&p[l].weight, &p[l].bias,         &p[l].gamma,
                             &p[l].beta,   &p[l].running_mean, &p[l].running_variance};
    p[l] = (struct willis_block_parameters){0};
    for (int i = 0; i < LAYER_TENSORS; i++) {
      if (!has_tensor(&network->architecture->layer[l], i)) continue;
      float *block = network->tensor[t].learned ? parameters : statistics;
      if (block) *field[i] = block + network->tensor[t].offset;
      t++;
    }
  }
}

enum willis_status willis_network_extent(const struct willis_network *network,
                                         const ptrdiff_t size[3], struct willis_extent *extent,
                                         struct willis_error *err) {
  /* The widest activation of any plan stays far under 2¹⁶ bytes a voxel. */
  enum { BYTES_PER_VOXEL = 1 << 16 };
  const ptrdiff_t m = network->architecture->multiple;
  ptrdiff_t edge[3], bytes = BYTES_PER_VOXEL;
  if (network->architecture->sparse)
    return willis_fail(err, WILLIS_UNSUPPORTED, "network %s does not work on volumes",
                       network->architecture->name);
  if (network->architecture->layer[0].inputs != 1)
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "network %s reads %d channels: it draws slices from single views and does "
                       "not take a back-projection",
                       network->architecture->name, network->architecture->layer[0].inputs);
  for (int a = 0; a < 3; a++) {
    bool fits = size[a] >= 1 && size[a] <= PTRDIFF_MAX - m;
    edge[a] = fits ? (size[a] + m - 1) / m * m : 0;
    if (!fits || !willis_multiply(bytes, edge[a], &bytes))
      return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                         "a network cannot work on %td×%td×%td voxels", size[0], size[1], size[2]);
  }
  *extent = (struct willis_extent){edge[2], edge[1], edge[0]};
  return WILLIS_OK;
}
