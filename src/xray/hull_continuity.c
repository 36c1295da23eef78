/* The visual hull with a continuity prior (doc/method.md, M16): relaxation labelling after
 * Rosenfeld, Hummel and Zucker (1976). Voxels on a ray compete for being what the picture shows
 * there, and what lies in one piece with its neighbours wins. */
#include <willis/projector.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "xray/hull_set.h"

#include <math.h>
#include <string.h>

/* Chosen on nine training patients of IntrA at 128³ with two views (best mean IoU). */
enum { ROUNDS = 6, REACH = 2, CHUNK = 4096 };
static const double sigma_voxels = 1, least_weight = 0.01;

enum { OFFSETS_MOST = (2 * REACH + 1) * (2 * REACH + 1) * (2 * REACH + 1) };

struct neighbour {
  ptrdiff_t step[3];
  float weight;
};

struct relaxation {
  const struct willis_hull_set *set;
  const ptrdiff_t *size; /* of the grid */
  const float *belief;   /* [voxels], of the round before; 0 outside the hull */
  float *allowed;        /* [rows] the hull */
  float *support;        /* [rows] */
  float *strongest;      /* [rays] */
  float *share;          /* [rows] of the strongest on a ray, the best of its rays */
  struct neighbour neighbour[OFFSETS_MOST];
  int neighbours;
};

static void find_neighbours(struct relaxation *r) {
  for (int z = -REACH; z <= REACH; z++)
    for (int y = -REACH; y <= REACH; y++)
      for (int x = -REACH; x <= REACH; x++) {
        double weight = exp(-(x * x + y * y + z * z) / (2 * sigma_voxels * sigma_voxels));
        if (weight >= least_weight)
          r->neighbour[r->neighbours++] = (struct neighbour){{x, y, z}, (float)weight};
      }
}

static void gather(ptrdiff_t begin, ptrdiff_t end, void *context) {
  struct relaxation *r = context;
  const ptrdiff_t *n = r->size;
  for (ptrdiff_t i = begin; i < end; i++) {
    const ptrdiff_t v = r->set->voxel[i];
    const ptrdiff_t at[3] = {v % n[0], v / n[0] % n[1], v / n[0] / n[1]};
    float sum = 0;
    for (int k = 0; k < r->neighbours; k++) {
      ptrdiff_t to[3];
      bool inside = true;
      for (int a = 0; a < 3; a++) {
        to[a] = at[a] + r->neighbour[k].step[a];
        inside &= to[a] >= 0 && to[a] < n[a];
      }
      if (inside) sum += r->neighbour[k].weight * r->belief[(to[2] * n[1] + to[1]) * n[0] + to[0]];
    }
    r->support[i] = sum;
  }
}

/* Every view's rays in turn; a maximum does not depend on the order. */
static void compete(struct relaxation *r) {
  const struct willis_hull_set *set = r->set;
  memset(r->share, 0, (size_t)set->rows * sizeof *r->share);
  for (int view = 0; view < set->views; view++) {
    const struct willis_ray_place *place = set->place + view * set->rows;
    const int32_t pitch = set->pitch[view];
    memset(r->strongest, 0, (size_t)set->rays * sizeof *r->strongest);
    for (ptrdiff_t i = 0; i < set->rows; i++) {
      const int32_t ray = willis_ray_nearest(&place[i], pitch);
      if (ray >= 0) r->strongest[ray] = fmaxf(r->strongest[ray], r->support[i]);
    }
    for (ptrdiff_t i = 0; i < set->rows; i++) {
      const int32_t ray = willis_ray_nearest(&place[i], pitch);
      if (ray >= 0 && r->strongest[ray] > 0)
        r->share[i] = fmaxf(r->share[i], r->support[i] / r->strongest[ray]);
    }
  }
}

static void relax(struct relaxation *r, struct willis_volume *volume) {
  const struct willis_hull_set *set = r->set;
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    const float p = (float)((double)set->least[i] / set->list_unit);
    volume->voxels[set->voxel[i]] = r->allowed[i] = fminf(p, 1);
  }
  for (int round = 0; round < ROUNDS; round++) {
    willis_parallel_for(set->rows, CHUNK, gather, r);
    compete(r);
    for (ptrdiff_t i = 0; i < set->rows; i++)
      volume->voxels[set->voxel[i]] = r->allowed[i] * r->share[i] * r->share[i];
  }
}

enum willis_status willis_hull_continuity(const struct willis_projections *stack,
                                          struct willis_volume *volume, struct willis_error *err) {
  struct willis_hull_set set;
  enum willis_status status = willis_hull_set_init(&set, stack, &volume->grid, 0, err);
  if (status) return status;
  struct relaxation r = {.set = &set, .size = volume->grid.size, .belief = volume->voxels};
  memset(volume->voxels, 0, (size_t)willis_grid_count(&volume->grid) * sizeof *volume->voxels);
  r.allowed = willis_take(3 * set.rows, sizeof *r.allowed);
  r.strongest = willis_take(set.rays, sizeof *r.strongest);
  if (!r.allowed || !r.strongest) {
    status = willis_fail_memory(err, "the hull's voxels", 3 * set.rows + set.rays, sizeof(float));
  } else {
    r.support = r.allowed + set.rows;
    r.share = r.support + set.rows;
    find_neighbours(&r);
    relax(&r, volume);
  }
  willis_release(r.strongest);
  willis_release(r.allowed);
  willis_hull_set_release(&set);
  return status;
}
