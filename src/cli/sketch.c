#include "cli/sketch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A letter is about twice as high as wide. */
enum { WIDTH = 33, HEIGHT = 17, GAP = 4, MOST = 26 };

struct drawing {
  char cell[HEIGHT][2 * WIDTH + GAP + 1];
  double reach_mm; /* of half a panel */
};

static void put(struct drawing *drawing, int panel, double right, double down, char letter) {
  const int column = (int)lround((1 + right / drawing->reach_mm) * (WIDTH - 1) / 2);
  const int row = (int)lround((1 + down / drawing->reach_mm) * (HEIGHT - 1) / 2);
  if (column < 0 || column >= WIDTH || row < 0 || row >= HEIGHT) return;
  drawing->cell[row][panel * (WIDTH + GAP) + column] = letter;
}

/* From the feet: the patient's left is on the right, the back below. From the left: the back is on
 * the right, the head above. */
static void put_both(struct drawing *drawing, const double point[3], char letter) {
  put(drawing, 0, point[0], point[1], letter);
  put(drawing, 1, point[1], -point[2], letter);
}

json_t *sketch_views(const struct willis_view *view, ptrdiff_t count) {
  static const char titles[2][WIDTH + 1] = {"from the feet: right is LEFT",
                                            "from the left: right is BACK"};
  struct drawing drawing = {.reach_mm = 1};
  char line[2 * WIDTH + GAP + 1];
  json_t *lines = json_array();
  if (count > MOST) count = MOST;
  for (ptrdiff_t i = 0; i < count; i++) {
    const double near = view[i].source_to_isocenter_mm;
    drawing.reach_mm = fmax(drawing.reach_mm, fmax(near, view[i].source_to_detector_mm - near));
  }
  for (int row = 0; row < HEIGHT; row++) memset(drawing.cell[row], ' ', sizeof drawing.cell[row]);
  put_both(&drawing, (const double[]){0, 0, 0}, '+');
  for (ptrdiff_t i = 0; i < count; i++) {
    double d[3], u[3], v[3], source[3], detector[3];
    willis_view_axes(&view[i], d, u, v);
    willis_view_source(&view[i], source);
    for (int a = 0; a < 3; a++) detector[a] = source[a] + view[i].source_to_detector_mm * d[a];
    put_both(&drawing, source, (char)('a' + i));
    put_both(&drawing, detector, (char)('A' + i));
  }
  snprintf(line, sizeof line, "%-*s%*s%s", WIDTH, titles[0], GAP, "", titles[1]);
  json_array_append_new(lines, json_string(line));
  for (int row = 0; row < HEIGHT; row++) {
    size_t length = 2 * WIDTH + GAP;
    while (length && drawing.cell[row][length - 1] == ' ') length--;
    json_array_append_new(lines, json_stringn(drawing.cell[row], length));
  }
  return lines;
}
