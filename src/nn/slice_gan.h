/* Generator and discriminator of the conditional GAN that draws a volume slice by slice (Zuo 2021,
 * after pix2pix, Isola et al. 2017). A volume of [D][H][W] is D slices that do not see each other;
 * they are a batch to the normalisation.
 *
 * Generator: 2 channels in (each view's back-projected row), 1 out in [−1, 1]. Discriminator: the
 * same 2 and a slice, 3 channels in; out, a logit for each patch of 34×34 pixels, which is to a
 * slice of 128 about what pix2pix's 70×70 is to one of 256. */
#ifndef WILLIS_NN_SLICE_GAN_H
#define WILLIS_NN_SLICE_GAN_H

#include "nn/graph.h"

enum { WILLIS_SLICE_CONDITIONS = 2 };

extern const struct willis_architecture willis_slice_generator, willis_slice_discriminator;
extern const struct willis_graph willis_slice_generator_graph, willis_slice_discriminator_graph;

#endif
