/* How a surface passes through one cell of eight voxels, for each of the 256 ways in which its
 * corners lie inside or outside.
 *
 * Corner c = x + 2y + 4z with x, y, z in {0,1}; case bit c is set when corner c is inside.
 * Edges: 0…3 along x at (y,z) = (0,0) (1,0) (0,1) (1,1); 4…7 along y at (x,z) in the same order;
 * 8…11 along z at (x,y). */
#ifndef WILLIS_SURFACE_CELL_CASES_H
#define WILLIS_SURFACE_CELL_CASES_H

#include <stdint.h>

enum { CELL_EDGES = 12, CELL_MOST_TRIANGLES = 10 };

struct willis_cell_cases {
  uint16_t crossed[256];                            /* bit e: the surface crosses edge e */
  unsigned char triangles[256];                     /* their number */
  unsigned char edge[256][3 * CELL_MOST_TRIANGLES]; /* corners of the triangles, as edges */
};

/* Fills the table; takes some microseconds. Triangles turn counter-clockwise seen from outside in
 * a right-handed frame. */
void willis_cell_cases_fill(struct willis_cell_cases *cases);

#endif
