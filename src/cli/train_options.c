/* The option table of willis train, and how it becomes the library's options. */
#include "cli/train_options.h"
#include "cli/report.h"

#include <math.h>

static const double minute_s = 60;

const struct option_row train_rows[] = {
    PATIENT_ROWS,
    [VIEWS] = {"views", 0, OPTION_TEXT, "N[,N…]", "10",
               "Views of each patient; with several, one model each, MODEL-N.safetensors", 0, 0},
    [SIZE] = {"size", 0, OPTION_INTEGER, "N", "128",
              "Voxels along each edge; padded to a multiple of 8", 8, 4096},
    [EPOCHS] = {"epochs", 0, OPTION_INTEGER, "E", "100", "Times that every patient is seen", 1,
                1e9},
    [NETWORK] =
        {"network", 0, OPTION_CHOICE, "dae|hull|unet|cgan", "dae",
         "The paper's; one for any views that decides inside the visual hull; a 3D U-Net; a "
         "conditional GAN of slices, for two views",
         0, 0},
    [L1] = {"l1", 0, OPTION_REAL, "W", "0",
            "cgan: weight of the L1 term; 0: the GAN alone, pix2pix: 100", 0, 1e6},
    [ALPHA] = {"alpha", 0, OPTION_REAL, "X", "0.5", "Focal loss: weight of vessel voxels", 0, 1},
    [GAMMA] = {"gamma", 0, OPTION_REAL, "X", "0.2",
               "Focal loss: how much less well classified voxels count", 0, 10},
    [LR] = {"lr", 0, OPTION_REAL, "X", NULL, "Learning rate of Adam; without: 1e-3, cgan 2e-4", 0,
            1},
    [SCHEDULE] = {"lr-schedule", 0, OPTION_CHOICE, "constant|cosine", "constant",
                  "Learning rate over the epochs", 0, 0},
    [OUTPUT_BIAS] = {"output-bias", 0, OPTION_REAL, "X", NULL,
                     "Start of the last bias (-3: little vessel); without: PyTorch's", -100, 100},
    [THRESHOLD] = {"threshold", 0, OPTION_REAL, "T", NULL,
                   "Stored in the model; without: the best of --validate, else 0.5", 0, 1},
    [PRECISION] = {"precision", 0, OPTION_CHOICE, "f32|f16", "f32",
                   "Storage of activations and their gradients; f16 takes half the memory", 0, 0},
    [MODE] = {"mode", 0, OPTION_CHOICE, "max|sum|both", "max",
              "Projections: maximum, or line integral; hull only: both", 0, 0},
    [VARY] = {"vary", 0, OPTION_FLAG, NULL, NULL,
              "hull: most steps bend, stretch and thicken the patient's shape, some cut it", 0, 0},
    [ANGLE_ERROR] = {"angle-error", 0, OPTION_REAL, "DEG", "0",
                     "hull: half of the steps turn each view by a normal error of this deviation",
                     0, 45},
    [SHIFT_ERROR] = {"shift-error", 0, OPTION_REAL, "PIXELS", "0",
                     "hull: and shift it by this along columns and rows", 0, 10000},
    [PHOTONS] = {"photons", 0, OPTION_REAL, "N", "0",
                 "hull: and count photons in line integrals, N where there is no vessel", 0, 1e15},
    [MAX_MEMORY] = {"max-memory", 0, OPTION_BYTES, "BYTES", NULL,
                    "Take the fastest way that stays below; refuse if there is none", 0, 0},
    [MAX_STEPS] = {"max-steps", 0, OPTION_INTEGER, "N", "0",
                   "Stop after N steps in all; 0: at the last epoch", 0, 1e15},
    [BUDGET] = {"budget", 0, OPTION_REAL, "MIN", "0",
                "Stop at the end of the epoch that passes so many minutes; 0: never", 0, 1e6},
    [PATIENCE] = {"patience", 0, OPTION_INTEGER, "E", "0",
                  "Stop after E epochs without a better score; 0: never", 0, 1e9},
    [VALIDATE_EVERY] = {"validate-every", 0, OPTION_INTEGER, "E", "5", "Epochs between validations",
                        1, 1e9},
    [CHECKPOINT_EVERY] = {"checkpoint-every", 0, OPTION_REAL, "MIN", "10",
                          "Minutes between checkpoints; 0: at the end", 0, 1e6},
    [FROM] = {"from", 0, OPTION_TEXT, "MODEL", NULL,
              "Start with the parameters of this model, whatever its size and views", 0, 0},
    [RESUME] = {"resume", 0, OPTION_TEXT, "CKPT", NULL,
                "Go on from a checkpoint, with the same options", 0, 0},
    [LOG] = {"log", 0, OPTION_TEXT, "LOG.csv", NULL, "Loss and validation scores of every epoch", 0,
             0},
    [DATA_NAME] = {"data-name", 0, OPTION_TEXT, "NAME", NULL,
                   "What the model says it was trained on; without: the folder's name", 0, 0},
    {0},
};

