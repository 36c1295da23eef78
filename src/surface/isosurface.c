/* Marching cubes (Lorensen and Cline 1987) on bit masks, with the case table of cell_cases.c.
 *
 * The volume is surrounded by one layer of voxels outside; there the surface runs half a voxel off
 * the border voxel's centre, on the box that the voxels fill. Rows of voxels become rows of bits,
 * so that 64 cells without a crossing are skipped at once. A vertex lies on an edge between two
 * neighbours and belongs to the row of the lower one; rows count their vertices and triangles
 * first, so each knows where to write, and the result has the same bytes for any number of threads.
 * Along a row of cells the next vertex of each of the eight neighbouring rows of edges is kept in a
 * counter: no table of vertices is needed. */
#include <willis/surface.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/uniform.h"
#include "surface/cell_cases.h"

#include <endian.h>
#include <float.h>
#include <math.h>
#include <string.h>

enum { WORD = 64, ROWS_AT_ONCE = 256 };

/* Vertices keep this distance (in voxels) from the voxels' centres. Where a value equals the level,
 * all vertices around it would be one point, and a file that knows points only by their place (STL)
 * would no longer be closed. */
static const float CLEARANCE = 1.0f / 1024;

struct lattice {
  const struct willis_volume *volume;
  float level;             /* the smallest float that is not below the level */
  ptrdiff_t size[3];       /* voxels and the layer around them */
  ptrdiff_t rows, words;   /* rows of bits; words a row, the last one a guard of zeros */
  uint64_t *inside;        /* [row][word], bit 0 of a row is the layer */
  uint32_t (*vertex)[3];   /* a row's first vertex on edges along x, y, z */
  ptrdiff_t *triangle;     /* a row's first triangle */
  unsigned char *bad_rows; /* [row] holds NaN or infinity */
  struct willis_cell_cases cases;
  struct willis_mesh mesh;
  bool mirrored; /* the grid's axes are left-handed */
};

/* 64 values against the level. The multiplication gathers the low bits of eight bytes. */
static uint64_t compare_word(const float *value, float level, bool *bad) {
  if (willis_is_uniform(value, WORD)) {
    if (!(fabsf(*value) <= FLT_MAX)) *bad = true;
    return *value >= level ? ~UINT64_C(0) : 0;
  }
  unsigned char flag[WORD];
  int finite = 1;
  for (int i = 0; i < WORD; i++) {
    flag[i] = value[i] >= level;
    finite &= fabsf(value[i]) <= FLT_MAX;
  }
  if (!finite) *bad = true;
  uint64_t bits = 0;
  for (int i = 0; i < WORD; i += 8) {
    uint64_t eight;
    memcpy(&eight, flag + i, sizeof eight);
    bits |= (le64toh(eight) * UINT64_C(0x0102040810204080) >> 56) << i;
  }
  return bits;
}

/* Fewer than 64 values; the bits above them are zero. */
static uint64_t compare_rest(const float *value, ptrdiff_t count, float level, bool *bad) {
  float rest[WORD] = {0};
  memcpy(rest, value, (size_t)count * sizeof *rest);
  return compare_word(rest, level, bad) & ((UINT64_C(1) << count) - 1);
}

static void classify_rows(ptrdiff_t begin, ptrdiff_t end, void *context) {
  struct lattice *l = context;
  const ptrdiff_t *n = l->volume->grid.size;
  for (ptrdiff_t row = begin; row < end; row++) {
    uint64_t *bits = l->inside + row * l->words;
    ptrdiff_t y = row % l->size[1] - 1, z = row / l->size[1] - 1;
    memset(bits, 0, (size_t)l->words * sizeof *bits);
    l->bad_rows[row] = 0;
    if (y < 0 || y >= n[1] || z < 0 || z >= n[2]) continue;
    const float *value = l->volume->voxels + (z * n[1] + y) * n[0];
    bool bad = false;
    for (ptrdiff_t x = 0; x < n[0]; x += WORD) {
      uint64_t word;
      if (n[0] - x >= WORD)
        word = compare_word(value + x, l->level, &bad);
      else
        word = compare_rest(value + x, n[0] - x, l->level, &bad);
      bits[x / WORD] |= word << 1;
      bits[x / WORD + 1] |= word >> (WORD - 1);
    }
    l->bad_rows[row] = bad;
  }
}

