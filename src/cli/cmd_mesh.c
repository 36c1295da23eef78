/* willis mesh: a mask or a probability into a closed triangle surface. */
#include "cli/options.h"
#include "cli/report.h"

enum { LEVEL, SMOOTH, SIMPLIFY, KEEP_LARGEST };
static const struct option_row rows[] = {
    [LEVEL] = {.name = "level",
               .kind = OPTION_REAL,
               .argument = "L",
               .fallback = "0.5",
               .help = "Surface where the value is L"},
    [SMOOTH] = {.name = "smooth",
                .kind = OPTION_INTEGER,
                .argument = "N",
                .fallback = "0",
                .help = "N rounds of Taubin smoothing",
                .least = 0,
                .most = 10000},
    [SIMPLIFY] = {.name = "simplify",
                  .kind = OPTION_REAL,
                  .argument = "FRACTION",
                  .fallback = "1",
                  .help = "Reduce to this fraction of the triangles",
                  .least = 1e-9,
                  .most = 1},
    [KEEP_LARGEST] = {.name = "keep-largest",
                      .kind = OPTION_INTEGER,
                      .argument = "N",
                      .fallback = "0",
                      .help = "Keep the N largest connected pieces; 0 keeps all",
                      .least = 0,
                      .most = 1e9},
    {0},
};

/* Of the volume; more is told. Vessels under three voxels have no room to be smoothed. */
static const double NOTABLE_LOSS = 0.02;

/* `raw` is measured before smoothing and simplification. */
static enum willis_status make_mesh(const struct call *call, struct willis_mesh *mesh,
                                    struct willis_mesh_measure *raw, struct willis_error *err) {
  const struct option_value *option = call->option;
  struct willis_volume volume = {0};
  enum willis_status status = willis_volume_read(call->argument[0], &volume, &call->warnings, err);
  if (!status) status = willis_isosurface(&volume, option[LEVEL].real, mesh, err);
  if (!status && mesh->triangle_count == 0) {
    float least, most;
    willis_volume_range(&volume, &least, &most);
    snprintf(err->message, sizeof err->message,
             "values reach from %g to %g, expected some of %g (--level) and more", (double)least,
             (double)most, option[LEVEL].real);
    status = err->status = WILLIS_INVALID_ARGUMENT;
  }
  willis_volume_release(&volume);
  if (!status && option[KEEP_LARGEST].integer > 0)
    status = willis_mesh_keep_largest(mesh, (ptrdiff_t)option[KEEP_LARGEST].integer, err);
  if (!status) status = willis_mesh_measure(mesh, raw, err);
  if (!status) status = willis_mesh_smooth(mesh, (int)option[SMOOTH].integer, err);
  if (!status) status = willis_mesh_simplify(mesh, option[SIMPLIFY].real, err);
  return status;
}

static int report(const struct call *call, const struct willis_mesh *mesh,
                  const struct willis_mesh_measure *m, const struct willis_mesh_measure *raw) {
  bool watertight = m->open_edges == 0 && m->odd_edges == 0 && m->flipped_edges == 0;
  if (call->json)
    return print_json(
        call,
        json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:b, s:I, s:I}", "output", call->output,
                  "vertices", (json_int_t)mesh->vertex_count, "triangles",
                  (json_int_t)mesh->triangle_count, "pieces", (json_int_t)m->components, "area_mm2",
                  json_number(m->area_mm2), "volume_mm3", json_number(m->volume_mm3),
                  "unsmoothed_volume_mm3", json_number(raw->volume_mm3), "watertight", watertight,
                  "open_edges", (json_int_t)m->open_edges, "odd_edges", (json_int_t)m->odd_edges));
  fprintf(call->results,
          "%s: %td vertices, %td triangles in %td pieces, area %.6g mm2, volume %.6g mm3, %s\n",
          call->output, mesh->vertex_count, mesh->triangle_count, m->components, m->area_mm2,
          m->volume_mm3, watertight ? "watertight" : "NOT watertight");
  double loss = raw->volume_mm3 - m->volume_mm3;
  if (loss > NOTABLE_LOSS * raw->volume_mm3)
    fprintf(call->results, "smoothing and simplification took %.3g %% of %.6g mm3: thin vessels\n",
            100 * loss / raw->volume_mm3, raw->volume_mm3);
  return 0;
}

static int run(const struct call *call) {
  struct willis_error err;
  struct willis_mesh mesh = {0};
  struct willis_mesh_measure raw, measure;
  int code = 0;
  if (make_mesh(call, &mesh, &raw, &err) || willis_mesh_measure(&mesh, &measure, &err))
    code = print_error(call->argument[0], &err);
  else if (willis_mesh_write(call->output, &mesh, call->force, &err))
    code = print_error(call->output, &err);
  else
    code = report(call, &mesh, &measure, &raw);
  willis_mesh_release(&mesh);
  return code;
}

const struct command cmd_mesh = {
    .name = "mesh",
    .arguments = "MASK|PROB -o MESH",
    .summary = "Make a closed surface of a mask or a probability",
    .details = "Marching cubes: a triangle surface, always watertight, in mm of the patient frame "
               "(LPS), where the value is --level. Smoothing and simplification keep it closed, "
               "but take volume from vessels that are only a voxel or two thick. The "
               "file is .stl, .ply or .obj by its ending.",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .rows = rows,
    .run = run,
};
