/* Looks at a head: what each is told, what is seen in mirrors, and what is decided in the end. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "bar_head.h"
#include "base/memory.h"
#include "nn/hull_mirror.h"
#include "recon/hull_looks.h"
#include "xray/hull_grey.h"

/* The place of a voxel, or of what lies there in a mirror. */
static ptrdiff_t mirrored(const ptrdiff_t n[3], ptrdiff_t voxel, unsigned mirror) {
  ptrdiff_t x = voxel % n[0], y = voxel / n[0] % n[1], z = voxel / n[0] / n[1];
  if (mirror & WILLIS_MIRROR_LEFT_RIGHT) x = n[0] - 1 - x;
  if (mirror & WILLIS_MIRROR_UPSIDE_DOWN) z = n[2] - 1 - z;
  return (z * n[1] + y) * n[0] + x;
}

/* Lopsided, and seen from four sides, one of them from above. */
static struct head lopsided(unsigned mirror, enum willis_projection_mode mode) {
  enum { EDGE = 24, FROM_ABOVE = 30 };
  static const double angle[] = {0, 90, 40, 75};
  const struct willis_grid grid = willis_grid_cube(EDGE, 0.5, NULL);
  struct head head;
  assert_int_equal(willis_volume_create(&head.volume, &grid, NULL), WILLIS_OK);
  for (ptrdiff_t i = 0; i < willis_grid_count(&grid); i++) {
    const ptrdiff_t at = mirrored(grid.size, i, mirror);
    const ptrdiff_t x = at % EDGE, y = at / EDGE % EDGE, z = at / EDGE / EDGE;
    const bool in = (labs(y - x) < 3 && labs(z - 15) < 3) || (x > 13 && x < 18 && labs(y - 8) < 2);
    head.volume.voxels[i] = in ? 1000 : 0;
  }
  assert_int_equal(willis_projections_create(&head.stack, EDGE, EDGE, 4, NULL), WILLIS_OK);
  willis_grid_centre(&grid, head.stack.isocenter_mm);
  head.stack.mode = mode;
  for (int v = 0; v < 4; v++) {
    struct willis_view *view = &head.stack.view[v];
    const double above = v == 3 ? FROM_ABOVE : 0;
    *view = willis_view_parallel(mirror & WILLIS_MIRROR_LEFT_RIGHT ? -angle[v] : angle[v], &grid);
    view->secondary_angle_deg = mirror & WILLIS_MIRROR_UPSIDE_DOWN ? -above : above;
  }
  assert_int_equal(willis_project(&head.volume, &head.stack, NULL), WILLIS_OK);
  return head;
}

/* logit[voxels of the grid], 0 outside of the hull; freed by willis_release(). */
static float *said_of(const struct head *head, const struct willis_network *network,
                      unsigned mirror, ptrdiff_t *rows) {
  struct willis_hull_case c;
  assert_int_equal(willis_hull_case_init(&c, &head->stack, &head->volume.grid, 0, NULL), WILLIS_OK);
  float *said = willis_take_zeroed(willis_grid_count(&head->volume.grid), sizeof *said);
  float *logit = willis_take(c.set.rows, sizeof *logit);
  assert_int_equal(willis_hull_infer(network, mirror, &c.input, logit, NULL), WILLIS_OK);
  for (ptrdiff_t i = 0; i < c.set.rows; i++) said[c.set.voxel[i]] = logit[i];
  *rows = c.set.rows;
  willis_release(logit);
  willis_hull_case_release(&c);
  return said;
}

/* With its weights mirrored the network says of a head what it says of the mirrored head, whose
 * views are mirrored; of line integrals but for the differences of H7's total variation, which lie
 * on one side of a voxel. */
