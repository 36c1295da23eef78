/* Vessel trees by the path's ending: SWC, VTK's XML (PolyData in text: points with radii, a
 * polyline from fork to fork) and a table. Only SWC is read. */
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "io/io.h"
#include "io/swc.h"
#include "io/text.h"

#include <string.h>

/* How many children each node has, and the last of them. */
struct children {
  ptrdiff_t *count, *last;
};

static enum willis_status count_children(const struct willis_tree *tree, struct children *children,
                                         struct willis_error *err) {
  children->count = willis_take_zeroed(tree->node_count + 1, sizeof *children->count);
  children->last = willis_take_zeroed(tree->node_count + 1, sizeof *children->last);
  if (!children->count || !children->last)
    return willis_fail_memory(err, "a tree", tree->node_count, 2 * sizeof *children->count);
  for (ptrdiff_t i = 0; i < tree->node_count; i++) {
    const ptrdiff_t parent = tree->node[i].parent;
    if (parent < 0) continue;
    children->count[parent]++;
    children->last[parent] = i;
  }
  return WILLIS_OK;
}

/* A line begins at every child of a root or of a fork, and goes on to the next fork or end. */
static bool begins(const struct willis_tree *tree, const struct children *children, ptrdiff_t i) {
  const ptrdiff_t parent = tree->node[i].parent;
  return parent >= 0 && (tree->node[parent].parent < 0 || children->count[parent] != 1);
}

static bool is_lone(const struct willis_tree *tree, const struct children *children, ptrdiff_t i) {
  return tree->node[i].parent < 0 && children->count[i] == 0;
}

/* Connectivity, then offsets: what VTK wants of a kind of cell. */
static void print_lines(struct willis_out *out, const struct willis_tree *tree,
                        const struct children *children) {
  ptrdiff_t end = 0;
  willis_out_print(out, "<Lines>\n<DataArray type=\"Int64\" Name=\"connectivity\" "
                        "format=\"ascii\">\n");
  for (ptrdiff_t i = 0; i < tree->node_count; i++) {
    if (!begins(tree, children, i)) continue;
    willis_out_print(out, "%td %td", tree->node[i].parent, i);
    for (ptrdiff_t at = i; children->count[at] == 1;) {
      at = children->last[at];
      willis_out_print(out, " %td", at);
    }
    willis_out_print(out, "\n");
  }
  willis_out_print(out, "</DataArray>\n<DataArray type=\"Int64\" Name=\"offsets\" "
                        "format=\"ascii\">\n");
  for (ptrdiff_t i = 0; i < tree->node_count; i++) {
    if (!begins(tree, children, i)) continue;
    end += 2;
    for (ptrdiff_t at = i; children->count[at] == 1; at = children->last[at]) end++;
    willis_out_print(out, "%td\n", end);
  }
  willis_out_print(out, "</DataArray>\n</Lines>\n");
}

static void print_lone(struct willis_out *out, const struct willis_tree *tree,
                       const struct children *children) {
  ptrdiff_t end = 0;
  willis_out_print(out, "<Verts>\n<DataArray type=\"Int64\" Name=\"connectivity\" "
                        "format=\"ascii\">\n");
  for (ptrdiff_t i = 0; i < tree->node_count; i++)
    if (is_lone(tree, children, i)) willis_out_print(out, "%td\n", i);
  willis_out_print(out, "</DataArray>\n<DataArray type=\"Int64\" Name=\"offsets\" "
                        "format=\"ascii\">\n");
  for (ptrdiff_t i = 0; i < tree->node_count; i++)
    if (is_lone(tree, children, i)) willis_out_print(out, "%td\n", ++end);
  willis_out_print(out, "</DataArray>\n</Verts>\n");
}

