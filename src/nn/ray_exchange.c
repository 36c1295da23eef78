/* Views are taken two at a time: what happens along rays is one job a view, what happens at voxels
 * one job a piece of the list, which goes through its views in order; so no sum depends on threads.
 * Backward computes everything between the bids and the pool again: kept would be views × rows.
 *
 *   d bid_i = Σ_v ( exp(bid_i)·Σ_r w_ir Σ_j w_jr d rival_j/among_j − d rival_i ),
 *   among_j = Σ_r w_jr Σ_k w_kr exp(bid_k)
 *
 * Bids are weighed against the highest of all, so that no exponential overflows. */
#include "nn/ray_exchange.h"

#include "nn/pairs.h"
#include "nn/rms_norm.h"
#include "nn/sparse_conv.h"

#include <math.h>
#include <string.h>

enum {
  R = WILLIS_RAY_BIDS,
  E = WILLIS_RAY_HIDDEN,
  S = WILLIS_RAY_SEEN,
  A = WILLIS_RAY_ABOUT,
  IN = WILLIS_RAY_INPUTS,
  POINT = WILLIS_RAY_POINT,
  POOLED = WILLIS_RAY_POOLED,
  GROUP = 2,
  CHUNK = 256,
  SHARDS = 8,
  NONE = 255
};

static int most(int a, int b) {
  return a > b ? a : b;
}

/* What few views pool stays in a piece of the list, unless backward wants it. */
static bool keeps_pool(int views, bool training) {
  return training || views > GROUP;
}

void willis_ray_exchange_plan(struct willis_ray_exchange *layer, ptrdiff_t rows, int views,
                              int channels, bool training, struct willis_arena *arena) {
  *layer = (struct willis_ray_exchange){.channels = channels, .rows = rows};
  layer->point = willis_arena_take(arena, rows * POINT, sizeof(float));
  if (keeps_pool(views, training))
    layer->pooled = willis_arena_take(arena, rows * POOLED, sizeof(float));
  if (training) layer->best = willis_arena_take(arena, rows * E, 1);
}

void willis_ray_exchange_plan_scratch(struct willis_ray_scratch *s, ptrdiff_t rows, ptrdiff_t rays,
                                      int channels, bool training, struct willis_arena *arena) {
  *s = (struct willis_ray_scratch){0};
  s->weight = willis_arena_take(arena, rows * R, sizeof(float));
  s->among = willis_arena_take(arena, GROUP * rows * R, sizeof(float));
  s->level = willis_arena_take(arena, GROUP * rays * R, sizeof(float));
  s->packed = willis_arena_take(arena, (ptrdiff_t)most(channels, IN) * most(POOLED, channels),
                                sizeof(float));
  s->packed_out = willis_arena_take(arena, (ptrdiff_t)POOLED * channels, sizeof(float));
  if (!training) return;
  s->normal = willis_arena_take(arena, rows * channels, sizeof(float));
  s->d_rival = willis_arena_take(arena, GROUP * rows * R, sizeof(float));
  s->d_point = willis_arena_take(arena, rows * POINT, sizeof(float));
  s->d_pooled = willis_arena_take(arena, rows * POOLED, sizeof(float));
  s->d_normal = willis_arena_take(arena, rows * channels, sizeof(float));
  s->d_weight = willis_arena_take(arena, SHARDS * IN * E, sizeof(float));
}

/* exp(x) for −87 ≤ x ≤ 0, relative error 2e-7: plain enough for the compiler to make vectors of it.
 * x = n·ln 2 + r, |r| ≤ ln 2 / 2; the series of exp(r); n into the exponent. */
static inline float exponential(float x) {
  const float rounder = 12582912.0f; /* 1.5·2^23 */
  x = x > -87 ? x : -87;             /* NaN too: it must not become an integer */
  float n = x * 1.44269504f + rounder - rounder;
  float r = x - n * 0.693359375f + n * 2.12194440e-4f, y = 1.0f / 720;
  y = y * r + 1.0f / 120;
  y = y * r + 1.0f / 24;
  y = y * r + 1.0f / 6;
  y = y * r + 0.5f;
  y = y * r + 1;
  y = y * r + 1;
  int32_t bits = ((int32_t)n + 127) * (1 << 23);
  float power;
  memcpy(&power, &bits, sizeof power);
  return y * power;
}

