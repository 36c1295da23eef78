/* Lee, Kashyap and Chu, Building skeleton models via 3-D medial surface/axis thinning algorithms,
 * CVGIP 56(6), 1994.
 *
 * Round after round, from each of six sides in turn, voxels are collected whose face neighbour on
 * that side is empty and which are no line end, do not change the Euler characteristic and leave
 * their neighbours connected; then each is looked at again, in the order of the voxels, and removed
 * if its neighbours are still connected without it. It ends when a round removes nothing. The order
 * of the sides is that of ITK, ImageJ and scikit-image, so that skeletons can be compared.
 *
 * The Euler characteristic of the union of closed voxel cubes (26-connectivity) is a sum over the
 * eight octants around a voxel; what one octant loses with its middle voxel is counted once for all
 * 256 octants (the paper's table 2) from vertices, edges, faces and cubes. */
#include "volume/thinning.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Neighbours are bits 9(dz+1) + 3(dy+1) + (dx+1) of a word. */
enum { NEIGHBOURS = 27, MIDDLE = 13, SIDES = 6 };

struct tables {
  uint32_t adjacent[NEIGHBOURS];  /* 26-neighbours of each, the middle left out */
  unsigned char octant_bit[8][8]; /* bit of each octant's corners; corner 0 is the middle */
  signed char euler_change[256];  /* 8 × the octant's loss with its middle voxel */
};

struct thinning {
  struct tables tables;
  unsigned char *padded; /* the mask with one voxel of nothing around it */
  ptrdiff_t step[3];     /* of the padded mask */
  int sides;             /* 6, or 4 for a single slice, which is thinned as a picture */
  ptrdiff_t *voxel;      /* what is left, in order */
  ptrdiff_t voxel_count;
  ptrdiff_t *candidate;
};

/* 8 × the Euler characteristic that belongs to the lattice vertex amid 2×2×2 voxels: the vertex
 * itself, six half edges, twelve quarter faces, eight eighths of cubes, each if a voxel has it. */
static int octant_euler(unsigned corners) {
  if (!corners) return 0;
  int euler = 8;
  for (int axis = 0; axis < 3; axis++)
    for (int side = 0; side < 2; side++) {
      bool edge = false;
      bool face[4] = {false};
      for (int corner = 0; corner < 8; corner++) {
        if (!(corners >> corner & 1)) continue;
        if ((corner >> axis & 1) == side) edge = true;
        /* The quarter faces across `axis`: their place is that of the other two axes. */
        if (side == 0)
          face[(corner >> (axis + 1) % 3 & 1) + 2 * (corner >> (axis + 2) % 3 & 1)] = true;
      }
      euler -= 4 * edge;
      for (int f = 0; f < 4; f++) euler += 2 * face[f];
    }
  return euler - __builtin_popcount(corners);
}

static void fill_tables(struct tables *tables) {
  for (int a = 0; a < NEIGHBOURS; a++) {
    tables->adjacent[a] = 0;
    for (int b = 0; b < NEIGHBOURS; b++) {
      int dx = a % 3 - b % 3, dy = a / 3 % 3 - b / 3 % 3, dz = a / 9 - b / 9;
      bool near = dx * dx <= 1 && dy * dy <= 1 && dz * dz <= 1;
      if (near && a != b && b != MIDDLE) tables->adjacent[a] |= 1u << b;
    }
  }
  for (int octant = 0; octant < 8; octant++)
    for (int corner = 0; corner < 8; corner++) {
      int bit = MIDDLE, weight = 1;
      for (int axis = 0; axis < 3; axis++, weight *= 3)
        if (corner >> axis & 1) bit += (octant >> axis & 1) ? weight : -weight;
      tables->octant_bit[octant][corner] = (unsigned char)bit;
    }
  for (unsigned corners = 0; corners < 256; corners++)
    tables->euler_change[corners] =
        (signed char)(octant_euler(corners | 1) - octant_euler(corners & ~1u));
}

static uint32_t neighbourhood(const struct thinning *t, ptrdiff_t voxel) {
  uint32_t bits = 0;
  int bit = 0;
  for (int dz = -1; dz <= 1; dz++)
    for (int dy = -1; dy <= 1; dy++) {
      const unsigned char *row = t->padded + voxel + dz * t->step[2] + dy * t->step[1];
      bits |= (uint32_t)(row[-1] | row[0] << 1 | row[1] << 2) << bit;
      bit += 3;
    }
  return bits;
}

static bool is_line_end(uint32_t bits) {
  return __builtin_popcount(bits) == 2; /* itself and one neighbour */
}

