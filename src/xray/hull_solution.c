/* Accelerated proximal gradients (Beck & Teboulle 2009, with the restart of O'Donoghue & Candès
 * 2015), total variation by its dual, as in solver_tv.c, but on a list of voxels: what lies outside
 * the list is 0. With rays weighed by 1/Σw, the number of views that see a voxel bounds the second
 * derivative along it, and its inverse is the voxel's step (Pock & Chambolle 2011). Of many views
 * each update looks at a few that are spread over the arc, in turns, as if they were all (ordered
 * subsets, Hudson & Larkin 1994): as near to the least with far fewer looks. Rays are made by a job
 * a view and read by a job a piece of the list: the same bits for any number of threads. */
#include "xray/hull_solution.h"
#include "xray/hull_shadow.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* Chosen on held-out heads (doc/beyond.md). */
enum {
  IN_TURNS = 95,
  AGAIN_IN_TURNS = 45,
  FEW_VIEWS = 10,
  TOGETHER = 5,
  VIEWS_A_TURN = 3,
  MOST_TURNS = 8
};
enum { INNER = 3, NONE = -1 };

struct solution {
  const struct willis_hull_set *set;
  float *pixel, *scale, *excess; /* [views][rays]; scale is 1/Σw, 0 for rays that do not count */
  float *x, *y, *z, *before;     /* [rows] */
  float *step;                   /* [rows] views / those that see the voxel */
  float *cost;                   /* [rows]; null where no voxel costs */
  float *dual;                   /* [rows][3] */
  int32_t *next, *last;          /* [rows][3] the neighbours' rows, NONE outside the list */
};

/* ---- rays ---- */

void willis_hull_rays_sum(const struct willis_hull_set *set, int v, const float *x, float *sum) {
  const struct willis_ray_place *place = set->place + v * set->rows;
  memset(sum, 0, (size_t)set->rays * sizeof *sum);
  for (ptrdiff_t i = 0; i < set->rows; i++)
    if (place[i].ray >= 0) willis_ray_add(&place[i], set->pitch[v], x ? x[i] : 1, sum);
}

float willis_hull_rays_gather(const struct willis_hull_set *set, const float *value,
                              struct willis_hull_turn turn, ptrdiff_t i) {
  float sum = 0;
  for (int v = turn.first; v < set->views; v += turn.every) {
    const struct willis_ray_place *place = &set->place[v * set->rows + i];
    if (place->ray >= 0) sum += willis_ray_read(place, set->pitch[v], value + v * set->rays);
  }
  return sum;
}

static void read_rays(struct solution *s, const struct willis_projections *stack,
                      const struct willis_grid *grid, int v) {
  const struct willis_hull_set *set = s->set;
  const float *image = stack->pixels + v * stack->columns * stack->rows;
  float *pixel = s->pixel + v * set->rays, *scale = s->scale + v * set->rays;
  struct willis_shadow shadow;
  willis_shadow_init(&shadow, stack, v, grid);
  willis_hull_rays_sum(set, v, NULL, scale);
  for (ptrdiff_t r = 0; r < set->rays; r++) {
    double column, row;
    pixel[r] = 0;
    if (!(scale[r] > 0)) continue;
    willis_shadow_middle(&shadow, stack, r % set->pitch[v], r / set->pitch[v], &column, &row);
    pixel[r] = (float)(willis_picture_at(stack, image, column, row) / set->unit);
    const bool on = column >= 0 && column <= (double)(stack->columns - 1) && row >= 0 &&
                    row <= (double)(stack->rows - 1) &&
                    willis_shadow_shown(&stack->view[v].shutter, column, row);
    scale[r] = on ? 1 / scale[r] : 0;
  }
}

static int common(int a, int b) {
  return b ? common(b, a % b) : a;
}

/* A golden part of the turns apart, or the next part that comes to all of them. */
struct willis_hull_turn willis_hull_turn(int views, int update) {
  const int wanted = (views + VIEWS_A_TURN - 1) / VIEWS_A_TURN;
  const int turns = wanted < MOST_TURNS ? wanted : MOST_TURNS;
  int apart = (int)fmax(1, round(0.382 * turns));
  while (common(turns, apart) != 1) apart++;
  return (struct willis_hull_turn){(int)((int64_t)update * apart % turns), turns};
}

