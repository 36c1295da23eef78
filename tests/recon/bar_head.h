/* A thick bar of vessel and its views: a head for tests that look at what becomes of one, and
 * networks that were taught nothing. */
#ifndef WILLIS_TESTS_RECON_BAR_HEAD_H
#define WILLIS_TESTS_RECON_BAR_HEAD_H

#include "xray/hull_set.h"

#include <willis/network.h>
#include <willis/projector.h>

#include <stdlib.h>
#include <string.h>

enum { WIDE = 20, LARGE = 136, VIEWS = 3, SAID = WILLIS_HULL_SET_BELIEF };

/* Of WIDE by WIDE voxels with a thick bar of vessel in the middle, and its views. */
struct head {
  struct willis_volume volume;
  struct willis_projections stack;
};

static inline struct head head_of_views(ptrdiff_t edge, enum willis_projection_mode mode,
                                        int views) {
  struct willis_grid grid = willis_grid_cube(edge, 0.5, NULL);
  struct head head;
  for (int a = 1; a < 3; a++) grid.size[a] = WIDE;
  assert_int_equal(willis_volume_create(&head.volume, &grid, NULL), WILLIS_OK);
  for (ptrdiff_t i = 0; i < willis_grid_count(&grid); i++) {
    const ptrdiff_t x = i % edge, y = i / edge % WIDE, z = i / edge / WIDE;
    const bool in = x > edge / 4 && x < 3 * edge / 4 && labs(y - WIDE / 2) < 4 &&
                    labs(z - WIDE / 2 - x % 3) < 4;
    head.volume.voxels[i] = in ? 1000 : 0;
  }
  assert_int_equal(willis_projections_create(&head.stack, edge, WIDE, views, NULL), WILLIS_OK);
  willis_grid_centre(&grid, head.stack.isocenter_mm);
  head.stack.mode = mode;
  for (int v = 0; v < views; v++) {
    struct willis_view *view = &head.stack.view[v];
    *view = willis_view_parallel(40.0 * v, &grid);
    view->kind = WILLIS_VIEW_CONE;
    view->source_to_isocenter_mm = 4000;
    view->source_to_detector_mm = 8000;
    view->column_spacing_mm *= 2;
    view->row_spacing_mm *= 2;
  }
  assert_int_equal(willis_project(&head.volume, &head.stack, NULL), WILLIS_OK);
  return head;
}

static inline struct head head_of(ptrdiff_t edge, enum willis_projection_mode mode) {
  return head_of_views(edge, mode, VIEWS);
}

static inline void head_release(struct head *head) {
  willis_projections_release(&head->stack);
  willis_volume_release(&head->volume);
}

static inline struct willis_network *network_of(void) {
  struct willis_network *network;
  assert_int_equal(willis_network_create("hull", 3, &network, NULL), WILLIS_OK);
  return network;
}

/* Says the same logit everywhere. */
static inline struct willis_network *network_saying(float logit) {
  struct willis_network *network = network_of();
  for (int t = 0; t < willis_network_tensor_count(network); t++) {
    struct willis_network_tensor tensor = willis_network_tensor(network, t);
    const bool last = !strcmp(tensor.name, "head.linear.bias");
    for (ptrdiff_t i = 0; i < tensor.count; i++) tensor.values[i] = last ? logit : 0;
  }
  return network;
}

#endif
