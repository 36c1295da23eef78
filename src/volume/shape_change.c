/* The change is drawn from counters, so a training step knows its own without the steps before. */
#include "volume/shape_change.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"

#include <math.h>
#include <string.h>

/* "change" in ASCII. */
static const uint64_t stream = 0x6368616e6765;
enum { DRAWS = 32 };

struct draws {
  uint64_t seed, counter;
};

static double draw(struct draws *d, double low, double high) {
  return low + (high - low) * willis_random_uniform(d->seed, stream, d->counter++);
}

/* By `angle` about the direction of `axis` (Rodrigues). */
static void rotation(const double axis[3], double angle, double r[9]) {
  const double length = sqrt(axis[0] * axis[0] + axis[1] * axis[1] + axis[2] * axis[2]);
  const double c = cos(angle), s = sin(angle);
  double u[3] = {0, 0, 1};
  for (int a = 0; a < 3 && length > 0; a++) u[a] = axis[a] / length;
  const double cross[9] = {0, -u[2], u[1], u[2], 0, -u[0], -u[1], u[0], 0};
  for (int a = 0; a < 3; a++)
    for (int b = 0; b < 3; b++)
      r[3 * a + b] = (a == b ? c : 0) + s * cross[3 * a + b] + (1 - c) * u[a] * u[b];
}

struct willis_shape_change willis_shape_change_draw(uint64_t seed, uint64_t number) {
  static const double most_turn = 25 * M_PI / 180, most_stretch = 0.12, most_bend = 0.06;
  struct draws d = {seed, number * DRAWS};
  struct willis_shape_change change;
  double axis[3];
  for (int a = 0; a < 3; a++) axis[a] = draw(&d, -1, 1);
  rotation(axis, draw(&d, 0, most_turn), change.turn);
  for (int a = 0; a < 3; a++) {
    change.stretch[a] = exp(draw(&d, -most_stretch, most_stretch));
    change.amplitude[a] = draw(&d, 0, most_bend);
    change.wave[a] = draw(&d, 1, 4);
    change.phase[a] = draw(&d, -M_PI, M_PI);
    change.by[a] = (a + (draw(&d, 0, 1) < 0.5 ? 1 : 2)) % 3;
  }
  change.thicken_mm = draw(&d, -0.1, 0.2);
  change.margin = draw(&d, 0.02, 0.1);
  return change;
}

/* A shape's box. */
struct box {
  double low[3], high[3];
};

static void box_begin(struct box *box) {
  for (int a = 0; a < 3; a++) {
    box->low[a] = INFINITY;
    box->high[a] = -INFINITY;
  }
}

static void box_add(struct box *box, const double p[3]) {
  for (int a = 0; a < 3; a++) {
    box->low[a] = fmin(box->low[a], p[a]);
    box->high[a] = fmax(box->high[a], p[a]);
  }
}

static void move(const struct willis_shape_change *c, const struct box *box, double p[3]) {
  double half = 0, q[3], bent[3];
  for (int a = 0; a < 3; a++) half = fmax(half, (box->high[a] - box->low[a]) / 2);
  if (!(half > 0)) return;
  for (int a = 0; a < 3; a++) q[a] = (p[a] - (box->low[a] + box->high[a]) / 2) / half;
  for (int a = 0; a < 3; a++)
    bent[a] =
        c->stretch[a] * (q[a] + c->amplitude[a] * sin(c->wave[a] * q[c->by[a]] + c->phase[a]));
  /* By what it moves, so that who is not moved keeps every bit. */
  for (int a = 0; a < 3; a++) {
    double to = 0;
    for (int b = 0; b < 3; b++) to += c->turn[3 * a + b] * bent[b];
    p[a] += half * (to - q[a]);
  }
}

/* Sums of the triangles' normals, weighted by their areas. */
static void add_normals(const struct willis_mesh *mesh, double *normal) {
  for (ptrdiff_t t = 0; t < mesh->triangle_count; t++) {
    const uint32_t *corner = mesh->triangle + 3 * t;
    double e[2][3], n[3];
    for (int k = 0; k < 2; k++)
      for (int a = 0; a < 3; a++)
        e[k][a] = (double)mesh->vertex[3 * (ptrdiff_t)corner[k + 1] + a] -
                  (double)mesh->vertex[3 * (ptrdiff_t)corner[0] + a];
    for (int a = 0; a < 3; a++)
      n[a] = e[0][(a + 1) % 3] * e[1][(a + 2) % 3] - e[0][(a + 2) % 3] * e[1][(a + 1) % 3];
    for (int k = 0; k < 3; k++)
      for (int a = 0; a < 3; a++) normal[3 * (ptrdiff_t)corner[k] + a] += n[a];
  }
}

enum willis_status willis_mesh_change(const struct willis_mesh *mesh,
                                      const struct willis_shape_change *change,
                                      struct willis_mesh *changed, struct willis_error *err) {
  *changed = (struct willis_mesh){.vertex_count = mesh->vertex_count,
                                  .triangle_count = mesh->triangle_count};
  double *normal = willis_take_zeroed(3 * mesh->vertex_count, sizeof *normal);
  changed->vertex = willis_take(3 * mesh->vertex_count, sizeof *changed->vertex);
  changed->triangle = willis_take(3 * mesh->triangle_count, sizeof *changed->triangle);
  if (!normal || !changed->vertex || !changed->triangle) {
    willis_release(normal);
    willis_mesh_release(changed);
    return willis_fail_memory(err, "a changed mesh", mesh->vertex_count, sizeof *normal);
  }
  memcpy(changed->triangle, mesh->triangle,
         (size_t)(3 * mesh->triangle_count) * sizeof *changed->triangle);
  add_normals(mesh, normal);
  struct box box;
  box_begin(&box);
  for (ptrdiff_t v = 0; v < mesh->vertex_count; v++) {
    const float *p = mesh->vertex + 3 * v;
    box_add(&box, (double[]){(double)p[0], (double)p[1], (double)p[2]});
  }
  for (ptrdiff_t v = 0; v < mesh->vertex_count; v++) {
    const double *n = normal + 3 * v, length = sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
    double p[3];
    for (int a = 0; a < 3; a++) {
      p[a] = (double)mesh->vertex[3 * v + a];
      if (length > 0) p[a] += change->thicken_mm * n[a] / length;
    }
    move(change, &box, p);
    for (int a = 0; a < 3; a++) changed->vertex[3 * v + a] = (float)p[a];
  }
  willis_release(normal);
  return WILLIS_OK;
}

enum willis_status willis_tree_change(const struct willis_tree *tree,
                                      const struct willis_shape_change *change,
                                      struct willis_tree *changed, struct willis_error *err) {
  *changed = (struct willis_tree){.node_count = tree->node_count};
  changed->node = willis_take(tree->node_count, sizeof *changed->node);
  if (!changed->node)
    return willis_fail_memory(err, "a changed tree", tree->node_count, sizeof *changed->node);
  struct box box;
  box_begin(&box);
  for (ptrdiff_t i = 0; i < tree->node_count; i++) box_add(&box, tree->node[i].position_mm);
  for (ptrdiff_t i = 0; i < tree->node_count; i++) {
    changed->node[i] = tree->node[i];
    move(change, &box, changed->node[i].position_mm);
    changed->node[i].radius_mm = fmax(0, tree->node[i].radius_mm + change->thicken_mm);
  }
  return WILLIS_OK;
}
