/* What voxelizing meshes and trees has in common. A voxel is looked at in FINE³ samples; a shape
 * says which samples of one layer of voxels (one k) are inside, as bits, and the layers become
 * values. Only one layer a thread exists at a time. */
#ifndef WILLIS_VOLUME_VOXELIZE_H
#define WILLIS_VOLUME_VOXELIZE_H

#include <willis/volume.h>

enum { WILLIS_FINE = 4 }; /* samples along an edge of a voxel; divides 64 */

/* Sample (a,b,c) of a layer, c in [0,FINE), is bit a % 64 of
 * word[(c·size[1]·FINE + b)·words + a/64]. Fine sample s of an axis has its place at index
 * (s + 0.5)/FINE − 0.5. */
struct willis_layer {
  ptrdiff_t k;
  ptrdiff_t rows;  /* along y: size[1]·FINE */
  ptrdiff_t words; /* a row */
  uint64_t *word;
};
static inline uint64_t *willis_layer_row(const struct willis_layer *layer, ptrdiff_t b,
                                         ptrdiff_t c) {
  return layer->word + (c * layer->rows + b) * layer->words;
}
static inline void willis_layer_set(const struct willis_layer *layer, ptrdiff_t a, ptrdiff_t b,
                                    ptrdiff_t c) {
  willis_layer_row(layer, b, c)[a >> 6] |= (uint64_t)1 << (a & 63);
}

/* Leaves the inside of layer->k in layer[0]; layer[1], layer[2]… are room to work in. All come
 * zeroed. Called from several threads at once. */
typedef void willis_layer_fill(const struct willis_layer *layer, const void *shape);

/* The options' grid, or a cube around the box with the margin. INVALID_ARGUMENT, GEOMETRY. */
WILLIS_CHECKED enum willis_status
willis_voxelize_grid(const struct willis_voxelize_options *options, const double low_mm[3],
                     const double high_mm[3], struct willis_grid *grid, struct willis_error *err);
/* Makes the volume: layers → occupied fraction × 1000, then tissue, then noise. */
WILLIS_CHECKED enum willis_status
willis_voxelize_layers(const struct willis_voxelize_options *options,
                       const struct willis_grid *grid, int layers, willis_layer_fill *fill,
                       const void *shape, struct willis_volume *volume, struct willis_error *err);

#endif
