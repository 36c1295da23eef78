/* A random head's arteries, LPS mm, the circle of Willis about the origin.
 *
 * The trunks run through points read off anatomy books' figures in whole millimetres (left side;
 * the right is its mirror), each moved at random; beyond the trunks branches grow to leaves spread
 * over the artery's territory on an ellipsoid of a brain. Then the whole head is stretched and
 * tilted. Varieties, about as frequent as in textbooks: absent posterior communicating arteries,
 * posterior cerebral arteries fed from the carotid, a thin A1, an absent anterior communicating
 * artery, unequal vertebral arteries. A tree can't hold a ring: it is closed by nodes that meet. */
#include "base/error.h"
#include "volume/phantom_grow.h"

#include <math.h>
#include <string.h>

/* SWC leaves identifiers from 5 on to us. */
enum kind { CAROTID = 5, VERTEBRAL, BASILAR, ANTERIOR, MIDDLE, POSTERIOR, COMMUNICATING, SMALL };

enum { MOST_LEAVES = 32, CAROTID_POINTS = 11, JUNCTION_POINT = 9 };

static const double BRAIN_CENTRE_MM[3] = {0, 6, 20};
static const double BRAIN_SEMIAXIS_MM[3] = {58, 68, 48};

/* Neck, petrous bone, the siphon's two bends, the posterior communicating artery, the end. */
static const double CAROTID_MM[CAROTID_POINTS][3] = {
    {24, 14, -58}, {25, 11, -46}, {22, 8, -35}, {15, 3, -27}, {12, -2, -20}, {12, -10, -15},
    {12, -16, -9}, {12, -13, -3}, {11, -6, -1}, {10, -3, 3},  {10, -5, 8}};
static const double VERTEBRAL_MM[][3] = {{15, 30, -58}, {19, 29, -48}, {13, 26, -40}, {5, 17, -33}};
static const double BASILAR_MM[][3] = {{0, 13, -29}, {0, 9, -18}, {0, 8, -9}, {0, 11, -1}};
static const double ANTERIOR_MM[][3] = {{3, -15, 10}, {2, -23, 18}, {3, -31, 29}};
static const double MIDDLE_MM[][3] = {{18, -8, 7}, {27, -6, 5}, {34, -3, 8}};
static const double POSTERIOR_MM[][3] = {{8, 14, 1}, {16, 22, 2}, {18, 33, 5}};

/* A head being drawn: the sketch, and what this head is like. */
struct head {
  struct willis_sketch sketch;
  double caliber; /* all radii times this */
  double bend;    /* how far trunk points are moved, mm */
};

/* What differs between the sides. */
struct side {
  double sign;                                                   /* +1 left, −1 right */
  double middle_mm, anterior_mm, posterior_mm, communicating_mm; /* radii; 0 for absent */
  double first_posterior_mm;                                     /* P1 */
  ptrdiff_t anterior_node;                                       /* end of A1 */
  double posterior_start[3];                                     /* end of P1 */
};

static double uniform(struct head *head, double low, double high) {
  return willis_sketch_uniform(&head->sketch, low, high);
}

/* Trunk points of one side, moved at random by less where they matter more: `hold` of the first
 * stay. */
static void place(struct head *head, const double (*from)[3], int count, double sign,
                  double (*to)[3]) {
  for (int p = 0; p < count; p++)
    for (int axis = 0; axis < 3; axis++) {
      double x = axis == 0 ? sign * from[p][axis] : from[p][axis];
      to[p][axis] = x + willis_sketch_normal(&head->sketch, head->bend);
    }
}

static const double *place_of(const struct head *head, ptrdiff_t node) {
  static const double nowhere[3];
  return head->sketch.failed ? nowhere : head->sketch.tree.node[node].position_mm;
}

/* From node through count points. */
static ptrdiff_t trunk(struct head *head, ptrdiff_t node, const double (*point)[3], int count,
                       double first_mm, double last_mm, int kind) {
  double all[CAROTID_POINTS + 1][3];
  struct willis_path path = {all, count + 1, {first_mm, last_mm}, 0.06, kind};
  memcpy(all[0], place_of(head, node), sizeof all[0]);
  memcpy(all[1], point, (size_t)count * sizeof *all);
  return willis_sketch_path(&head->sketch, node, &path);
}

