/* Arguments of the operators, and the choice of their kernels. */
#include "xray/operators.h"

#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"
#include "xray/rays.h"

#include <float.h>

/* Tables of the kernels hold offsets within a slice in 32 bits. */
enum { LARGEST_EDGE = 8192 };

static enum willis_status check(const struct willis_projections *stack,
                                const struct willis_grid *grid, struct willis_error *err) {
  enum willis_status status = willis_projections_check(stack, err);
  if (!status) status = willis_grid_check(grid, "volume", err);
  if (status) return status;
  bool parallel = false;
  for (ptrdiff_t v = 0; v < stack->view_count; v++)
    parallel |= stack->view[v].kind == WILLIS_VIEW_PARALLEL;
  if (parallel && !willis_grid_is_lps_cube(grid))
    return willis_fail(
        err, WILLIS_GEOMETRY,
        "the volume has %td x %td x %td voxels of %g x %g x %g mm; expected a cubic, "
        "isotropic one along LPS: resample it first",
        grid->size[0], grid->size[1], grid->size[2], grid->spacing_mm[0], grid->spacing_mm[1],
        grid->spacing_mm[2]);
  return willis_operators_check_size(stack, grid, err);
}

enum willis_status willis_operators_check_size(const struct willis_projections *stack,
                                               const struct willis_grid *grid,
                                               struct willis_error *err) {
  const ptrdiff_t *n = grid->size;
  ptrdiff_t edge = n[0] > n[1] ? n[0] : n[1];
  if (n[2] > edge) edge = n[2];
  if (edge > LARGEST_EDGE || stack->columns > LARGEST_EDGE || stack->rows > LARGEST_EDGE)
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "a volume of edge %td and images of %td x %td: more than %d", edge,
                       stack->columns, stack->rows, LARGEST_EDGE);
  return WILLIS_OK;
}

static enum willis_status check_view(const struct willis_projections *stack, ptrdiff_t view,
                                     struct willis_error *err) {
  if (view < 0 || view >= stack->view_count)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "view %td of a stack of %td", view,
                       stack->view_count);
  return WILLIS_OK;
}

/* The cones among the views; `image` has room for all of them. */
static enum willis_status gather_cones(struct willis_view_set *set,
                                       const struct willis_projections *stack,
                                       const ptrdiff_t *view, ptrdiff_t count,
                                       const struct willis_grid *grid, struct willis_error *err) {
  ptrdiff_t *cone = set->image + set->count, cones = 0;
  for (ptrdiff_t i = 0; i < count; i++) {
    ptrdiff_t image = view ? view[i] : i;
    if (stack->view[image].kind == WILLIS_VIEW_CONE) cone[cones++] = image;
  }
  if (!cones) return WILLIS_OK;
  set->cone = willis_take_zeroed(1, sizeof *set->cone);
  if (!set->cone) return willis_fail_memory(err, "the rays", 1, sizeof *set->cone);
  return willis_rays_init(set->cone, stack, cone, cones, grid, err);
}

enum willis_status willis_view_set_init(struct willis_view_set *set,
                                        const struct willis_projections *stack,
                                        const ptrdiff_t *view, ptrdiff_t count,
                                        const struct willis_grid *grid, struct willis_error *err) {
  *set = (struct willis_view_set){0};
  enum willis_status status = check(stack, grid, err);
  if (status) return status;
  if (!view) count = stack->view_count;
  if (count < 1) return willis_fail(err, WILLIS_INVALID_ARGUMENT, "no views, expected at least 1");

  set->map = willis_take(count, sizeof *set->map);
  set->image = willis_take(count, sizeof *set->image);
  if (!set->map || !set->image) {
    status = willis_fail_memory(err, "the views", count, sizeof *set->map);
    goto out;
  }
  for (ptrdiff_t i = 0; i < count && !status; i++)
    status = check_view(stack, view ? view[i] : i, err);
  if (status) goto out;

  ptrdiff_t planar_count = 0;
  for (int planar = 1; planar >= 0; planar--) {
    for (ptrdiff_t i = 0; i < count; i++) {
      ptrdiff_t image = view ? view[i] : i;
      struct willis_view_map map;
      if (stack->view[image].kind == WILLIS_VIEW_CONE) continue;
      willis_view_map_init(&map, stack->view + image, stack->isocenter_mm, stack->columns,
                           stack->rows, grid);
      if (map.planar != planar) continue;
      set->map[set->count] = map;
      set->image[set->count++] = image;
      planar_count += planar;
    }
  }
  set->planar = (struct willis_planar){.n = grid->size[0],
                                       .columns = stack->columns,
                                       .view_count = planar_count,
                                       .map = set->map,
                                       .image = set->image};
  set->slice = grid->size[0] * grid->size[1];
  set->voxels = set->slice * grid->size[2];
  status = gather_cones(set, stack, view, count, grid, err);
out:
  if (status) willis_view_set_release(set);
  return status;
}

void willis_view_set_release(struct willis_view_set *set) {
  if (set->cone) willis_rays_release(set->cone);
  willis_release(set->cone);
  willis_release(set->map);
  willis_release(set->image);
  *set = (struct willis_view_set){0};
}

const struct willis_planar_kernels *willis_planar_kernels(void) {
#ifdef WILLIS_HAVE_AVX2
  if (willis_cpu_features() & WILLIS_CPU_AVX2) return &willis_planar_avx2;
#endif
  return &willis_planar_plain;
}

float willis_gather_start(enum willis_gather how) {
  return how == WILLIS_GATHER_SUM ? 0 : FLT_MAX;
}

enum willis_status willis_gather_views(const struct willis_view_set *set,
                                       const struct willis_projections *stack,
                                       enum willis_gather how, const struct willis_slab *slab,
                                       struct willis_error *err) {
  ptrdiff_t n = set->planar.n, image = stack->columns * stack->rows;
  ptrdiff_t count = (slab->end - slab->begin) * set->slice;
  if (set->planar.view_count) {
    enum willis_status status =
        willis_planar_kernels()->gather(&set->planar, stack->pixels, how, slab, err);
    if (status) return status;
  } else {
    for (ptrdiff_t i = 0; i < count; i++) slab->voxels[i] = willis_gather_start(how);
  }
  for (ptrdiff_t i = set->planar.view_count; i < set->count; i++)
    willis_oblique_gather(set->map + i, stack->pixels + set->image[i] * image, stack->columns,
                          stack->rows, how, n, slab);
  if (set->cone) willis_rays_gather_slab(set->cone, stack->pixels, how, slab);
  return WILLIS_OK;
}
