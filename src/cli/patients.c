#include "cli/patients.h"

static int split(const struct call *call, struct patients *p) {
  const struct option_value *o = call->option;
  ptrdiff_t all = p->cohort.count;
  if (o[FIRST].given && o[FIRST].integer < all) all = (ptrdiff_t)o[FIRST].integer;
  p->validate = (ptrdiff_t)o[VALIDATE].integer;
  p->train = all - (ptrdiff_t)o[TEST_LAST].integer - p->validate;
  if (p->train >= 1) return 0;
  struct willis_error err;
  snprintf(err.message, sizeof err.message,
           "%td patients less %jd to test and %td to validate leave none to train on", all,
           o[TEST_LAST].integer, p->validate);
  return print_error(p->cohort.name, &err);
}

struct willis_sampling patient_sampling(const struct call *call) {
  const struct option_value *o = call->option;
  struct willis_sampling sampling = willis_sampling_defaults();
  sampling.arc_deg = o[ARC].real;
  sampling.source_to_isocenter_mm = o[TO_ISOCENTER].real;
  sampling.source_to_detector_mm = o[TO_DETECTOR].real;
  sampling.tissue = o[TISSUE].given;
  return sampling;
}

int read_patients(const struct call *call, struct patients *p) {
  const char *path = call->option[DATA].text;
  struct willis_error err;
  if (willis_cohort_read(path, &p->cohort, &err)) return print_error(path, &err);
  return split(call, p);
}

int read_view_counts(const struct call *call, const char *text,
                     int view_count[WILLIS_TRAIN_VIEW_COUNTS]) {
  double view[WILLIS_TRAIN_VIEW_COUNTS];
  int count = parse_number_list(text, view, WILLIS_TRAIN_VIEW_COUNTS);
  for (int i = 0; i < count; i++) {
    view_count[i] = (int)view[i];
    if (view_count[i] != view[i] || view[i] < 2 || view[i] > 90) count = 0;
    for (int j = 0; j < i && count; j++)
      if (view[j] == view[i]) {
        print_usage_error(call->command, "--views: %g is there twice", view[i]);
        return 0;
      }
  }
  if (count > 0) return count;
  print_usage_error(call->command, "--views: '%s' is not up to %d numbers from 2 to 90", text,
                    WILLIS_TRAIN_VIEW_COUNTS);
  return 0;
}