/* log(x) for normal x > 0, absolute error 2e-7: x = 2^n·m, m about 1, log m =
 * 2·artanh((m−1)/(m+1)). */
static inline float logarithm(float x) {
  const int32_t half = 0x3f3504f3; /* √½ */
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const int32_t n = (bits - half) >> 23;
  bits -= n * (1 << 23);
  float m;
  memcpy(&m, &bits, sizeof m);
  const float s = (m - 1) / (m + 1), q = s * s;
  float y = 1.0f / 9;
  y = y * q + 1.0f / 7;
  y = y * q + 1.0f / 5;
  y = y * q + 1.0f / 3;
  y = y * q + 1;
  return (float)n * 0.69314718f + 2 * s * y;
}

/* A bid below the highest, bounded so that its weight is no denormal number. */
static inline float below_top(float bid, float top) {
  const float least = -80;
  return bid - top > least ? bid - top : least;
}

static void weigh_bids(ptrdiff_t rows, const float *point, struct willis_ray_scratch *s) {
  for (int r = 0; r < R; r++) s->top[r] = -INFINITY;
  for (ptrdiff_t i = 0; i < rows; i++)
    for (int r = 0; r < R; r++)
      s->top[r] = s->top[r] > point[i * POINT + r] ? s->top[r] : point[i * POINT + r];
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < rows; i++)
    for (int r = 0; r < R; r++)
      s->weight[i * R + r] = exponential(below_top(point[i * POINT + r], s->top[r]));
}

/* level[rays] of one view = Σ w·x, x: [rows][BIDS]. */
static void gather_rays(const struct willis_ray_views *views, int v, const float *x, float *level) {
  const struct willis_ray_place *place = views->place + v * views->rows;
  memset(level, 0, (size_t)(views->rays * R) * sizeof *level);
  for (ptrdiff_t i = 0; i < views->rows; i++) {
    const struct willis_ray_taps taps = willis_ray_taps(&place[i], views->pitch[v]);
    for (int t = 0; t < taps.count; t++)
      for (int r = 0; r < R; r++)
        level[(ptrdiff_t)taps.ray[t] * R + r] += taps.weight[t] * x[i * R + r];
  }
}

/* sum[BIDS] of one voxel = Σ w·level over its rays. */
static inline void read_rays(const struct willis_ray_place *place, int32_t pitch,
                             const float *level, float *sum) {
  const struct willis_ray_taps taps = willis_ray_taps(place, pitch);
  for (int r = 0; r < R; r++) sum[r] = 0;
  for (int t = 0; t < taps.count; t++)
    for (int r = 0; r < R; r++) sum[r] += taps.weight[t] * level[(ptrdiff_t)taps.ray[t] * R + r];
}

/* `among` of one view. */
static void look_around(const struct willis_ray_views *views, int v, const float *weight,
                        float *level, float *among) {
  gather_rays(views, v, weight, level);
  for (ptrdiff_t i = 0; i < views->rows; i++)
    read_rays(&views->place[v * views->rows + i], views->pitch[v], level, among + i * R);
}

/* One view's rows [begin, begin+count): what goes into the small network, and what comes out. */
struct piece {
  float in[CHUNK * IN], hidden[CHUNK * E], pooled[CHUNK * POOLED];
  int32_t order[CHUNK];
};

static void piece_init(struct piece *piece) {
  for (int i = 0; i < CHUNK; i++) piece->order[i] = i;
}