static uint64_t shifted(const uint64_t *bits, ptrdiff_t word) {
  return bits[word] >> 1 | bits[word + 1] << (WORD - 1);
}

/* Bits where edges of a row cross the level. */
static uint64_t crossings(const struct lattice *l, ptrdiff_t row, int axis, ptrdiff_t word) {
  const uint64_t *bits = l->inside + row * l->words;
  if (axis == 0) return bits[word] ^ shifted(bits, word);
  return bits[word] ^ bits[word + (axis == 1 ? 1 : l->size[1]) * l->words];
}

/* The four rows of voxels around a row of cells, in the order of the cell's corners. */
struct cell_row {
  const uint64_t *bits[4];
  uint64_t low[4], high[4]; /* of the word at hand: corners at x = 0 and 1 */
};

static struct cell_row cell_row(const struct lattice *l, ptrdiff_t row) {
  const uint64_t *bits = l->inside + row * l->words;
  ptrdiff_t plane = l->size[1] * l->words;
  return (struct cell_row){.bits = {bits, bits + l->words, bits + plane, bits + plane + l->words}};
}

/* Bits of the cells in a word that the surface passes through. */
static uint64_t active_cells(struct cell_row *cells, ptrdiff_t word) {
  uint64_t any = 0, all = ~UINT64_C(0);
  for (int r = 0; r < 4; r++) {
    cells->low[r] = cells->bits[r][word];
    cells->high[r] = shifted(cells->bits[r], word);
    any |= cells->low[r] | cells->high[r];
    all &= cells->low[r] & cells->high[r];
  }
  return any & ~all;
}

static unsigned case_at(const struct cell_row *cells, int bit) {
  unsigned inside = 0;
  for (int r = 0; r < 4; r++)
    inside |= (unsigned)((cells->low[r] >> bit & 1) | (cells->high[r] >> bit & 1) << 1) << 2 * r;
  return inside;
}

/* The last row of a plane and the last plane hold nothing and begin no cell. */
static bool begins_cells(const struct lattice *l, ptrdiff_t row) {
  return row % l->size[1] < l->size[1] - 1;
}

static void count_rows(ptrdiff_t begin, ptrdiff_t end, void *context) {
  struct lattice *l = context;
  for (ptrdiff_t row = begin; row < end; row++) {
    struct cell_row cells = cell_row(l, row);
    uint32_t vertices[3] = {0, 0, 0};
    ptrdiff_t triangles = 0;
    for (ptrdiff_t word = 0; begins_cells(l, row) && word < l->words - 1; word++) {
      uint64_t active = active_cells(&cells, word);
      if (!active) continue;
      for (int axis = 0; axis < 3; axis++)
        vertices[axis] += (uint32_t)__builtin_popcountll(crossings(l, row, axis, word));
      for (; active; active &= active - 1)
        triangles += l->cases.triangles[case_at(&cells, __builtin_ctzll(active))];
    }
    memcpy(l->vertex[row], vertices, sizeof vertices);
    l->triangle[row] = triangles;
  }
}

/* From counts to first indices; false if there are more vertices than an index can name. */
static bool number_rows(struct lattice *l) {
  uint64_t vertices = 0;
  ptrdiff_t triangles = 0;
  for (ptrdiff_t row = 0; row < l->rows; row++) {
    for (int axis = 0; axis < 3; axis++) {
      uint32_t count = l->vertex[row][axis];
      l->vertex[row][axis] = (uint32_t)vertices;
      vertices += count;
    }
    ptrdiff_t count = l->triangle[row];
    l->triangle[row] = triangles;
    triangles += count;
  }
  l->mesh.vertex_count = (ptrdiff_t)vertices;
  l->mesh.triangle_count = triangles;
  return vertices <= UINT32_MAX;
}

