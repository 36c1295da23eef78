/* SWC: centre lines with radii as text (Cannon et al. 1998), one node a line:
 *   id kind x y z radius parent
 * taken as LPS mm as it stands. */
#ifndef WILLIS_IO_SWC_H
#define WILLIS_IO_SWC_H

#include <willis/io.h>

/* FORMAT when most lines are not nodes, a number is not finite, an id appears twice or parents form
 * a cycle. Lines that are cut are skipped, an unknown parent makes a root, a radius of 0 is kept:
 * each with a warning. The caller releases the tree. */
WILLIS_CHECKED enum willis_status willis_swc_parse(const unsigned char *bytes, size_t size,
                                                   struct willis_tree *tree,
                                                   const struct willis_warnings *warnings,
                                                   struct willis_error *err);

/* True when the first line that is no comment is a node. */
bool willis_swc_recognize(const unsigned char *bytes, size_t size);

#endif