/* Rows [begin, begin+count) of view v, `g` of the group. */
static void ask_view(const struct willis_ray_views *views, int v, int g,
                     const struct willis_ray_scratch *s, const float *point, ptrdiff_t begin,
                     ptrdiff_t count, struct piece *piece) {
  const float *seen = views->seen + (v * views->rows + begin) * S, *about = views->about + v * A;
  const float *among = s->among + (g * views->rows + begin) * R;
  const struct willis_ray_place *place = views->place + v * views->rows + begin;
  for (ptrdiff_t i = 0; i < count; i++) {
    float *in = piece->in + i * IN;
    const float *own = point + (begin + i) * POINT;
    for (int r = 0; r < R; r++)
      in[r] = place[i].ray < 0 ? 0 : logarithm(among[i * R + r]) - below_top(own[r], s->top[r]);
    memcpy(in + R, seen + i * S, S * sizeof *in);
    memcpy(in + R + S, about, A * sizeof *in);
    memcpy(piece->hidden + i * E, own + R, E * sizeof *in);
  }
  struct willis_pairs all = {count, piece->order, piece->order};
  willis_pair_kernels(E)->product(&all, piece->in, IN, IN, s->packed, E, piece->hidden, E);
  for (ptrdiff_t i = 0; i < count; i++)
    for (int e = 0; e < E; e++) {
      float *h = &piece->hidden[i * E + e];
      *h = *h > 0 && place[i].ray >= 0 ? *h : 0;
    }
}

/* Into pooled[count], that of rows from `begin` on. */
static void pool(const struct willis_ray_exchange *layer, const float *share, int v,
                 ptrdiff_t begin, ptrdiff_t count, const struct piece *piece, float *pooled) {
  for (ptrdiff_t i = 0; i < count; i++) {
    float *mean = pooled + i * POOLED, *top = mean + E;
    uint8_t *best = layer->best ? layer->best + (begin + i) * E : NULL;
    const float *h = piece->hidden + i * E;
    for (int e = 0; e < E; e++) {
      mean[e] += h[e] * share[begin + i];
      if (best && h[e] > top[e]) best[e] = (uint8_t)v;
      top[e] = h[e] > top[e] ? h[e] : top[e];
    }
  }
}

static const struct willis_sparse_conv *linear(struct willis_sparse_conv *conv, int inputs,
                                               int outputs) {
  *conv = (struct willis_sparse_conv){inputs, outputs, 1, false};
  return conv;
}

/* A table that reads every row once, its own adjoint. */
static void identity(struct willis_taps *table, ptrdiff_t rows) {
  *table = (struct willis_taps){rows, 1, NULL, table, false};
}

/* y[count] = bias + x·W, y kept and added to with `add`. */
static void apply(const struct piece *piece, ptrdiff_t count, const float *x, int inputs,
                  const float *packed, const float *bias, int outputs, bool add, float *y) {
  for (ptrdiff_t i = 0; i < count; i++)
    for (int o = 0; o < outputs; o++)
      y[i * outputs + o] = add ? y[i * outputs + o] + bias[o] : bias[o];
  struct willis_pairs all = {count, piece->order, piece->order};
  willis_pair_kernels(outputs)->product(&all, x, inputs, inputs, packed, outputs, y, outputs);
}

static ptrdiff_t chunk_at(ptrdiff_t rows, ptrdiff_t begin) {
  return rows - begin < CHUNK ? rows - begin : CHUNK;
}

/* Bids and replies of all rows. */
static void find_points(const struct willis_ray_exchange *layer,
                        const struct willis_ray_parameters *p, const float *x,
                        struct willis_ray_scratch *scratch) {
  const int C = layer->channels;
  willis_pairs_pack(C, POINT, p->point_weight, 1, C, scratch->packed);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t begin = 0; begin < layer->rows; begin += CHUNK) {
    const ptrdiff_t count = chunk_at(layer->rows, begin);
    struct piece piece;
    piece_init(&piece);
    willis_rms_norm_forward(count, C, x + begin * C, p->gain, piece.pooled);
    apply(&piece, count, piece.pooled, C, scratch->packed, p->point_bias, POINT, false,
          layer->point + begin * POINT);
  }
}