static void a_mirror_shows_the_mirrored_head(void **state) {
  (void)state;
  static const double close[] = {[WILLIS_PROJECTION_MAX] = 1e-4, [WILLIS_PROJECTION_SUM] = 0.05};
  struct willis_network *network = network_of();
  for (int mode = 0; mode < 2; mode++)
    for (unsigned mirror = 1; mirror < WILLIS_HULL_MIRRORS; mirror++) {
      struct head head = lopsided(0, (enum willis_projection_mode)mode),
                  other = lopsided(mirror, (enum willis_projection_mode)mode);
      ptrdiff_t rows, as_many;
      float *here = said_of(&head, network, mirror, &rows),
            *there = said_of(&other, network, 0, &as_many),
            *plain = said_of(&head, network, 0, &as_many);
      double apart = 0, changed = 0, size = 0;
      for (ptrdiff_t i = 0; i < willis_grid_count(&head.volume.grid); i++) {
        const double is = (double)here[i];
        apart += fabs(is - (double)there[mirrored(head.volume.grid.size, i, mirror)]);
        changed += fabs(is - (double)plain[i]);
        size += fabs(is);
      }
      assert_true(rows > 100 && rows == as_many);
      assert_true(apart < close[mode] * size && changed > 2 * apart && changed > 0.01 * size);
      willis_release(plain);
      willis_release(there);
      willis_release(here);
      head_release(&other);
      head_release(&head);
    }
  willis_network_destroy(network);
}

static double explained(const struct willis_hull_set *set) {
  double sum = 0;
  for (ptrdiff_t i = 0; i < set->rows; i++)
    sum += (double)set->about_voxel[i * WILLIS_HULL_VOXEL + WILLIS_HULL_SET_SOLUTION];
  return sum;
}

/* One look after the other by hand, every second upside down, each told what the one before said;
 * the last two count. */
static void look_by_hand(enum willis_projection_mode mode) {
  struct head head = head_of(32, mode);
  struct willis_network *network = network_of();
  struct willis_hull_case c, by_hand;
  assert_int_equal(willis_hull_case_init(&c, &head.stack, &head.volume.grid, 0, NULL), WILLIS_OK);
  assert_int_equal(willis_hull_case_init(&by_hand, &head.stack, &head.volume.grid, 0, NULL),
                   WILLIS_OK);
  const ptrdiff_t rows = c.set.rows;
  assert_true(rows > 100 && rows == by_hand.set.rows);
  float *logit = willis_take(rows, sizeof *logit), *last = willis_take(rows, sizeof *last);
  float *expected = willis_take_zeroed(rows, sizeof *expected);
  enum { LOOKS = 8 };
  for (int look = 0; look < LOOKS; look++) {
    assert_int_equal(willis_hull_infer(network, look % 2 ? WILLIS_MIRROR_UPSIDE_DOWN : 0,
                                       &by_hand.input, last, NULL),
                     WILLIS_OK);
    for (ptrdiff_t i = 0; i < rows && look >= LOOKS - 2; i++) expected[i] += last[i] / 2;
    if (look == LOOKS - 1) break;
    for (ptrdiff_t i = 0; i < 2 * rows && !look; i++)
      assert_true(by_hand.set.about_voxel[i / 2 * WILLIS_HULL_VOXEL + SAID + i % 2] == 0);
    const double solved = explained(&by_hand.set);
    assert_int_equal(willis_hull_case_tell(&by_hand, last, NULL), WILLIS_OK);
    const double again = explained(&by_hand.set);
    assert_true((fabs(again - solved) > 0) == (mode == WILLIS_PROJECTION_SUM));
    for (ptrdiff_t i = 0; i < rows; i++) {
      const double p = 1 / (1 + exp(-(double)last[i]));
      const float *said = by_hand.set.about_voxel + i * WILLIS_HULL_VOXEL + SAID;
      assert_true(fabs((double)said[0] - p) < 1e-6);
      assert_true(fabs((double)said[1] - log2(p + 0.0625)) < 1e-5);
    }
  }
  assert_int_equal(willis_hull_look(&c, &c.grid, network, logit, NULL), WILLIS_OK);
  assert_memory_equal(logit, expected, (size_t)rows * sizeof *logit);
  assert_memory_not_equal(logit, last, (size_t)rows * sizeof *logit);
  willis_release(last);
  willis_release(expected);
  willis_release(logit);
  willis_hull_case_release(&by_hand);
  willis_hull_case_release(&c);
  willis_network_destroy(network);
  head_release(&head);
}