/* z = y − step·gradient of the views whose turn it is, for all. */
static void descend(struct solution *s, struct willis_hull_turn turn) {
  const struct willis_hull_set *set = s->set;
  const float step = 1 / (float)((set->views - turn.first + turn.every - 1) / turn.every);
#pragma omp parallel for schedule(dynamic, 1)
  for (int v = turn.first; v < set->views; v += turn.every) {
    float *excess = s->excess + v * set->rays;
    const float *pixel = s->pixel + v * set->rays, *scale = s->scale + v * set->rays;
    willis_hull_rays_sum(set, v, s->y, excess);
    for (ptrdiff_t r = 0; r < set->rays; r++) excess[r] = (excess[r] - pixel[r]) * scale[r];
  }
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < set->rows; i++)
    s->z[i] = s->y[i] - s->step[i] * (step * willis_hull_rays_gather(set, s->excess, turn, i) +
                                      (s->cost ? s->cost[i] / (float)set->views : 0));
}

/* ---- total variation ---- */

/* Lists in step with each other. */
void willis_hull_neighbours_find(const struct willis_hull_set *set, const struct willis_grid *grid,
                                 int32_t *next, int32_t *last) {
  const ptrdiff_t step[3] = {1, grid->size[0], grid->size[0] * grid->size[1]};
  for (ptrdiff_t i = 0; i < 3 * set->rows; i++) next[i] = last[i] = NONE;
  for (int a = 0; a < 3; a++)
    for (ptrdiff_t i = 0, j = 0; i < set->rows; i++) {
      const ptrdiff_t wanted = set->voxel[i] + step[a];
      if (set->voxel[i] / step[a] % grid->size[a] == grid->size[a] - 1) continue;
      while (j < set->rows && set->voxel[j] < wanted) j++;
      if (j == set->rows || set->voxel[j] != wanted) continue;
      next[3 * i + a] = (int32_t)j;
      last[3 * j + a] = (int32_t)i;
    }
}

/* x = max(0, z − step·Dᵀ·dual). */
static void shrink(struct solution *s) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < s->set->rows; i++) {
    const float *own = s->dual + 3 * i;
    float d = -(own[0] + own[1] + own[2]);
    for (int a = 0; a < 3; a++)
      if (s->last[3 * i + a] >= 0) d += s->dual[3 * s->last[3 * i + a] + a];
    s->x[i] = fmaxf(0, s->z[i] - s->step[i] * d);
  }
}

/* x = argmin ½Σ(x − z)²/step + weight·TV(x), x ≥ 0, from the dual of the last time. */
static void smooth(struct solution *s, float weight) {
  static const float differences = 6; /* that a voxel is in */
  for (int k = 0; k < INNER; k++) {
    shrink(s);
#pragma omp parallel for schedule(static)
    for (ptrdiff_t i = 0; i < s->set->rows; i++) {
      float *own = s->dual + 3 * i, length = 0, beside = 0;
      for (int a = 0; a < 3; a++) {
        const int32_t n = s->next[3 * i + a];
        if (n >= 0) beside = fmaxf(beside, s->step[n]);
      }
      const float step = 1 / (differences * (s->step[i] + beside));
      for (int a = 0; a < 3; a++) {
        const int32_t n = s->next[3 * i + a];
        own[a] += step * ((n >= 0 ? s->x[n] : 0) - s->x[i]);
        length += own[a] * own[a];
      }
      length = sqrtf(length);
      for (int a = 0; length > weight && a < 3; a++) own[a] *= weight / length;
    }
  }
  shrink(s);
}

/* ---- updates ---- */

static double turned_back(const struct solution *s) {
  double product = 0;
  for (ptrdiff_t i = 0; i < s->set->rows; i++)
    product += (double)((s->y[i] - s->x[i]) * (s->x[i] - s->before[i]));
  return product;
}

static void update(struct solution *s, struct willis_hull_turn turn, double *momentum) {
  const ptrdiff_t rows = s->set->rows;
  descend(s, turn);
  memcpy(s->before, s->x, (size_t)rows * sizeof *s->x);
  smooth(s, willis_hull_solution_lambda(s->set->views) / (float)s->set->views);
  if (turned_back(s) > 0) *momentum = 1;
  const double grown = (1 + sqrt(1 + 4 * *momentum * *momentum)) / 2;
  const float ahead = (float)((*momentum - 1) / grown);
  *momentum = grown;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < rows; i++) s->y[i] = s->x[i] + ahead * (s->x[i] - s->before[i]);
}