static ptrdiff_t root(struct head *head, const double point[3], double radius_mm, int kind) {
  return willis_sketch_node(&head->sketch, point, radius_mm, -1, kind);
}

/* A leaf at direction (x,y,z) from the brain's centre, at `depth` of the way to its surface. */
static struct willis_leaf leaf_at(struct head *head, double x, double y, double z, double depth) {
  double length = sqrt(x * x + y * y + z * z), direction[3] = {x, y, z};
  struct willis_leaf leaf = {.weight = uniform(head, 0.6, 1.4)};
  for (int axis = 0; axis < 3; axis++)
    leaf.position_mm[axis] =
        BRAIN_CENTRE_MM[axis] + depth * BRAIN_SEMIAXIS_MM[axis] * direction[axis] / length;
  return leaf;
}

static void grow(struct head *head, ptrdiff_t node, struct willis_leaf *leaf, int count,
                 double radius_mm, double pull, int kind) {
  struct willis_territory t = {
      .leaf = leaf, .count = count, .radius_mm = radius_mm, .kind = kind, .pull = pull};
  memcpy(t.centre_mm, BRAIN_CENTRE_MM, sizeof t.centre_mm);
  memcpy(t.semiaxis_mm, BRAIN_SEMIAXIS_MM, sizeof t.semiaxis_mm);
  willis_sketch_grow(&head->sketch, node, &t);
}

/* The convexity: within 65 degrees of straight sideways, seldom low in front. */
static void middle_cerebral(struct head *head, ptrdiff_t node, const struct side *side) {
  double point[3][3];
  struct willis_leaf leaf[MOST_LEAVES];
  int count = (int)uniform(head, 10, 17);
  place(head, MIDDLE_MM, 3, side->sign, point);
  node = trunk(head, node, point, 3, side->middle_mm, side->middle_mm, MIDDLE);
  for (int l = 0; l < count; l++) {
    double turn = 2 * M_PI * (l + uniform(head, 0, 1)) / count, away = uniform(head, 0.35, 1.15);
    leaf[l] = leaf_at(head, side->sign * cos(away), sin(away) * cos(turn) + 0.1,
                      sin(away) * sin(turn) * 0.8 + 0.15, uniform(head, 0.85, 1));
  }
  grow(head, node, leaf, count, side->middle_mm, 0.3, MIDDLE);
}

/* The inner face, from the forehead over the top to the back. */
static void anterior_cerebral(struct head *head, struct side *side, ptrdiff_t node) {
  double point[3][3];
  struct willis_leaf leaf[MOST_LEAVES];
  int count = (int)uniform(head, 5, 10);
  place(head, ANTERIOR_MM, 3, side->sign, point);
  double middle_mm = 1.5 * side->sign; /* the arteries run beside each other */
  for (int p = 0; p < 3; p++)
    if (side->sign * point[p][0] < side->sign * middle_mm) point[p][0] = middle_mm;
  double second_mm = fmax(side->anterior_mm, 0.9 * head->caliber);
  side->anterior_node = trunk(head, node, point, 1, side->anterior_mm, side->anterior_mm, ANTERIOR);
  node = trunk(head, side->anterior_node, point + 1, 2, second_mm, second_mm, ANTERIOR);
  for (int l = 0; l < count; l++) {
    double up = M_PI * (0.02 + 0.72 * (l + uniform(head, 0, 1)) / count);
    leaf[l] = leaf_at(head, side->sign * uniform(head, 0.04, 0.22), -cos(up), sin(up),
                      uniform(head, 0.62, 0.98));
  }
  grow(head, node, leaf, count, second_mm, 0, ANTERIOR);
}

