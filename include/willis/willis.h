/* Willis: a few angiograms of the brain into a 3D model of its vessels.
 * Research software. Not a medical device. Not for diagnosis, treatment planning or any clinical
 * use. */
#ifndef WILLIS_WILLIS_H
#define WILLIS_WILLIS_H

#include <willis/agreement.h>
#include <willis/angiogram.h>
#include <willis/calibration.h>
#include <willis/error.h>
#include <willis/experiment.h>
#include <willis/figure.h>
#include <willis/geometry.h>
#include <willis/io.h>
#include <willis/metrics.h>
#include <willis/network.h>
#include <willis/prepare.h>
#include <willis/progress.h>
#include <willis/projector.h>
#include <willis/reconstruct.h>
#include <willis/solver.h>
#include <willis/surface.h>
#include <willis/train.h>
#include <willis/volume.h>

WILLIS_BEGIN

WILLIS_API const char *willis_version(void);
/* The sentence that goes with every output. */
WILLIS_API const char *willis_disclaimer(void);

/* Threads used by everything from now on (0: all cores of this process). Results do not depend on
 * it. Not to be called while another thread is inside the library. */
WILLIS_API void willis_threads_set(int threads);
WILLIS_API int willis_threads_get(void);

WILLIS_END

#endif
