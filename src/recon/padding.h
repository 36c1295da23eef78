/* Volumes whose edge is no multiple of 8 as a network is trained on them: zeros after the last
 * voxel of every axis, input and target alike, so that the padding counts as background. Inference
 * pads in the same place and crops. */
#ifndef WILLIS_RECON_PADDING_H
#define WILLIS_RECON_PADDING_H

#include <willis/train.h>

enum { WILLIS_PADDING_MULTIPLE = 8 };

/* The edge that the network gets. */
ptrdiff_t willis_padding_edge(ptrdiff_t size);

struct willis_padding {
  ptrdiff_t size, edge;
  float *x, *target;   /* edge³ each, from the first willis_padding_volumes() on */
  unsigned char *bits; /* one a voxel, from the first willis_padding_planes() on */
  struct willis_plane_source inner;
};

void willis_padding_init(struct willis_padding *padding, ptrdiff_t size);
void willis_padding_release(struct willis_padding *padding);
/* Fills x and target. */
WILLIS_CHECKED enum willis_status willis_padding_volumes(struct willis_padding *padding,
                                                         const struct willis_pair *pair,
                                                         struct willis_error *err);
/* Fills bits; `source` reads padded planes of the pair for as long as both are there. */
WILLIS_CHECKED enum willis_status willis_padding_planes(struct willis_padding *padding,
                                                        const struct willis_planes_pair *pair,
                                                        struct willis_plane_source *source,
                                                        struct willis_error *err);

#endif