static enum willis_status print_vtp(struct willis_out *out, const struct willis_tree *tree,
                                    struct willis_error *err) {
  struct children children = {0};
  enum willis_status status = count_children(tree, &children, err);
  ptrdiff_t lines = 0, lone = 0;
  for (ptrdiff_t i = 0; i < tree->node_count && !status; i++) {
    lines += begins(tree, &children, i);
    lone += is_lone(tree, &children, i);
  }
  if (!status) {
    willis_out_print(out,
                     "<?xml version=\"1.0\"?>\n<!-- %s -->\n<VTKFile type=\"PolyData\" "
                     "version=\"1.0\" byte_order=\"LittleEndian\" header_type=\"UInt64\">\n"
                     "<PolyData>\n<Piece NumberOfPoints=\"%td\" NumberOfVerts=\"%td\" "
                     "NumberOfLines=\"%td\" NumberOfStrips=\"0\" NumberOfPolys=\"0\">\n",
                     WILLIS_FILE_COMMENT, tree->node_count, lone, lines);
    willis_out_print(out, "<PointData Scalars=\"radius_mm\">\n<DataArray type=\"Float64\" "
                          "Name=\"radius_mm\" format=\"ascii\">\n");
    for (ptrdiff_t i = 0; i < tree->node_count; i++)
      willis_out_print(out, "%.9g\n", tree->node[i].radius_mm);
    willis_out_print(out, "</DataArray>\n</PointData>\n<Points>\n<DataArray type=\"Float64\" "
                          "Name=\"Points\" NumberOfComponents=\"3\" format=\"ascii\">\n");
    for (ptrdiff_t i = 0; i < tree->node_count; i++) {
      const double *at = tree->node[i].position_mm;
      willis_out_print(out, "%.9g %.9g %.9g\n", at[0], at[1], at[2]);
    }
    willis_out_print(out, "</DataArray>\n</Points>\n");
    print_lone(out, tree, &children);
    print_lines(out, tree, &children);
    willis_out_print(out, "</Piece>\n</PolyData>\n</VTKFile>\n");
  }
  willis_release(children.count);
  willis_release(children.last);
  return status;
}

/* Numbers as in the .swc of the same tree: nodes from 1, a root's parent is -1. */
static enum willis_status print_csv(struct willis_out *out, const struct willis_tree *tree,
                                    struct willis_error *err) {
  (void)err;
  willis_out_print(out, "node,parent,x_mm,y_mm,z_mm,radius_mm\n");
  for (ptrdiff_t i = 0; i < tree->node_count; i++) {
    const struct willis_tree_node *node = &tree->node[i];
    const double *at = node->position_mm;
    willis_out_print(out, "%td,%td,%.9g,%.9g,%.9g,%.9g\n", i + 1,
                     node->parent < 0 ? -1 : node->parent + 1, at[0], at[1], at[2],
                     node->radius_mm);
  }
  return WILLIS_OK;
}

static enum willis_status print_swc(struct willis_out *out, const struct willis_tree *tree,
                                    struct willis_error *err) {
  (void)err;
  willis_out_print(out, "# %s\n# id kind x y z radius parent\n", WILLIS_FILE_COMMENT);
  for (ptrdiff_t i = 0; i < tree->node_count; i++) {
    const struct willis_tree_node *node = &tree->node[i];
    const double *at = node->position_mm;
    willis_out_print(out, "%td %d %.9g %.9g %.9g %.9g %td\n", i + 1, node->kind, at[0], at[1],
                     at[2], node->radius_mm, node->parent < 0 ? -1 : node->parent + 1);
  }
  return WILLIS_OK;
}

static const struct {
  const char *ending;
  enum willis_status (*print)(struct willis_out *out, const struct willis_tree *tree,
                              struct willis_error *err);
} formats[] = {{".swc", print_swc}, {".vtp", print_vtp}, {".csv", print_csv}};
enum { FORMATS = sizeof formats / sizeof *formats };

enum willis_status willis_tree_write(const char *path, const struct willis_tree *tree,
                                     bool overwrite, struct willis_error *err) {
  size_t k = 0;
  if (strcmp(path, "-") != 0)
    while (k < FORMATS && !willis_path_ends(path, formats[k].ending)) k++;
  if (k == FORMATS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%s: a vessel tree is written as .swc, .vtp or .csv", path);
  for (ptrdiff_t i = 0; i < tree->node_count; i++)
    if (tree->node[i].parent >= tree->node_count)
      return willis_fail(err, WILLIS_INVALID_ARGUMENT, "node %td has parent %td of %td", i,
                         tree->node[i].parent, tree->node_count);
  struct willis_writer *writer;
  enum willis_status status = willis_writer_open(path, overwrite, false, &writer, err);
  if (status) return status;
  struct willis_out out = {.writer = writer, .err = err};
  locale_t before = willis_locale_enter();
  status = formats[k].print(&out, tree, err);
  willis_locale_leave(before);
  if (!status) status = willis_out_flush(&out);
  if (status) {
    willis_writer_abandon(writer, err);
    return status;
  }
  return willis_writer_commit(writer, err);
}
