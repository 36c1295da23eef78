/* Two hash tables with open addressing: places → vertex numbers, pairs of numbers → uses. */
#include "volume/mesh_edges.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

struct edge {
  uint32_t low, high;    /* vertex numbers */
  int32_t uses, forward; /* uses 0: a free slot; forward: from low to high */
};

/* The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

static ptrdiff_t slots_for(ptrdiff_t items) {
  ptrdiff_t slots = 16;
  while (slots < 2 * items) slots *= 2;
  return slots;
}

/* number[v] = the first vertex at the place of vertex v. */
static enum willis_status number_places(const struct willis_mesh *mesh, uint32_t *number,
                                        struct willis_error *err) {
  ptrdiff_t slots = slots_for(mesh->vertex_count);
  uint32_t *slot = willis_take(slots, sizeof *slot);
  if (!slot) return willis_fail_memory(err, "a table of vertices", slots, sizeof *slot);
  memset(slot, 0xFF, (size_t)slots * sizeof *slot);
  for (ptrdiff_t v = 0; v < mesh->vertex_count; v++) {
    uint64_t hash = 0;
    for (int axis = 0; axis < 3; axis++) {
      float x = mesh->vertex[3 * v + axis] + 0.0f; /* −0 becomes 0 */
      uint32_t bits;
      memcpy(&bits, &x, sizeof bits);
      hash = mix(hash ^ bits);
    }
    ptrdiff_t s = (ptrdiff_t)(hash & (uint64_t)(slots - 1));
    for (; slot[s] != UINT32_MAX; s = (s + 1) & (slots - 1)) {
      const float *a = mesh->vertex + 3 * (ptrdiff_t)slot[s], *b = mesh->vertex + 3 * v;
      if (a[0] == b[0] && a[1] == b[1] && a[2] == b[2]) break;
    }
    if (slot[s] == UINT32_MAX) slot[s] = (uint32_t)v;
    number[v] = slot[s];
  }
  willis_release(slot);
  return WILLIS_OK;
}

static void use_edge(struct edge *table, ptrdiff_t slots, uint32_t from, uint32_t to) {
  if (from == to) return;
  uint32_t low = from < to ? from : to, high = from < to ? to : from;
  ptrdiff_t s = (ptrdiff_t)(mix((uint64_t)high << 32 | low) & (uint64_t)(slots - 1));
  while (table[s].uses && (table[s].low != low || table[s].high != high)) s = (s + 1) & (slots - 1);
  table[s].low = low;
  table[s].high = high;
  table[s].uses++;
  table[s].forward += from == low;
}

enum willis_status willis_mesh_count_edges(const struct willis_mesh *mesh,
                                           struct willis_mesh_edges *edges,
                                           struct willis_error *err) {
  struct edge *table = NULL;
  uint32_t *number = NULL;
  ptrdiff_t most, slots;
  enum willis_status status = WILLIS_OK;
  *edges = (struct willis_mesh_edges){.oriented = true};
  if (!willis_multiply(3, mesh->triangle_count, &most) || most > PTRDIFF_MAX / 64)
    return willis_fail_memory(err, "edges", mesh->triangle_count, 3 * sizeof *table);
  slots = slots_for(most);
  number = willis_take(mesh->vertex_count, sizeof *number);
  table = willis_take_zeroed(slots, sizeof *table);
  if (!number || !table) {
    status = willis_fail_memory(err, "a table of edges", slots, sizeof *table);
    goto out;
  }
  status = number_places(mesh, number, err);
  if (status) goto out;
  for (ptrdiff_t t = 0; t < mesh->triangle_count; t++) {
    const uint32_t *corner = mesh->triangle + 3 * t;
    for (int c = 0; c < 3; c++)
      use_edge(table, slots, number[corner[c]], number[corner[(c + 1) % 3]]);
  }
  for (ptrdiff_t s = 0; s < slots; s++) {
    if (!table[s].uses) continue;
    edges->edges++;
    if (table[s].uses % 2)
      edges->open++;
    else if (2 * table[s].forward != table[s].uses)
      edges->oriented = false;
  }
out:
  willis_release(table);
  willis_release(number);
  return status;
}