/* Whether cells begin in the row that the surface passes through, once rows are numbered. */
static bool holds_surface(const struct lattice *l, ptrdiff_t row) {
  return l->triangle[row + 1] > l->triangle[row];
}

/* How far along the edge from voxel `at` (−1 in the layer) towards +axis the level is met. */
static float crossing_place(const struct lattice *l, const ptrdiff_t at[3], int axis) {
  const ptrdiff_t *n = l->volume->grid.size;
  if (at[axis] < 0 || at[axis] + 1 >= n[axis]) return 0.5f;
  const ptrdiff_t step[3] = {1, n[0], n[0] * n[1]};
  const float *value = l->volume->voxels + (at[2] * n[1] + at[1]) * n[0] + at[0];
  float a = value[0], b = value[step[axis]];
  float place = (l->level - a) / (b - a);
  return fminf(fmaxf(place, CLEARANCE), 1 - CLEARANCE);
}

static void place_row(ptrdiff_t begin, ptrdiff_t end, void *context) {
  struct lattice *l = context;
  const struct willis_grid *grid = &l->volume->grid;
  for (ptrdiff_t row = begin; row < end; row++) {
    ptrdiff_t at[3] = {0, row % l->size[1] - 1, row / l->size[1] - 1};
    for (int axis = 0; axis < 3 && holds_surface(l, row); axis++) {
      float *vertex = l->mesh.vertex + 3 * (ptrdiff_t)l->vertex[row][axis];
      for (ptrdiff_t word = 0; word < l->words - 1; word++)
        for (uint64_t bits = crossings(l, row, axis, word); bits; bits &= bits - 1) {
          at[0] = word * WORD + __builtin_ctzll(bits) - 1;
          double index[3] = {(double)at[0], (double)at[1], (double)at[2]}, world_mm[3];
          index[axis] += (double)crossing_place(l, at, axis);
          willis_grid_to_world(grid, index, world_mm);
          for (int i = 0; i < 3; i++) *vertex++ = (float)world_mm[i];
        }
    }
  }
}

static void join_row(ptrdiff_t begin, ptrdiff_t end, void *context) {
  struct lattice *l = context;
  for (ptrdiff_t row = begin; row < end; row++) {
    if (!holds_surface(l, row)) continue;
    struct cell_row cells = cell_row(l, row);
    ptrdiff_t plane = l->size[1];
    uint32_t along_x[4] = {l->vertex[row][0], l->vertex[row + 1][0], l->vertex[row + plane][0],
                           l->vertex[row + plane + 1][0]};
    uint32_t along_y[2] = {l->vertex[row][1], l->vertex[row + plane][1]};
    uint32_t along_z[2] = {l->vertex[row][2], l->vertex[row + 1][2]};
    uint32_t *triangle = l->mesh.triangle + 3 * l->triangle[row];
    for (ptrdiff_t word = 0; word < l->words - 1; word++)
      for (uint64_t active = active_cells(&cells, word); active; active &= active - 1) {
        unsigned inside = case_at(&cells, __builtin_ctzll(active));
        unsigned crossed = l->cases.crossed[inside];
        uint32_t vertex[CELL_EDGES];
        for (int e = 0; e < 4; e++) {
          vertex[e] = along_x[e];
          along_x[e] += crossed >> e & 1;
        }
        for (int s = 0; s < 2; s++) {
          vertex[4 + 2 * s] = along_y[s];
          vertex[5 + 2 * s] = along_y[s] += crossed >> (4 + 2 * s) & 1;
          vertex[8 + 2 * s] = along_z[s];
          vertex[9 + 2 * s] = along_z[s] += crossed >> (8 + 2 * s) & 1;
        }
        const unsigned char *edge = l->cases.edge[inside];
        for (int t = 0; t < l->cases.triangles[inside]; t++, edge += 3, triangle += 3) {
          triangle[0] = vertex[edge[0]];
          triangle[1] = vertex[edge[l->mirrored ? 2 : 1]];
          triangle[2] = vertex[edge[l->mirrored ? 1 : 2]];
        }
      }
  }
}

