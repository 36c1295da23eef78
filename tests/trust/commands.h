/* Whole commands in this process: one line as a person would type it, what it prints captured. */
#ifndef TESTS_TRUST_COMMANDS_H
#define TESTS_TRUST_COMMANDS_H

#include <stdbool.h>

/* These programs do without cmocka: it has a print_error() too. complain() prints and counts;
 * require() also ends the program. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define require(condition) ((condition) ? (void)0 : require_failed(#condition, __FILE__, __LINE__))
_Noreturn void require_failed(const char *condition, const char *file, int line);
long complaints(void);

/* Makes a scratch folder with in/ and out/ and goes there. */
void commands_begin(void);
/* Removes it. */
void commands_end(void);

/* Runs "project in/a.nii.gz -o out/b.nii.gz"; returns the exit code. */
int command_run(const char *line);
/* As command_run(), ends the test unless the code is 0. */
void command_must(const char *line);
/* What the last run printed, ended by zero. */
const char *command_stdout(void);
const char *command_stderr(void);

/* in/: shape.swc, patients/ (three), volume.nii.gz, mask.nii.gz, stack.nii.gz, sums.nii.gz,
 * run.safetensors, run.step-00000002.ckpt, prob.nii.gz, mesh.stl: 8 voxels along an edge. */
void commands_make_inputs(void);

#endif
