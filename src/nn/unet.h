/* The 3D U-Net of table 2: back-projection in, logit out. */
#ifndef WILLIS_NN_UNET_H
#define WILLIS_NN_UNET_H

#include "nn/graph.h"

extern const struct willis_architecture willis_unet;
extern const struct willis_graph willis_unet_graph;

#endif
