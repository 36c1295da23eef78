/* The hull network in a mirror: with these weights it says of what it is shown what it would say,
 * with its own, of the mirrored head in mirrored views. Voxels, lists and tables stay as they are.
 */
#ifndef WILLIS_NN_HULL_MIRROR_H
#define WILLIS_NN_HULL_MIRROR_H

#include <willis/network.h>

/* x against x, z against z; both may be asked for at once. */
enum willis_hull_mirror {
  WILLIS_MIRROR_NONE = 0,
  WILLIS_MIRROR_LEFT_RIGHT = 1,
  WILLIS_MIRROR_UPSIDE_DOWN = 2
};

/* parameters: a block laid out like the network's, of architecture "hull". */
void willis_hull_mirror(const struct willis_network *network, unsigned mirror, float *parameters);

#endif