static void each_look_is_told_of_the_last(void **state) {
  (void)state;
  look_by_hand(WILLIS_PROJECTION_MAX);
  look_by_hand(WILLIS_PROJECTION_SUM);
}

/* How a case of so many views, `arc` apart, on a grid of that edge is looked at. */
static struct willis_hull_looks looks_on(ptrdiff_t asked, int views, double arc, ptrdiff_t edge,
                                         bool refined, enum willis_projection_mode mode) {
  float about[VIEWS * WILLIS_HULL_SET_ABOUT * 4] = {0};
  struct willis_projections stack = {.mode = mode};
  struct willis_hull_case c = {.stack = &stack, .refined = refined, .set = {.views = views}};
  for (int a = 0; a < 3; a++) c.grid.size[a] = edge;
  for (int v = 0; v < views; v++) {
    const double angle = arc * v * 3.14159265358979 / 180;
    about[v * WILLIS_HULL_SET_ABOUT + 1] = (float)(2 * sin(angle) * cos(angle));
  }
  c.set.about_view = about;
  return willis_hull_looks_of(&c, &(struct willis_grid){.size = {asked, asked, asked}});
}

static struct willis_hull_looks looks_at(int views, double arc, ptrdiff_t edge, bool refined,
                                         enum willis_projection_mode mode) {
  return looks_on(edge, views, arc, edge, refined, mode);
}

/* Few views are seen in mirrors: upside down, and left for right when views stay where views were
 * learned from. Large grids are looked at once after a coarser one. */
static void mirrors_are_for_few_views(void **state) {
  (void)state;
  const enum willis_projection_mode max = WILLIS_PROJECTION_MAX, sum = WILLIS_PROJECTION_SUM;
  assert_int_equal(looks_at(2, 90, 128, false, max).mirrors, 4);
  assert_int_equal(looks_at(2, 90, 128, false, max).averaged, 4);
  assert_int_equal(looks_at(2, 45, 128, false, max).mirrors, 2);
  assert_int_equal(looks_at(3, 45, 128, false, sum).mirrors, 2);
  assert_int_equal(looks_at(3, 60, 128, false, sum).mirrors, 4);
  assert_int_equal(looks_at(5, 36, 128, false, sum).mirrors, 1);
  assert_int_equal(looks_at(2, 90, 128, false, max).looks, 8);
  assert_int_equal(looks_on(256, 2, 90, 128, false, max).looks, 8);
  assert_int_equal(looks_at(5, 22.5, 128, false, max).looks, 3);
  assert_int_equal(looks_at(2, 90, 256, true, max).looks, 4);
  assert_int_equal(looks_at(5, 22.5, 256, true, max).looks, 1);
  assert_int_equal(looks_at(5, 22.5, 256, true, sum).looks, 2);
  assert_int_equal(looks_on(384, 2, 90, 192, true, max).looks, 1);
  assert_int_equal(looks_on(384, 2, 90, 192, true, sum).looks, 2);
  assert_int_equal(looks_at(2, 90, 257, true, max).looks, 1);
  assert_int_equal(looks_at(2, 90, 257, true, max).averaged, 1);
}

/* A lesson's own look is as things are; the one before it, upside down. */
static void looks_before_a_lesson_are_told(void **state) {
  (void)state;
  struct head head = head_of(32, WILLIS_PROJECTION_MAX);
  struct willis_network *network = network_of();
  struct willis_hull_case c, by_hand;
  assert_int_equal(willis_hull_case_init(&c, &head.stack, &head.volume.grid, 0, NULL), WILLIS_OK);
  assert_int_equal(willis_hull_case_init(&by_hand, &head.stack, &head.volume.grid, 0, NULL),
                   WILLIS_OK);
  const size_t bytes = (size_t)c.set.rows * WILLIS_HULL_VOXEL * sizeof(float);
  float *logit = willis_take(c.set.rows, sizeof *logit);
  assert_int_equal(willis_hull_look_before(&c, network, 0, NULL), WILLIS_OK);
  assert_memory_equal(c.set.about_voxel, by_hand.set.about_voxel, bytes);
  assert_int_equal(willis_hull_look_before(&c, network, 2, NULL), WILLIS_OK);
  for (int look = 0; look < 2; look++) {
    assert_int_equal(willis_hull_infer(network, look ? WILLIS_MIRROR_UPSIDE_DOWN : 0,
                                       &by_hand.input, logit, NULL),
                     WILLIS_OK);
    assert_int_equal(willis_hull_case_tell(&by_hand, logit, NULL), WILLIS_OK);
  }
  assert_memory_equal(c.set.about_voxel, by_hand.set.about_voxel, bytes);
  willis_release(logit);
  willis_hull_case_release(&by_hand);
  willis_hull_case_release(&c);
  willis_network_destroy(network);
  head_release(&head);
}

