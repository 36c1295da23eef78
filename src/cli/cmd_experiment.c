/* willis experiment: the paper's tables, run again. */
#include "cli/options.h"

#include <willis/experiment.h>

#include <string.h>

enum { LIST_MOST = 16 };
static const double minute_s = 60;

/* clang-format off */
enum {
  DATA, FIRST, TEST_LAST, VALIDATE, SIZE, EPOCHS, TRIAL_EPOCHS, VIEWS, RESUME, ARC, MODE, TISSUE,
  PATIENCE, BUDGET, DATA_NAME, ALSO, FROM, SETTING, MAX_MEMORY, NETWORK, SEEDS, SYSTEM_EPOCHS, WITH
};
/* clang-format on */
static const struct option_row rows[] = {
    [DATA] = {"data", 0, OPTION_TEXT, "FOLDER|LIST.txt", NULL,
              "The patients: shapes or volumes of a folder, in byte order, or of a list", 0, 0},
    [FIRST] = {"first", 0, OPTION_INTEGER, "N", "49", "Use the first N patients", 3, 4096},
    [TEST_LAST] = {"test-last", 0, OPTION_INTEGER, "N", "5", "Test on the last N of them", 1, 4096},
    [VALIDATE] = {"validate", 0, OPTION_INTEGER, "K", "4",
                  "Hold out the last K of the others to choose setting and threshold", 1, 4096},
    [SIZE] = {"size", 0, OPTION_INTEGER, "N", NULL,
              "Voxels along each edge; without: 64, table2 128; padded to a multiple of 8, which "
              "table2 wants",
              8, 4096},
    [EPOCHS] = {"epochs", 0, OPTION_INTEGER, "E", "100", "Epochs of each training, at most", 1,
                1e9},
    [TRIAL_EPOCHS] = {"trial-epochs", 0, OPTION_INTEGER, "E", "10", "Epochs of each trial", 1, 1e9},
    [VIEWS] = {"views", 0, OPTION_TEXT, "N[,N…]", "90,46,24,10,5,3,2",
               "View counts; table2: always 2", 0, 0},
    [RESUME] = {"resume", 0, OPTION_FLAG, NULL, NULL, "Go on with what the folder holds", 0, 0},
    [ARC] = {"arc", 0, OPTION_REAL, "DEG", "90", "Degrees from the first view to the last", 0, 360},
    [MODE] = {"mode", 0, OPTION_CHOICE, "max|sum", "max", "Projections: maximum, or line integral",
              0, 0},
    [TISSUE] = {"tissue", 0, OPTION_FLAG, NULL, NULL, "Shapes get a soft shell and a skull", 0, 0},
    [PATIENCE] = {"patience", 0, OPTION_INTEGER, "E", "0",
                  "End a training after E epochs without a better score; 0: never", 0, 1e9},
    [BUDGET] = {"budget", 0, OPTION_REAL, "MIN", "0",
                "End a training after so many minutes; 0: never", 0, 1e6},
    [DATA_NAME] = {"data-name", 0, OPTION_TEXT, "NAME", NULL,
                   "What tables and models call the data; without: the folder's name", 0, 0},
    [ALSO] = {"also", 0, OPTION_TEXT, "VOL[,VOL…]", NULL,
              "Also test on these volumes, for instance real scans", 0, 0},
    [FROM] = {"from", 0, OPTION_TEXT, "DIR", NULL,
              "table1: start every training with DIR/<network>-<views>.safetensors, of any size", 0,
              0},
    [SETTING] = {"setting", 0, OPTION_TEXT, "NAME", NULL,
                 "Train with this candidate (a, b, c, d) alone: no trials, and not the paper's", 0,
                 0},
    [MAX_MEMORY] = {"max-memory", 0, OPTION_BYTES, "BYTES", NULL,
                    "Of each training: the fastest way that stays below", 0, 0},
    [NETWORK] = {"network", 0, OPTION_CHOICE, "dae|unet", "dae",
                 "table1: what is trained; unet wants --setting", 0, 0},
    [SEEDS] = {"seeds", 0, OPTION_INTEGER, "N", "3",
               "table2: trainings of each system; more can follow", 0, 12},
    [SYSTEM_EPOCHS] = {"system-epochs", 0, OPTION_TEXT, "E,E,E,E", "10,10,8,1",
                       "table2: epochs of cgan, l1-cgan, dae, unet", 0, 0},
    [WITH] = {"with", 0, OPTION_TEXT, "MODEL[,MODEL…]", NULL, "table2: also test these models", 0,
              0},
    {0},
};

/* Splits "a,b" in place. */
static int split_list(char *text, const char *item[], int most) {
  int count = 0;
  for (char *at = text; at && count < most;) {
    char *comma = strchr(at, ',');
    if (comma) *comma++ = 0;
    item[count++] = at;
    at = comma;
  }
  return count;
}

typedef enum willis_status run_experiment(const struct willis_experiment_options *options,
                                          const struct willis_progress *progress,
                                          const struct willis_warnings *warnings,
                                          struct willis_error *err);
static const struct {
  const char *name;
  run_experiment *run;
  struct willis_experiment_options (*defaults)(void);
} experiments[] = {
    {"table1", willis_experiment_table1, willis_experiment_defaults},
    {"table2", willis_experiment_table2, willis_experiment_table2_defaults},
};
enum { EXPERIMENTS = sizeof experiments / sizeof *experiments };

/* Lists that point into text of their own. */
struct lists {
  char text[2][4096];
  const char *item[2][LIST_MOST];
};

