/* What willis_projections_disturb() takes, for those who ask before there is a stack. */
#ifndef WILLIS_XRAY_DISTURBANCE_H
#define WILLIS_XRAY_DISTURBANCE_H

#include <willis/projector.h>

/* INVALID_ARGUMENT: negative, not a number or beyond all measure. */
WILLIS_CHECKED enum willis_status willis_disturbance_check(const struct willis_disturbance *d,
                                                           struct willis_error *err);

#endif