/* What a network believes that says 1 everywhere, and the grey values by it, by hand; true where
 * the pictures are explained well enough for them to count. */
static bool explain_by_hand(struct willis_hull_case *c, float *logit) {
  const ptrdiff_t rows = c->set.rows;
  struct willis_hull_grey_found found;
  float *p = willis_take(rows, sizeof *p), *grey = willis_take(rows, sizeof *grey);
  for (ptrdiff_t i = 0; i < rows; i++) p[i] = 1 / (1 + expf(-1.0f));
  assert_int_equal(willis_hull_grey(&c->set, c->stack, &c->grid, p, 0, grey, &found, NULL),
                   WILLIS_OK);
  const bool well = found.missed < (c->stack->mode == WILLIS_PROJECTION_SUM ? 0.07f : 0.05f);
  for (ptrdiff_t i = 0; i < rows; i++)
    logit[i] = well ? willis_hull_grey_logit(grey[i], found.middle, p[i]) : logit[i] / 1.5f;
  willis_release(grey);
  willis_release(p);
  return well;
}

/* Three views decide by the grey values that explain them, and know the bar better than a network
 * that says the same everywhere; two by what it says. */
static void decisions_explain_the_pictures(void **state) {
  (void)state;
  int counted = 0;
  for (int mode = 0; mode < 2; mode++)
    for (int views = 2; views <= VIEWS; views++) {
      struct head head = head_of(32, (enum willis_projection_mode)mode);
      struct willis_network *network = network_saying(1);
      struct willis_hull_case c;
      head.stack.view_count = views;
      assert_int_equal(willis_hull_case_init(&c, &head.stack, &head.volume.grid, 0, NULL),
                       WILLIS_OK);
      const ptrdiff_t rows = c.set.rows;
      float *logit = willis_take(rows, sizeof *logit), *by_hand = willis_take(rows, sizeof *logit);
      double right = 0, vessel = 0;
      assert_int_equal(willis_hull_decide(&c, network, logit, NULL), WILLIS_OK);
      for (ptrdiff_t i = 0; i < rows; i++) {
        const bool is = head.volume.voxels[c.set.voxel[i]] > 0;
        vessel += is;
        right += is == (logit[i] > 0);
        if (views == 2) assert_true(fabs((double)logit[i] - 1) < 1e-6);
      }
      if (views == VIEWS) {
        willis_hull_case_release(&c);
        assert_int_equal(willis_hull_case_init(&c, &head.stack, &head.volume.grid, 0, NULL),
                         WILLIS_OK);
        assert_int_equal(willis_hull_look(&c, &c.grid, network, by_hand, NULL), WILLIS_OK);
        const bool well = explain_by_hand(&c, by_hand);
        assert_memory_equal(logit, by_hand, (size_t)rows * sizeof *logit);
        assert_true(well ? right > vessel : right >= vessel);
        counted += well;
      }
      willis_release(by_hand);
      willis_release(logit);
      willis_hull_case_release(&c);
      willis_network_destroy(network);
      head.stack.view_count = VIEWS;
      head_release(&head);
    }
  assert_true(counted > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_mirror_shows_the_mirrored_head),
      cmocka_unit_test(mirrors_are_for_few_views),
      cmocka_unit_test(each_look_is_told_of_the_last),
      cmocka_unit_test(looks_before_a_lesson_are_told),
      cmocka_unit_test(decisions_explain_the_pictures),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
