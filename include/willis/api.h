/* Macros shared by the public headers. */
#ifndef WILLIS_API_H
#define WILLIS_API_H

/* Marks what the shared library exports; everything else is hidden. */
#define WILLIS_API __attribute__((visibility("default")))
/* The caller must look at the returned status. */
#define WILLIS_CHECKED __attribute__((warn_unused_result))
#define WILLIS_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))

#ifdef __cplusplus
#define WILLIS_BEGIN extern "C" {
#define WILLIS_END }
#else
#define WILLIS_BEGIN
#define WILLIS_END
#endif

#endif