/* The back and the underside of the temporal lobe. */
static void posterior_cerebral(struct head *head, ptrdiff_t node, const struct side *side) {
  double point[3][3];
  struct willis_leaf leaf[MOST_LEAVES];
  int count = (int)uniform(head, 5, 10);
  place(head, POSTERIOR_MM, 3, side->sign, point);
  memcpy(point[0], side->posterior_start, sizeof point[0]);
  node = trunk(head, node, point, 1, side->first_posterior_mm, side->first_posterior_mm, POSTERIOR);
  node = trunk(head, node, point + 1, 2, side->posterior_mm, side->posterior_mm, POSTERIOR);
  for (int l = 0; l < count; l++)
    leaf[l] = leaf_at(head, side->sign * uniform(head, 0.1, 0.75), uniform(head, 0.5, 1),
                      uniform(head, -0.55, 0.25), uniform(head, 0.7, 0.95));
  grow(head, node, leaf, count, side->posterior_mm, 0, POSTERIOR);
}

/* A cerebellar artery to a few leaves about a place (left side). */
static void cerebellar(struct head *head, ptrdiff_t node, double sign, const double around_mm[3]) {
  struct willis_leaf leaf[3];
  int count = (int)uniform(head, 2, 4);
  for (int l = 0; l < count; l++) {
    leaf[l].weight = uniform(head, 0.8, 1.2);
    for (int axis = 0; axis < 3; axis++)
      leaf[l].position_mm[axis] = (axis == 0 ? sign : 1) * around_mm[axis] +
                                  willis_sketch_normal(&head->sketch, axis == 2 ? 4 : 8);
  }
  grow(head, node, leaf, count, uniform(head, 0.62, 0.75) * head->caliber, 0, SMALL);
}

static double murray(double a_mm, double b_mm, double c_mm) {
  return cbrt(a_mm * a_mm * a_mm + b_mm * b_mm * b_mm + c_mm * c_mm * c_mm);
}

static struct side make_side(struct head *head, double sign) {
  double c = head->caliber;
  struct side side = {.sign = sign,
                      .middle_mm = c * uniform(head, 1.25, 1.5),
                      .anterior_mm = c * uniform(head, 0.95, 1.2),
                      .posterior_mm = c * uniform(head, 0.95, 1.15),
                      .communicating_mm = c * uniform(head, 0.5, 0.75)};
  side.first_posterior_mm = side.posterior_mm;
  if (willis_sketch_chance(&head->sketch, 0.1)) side.anterior_mm = c * 0.55;
  if (willis_sketch_chance(&head->sketch, 0.25))
    side.communicating_mm = 0;
  else if (willis_sketch_chance(&head->sketch, 0.15)) { /* fed from the carotid */
    side.communicating_mm = side.posterior_mm;
    side.first_posterior_mm = c * 0.5;
  }
  place(head, POSTERIOR_MM, 1, sign, &side.posterior_start);
  return side;
}

/* Neck to its two end branches, with the posterior communicating artery on the way. */
static void carotid(struct head *head, struct side *side) {
  double point[CAROTID_POINTS][3];
  double end_mm = murray(side->middle_mm, side->anterior_mm, 0);
  double start_mm = fmin(2.5, murray(end_mm, side->communicating_mm, 0) * uniform(head, 1.1, 1.3));
  place(head, CAROTID_MM, CAROTID_POINTS, side->sign, point);
  ptrdiff_t node = root(head, point[0], start_mm, CAROTID);
  ptrdiff_t junction = trunk(head, node, point + 1, JUNCTION_POINT, start_mm, end_mm, CAROTID);
  node = trunk(head, junction, point + 1 + JUNCTION_POINT, CAROTID_POINTS - 1 - JUNCTION_POINT,
               end_mm, end_mm, CAROTID);
  if (side->communicating_mm > 0)
    trunk(head, junction, &side->posterior_start, 1, side->communicating_mm, side->communicating_mm,
          COMMUNICATING);
  middle_cerebral(head, node, side);
  anterior_cerebral(head, side, node);
}