/* ---- what is believed ---- */

float willis_hull_solution_doubt(float probability) {
  static const float least = 0.01f;
  return fmaxf(0, logf(probability + least) / logf(least));
}

static void find_steps(struct solution *s) {
  for (ptrdiff_t i = 0; i < s->set->rows; i++) {
    int seen = 0;
    for (int v = 0; v < s->set->views; v++) seen += s->set->place[v * s->set->rows + i].ray >= 0;
    s->step[i] = (float)s->set->views / (float)(seen ? seen : 1);
  }
}

static void begin_again(struct solution *s, const float *probability, const float *value) {
  const float cost = WILLIS_HULL_SOLUTION_COST * willis_hull_solution_lambda(s->set->views);
  for (ptrdiff_t i = 0; i < s->set->rows; i++) {
    s->cost[i] = cost * willis_hull_solution_doubt(probability[i]);
    s->x[i] = value[i];
  }
}

static void take(struct solution *s, const struct willis_hull_set *set,
                 struct willis_arena *arena) {
  const ptrdiff_t rays = set->views * set->rays;
  float **of_rays[] = {&s->pixel, &s->scale, &s->excess};
  float **of_rows[] = {&s->x, &s->y, &s->z, &s->before, &s->step, &s->cost};
  s->set = set;
  for (size_t i = 0; i < sizeof of_rays / sizeof *of_rays; i++)
    *of_rays[i] = willis_arena_take(arena, rays, sizeof(float));
  for (size_t i = 0; i < sizeof of_rows / sizeof *of_rows; i++)
    *of_rows[i] = willis_arena_take(arena, set->rows, sizeof(float));
  s->dual = willis_arena_take(arena, 3 * set->rows, sizeof(float));
  s->next = willis_arena_take(arena, 3 * set->rows, sizeof *s->next);
  s->last = willis_arena_take(arena, 3 * set->rows, sizeof *s->last);
}

size_t willis_hull_solution_bytes(ptrdiff_t rows, ptrdiff_t rays, int views) {
  const struct willis_hull_set set = {.rows = rows, .rays = rays, .views = views};
  struct solution s;
  struct willis_arena counting = {0};
  take(&s, &set, &counting);
  return counting.peak;
}

enum willis_status willis_hull_solution(const struct willis_hull_set *set,
                                        const struct willis_projections *stack,
                                        const struct willis_grid *grid, const float *probability,
                                        float *value, struct willis_error *err) {
  struct solution s;
  struct willis_arena arena;
  enum willis_status status =
      willis_arena_init(&arena, willis_hull_solution_bytes(set->rows, set->rays, set->views), err);
  if (status) return status;
  take(&s, set, &arena);
  willis_hull_neighbours_find(set, grid, s.next, s.last);
  find_steps(&s);
#pragma omp parallel for schedule(dynamic, 1)
  for (int v = 0; v < set->views; v++) read_rays(&s, stack, grid, v);
  memset(s.x, 0, (size_t)set->rows * sizeof *s.x);
  if (probability)
    begin_again(&s, probability, value);
  else
    s.cost = NULL;
  memcpy(s.y, s.x, (size_t)set->rows * sizeof *s.y);
  memset(s.dual, 0, (size_t)(3 * set->rows) * sizeof *s.dual);
  double momentum = 1;
  /* What is believed is less near to what many views say. */
  const int in_turns = probability && set->views <= FEW_VIEWS ? AGAIN_IN_TURNS : IN_TURNS;
  for (int k = 0; k < in_turns; k++) update(&s, willis_hull_turn(set->views, k), &momentum);
  /* Begun anew with all views: turns that contradict each other would pull to and fro. */
  momentum = 1;
  memcpy(s.y, s.x, (size_t)set->rows * sizeof *s.y);
  for (int k = 0; k < TOGETHER; k++) update(&s, (struct willis_hull_turn){0, 1}, &momentum);
  memcpy(value, s.x, (size_t)set->rows * sizeof *value);
  willis_arena_release(&arena);
  return WILLIS_OK;
}
