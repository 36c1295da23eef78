/* Where sources and detectors are, drawn with letters. */
#ifndef WILLIS_CLI_SKETCH_H
#define WILLIS_CLI_SKETCH_H

#include <willis/geometry.h>

#include <jansson.h>

/* Lines of text: cone-beam views from the feet and from the patient's left. Source k is the k-th
 * small letter, its detector the large one; at most 26 views are drawn. */
json_t *sketch_views(const struct willis_view *view, ptrdiff_t count);

#endif
