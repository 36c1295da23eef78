/* What a file holds, as JSON. Nothing about a patient: readers do not keep it. */
#include "cli/describe.h"

#include "cli/report.h"

#include <math.h>

static void set(json_t *object, const char *key, json_t *value) {
  json_object_set_new(object, key, value);
}
static json_t *integers(const ptrdiff_t *value, int count) {
  json_t *array = json_array();
  for (int i = 0; i < count; i++) json_array_append_new(array, json_integer(value[i]));
  return array;
}

/* ---- volumes ---- */

/* The letters of the nearest patient axes, such as "LPS", and the largest angle between a voxel
 * axis and its nearest patient axis. */
static void describe_axes(const struct willis_grid *grid, char letters[4], double *oblique_deg) {
  static const char towards[2][4] = {"RAI", "LPS"};
  double least = 1;
  for (int axis = 0; axis < 3; axis++) {
    int nearest = 0;
    for (int row = 1; row < 3; row++)
      if (fabs(grid->direction[3 * row + axis]) > fabs(grid->direction[3 * nearest + axis]))
        nearest = row;
    double cosine = grid->direction[3 * nearest + axis];
    letters[axis] = towards[cosine > 0][nearest];
    least = fmin(least, fabs(cosine));
  }
  letters[3] = 0;
  *oblique_deg = acos(fmin(least, 1)) * 180 / acos(-1);
}

static void describe_grid(const struct willis_grid *grid, json_t *out) {
  char letters[4];
  double oblique_deg;
  describe_axes(grid, letters, &oblique_deg);
  set(out, "size", integers(grid->size, 3));
  set(out, "spacing_mm", json_numbers(grid->spacing_mm, 3));
  set(out, "origin_mm", json_numbers(grid->origin_mm, 3));
  set(out, "axes", json_string(letters));
  set(out, "oblique_deg", json_number(oblique_deg < 1e-3 ? 0 : oblique_deg));
  set(out, "direction", json_numbers(grid->direction, 9));
}

static enum willis_status describe_volume(const struct call *call, const char *path, json_t *out,
                                          struct willis_error *err) {
  struct willis_volume volume;
  enum willis_status status = willis_volume_read(path, &volume, &call->warnings, err);
  if (status) return status;
  float least, most;
  willis_volume_range(&volume, &least, &most);
  const double range[2] = {least, most};
  describe_grid(&volume.grid, out);
  set(out, "range", json_numbers(range, 2));
  set(out, "integral", json_boolean(volume.integral));
  willis_volume_release(&volume);
  return WILLIS_OK;
}

/* ---- projection stacks ---- */

static json_t *describe_view(const struct willis_view *view) {
  json_t *out = json_object();
  bool is_cone = view->kind == WILLIS_VIEW_CONE;
  set(out, "kind", json_string(is_cone ? "cone" : "parallel"));
  set(out, "primary_angle_deg", json_number(view->primary_angle_deg));
  set(out, "secondary_angle_deg", json_number(view->secondary_angle_deg));
  set(out, "column_spacing_mm", json_number(view->column_spacing_mm));
  set(out, "row_spacing_mm", json_number(view->row_spacing_mm));
  if (view->in_plane_angle_deg != 0)
    set(out, "in_plane_angle_deg", json_number(view->in_plane_angle_deg));
  if (!is_cone) return out;
  set(out, "source_to_detector_mm", json_number(view->source_to_detector_mm));
  set(out, "source_to_isocenter_mm", json_number(view->source_to_isocenter_mm));
  if (view->source_offset_mm[0] != 0 || view->source_offset_mm[1] != 0)
    set(out, "source_offset_mm", json_numbers(view->source_offset_mm, 2));
  return out;
}

static enum willis_status describe_stack(const struct call *call, const char *path, json_t *out,
                                         struct willis_error *err) {
  struct willis_projections stack;
  enum willis_status status = willis_projections_read(path, &stack, &call->warnings, err);
  if (status) return status;
  ptrdiff_t count = stack.columns * stack.rows * stack.view_count;
  double range[2] = {INFINITY, -INFINITY};
  for (ptrdiff_t i = 0; i < count; i++) {
    range[0] = fmin(range[0], stack.pixels[i]);
    range[1] = fmax(range[1], stack.pixels[i]);
  }
  set(out, "columns", json_integer(stack.columns));
  set(out, "rows", json_integer(stack.rows));
  set(out, "view_count", json_integer(stack.view_count));
  set(out, "mode", json_string(stack.mode == WILLIS_PROJECTION_MAX ? "max" : "sum"));
  set(out, "isocenter_mm", json_numbers(stack.isocenter_mm, 3));
  set(out, "range", json_numbers(range, 2));
  json_t *views = json_array();
  for (ptrdiff_t i = 0; i < stack.view_count; i++)
    json_array_append_new(views, describe_view(&stack.view[i]));
  set(out, "views", views);
  if (stack.has_grid) {
    json_t *grid = json_object();
    describe_grid(&stack.grid, grid);
    set(out, "grid", grid);
  }
  willis_projections_release(&stack);
  return WILLIS_OK;
}

/* ---- shapes ---- */