static bool left_handed(const double m[9]) {
  return m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
             m[2] * (m[3] * m[7] - m[4] * m[6]) <
         0;
}

static enum willis_status take_lattice(struct lattice *l, struct willis_error *err) {
  ptrdiff_t words;
  for (int axis = 0; axis < 3; axis++) l->size[axis] = l->volume->grid.size[axis] + 2;
  l->words = (l->size[0] + WORD - 1) / WORD + 1;
  if (!willis_multiply(l->size[1], l->size[2], &l->rows) ||
      !willis_multiply(l->rows, l->words, &words))
    return willis_fail_memory(err, "an isosurface", -1, 1);
  l->inside = willis_take(words, sizeof *l->inside);
  l->vertex = willis_take_zeroed(l->rows, sizeof *l->vertex);
  l->triangle = willis_take_zeroed(l->rows, sizeof *l->triangle);
  l->bad_rows = willis_take(l->rows, 1);
  if (!l->inside || !l->vertex || !l->triangle || !l->bad_rows)
    return willis_fail_memory(err, "an isosurface", words, sizeof *l->inside);
  return WILLIS_OK;
}

static enum willis_status make_mesh(struct lattice *l, struct willis_error *err) {
  ptrdiff_t cell_rows = l->rows - l->size[1];
  willis_parallel_for(l->rows, ROWS_AT_ONCE, classify_rows, l);
  if (memchr(l->bad_rows, 1, (size_t)l->rows))
    return willis_volume_check_finite(l->volume, "isosurface", err);
  willis_parallel_for(cell_rows, ROWS_AT_ONCE, count_rows, l);
  if (!number_rows(l))
    return willis_fail(err, WILLIS_UNSUPPORTED, "the surface has %td vertices, expected at most %u",
                       l->mesh.vertex_count, UINT32_MAX);
  l->mesh.vertex = willis_take(l->mesh.vertex_count, 3 * sizeof *l->mesh.vertex);
  l->mesh.triangle = willis_take(l->mesh.triangle_count, 3 * sizeof *l->mesh.triangle);
  if (!l->mesh.vertex || !l->mesh.triangle)
    return willis_fail_memory(err, "a mesh", l->mesh.triangle_count, 3 * sizeof *l->mesh.triangle);
  willis_parallel_for(cell_rows, ROWS_AT_ONCE, place_row, l);
  willis_parallel_for(cell_rows, ROWS_AT_ONCE, join_row, l);
  return WILLIS_OK;
}

enum willis_status willis_isosurface(const struct willis_volume *volume, double level,
                                     struct willis_mesh *mesh, struct willis_error *err) {
  *mesh = (struct willis_mesh){0};
  enum willis_status status = willis_grid_check(&volume->grid, "isosurface", err);
  if (status != WILLIS_OK) return status;
  if (!(fabs(level) <= FLT_MAX))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "level %g: expected a finite number", level);
  struct lattice l = {.volume = volume, .level = (float)level};
  if ((double)l.level < level) l.level = nextafterf(l.level, INFINITY);
  l.mirrored = left_handed(volume->grid.direction);
  willis_cell_cases_fill(&l.cases);
  status = take_lattice(&l, err);
  if (status == WILLIS_OK) status = make_mesh(&l, err);
  if (status == WILLIS_OK)
    *mesh = l.mesh;
  else
    willis_mesh_release(&l.mesh);
  willis_release(l.inside);
  willis_release(l.vertex);
  willis_release(l.triangle);
  willis_release(l.bad_rows);
  return status;
}