static bool keeps_euler(const struct tables *tables, uint32_t bits) {
  int change = 0;
  for (int octant = 0; octant < 8; octant++) {
    unsigned corners = 0;
    for (int corner = 0; corner < 8; corner++)
      corners |= (bits >> tables->octant_bit[octant][corner] & 1) << corner;
    change += tables->euler_change[corners];
  }
  return change == 0;
}

/* Its neighbours hang together (26-connected) without it. */
static bool keeps_connection(const struct tables *tables, uint32_t bits) {
  uint32_t neighbours = bits & ~(1u << MIDDLE);
  uint32_t reached = neighbours & -neighbours, front = reached;
  while (front) {
    uint32_t next = 0;
    for (; front; front &= front - 1) next |= tables->adjacent[__builtin_ctz(front)];
    front = next & neighbours & ~reached;
    reached |= front;
  }
  return reached == neighbours;
}

/* Removes what can go from one side; true if something did. */
static bool thin_side(struct thinning *t, ptrdiff_t towards_empty) {
  ptrdiff_t candidates = 0;
  for (ptrdiff_t i = 0; i < t->voxel_count; i++) {
    ptrdiff_t voxel = t->voxel[i];
    if (!t->padded[voxel] || t->padded[voxel + towards_empty]) continue;
    uint32_t bits = neighbourhood(t, voxel);
    if (!is_line_end(bits) && keeps_euler(&t->tables, bits) && keeps_connection(&t->tables, bits))
      t->candidate[candidates++] = voxel;
  }
  bool removed = false;
  for (ptrdiff_t i = 0; i < candidates; i++)
    if (keeps_connection(&t->tables, neighbourhood(t, t->candidate[i]))) {
      t->padded[t->candidate[i]] = 0;
      removed = true;
    }
  return removed;
}

static void thin(struct thinning *t) {
  const ptrdiff_t side[SIDES] = {-t->step[1], t->step[1], 1, -1, t->step[2], -t->step[2]};
  for (bool removed = true; removed;) {
    removed = false;
    for (int s = 0; s < t->sides; s++)
      if (thin_side(t, side[s])) removed = true;
    ptrdiff_t left = 0;
    for (ptrdiff_t i = 0; i < t->voxel_count; i++)
      if (t->padded[t->voxel[i]]) t->voxel[left++] = t->voxel[i];
    t->voxel_count = left;
  }
}

/* Copies the mask into its padded form, or back. */
static void copy(struct thinning *t, unsigned char *mask, const ptrdiff_t size[3], bool back) {
  for (ptrdiff_t z = 0; z < size[2]; z++)
    for (ptrdiff_t y = 0; y < size[1]; y++) {
      unsigned char *row = mask + (z * size[1] + y) * size[0];
      unsigned char *padded = t->padded + (z + 1) * t->step[2] + (y + 1) * t->step[1] + 1;
      if (back)
        memcpy(row, padded, (size_t)size[0]);
      else
        memcpy(padded, row, (size_t)size[0]);
    }
}

enum willis_status willis_mask_thin(unsigned char *mask, const ptrdiff_t size[3],
                                    struct willis_error *err) {
  enum willis_status status = WILLIS_OK;
  struct thinning t = {.step = {1, size[0] + 2, 0}, .sides = size[2] == 1 ? 4 : SIDES};
  ptrdiff_t padded_count = 0;
  if (!willis_multiply(size[0] + 2, size[1] + 2, &t.step[2]) ||
      !willis_multiply(t.step[2], size[2] + 2, &padded_count))
    return willis_fail_memory(err, "thinning", -1, 1);
  fill_tables(&t.tables);
  t.padded = willis_take_zeroed(padded_count, 1);
  if (!t.padded) return willis_fail_memory(err, "thinning", padded_count, 1);
  copy(&t, mask, size, false);
  ptrdiff_t count = 0;
  for (ptrdiff_t v = 0; v < padded_count; v++) count += t.padded[v];
  t.voxel = willis_take(count, sizeof *t.voxel);
  t.candidate = willis_take(count, sizeof *t.candidate);
  if (!t.voxel || !t.candidate) {
    status = willis_fail_memory(err, "thinning", 2 * count, sizeof *t.voxel);
    goto out;
  }
  for (ptrdiff_t v = 0; v < padded_count; v++)
    if (t.padded[v]) t.voxel[t.voxel_count++] = v;
  thin(&t);
  copy(&t, mask, size, true);
out:
  willis_release(t.padded);
  willis_release(t.voxel);
  willis_release(t.candidate);
  return status;
}
