/* In which pose the hull network is asked about a head. Most of what it learned was seen by views
 * between 0° and 90° (M2). Views of the next quarter show what views of that one show of a head
 * that is turned by a quarter about z: then that head is what it is asked about. */
#ifndef WILLIS_RECON_HULL_POSE_H
#define WILLIS_RECON_HULL_POSE_H

#include <willis/geometry.h>
#include <willis/network.h>

struct willis_hull_pose {
  struct willis_projections stack; /* views of its own, the caller's pixels */
  struct willis_grid grid;
};
/* True for a grid along LPS and views that lie, on the whole, in the quarters that were learned
 * from least; views that are spread evenly about an axis do not. */
bool willis_hull_pose_is_turned(const struct willis_projections *stack,
                                const struct willis_grid *grid);
/* Everything turned by −90° about the z axis through the isocenter. The caller releases it. */
WILLIS_CHECKED enum willis_status willis_hull_pose_init(struct willis_hull_pose *pose,
                                                        const struct willis_projections *stack,
                                                        const struct willis_grid *grid,
                                                        struct willis_error *err);
void willis_hull_pose_release(struct willis_hull_pose *pose);

/* A sink for slices of the turned grid that hands them on as they lie in the grid before, one at a
 * time. `plane` has room for one. */
struct willis_hull_pose_back {
  const struct willis_plane_sink *to;
  ptrdiff_t size[2]; /* x and y before */
  float *plane;
};
WILLIS_CHECKED enum willis_status willis_hull_pose_write(ptrdiff_t begin, ptrdiff_t end,
                                                         const float *planes, void *context,
                                                         struct willis_error *err);

#endif
