/* willis experiment: the paper's table, run again. */
#include "cli/options.h"

#include <willis/experiment.h>

#include <string.h>

enum { ALSO_MOST = 16 };
static const double minute_s = 60;

/* clang-format off */
enum {
  DATA, FIRST, TEST_LAST, VALIDATE, SIZE, EPOCHS, TRIAL_EPOCHS, VIEWS, RESUME, ARC, MODE, TISSUE,
  PATIENCE, BUDGET, DATA_NAME, ALSO, FROM, SETTING, MAX_MEMORY
};
/* clang-format on */
static const struct option_row rows[] = {
    [DATA] = {"data", 0, OPTION_TEXT, "FOLDER|LIST.txt", NULL,
              "The patients: shapes or volumes of a folder, in byte order, or of a list", 0, 0},
    [FIRST] = {"first", 0, OPTION_INTEGER, "N", "49", "Use the first N patients", 3, 4096},
    [TEST_LAST] = {"test-last", 0, OPTION_INTEGER, "N", "5", "Test on the last N of them", 1, 4096},
    [VALIDATE] = {"validate", 0, OPTION_INTEGER, "K", "4",
                  "Hold out the last K of the others to choose setting and threshold", 1, 4096},
    [SIZE] = {"size", 0, OPTION_INTEGER, "N", "64",
              "Voxels along each edge; padded to a multiple of 8", 8, 4096},
    [EPOCHS] = {"epochs", 0, OPTION_INTEGER, "E", "100", "Epochs of each training, at most", 1,
                1e9},
    [TRIAL_EPOCHS] = {"trial-epochs", 0, OPTION_INTEGER, "E", "10", "Epochs of each trial", 1, 1e9},
    [VIEWS] = {"views", 0, OPTION_TEXT, "N[,N…]", "90,46,24,10,5,3,2", "View counts", 0, 0},
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
              "Start every training with DIR/dae-<views>.safetensors, of whatever size", 0, 0},
    [SETTING] = {"setting", 0, OPTION_TEXT, "NAME", NULL,
                 "Train with this candidate (a, b, c, d) alone: no trials, and not the paper's", 0,
                 0},
    [MAX_MEMORY] = {"max-memory", 0, OPTION_BYTES, "BYTES", NULL,
                    "Of each training: the fastest way that stays below", 0, 0},
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

static int run(const struct call *call) {
  const struct option_value *o = call->option;
  struct willis_experiment_options options = willis_experiment_defaults();
  struct willis_error err;
  double view[WILLIS_EXPERIMENT_VIEWS];
  char also_text[4096];
  const char *also[ALSO_MOST];
  if (strcmp(call->argument[0], "table1"))
    return print_usage_error(call->command, "there is no experiment '%s'; there is: table1",
                             call->argument[0]);
  if (!strcmp(call->output, "-"))
    return print_usage_error(call->command, "-o: results need a folder");
  if (!o[DATA].given) return print_usage_error(call->command, "--data FOLDER|LIST.txt is missing");
  options.view_count = parse_number_list(o[VIEWS].text, view, WILLIS_EXPERIMENT_VIEWS);
  for (int i = 0; i < options.view_count; i++) {
    options.views[i] = (int)view[i];
    if (options.views[i] != view[i] || view[i] < 2 || view[i] > 90) options.view_count = 0;
  }
  if (options.view_count < 1)
    return print_usage_error(call->command, "--views: '%s' is not up to %d numbers from 2 to 90",
                             o[VIEWS].text, WILLIS_EXPERIMENT_VIEWS);
  if (o[ALSO].given) {
    if (strlen(o[ALSO].text) >= sizeof also_text)
      return print_usage_error(call->command, "--also is too long");
    memcpy(also_text, o[ALSO].text, strlen(o[ALSO].text) + 1);
    options.also_count = split_list(also_text, also, ALSO_MOST);
    options.also = also;
  }
  options.data = o[DATA].text;
  options.data_name = o[DATA_NAME].given ? o[DATA_NAME].text : NULL;
  options.folder = call->output;
  options.first = (ptrdiff_t)o[FIRST].integer;
  options.test_last = (ptrdiff_t)o[TEST_LAST].integer;
  options.validate = (ptrdiff_t)o[VALIDATE].integer;
  options.size = (ptrdiff_t)o[SIZE].integer;
  options.epochs = (ptrdiff_t)o[EPOCHS].integer;
  options.trial_epochs = (ptrdiff_t)o[TRIAL_EPOCHS].integer;
  options.resume = o[RESUME].given;
  options.arc_deg = o[ARC].real;
  options.mode = o[MODE].integer ? WILLIS_PROJECTION_SUM : WILLIS_PROJECTION_MAX;
  options.tissue = o[TISSUE].given;
  options.patience = (ptrdiff_t)o[PATIENCE].integer;
  options.budget_s = o[BUDGET].real * minute_s;
  options.from = o[FROM].text;
  options.setting = o[SETTING].text;
  options.max_memory = o[MAX_MEMORY].given ? (size_t)o[MAX_MEMORY].integer : 0;
  options.seed = call->seed;
  if (willis_experiment_table1(&options, &call->progress, &call->warnings, &err))
    return print_error(NULL, &err);
  fprintf(call->results, "%s/table.md\n", call->output);
  return 0;
}

const struct command cmd_experiment = {
    .name = "experiment",
    .arguments = "table1 --data FOLDER|LIST.txt -o DIR",
    .summary = "Run the paper's table again: train, test and compare at every view count",
    .details =
        "Writes table.md, table.csv, cases.csv, trials.csv, curves.svg, figure.png, "
        "figure-methods.png, run.json and models/ into DIR. Each view count is trained twice: with "
        "the paper's setting on all training patients, and with the setting that did best in short "
        "trials on patients held out of them. The visual hull and the thresholded back-projection, "
        "with thresholds chosen on the training patients, stand beside them. Ctrl-C saves; "
        "--resume goes on.",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .output = OUTPUT_FOLDER,
    .rows = rows,
    .run = run,
};
