/* What this process takes of the machine's memory, as the system counts it. */
#ifndef WILLIS_CLI_MEMORY_USE_H
#define WILLIS_CLI_MEMORY_USE_H

#include <stddef.h>

/* Bytes in memory now; the peak so far where the system does not tell. */
size_t memory_in_use(void);
/* The most there ever were. */
size_t memory_peak(void);
/* From here on large blocks go back to the system when they are freed, and are not kept for later:
 * for commands that promise how much they take. */
void memory_give_back(void);

#endif
