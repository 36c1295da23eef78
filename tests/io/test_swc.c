/* SWC: odd lines, parents, and round trips. */
#include "io/swc.h"

#include "io_test.h"

#include <locale.h>

static enum willis_status read_text(const char *text, struct willis_tree *tree,
                                    const struct willis_warnings *warnings,
                                    struct willis_error *err) {
  return willis_swc_parse((const unsigned char *)text, strlen(text), tree, warnings, err);
}

static enum willis_status read_and_release(const unsigned char *bytes, size_t size,
                                           struct willis_error *err) {
  struct willis_tree tree;
  enum willis_status status = willis_swc_parse(bytes, size, &tree, NULL, err);
  willis_tree_release(&tree);
  return status;
}

static const char good[] = "# a remark\n\n 30 3 1.5 -2 3e1 0.5 20 # more\r\n20 2 0 0 0 1 7\n"
                           "\t7 1 4 5 6 2 -1\n";

static void test_ids_in_any_order(void **state) {
  (void)state;
  struct willis_tree tree;
  struct heard heard = {0};
  assert_ok(read_text(good, &tree, LISTEN(heard), &err));
  assert_int_equal(tree.node_count, 3);
  assert_int_equal(heard.count, 0);
  assert_int_equal(tree.node[0].parent, 1);
  assert_int_equal(tree.node[1].parent, 2);
  assert_int_equal(tree.node[2].parent, -1);
  assert_true(tree.node[0].position_mm[0] == 1.5 && tree.node[0].position_mm[2] == 30);
  assert_true(tree.node[0].radius_mm == 0.5 && tree.node[0].kind == 3);
  willis_tree_release(&tree);
}

static void test_warnings(void **state) {
  (void)state;
  static const struct {
    const char *text, *part;
    int nodes, roots;
  } cases[] = {
      {"1 1 0 0 0 1 -1\n2 1 1 0 0 0 1\n", "line 2: 1 nodes have radius 0", 2, 1},
      {"1 1 0 0 0 1 -1\n2 1 1 0 0 1 9\n", "line 2: 1 nodes name a parent", 2, 2},
      {"1 1 0 0 0 1 -1\n2 1 1 0 0 1 1\n3 1 2 0", "line 3: 1 of 3 lines are cut", 2, 1},
      {"1 1 0 0 0 1 -1\nx y z\n3 1 2 0 0 1 1", "line 2: 1 of 3 lines are cut", 2, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct willis_tree tree;
    struct heard heard = {0};
    assert_ok(read_text(cases[i].text, &tree, LISTEN(heard), &err));
    assert_int_equal(heard.count, 1);
    assert_non_null(strstr(heard.last, cases[i].part));
    assert_int_equal(tree.node_count, cases[i].nodes);
    int roots = 0;
    for (ptrdiff_t n = 0; n < tree.node_count; n++) roots += tree.node[n].parent < 0;
    assert_int_equal(roots, cases[i].roots);
    willis_tree_release(&tree);
  }
}

static void test_what_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *part;
  } cases[] = {
      {"", "0 of 0 lines"},
      {"# nothing\n", "0 of 0 lines"},
      {"Dear colleague,\nplease find attached\n", "line 1: 0 of 2 lines"},
      {"1 1 0 0 nan 1 -1\n", "line 1: coordinate z is nan, expected mm from -1e6 to 1e6"},
      {"1 1 0 inf 0 1 -1\n", "line 1: coordinate y is inf"},
      {"1 1 0 0 -2e6 1 -1\n", "line 1: coordinate z is -2e+06"},
      {"1 1 0 0 0 2e6 -1\n", "line 1: radius is 2e+06, expected mm from 0 to 1e6"},
      {"1 1 0 0 0 -1 -1\n", "radius is -1"},
      {"1 1 0 0 0 1 -1\n1 1 1 0 0 1 -1\n", "line 2: node 1 is there already at line 1"},
      {"1 1 0 0 0 1 1\n", "node 1 is its own ancestor"},
      {"1 1 0 0 0 1 3\n2 1 0 0 0 1 1\n3 1 0 0 0 1 2\n4 1 0 0 0 1 -1\n", "is its own ancestor"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct willis_tree tree;
    assert_status(read_text(cases[i].text, &tree, NULL, &err), WILLIS_FORMAT, cases[i].part);
  }
}

static void test_any_bytes(void **state) {
  (void)state;
  const unsigned char *bytes = (const unsigned char *)good;
  change_everywhere(read_and_release, bytes, sizeof good - 1);
  starve(read_and_release, bytes, sizeof good - 1);
  /* A prefix of a text may be a whole text; it is only read for the sanitizer's eyes. */
  for (size_t n = 0; n < sizeof good; n++) {
    unsigned char *block = malloc(n ? n : 1);
    memcpy(block, bytes, n);
    (void)!read_and_release(block, n, NULL);
    free(block);
  }
}

/* A chain long enough that recursion would show, and quadratic searching too. */
static void test_a_long_chain(void **state) {
  (void)state;
  enum { NODES = 200000 };
  char *text = malloc(NODES * 32);
  size_t used = 0;
  for (int i = 1; i <= NODES; i++)
    used += (size_t)sprintf(text + used, "%d 3 %d 0 0 1 %d\n", i, i, i < NODES ? i + 1 : -1);
  struct willis_tree tree;
  assert_ok(read_text(text, &tree, NULL, &err));
  assert_int_equal(tree.node_count, NODES);
  willis_tree_release(&tree);
  free(text);
}

static void test_write_read_is_identity(void **state) {
  (void)state;
  struct willis_tree_node node[] = {
      {{1.0 / 3, -2e-7, 12345.6789}, 0.25, 2, 3}, {{0, 0, 0}, 0, -1, 1}, {{5, 6, 7}, 8, 1, 0}};
  const struct willis_tree out = {node, 3};
  struct willis_tree in;
  const char *path = scratch_path("a.swc");
  assert_ok(willis_tree_write(path, &out, false, &err));
  assert_ok(willis_tree_read(path, &in, NULL, &err));
  assert_int_equal(in.node_count, 3);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(in.node[i].parent, node[i].parent);
    assert_int_equal(in.node[i].kind, node[i].kind);
    assert_true(in.node[i].radius_mm == node[i].radius_mm);
    for (int k = 0; k < 3; k++)
      assert_true(fabs(in.node[i].position_mm[k] - node[i].position_mm[k]) <=
                  1e-8 * fabs(node[i].position_mm[k]));
  }
  willis_tree_release(&in);
  assert_status(willis_tree_write(path, &out, false, &err), WILLIS_EXISTS, "exists");
}

/* A program may run in a language that writes 0,5. */
static void test_numbers_have_a_point_everywhere(void **state) {
  (void)state;
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
  size_t i = 0;
  while (i < 4 && !setlocale(LC_ALL, names[i])) i++;
  if (i == 4) skip(); /* no such language on this machine */
  struct willis_tree tree;
  assert_ok(read_text(good, &tree, NULL, &err));
  assert_true(tree.node[0].radius_mm == 0.5);
  willis_tree_release(&tree);
  setlocale(LC_ALL, "C");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ids_in_any_order),
      cmocka_unit_test(test_warnings),
      cmocka_unit_test(test_what_is_refused),
      cmocka_unit_test(test_any_bytes),
      cmocka_unit_test(test_a_long_chain),
      SCRATCH_TEST(test_write_read_is_identity),
      cmocka_unit_test(test_numbers_have_a_point_everywhere),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