static void vertebrals_and_basilar(struct head *head, const struct side side[2]) {
  static const double lower_mm[3] = {18, 42, -42}, front_mm[3] = {30, 26, -26},
                      upper_mm[3] = {24, 44, -14};
  double point[4][3], basilar[4][3];
  double top_mm = murray(side[0].first_posterior_mm, side[1].first_posterior_mm, 0);
  double basilar_mm = fmax(top_mm, 1.2 * head->caliber);
  double unequal = uniform(head, 0.25, 0.75); /* the left's share of the flow */
  ptrdiff_t meeting = 0;
  place(head, BASILAR_MM, 4, 1, basilar);
  for (int s = 0; s < 2; s++) {
    double share = s == 0 ? unequal : 1 - unequal;
    double radius_mm = basilar_mm * cbrt(share);
    place(head, VERTEBRAL_MM, 4, side[s].sign, point);
    ptrdiff_t node = root(head, point[0], radius_mm, VERTEBRAL);
    node = trunk(head, node, point + 1, 2, radius_mm, radius_mm, VERTEBRAL);
    cerebellar(head, node, side[s].sign, lower_mm);
    node = trunk(head, node, point + 3, 1, radius_mm, radius_mm, VERTEBRAL);
    node = trunk(head, node, basilar, 1, radius_mm, radius_mm, VERTEBRAL);
    if (s == 0) meeting = node;
  }
  ptrdiff_t node = trunk(head, meeting, basilar + 1, 1, basilar_mm, basilar_mm, BASILAR);
  for (int s = 0; s < 2; s++) cerebellar(head, node, side[s].sign, front_mm);
  node = trunk(head, node, basilar + 2, 1, basilar_mm, basilar_mm, BASILAR);
  for (int s = 0; s < 2; s++) cerebellar(head, node, side[s].sign, upper_mm);
  node = trunk(head, node, basilar + 3, 1, basilar_mm, top_mm, BASILAR);
  for (int s = 0; s < 2; s++) posterior_cerebral(head, node, side + s);
}

static void turn(double point[3], int axis, double angle) {
  int a = (axis + 1) % 3, b = (axis + 2) % 3;
  double x = point[a], y = point[b];
  point[a] = cos(angle) * x - sin(angle) * y;
  point[b] = sin(angle) * x + cos(angle) * y;
}

/* Heads differ in size and proportion, and lie a little differently. */
static void settle(struct head *head) {
  struct willis_tree *tree = &head->sketch.tree;
  double scale[3], tilt[3], all = uniform(head, 0.9, 1.06);
  for (int axis = 0; axis < 3; axis++) {
    scale[axis] = all * uniform(head, 0.94, 1.06);
    tilt[axis] = willis_sketch_normal(&head->sketch, 0.07);
  }
  for (ptrdiff_t i = 0; i < tree->node_count; i++) {
    double *x = tree->node[i].position_mm;
    for (int axis = 0; axis < 3; axis++) x[axis] *= scale[axis];
    for (int axis = 0; axis < 3; axis++) turn(x, axis, tilt[axis]);
  }
}

enum willis_status willis_tree_phantom(uint64_t seed, struct willis_tree *tree,
                                       struct willis_error *err) {
  struct head head = {.sketch.seed = seed};
  *tree = (struct willis_tree){0};
  head.caliber = uniform(&head, 0.9, 1.1);
  head.bend = uniform(&head, 1.0, 2.0);
  struct side side[2] = {make_side(&head, 1), make_side(&head, -1)};
  for (int s = 0; s < 2; s++) carotid(&head, side + s);
  if (!willis_sketch_chance(&head.sketch, 0.05)) {
    double other[3], radius_mm = head.caliber * uniform(&head, 0.5, 0.8);
    memcpy(other, place_of(&head, side[1].anterior_node), sizeof other);
    trunk(&head, side[0].anterior_node, &other, 1, radius_mm, radius_mm, COMMUNICATING);
  }
  vertebrals_and_basilar(&head, side);
  settle(&head);
  if (head.sketch.failed) {
    willis_tree_release(&head.sketch.tree);
    return willis_fail(err, WILLIS_OUT_OF_MEMORY, "no memory for the nodes of a tree");
  }
  *tree = head.sketch.tree;
  return WILLIS_OK;
}
