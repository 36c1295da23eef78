/* Sums of squared distances to planes, as a function of a point (Garland and Heckbert 1997):
 *   Q(p) = pᵀ A p + 2 bᵀ p + c
 * with A symmetric. A plane n·p + d = 0 of weight w adds w·n nᵀ, w·d·n and w·d². */
#ifndef WILLIS_SURFACE_QUADRIC_H
#define WILLIS_SURFACE_QUADRIC_H

struct quadric {
  double xx, xy, xz, yy, yz, zz; /* A */
  double x, y, z;                /* b */
  double c;
};

static inline void quadric_add_plane(struct quadric *q, const double n[3], double d,
                                     double weight) {
  q->xx += weight * n[0] * n[0], q->xy += weight * n[0] * n[1], q->xz += weight * n[0] * n[2];
  q->yy += weight * n[1] * n[1], q->yz += weight * n[1] * n[2], q->zz += weight * n[2] * n[2];
  q->x += weight * d * n[0], q->y += weight * d * n[1], q->z += weight * d * n[2];
  q->c += weight * d * d;
}

/* The squared distance to a point. */
static inline void quadric_add_point(struct quadric *q, const double p[3], double weight) {
  q->xx += weight, q->yy += weight, q->zz += weight;
  q->x -= weight * p[0], q->y -= weight * p[1], q->z -= weight * p[2];
  q->c += weight * (p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
}

static inline struct quadric quadric_sum(const struct quadric *p, const struct quadric *q) {
  return (struct quadric){.xx = p->xx + q->xx,
                          .xy = p->xy + q->xy,
                          .xz = p->xz + q->xz,
                          .yy = p->yy + q->yy,
                          .yz = p->yz + q->yz,
                          .zz = p->zz + q->zz,
                          .x = p->x + q->x,
                          .y = p->y + q->y,
                          .z = p->z + q->z,
                          .c = p->c + q->c};
}

static inline double quadric_at(const struct quadric *q, const double p[3]) {
  double x = q->xx * p[0] + q->xy * p[1] + q->xz * p[2];
  double y = q->xy * p[0] + q->yy * p[1] + q->yz * p[2];
  double z = q->xz * p[0] + q->yz * p[1] + q->zz * p[2];
  return p[0] * (x + 2 * q->x) + p[1] * (y + 2 * q->y) + p[2] * (z + 2 * q->z) + q->c;
}

/* The point of least Q, by Cramer's rule; A must be positive definite. */
static inline void quadric_lowest(const struct quadric *q, double p[3]) {
  double cxx = q->yy * q->zz - q->yz * q->yz, cxy = q->xz * q->yz - q->xy * q->zz;
  double cxz = q->xy * q->yz - q->xz * q->yy, cyy = q->xx * q->zz - q->xz * q->xz;
  double cyz = q->xy * q->xz - q->xx * q->yz, czz = q->xx * q->yy - q->xy * q->xy;
  double determinant = q->xx * cxx + q->xy * cxy + q->xz * cxz;
  p[0] = -(cxx * q->x + cxy * q->y + cxz * q->z) / determinant;
  p[1] = -(cxy * q->x + cyy * q->y + cyz * q->z) / determinant;
  p[2] = -(cxz * q->x + cyz * q->y + czz * q->z) / determinant;
}

#endif
