/* What the forward and the backward half of the fast decoder share.
 *
 * Transposed convolutions of stride 2 do not overlap, so the decoder is a small perceptron on each
 * point of its input, 8³ voxels of its output. With M points and rows in block order (the eight
 * voxels that come from a row follow each other) all of it is matrix products:
 *
 *   u1[M][8·w1] = x[M][w0]·W1 + b1      a1 = relu(scale1·u1 + shift1), as [8M][w1]
 *   u2[8M][8·w2] = a1·W2 + b2           a2 = relu(scale2·u2 + shift2), as [64M][w2]
 *   z[64M][8] = a2·W3 + b3
 *
 * Only u1 is stored, or, to save memory, not even that. The moments of a1 give the statistics of
 * u2, and u2 is made anew where it is needed, a few points at a time, so that it never leaves the
 * cache. Loss and gradient follow from the logits of the same few points. */
#ifndef WILLIS_NN_DECODER_AVX2_H
#define WILLIS_NN_DECODER_AVX2_H

#include "nn/decoder.h"

enum {
  WILLIS_DECODER_TAPS = WILLIS_CONV_TRANSPOSE3D_TAPS,
  WILLIS_DECODER_MOST_WIDTH = 256,
  WILLIS_DECODER_JOBS = 32,  /* pieces of the points, each summed by one thread */
  WILLIS_DECODER_POINTS = 6, /* points in the cache at a time */
  WILLIS_DECODER_BLOCK = 96, /* points whose x is read at once for the first weight gradient */
  WILLIS_DECODER_FLUSH = 32  /* tiles whose sums stay in float before they go to double */
};

/* One thread's tile: rows of WILLIS_DECODER_POINTS points. */
struct willis_decoder_tile {
  float *x;    /* [WILLIS_DECODER_BLOCK][w0], when x is read by points */
  float *u1;   /* [8·points][w1], when it is made again */
  float *d1;   /* like u1, when it is stored with 16 bits */
  float *tap;  /* [WILLIS_DECODER_BLOCK][w1]: columns of d1 */
  float *a1;   /* [8·points][w1] */
  float *t1;   /* like a1 */
  float *a2;   /* [8·points][8·w2] = [64·points][w2] */
  float *d2;   /* like a2 */
  float *z;    /* [64·points][8] */
  float *t;    /* like z: the target */
  double loss; /* of the job */
  float *sums; /* what goes to a job's double sums at a flush */
};

/* How many numbers a job sums in the pass that sums most. */
ptrdiff_t willis_decoder_job_sum_count(const struct willis_decoder *d);
/* This thread's tile. */
struct willis_decoder_tile willis_decoder_tile_of(const struct willis_decoder *d);
ptrdiff_t willis_decoder_point_count(const struct willis_decoder *d);

/* A pass over all points: calls body for tiles [begin, end) of points of each job, in order, with
 * the job's zeroed double sums [sum_count] and the tile's zeroed float sums; the float ones are
 * added to the double ones now and then. Then total[i] = Σ over jobs, in order. Returns the sum of
 * what the tiles added to `loss`. */
struct willis_decoder_pass {
  void (*body)(const struct willis_decoder *d, struct willis_decoder_tile *tile, ptrdiff_t begin,
               ptrdiff_t end, void *context);
  void *context;
  ptrdiff_t sum_count;
};
double willis_decoder_run(const struct willis_decoder *d, const struct willis_decoder_pass *pass);

/* x of points [begin, end), from memory or read into tile->x. */
const float *willis_decoder_x(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                              ptrdiff_t begin, ptrdiff_t end);
/* tile->a1 = relu(scale1·u1 + shift1) for points [begin, end). Returns their u1. */
const float *willis_decoder_activate1(const struct willis_decoder *d,
                                      struct willis_decoder_tile *tile, ptrdiff_t begin,
                                      ptrdiff_t end);
/* tile->a2 = relu(a1·packed2 + start2) for `points` points. */
void willis_decoder_activate2(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                              ptrdiff_t points);
/* tile->z = a2·packed3 + start3 for `points` points. */
void willis_decoder_logits(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                           ptrdiff_t points);
/* Where the 2×2×2 voxels of row r (of points · 64) of point p begin in the logit volume; the next
 * row and the next plane of it are 8·width and 64·height·width further on, in points. */
ptrdiff_t willis_decoder_place(struct willis_extent points, ptrdiff_t p, int r);

/* All of training's forward half, up to the statistics of u2; leaves what products need. */
void willis_decoder_prepare(struct willis_decoder *d,
                            const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS]);

/* decoder_backward_avx2.c */
double willis_decoder_gradient_avx2(struct willis_decoder *d,
                                    const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS],
                                    const struct willis_decoder_input *input,
                                    const struct willis_decoder_goal *goal,
                                    const struct willis_block_parameters gradient[3]);
void willis_decoder_input_gradient_avx2(struct willis_decoder *d,
                                        const struct willis_block_parameters *p, ptrdiff_t begin,
                                        ptrdiff_t end, float *d_x);

#endif