static int read_list(const struct call *call, int option, struct lists *lists, int which,
                     int *count) {
  const struct option_value *o = &call->option[option];
  *count = 0;
  if (!o->given) return 0;
  if (strlen(o->text) >= sizeof lists->text[which])
    return print_usage_error(call->command, "--%s is too long", rows[option].name);
  memcpy(lists->text[which], o->text, strlen(o->text) + 1);
  *count = split_list(lists->text[which], lists->item[which], LIST_MOST);
  return 0;
}

static int read_views(const struct call *call, struct willis_experiment_options *options) {
  double view[WILLIS_EXPERIMENT_VIEWS];
  const char *text = call->option[VIEWS].text;
  options->view_count = parse_number_list(text, view, WILLIS_EXPERIMENT_VIEWS);
  for (int i = 0; i < options->view_count; i++) {
    options->views[i] = (int)view[i];
    if (options->views[i] != view[i] || view[i] < 2 || view[i] > 90) options->view_count = 0;
  }
  if (options->view_count >= 1) return 0;
  return print_usage_error(call->command, "--views: '%s' is not up to %d numbers from 2 to 90",
                           text, WILLIS_EXPERIMENT_VIEWS);
}

static int read_system_epochs(const struct call *call, struct willis_experiment_options *options) {
  double epochs[WILLIS_EXPERIMENT_SYSTEMS + 1];
  const char *text = call->option[SYSTEM_EPOCHS].text;
  int count = parse_number_list(text, epochs, WILLIS_EXPERIMENT_SYSTEMS + 1);
  for (int s = 0; s < count && count == WILLIS_EXPERIMENT_SYSTEMS; s++) {
    options->system_epochs[s] = (ptrdiff_t)epochs[s];
    if (!(epochs[s] >= 1 && epochs[s] <= 1e9) || (double)options->system_epochs[s] != epochs[s])
      count = 0;
  }
  if (count == WILLIS_EXPERIMENT_SYSTEMS) return 0;
  return print_usage_error(call->command, "--system-epochs: '%s' is not %d numbers from 1 on", text,
                           WILLIS_EXPERIMENT_SYSTEMS);
}

/* What both tables have. */
static void read_common(const struct call *call, struct willis_experiment_options *options) {
  const struct option_value *o = call->option;
  options->data = o[DATA].text;
  options->data_name = o[DATA_NAME].given ? o[DATA_NAME].text : NULL;
  options->folder = call->output;
  options->first = (ptrdiff_t)o[FIRST].integer;
  options->test_last = (ptrdiff_t)o[TEST_LAST].integer;
  options->validate = (ptrdiff_t)o[VALIDATE].integer;
  if (o[SIZE].given) options->size = (ptrdiff_t)o[SIZE].integer;
  options->epochs = (ptrdiff_t)o[EPOCHS].integer;
  options->trial_epochs = (ptrdiff_t)o[TRIAL_EPOCHS].integer;
  options->resume = o[RESUME].given;
  options->arc_deg = o[ARC].real;
  options->mode = o[MODE].integer ? WILLIS_PROJECTION_SUM : WILLIS_PROJECTION_MAX;
  options->tissue = o[TISSUE].given;
  options->patience = (ptrdiff_t)o[PATIENCE].integer;
  options->budget_s = o[BUDGET].real * minute_s;
  options->from = o[FROM].text;
  options->setting = o[SETTING].text;
  options->max_memory = o[MAX_MEMORY].given ? (size_t)o[MAX_MEMORY].integer : 0;
  options->network = o[NETWORK].integer ? "unet" : NULL;
  options->seeds = (int)o[SEEDS].integer;
  options->seed = call->seed;
}

static int run(const struct call *call) {
  const struct option_value *o = call->option;
  struct willis_error err;
  struct lists lists;
  int which = 0;
  while (which < EXPERIMENTS && strcmp(call->argument[0], experiments[which].name)) which++;
  if (which == EXPERIMENTS)
    return print_usage_error(
        call->command, "there is no experiment '%s'; there are: table1, table2", call->argument[0]);
  if (!strcmp(call->output, "-"))
    return print_usage_error(call->command, "-o: results need a folder");
  if (!o[DATA].given) return print_usage_error(call->command, "--data FOLDER|LIST.txt is missing");
  struct willis_experiment_options options = experiments[which].defaults();
  read_common(call, &options);
  /* Table 2 is about two views only. */
  int code = which == 0 || o[VIEWS].given ? read_views(call, &options) : 0;
  if (!code) code = read_system_epochs(call, &options);
  if (!code) code = read_list(call, ALSO, &lists, 0, &options.also_count);
  if (!code) code = read_list(call, WITH, &lists, 1, &options.with_count);
  if (code) return code;
  options.also = lists.item[0];
  options.with = lists.item[1];
  if (experiments[which].run(&options, &call->progress, &call->warnings, &err))
    return print_error(NULL, &err);
  fprintf(call->results, "%s/table.md\n", call->output);
  return 0;
}

const struct command cmd_experiment = {
    .name = "experiment",
    .arguments = "table1|table2 --data FOLDER|LIST.txt -o DIR",
    .summary = "Run a table of the paper again: train, test and compare",
    .details =
        "table1: every view count, trained twice: with the paper's setting on all training "
        "patients, and with the setting that did best in short trials on patients held out of "
        "them. "
        "The visual hull and the thresholded back-projection, with thresholds chosen on the "
        "training "
        "patients, stand beside them.\n"
        "table2: two views; a conditional GAN of slices without and with an L1 term, the paper's "
        "network and a 3D U-Net, each from several seeds, beside back-projection, hull, hull with "
        "a "
        "continuity prior and total variation.\n"
        "Both write table.md, table.csv, cases.csv, curves.svg, figure.png, run.json and models/ "
        "into DIR. Ctrl-C saves; --resume goes on.",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .output = OUTPUT_FOLDER,
    .rows = rows,
    .run = run,
};