/* Smallest and largest coordinates. */
struct extent {
  double least[3], most[3];
};
static struct extent extent_empty(void) {
  return (struct extent){{INFINITY, INFINITY, INFINITY}, {-INFINITY, -INFINITY, -INFINITY}};
}
static void extent_add(struct extent *extent, const double point[3]) {
  for (int axis = 0; axis < 3; axis++) {
    extent->least[axis] = fmin(extent->least[axis], point[axis]);
    extent->most[axis] = fmax(extent->most[axis], point[axis]);
  }
}
static void describe_extent(const struct extent *extent, json_t *out) {
  set(out, "least_mm", json_numbers(extent->least, 3));
  set(out, "most_mm", json_numbers(extent->most, 3));
}

static enum willis_status describe_mesh(const struct call *call, const char *path, json_t *out,
                                        struct willis_error *err) {
  struct willis_mesh mesh;
  struct willis_mesh_measure measure;
  enum willis_status status = willis_mesh_read(path, &mesh, &call->warnings, err);
  if (status) return status;
  status = willis_mesh_measure(&mesh, &measure, err);
  if (!status) {
    struct extent extent = extent_empty();
    for (ptrdiff_t v = 0; v < mesh.vertex_count; v++) {
      const float *at = mesh.vertex + 3 * v;
      extent_add(&extent, (const double[3]){at[0], at[1], at[2]});
    }
    set(out, "vertices", json_integer(mesh.vertex_count));
    set(out, "triangles", json_integer(mesh.triangle_count));
    set(out, "components", json_integer(measure.components));
    set(out, "open_edges", json_integer(measure.open_edges));
    set(out, "odd_edges", json_integer(measure.odd_edges));
    set(out, "area_mm2", json_number(measure.area_mm2));
    set(out, "volume_mm3", json_number(measure.volume_mm3));
    describe_extent(&extent, out);
  }
  willis_mesh_release(&mesh);
  return status;
}

static enum willis_status describe_tree(const struct call *call, const char *path, json_t *out,
                                        struct willis_error *err) {
  struct willis_tree tree;
  enum willis_status status = willis_tree_read(path, &tree, &call->warnings, err);
  if (status) return status;
  struct extent extent = extent_empty();
  ptrdiff_t roots = 0;
  double length_mm = 0, radius_mm[2] = {INFINITY, -INFINITY};
  for (ptrdiff_t i = 0; i < tree.node_count; i++) {
    const struct willis_tree_node *node = &tree.node[i];
    extent_add(&extent, node->position_mm);
    radius_mm[0] = fmin(radius_mm[0], node->radius_mm);
    radius_mm[1] = fmax(radius_mm[1], node->radius_mm);
    roots += node->parent < 0;
    if (node->parent < 0) continue;
    const double *a = node->position_mm, *b = tree.node[node->parent].position_mm;
    length_mm += sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) +
                      (a[2] - b[2]) * (a[2] - b[2]));
  }
  set(out, "nodes", json_integer(tree.node_count));
  set(out, "roots", json_integer(roots));
  set(out, "length_mm", json_number(length_mm));
  set(out, "radius_mm", json_numbers(radius_mm, 2));
  describe_extent(&extent, out);
  willis_tree_release(&tree);
  return WILLIS_OK;
}

/* ---- models ---- */

static enum willis_status describe_model(const struct call *call, const char *path, json_t *out,
                                         struct willis_error *err) {
  (void)call;
  static const char *const keys[] = {"network",
                                     "views",
                                     "arc_deg",
                                     "source_to_isocenter_mm",
                                     "source_to_detector_mm",
                                     "projection",
                                     "size",
                                     "threshold",
                                     "calibration",
                                     "trained_on",
                                     "version"};
  struct willis_network *network;
  enum willis_status status = willis_network_read(path, &network, err);
  if (status) return status;
  set(out, "parameters", json_integer(willis_network_parameter_count(network)));
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const char *value = willis_network_metadata(network, keys[i]);
    if (value) set(out, keys[i], json_string(value));
  }
  willis_network_destroy(network);
  return WILLIS_OK;
}

/* ---- all of them ---- */

typedef enum willis_status describe(const struct call *call, const char *path, json_t *out,
                                    struct willis_error *err);
static const struct {
  const char *name;
  describe *describe;
} kinds[] = {
    [WILLIS_FILE_VOLUME] = {"volume", describe_volume},
    [WILLIS_FILE_PROJECTIONS] = {"projections", describe_stack},
    [WILLIS_FILE_MESH] = {"surface", describe_mesh},
    [WILLIS_FILE_TREE] = {"vessel tree", describe_tree},
    [WILLIS_FILE_MODEL] = {"model", describe_model},
    [WILLIS_FILE_ANGIOGRAM] = {"angiogram", describe_angiogram},
};

enum willis_status describe_file(const struct call *call, const char *path, json_t *out,
                                 struct willis_error *err) {
  enum willis_file_kind kind;
  const char *format;
  enum willis_status status = willis_file_identify(path, &kind, &format, err);
  if (status) return status;
  if (kind == WILLIS_FILE_UNKNOWN) {
    *err = (struct willis_error){
        .status = WILLIS_FORMAT,
        .message =
            "neither a volume (NIfTI, NRRD, DICOM), a shape (OBJ, STL, PLY, SWC) nor a model"};
    return err->status;
  }
  set(out, "kind", json_string(kinds[kind].name));
  set(out, "format", json_string(format));
  bool has_frame = kind != WILLIS_FILE_MODEL;
  if (has_frame) set(out, "frame", json_string("LPS"));
  return kinds[kind].describe(call, path, out, err);
}
