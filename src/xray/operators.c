/* Arguments of the operators, and the choice of their kernels. */
#include "xray/operators.h"

#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"

#include <float.h>

/* Tables of the kernels hold offsets within a slice in 32 bits. */
enum { LARGEST_EDGE = 8192 };

static enum willis_status check(const struct willis_projections *stack,
                                const struct willis_grid *grid, struct willis_error *err) {
  enum willis_status status = willis_projections_check(stack, err);
  if (!status) status = willis_grid_check(grid, "volume", err);
  if (status) return status;
  if (!willis_grid_is_lps_cube(grid))
    return willis_fail(
        err, WILLIS_GEOMETRY,
        "the volume has %td x %td x %td voxels of %g x %g x %g mm; expected a cubic, "
        "isotropic one along LPS: resample it first",
        grid->size[0], grid->size[1], grid->size[2], grid->spacing_mm[0], grid->spacing_mm[1],
        grid->spacing_mm[2]);
  if (grid->size[0] > LARGEST_EDGE || stack->columns > LARGEST_EDGE || stack->rows > LARGEST_EDGE)
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "a volume of edge %td and images of %td x %td: more than %d", grid->size[0],
                       stack->columns, stack->rows, LARGEST_EDGE);
  return WILLIS_OK;
}

static enum willis_status check_view(const struct willis_projections *stack, ptrdiff_t view,
                                     struct willis_error *err) {
  if (view < 0 || view >= stack->view_count)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "view %td of a stack of %td", view,
                       stack->view_count);
  if (stack->view[view].kind == WILLIS_VIEW_CONE)
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "view %td is a cone beam; only parallel beams are supported so far", view);
  return WILLIS_OK;
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
out:
  if (status) willis_view_set_release(set);
  return status;
}

void willis_view_set_release(struct willis_view_set *set) {
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
  if (set->planar.view_count) {
    enum willis_status status =
        willis_planar_kernels()->gather(&set->planar, stack->pixels, how, slab, err);
    if (status) return status;
  } else {
    for (ptrdiff_t i = 0; i < (slab->end - slab->begin) * n * n; i++)
      slab->voxels[i] = willis_gather_start(how);
  }
  for (ptrdiff_t i = set->planar.view_count; i < set->count; i++)
    willis_oblique_gather(set->map + i, stack->pixels + set->image[i] * image, stack->columns,
                          stack->rows, how, n, slab);
  return WILLIS_OK;
}