/* In the order of the choices. */
static const char *const networks[] = {"dae", "hull", "unet", "cgan"};
enum { NETWORK_HULL = 1, NETWORK_CGAN = 3 };

bool learns_any_views(const struct call *call) {
  return call->option[NETWORK].integer == NETWORK_HULL;
}

bool draws_slices(const struct call *call) {
  return call->option[NETWORK].integer == NETWORK_CGAN;
}

int check_train_options(const struct call *call) {
  if (call->option[MODE].integer == 2 && !learns_any_views(call))
    return print_usage_error(call->command, "--mode both is for --network hull");
  for (int i = VARY; i <= PHOTONS; i++)
    if (call->option[i].given && !learns_any_views(call))
      return print_usage_error(call->command, "--%s is for --network hull", train_rows[i].name);
  if (call->option[PHOTONS].given && call->option[MODE].integer == 0)
    return print_usage_error(call->command, "--photons is for --mode sum or both");
  if (call->option[PRECISION].integer && call->option[NETWORK].integer)
    return print_usage_error(call->command, "--precision f16 is for --network dae");
  if (call->option[L1].given && !draws_slices(call))
    return print_usage_error(call->command, "--l1 is for --network cgan");
  if (call->option[FROM].given && call->option[OUTPUT_BIAS].given)
    return print_usage_error(call->command, "--output-bias and --from both say how to start");
  if (call->option[TO_ISOCENTER].given != call->option[TO_DETECTOR].given)
    return print_usage_error(call->command,
                             "--source-to-isocenter and --source-to-detector go together");
  return 0;
}

struct willis_train_options read_train_options(const struct call *call) {
  const struct option_value *o = call->option;
  struct willis_train_options options = willis_train_defaults();
  options.network = networks[o[NETWORK].integer];
  options.vary = o[VARY].given;
  options.disturbance = (struct willis_disturbance){.angle_sd_deg = o[ANGLE_ERROR].real,
                                                    .shift_sd_pixels = o[SHIFT_ERROR].real,
                                                    .photons = o[PHOTONS].real};
  options.both_modes = o[MODE].integer == 2;
  options.alpha = o[ALPHA].real;
  options.gamma = o[GAMMA].real;
  options.l1 = o[L1].real;
  if (draws_slices(call)) options.learning_rate = 2e-4;
  if (o[LR].given) options.learning_rate = o[LR].real;
  options.output_bias = o[OUTPUT_BIAS].given ? o[OUTPUT_BIAS].real : NAN;
  options.schedule = (enum willis_schedule)o[SCHEDULE].integer;
  options.epochs = (ptrdiff_t)o[EPOCHS].integer;
  options.max_steps = (ptrdiff_t)o[MAX_STEPS].integer;
  options.budget_s = o[BUDGET].real * minute_s;
  options.patience = (ptrdiff_t)o[PATIENCE].integer;
  options.validate_every = (ptrdiff_t)o[VALIDATE_EVERY].integer;
  options.threshold = o[THRESHOLD].given ? o[THRESHOLD].real : NAN;
  options.seed = call->seed;
  options.precision = o[PRECISION].integer ? WILLIS_PRECISION_F16 : WILLIS_PRECISION_F32;
  options.checkpoint_every_s = o[CHECKPOINT_EVERY].real * minute_s;
  return options;
}