void willis_ray_exchange_forward(struct willis_ray_exchange *layer,
                                 const struct willis_ray_views *views,
                                 const struct willis_ray_parameters *p, const float *x, float *y,
                                 struct willis_ray_scratch *scratch) {
  const int C = layer->channels;
  const ptrdiff_t rows = layer->rows;
  find_points(layer, p, x, scratch);
  if (y != x) memcpy(y, x, (size_t)(rows * C) * sizeof *y);
  if (layer->pooled) memset(layer->pooled, 0, (size_t)(rows * POOLED) * sizeof(float));
  if (layer->best) memset(layer->best, NONE, (size_t)(rows * E));
  willis_pairs_pack(IN, E, p->ray_weight, 1, IN, scratch->packed);
  willis_pairs_pack(POOLED, C, p->out_weight, 1, POOLED, scratch->packed_out);
  weigh_bids(rows, layer->point, scratch);
  for (int first = 0; first < views->views; first += GROUP) {
    const int group = views->views - first < GROUP ? views->views - first : GROUP;
    const bool last = first + group == views->views;
#pragma omp parallel for schedule(static, 1)
    for (int g = 0; g < group; g++)
      look_around(views, first + g, scratch->weight, scratch->level + g * views->rays * R,
                  scratch->among + g * rows * R);
#pragma omp parallel for schedule(dynamic, 1)
    for (ptrdiff_t begin = 0; begin < rows; begin += CHUNK) {
      const ptrdiff_t count = chunk_at(rows, begin);
      struct piece piece;
      piece_init(&piece);
      float *pooled = layer->pooled ? layer->pooled + begin * POOLED : piece.pooled;
      if (!layer->pooled) memset(pooled, 0, (size_t)(count * POOLED) * sizeof *pooled);
      for (int g = 0; g < group; g++) {
        ask_view(views, first + g, g, scratch, layer->point, begin, count, &piece);
        pool(layer, views->share, first + g, begin, count, &piece, pooled);
      }
      if (last)
        apply(&piece, count, pooled, POOLED, scratch->packed_out, p->out_bias, C, true,
              y + begin * C);
    }
  }
}

/* d_hidden in place of hidden, and the bids' part of the inputs' gradient. */
static void answer_view(const struct willis_ray_exchange *layer, const float *share,
                        const float *d_pooled, int v, ptrdiff_t begin, ptrdiff_t count,
                        const float *packed, float *d_point, float *d_rival, struct piece *piece) {
  for (ptrdiff_t i = 0; i < count; i++) {
    const float *d_mean = d_pooled + (begin + i) * POOLED, *d_top = d_mean + E;
    const uint8_t *best = layer->best + (begin + i) * E;
    float *h = piece->hidden + i * E, *d_self = d_point + (begin + i) * POINT + R;
    for (int e = 0; e < E; e++) {
      float d = d_mean[e] * share[begin + i] + (best[e] == v ? d_top[e] : 0);
      h[e] = h[e] > 0 ? d : 0;
      d_self[e] += h[e];
    }
  }
  memset(d_rival + begin * R, 0, (size_t)(count * R) * sizeof *d_rival);
  struct willis_pairs all = {count, piece->order, piece->order};
  willis_pair_kernels(R)->product(&all, piece->hidden, E, E, packed, R, d_rival + begin * R, R);
}

/* d_rival/among, the gradient of `among`, to the rays. */
static void answer_rays(const struct willis_ray_views *views, int v, const float *d_rival,
                        float *among, float *level) {
  for (ptrdiff_t i = 0; i < views->rows * R; i++)
    among[i] = among[i] > 0 ? d_rival[i] / among[i] : 0;
  gather_rays(views, v, among, level);
}

static void share_out(const struct willis_ray_views *views, int v, const float *weight,
                      const float *d_rival, const float *level, ptrdiff_t begin, ptrdiff_t end,
                      float *d_point) {
  for (ptrdiff_t i = begin; i < end; i++) {
    float d[R];
    const struct willis_ray_place *place = &views->place[v * views->rows + i];
    if (place->ray < 0) continue;
    read_rays(place, views->pitch[v], level, d);
    for (int r = 0; r < R; r++)
      d_point[i * POINT + r] += weight[i * R + r] * d[r] - d_rival[i * R + r];
  }
}

