/* Tools for drawing a vessel tree at random: numbers, smooth paths, and branches that grow towards
 * their leaves. */
#ifndef WILLIS_VOLUME_PHANTOM_GROW_H
#define WILLIS_VOLUME_PHANTOM_GROW_H

#include <willis/volume.h>

/* A tree being drawn. When memory runs out `failed` is set and everything else does nothing. */
struct willis_sketch {
  struct willis_tree tree;
  ptrdiff_t capacity;
  uint64_t seed, drawn; /* random numbers so far */
  bool failed;
};

double willis_sketch_uniform(struct willis_sketch *sketch, double low, double high);
double willis_sketch_normal(struct willis_sketch *sketch, double sd);
/* True with probability p. */
bool willis_sketch_chance(struct willis_sketch *sketch, double p);

/* A node without (parent −1) or with a parent; returns its number. */
ptrdiff_t willis_sketch_node(struct willis_sketch *sketch, const double position_mm[3],
                             double radius_mm, ptrdiff_t parent, int kind);

struct willis_path {
  double (*point)[3]; /* mm; the path runs through them, point[0] is where `parent` is */
  int count;          /* at least 2 */
  double radius_mm[2];
  double wander; /* sideways, standard deviation at the middle of a stretch as part of its length */
  int kind;
};
/* Adds nodes from `parent` (which stays as it is) to the last point; returns the last node. */
ptrdiff_t willis_sketch_path(struct willis_sketch *sketch, ptrdiff_t parent,
                             const struct willis_path *path);

/* Where a branch ends. Its share of the parent's r³ is its weight (Murray's law). */
struct willis_leaf {
  double position_mm[3];
  double weight;
};
struct willis_territory {
  struct willis_leaf *leaf;
  int count;
  double radius_mm; /* of the stem */
  int kind;
  /* Branches run near the surface of this ellipsoid: pulled towards it by `pull` (0 to 1). */
  double centre_mm[3], semiaxis_mm[3], pull;
};
/* Grows from `node` a tree that ends in every leaf. Reorders the leaves. */
void willis_sketch_grow(struct willis_sketch *sketch, ptrdiff_t node,
                        const struct willis_territory *territory);

#endif