/* Through the views: d_pooled → d_point and the gradient of ray_weight. */
static void through_views(struct willis_ray_exchange *layer, const struct willis_ray_views *views,
                          const struct willis_ray_parameters *p,
                          const struct willis_ray_parameters *gradient,
                          struct willis_ray_scratch *s) {
  const ptrdiff_t rows = layer->rows;
  float backwards[E * R];
  memset(s->d_point, 0, (size_t)(rows * POINT) * sizeof(float));
  memset(s->d_weight, 0, SHARDS * IN * E * sizeof(float));
  willis_pairs_pack(IN, E, p->ray_weight, 1, IN, s->packed);
  weigh_bids(rows, layer->point, s);
  willis_pairs_pack(E, R, p->ray_weight, IN, 1, backwards);
  for (int first = 0; first < views->views; first += GROUP) {
    const int group = views->views - first < GROUP ? views->views - first : GROUP;
#pragma omp parallel for schedule(static, 1)
    for (int g = 0; g < group; g++)
      look_around(views, first + g, s->weight, s->level + g * views->rays * R,
                  s->among + g * rows * R);
#pragma omp parallel for schedule(dynamic, 1)
    for (int shard = 0; shard < SHARDS; shard++) {
      struct piece piece;
      piece_init(&piece);
      ptrdiff_t end = rows * (shard + 1) / SHARDS, count;
      for (ptrdiff_t begin = rows * shard / SHARDS; begin < end; begin += count) {
        count = end - begin < CHUNK ? end - begin : CHUNK;
        for (int g = 0; g < group; g++) {
          ask_view(views, first + g, g, s, layer->point, begin, count, &piece);
          answer_view(layer, views->share, s->d_pooled, first + g, begin, count, backwards,
                      s->d_point, s->d_rival + g * rows * R, &piece);
          struct willis_pairs all = {count, piece.order, piece.order};
          willis_pair_kernels(E)->outer(&all, piece.in, IN, IN, piece.hidden, E, E,
                                        s->d_weight + (ptrdiff_t)shard * IN * E);
        }
      }
    }
#pragma omp parallel for schedule(static, 1)
    for (int g = 0; g < group; g++)
      answer_rays(views, first + g, s->d_rival + g * rows * R, s->among + g * rows * R,
                  s->level + g * views->rays * R);
#pragma omp parallel for schedule(static)
    for (ptrdiff_t begin = 0; begin < rows; begin += CHUNK)
      for (int g = 0; g < group; g++)
        share_out(views, first + g, s->weight, s->d_rival + g * rows * R,
                  s->level + g * views->rays * R, begin,
                  rows - begin < CHUNK ? rows : begin + CHUNK, s->d_point);
  }
  for (int k = 0; k < IN; k++)
    for (int e = 0; e < E; e++) {
      float sum = 0;
      for (int shard = 0; shard < SHARDS; shard++) sum += s->d_weight[(shard * IN + k) * E + e];
      gradient->ray_weight[e * IN + k] = sum;
    }
}

void willis_ray_exchange_backward(struct willis_ray_exchange *layer,
                                  const struct willis_ray_views *views,
                                  const struct willis_ray_parameters *p, const float *x, float *d_x,
                                  const struct willis_ray_parameters *gradient,
                                  struct willis_ray_scratch *scratch) {
  const int C = layer->channels;
  struct willis_ray_scratch *s = scratch;
  struct willis_taps each;
  struct willis_sparse_conv conv;
  identity(&each, layer->rows);
  linear(&conv, POOLED, C);
  willis_sparse_conv_backward_weight(&conv, &each, layer->pooled, d_x, gradient->out_weight,
                                     gradient->out_bias, s->packed);
  willis_sparse_conv_backward_data(&conv, &each, d_x, p->out_weight, false, s->d_pooled, s->packed);
  through_views(layer, views, p, gradient, s);
  linear(&conv, C, POINT);
  willis_rms_norm_forward(layer->rows, C, x, p->gain, s->normal);
  willis_sparse_conv_backward_weight(&conv, &each, s->normal, s->d_point, gradient->point_weight,
                                     gradient->point_bias, s->packed);
  willis_sparse_conv_backward_data(&conv, &each, s->d_point, p->point_weight, false, s->d_normal,
                                   s->packed);
  willis_rms_norm_backward(layer->rows, C, x, p->gain, s->d_normal, d_x, gradient->gain);
}
