/* willis render: maximum projections of volumes as a labelled figure. */
#include "cli/inputs.h"
#include "cli/overlay.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_ANGLES = 90, MOST_VOLUMES = 64, LABEL_SIZE = 64 };

enum { ANGLES, LABELS, TITLE, TRANSPOSE, OVERLAY };
static const struct option_row rows[] = {
    [ANGLES] = {.name = "angles",
                .kind = OPTION_TEXT,
                .argument = "A,B,…",
                .fallback = "0,22.5,45,67.5,90",
                .help = "View angles in degrees; 0 looks from the front, 90 from the side"},
    [LABELS] = {.name = "labels",
                .kind = OPTION_TEXT,
                .argument = "A,B,…",
                .help = "One label a volume; without them the files' names"},
    [TITLE] = {.name = "title", .kind = OPTION_TEXT, .argument = "TEXT", .help = "Headline"},
    [TRANSPOSE] = {.name = "transpose", .help = "One column a volume instead of one row"},
    [OVERLAY] = {.name = "overlay",
                 .kind = OPTION_TEXT,
                 .argument = "VOL",
                 .help = "Of one volume in [0,1]: red where this one, also in [0,1], is 1"},
    {0},
};

struct figure {
  int volumes, angles;
  bool of_stacks;
  double angle[MOST_ANGLES];
  char volume_label[MOST_VOLUMES][LABEL_SIZE], angle_label[MOST_ANGLES][LABEL_SIZE];
  struct willis_picture *picture; /* in the order of the table */
};

/* The name without folders and endings. */
static void label_from_path(char label[LABEL_SIZE], const char *path) {
  static const char *const endings[] = {".gz", ".nii", ".nrrd", ".nhdr", ".dcm"};
  const char *slash = strrchr(path, '/');
  snprintf(label, LABEL_SIZE, "%s", slash && slash[1] ? slash + 1 : path);
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t n = strlen(label), m = strlen(endings[i]);
    if (n > m && !strcmp(label + n - m, endings[i])) label[n - m] = 0;
  }
}

/* Splits "a,b,c"; false unless there is one label a volume. */
static bool split_labels(struct figure *figure, const char *text) {
  for (int i = 0; i < figure->volumes; i++) {
    size_t n = strcspn(text, ",");
    snprintf(figure->volume_label[i], LABEL_SIZE, "%.*s", (int)n, text);
    text += n;
    if (!*text) return i == figure->volumes - 1;
    text++;
  }
  return false;
}

/* Probabilities and masks are shown from 0 to 1, so that a faint one looks faint; all else from the
 * darkest to the brightest pixel of its row. */
static void choose_window(const struct willis_projections *stack, float *low, float *high) {
  ptrdiff_t count = stack->columns * stack->rows * stack->view_count;
  *low = *high = stack->pixels[0];
  for (ptrdiff_t i = 1; i < count; i++) {
    if (stack->pixels[i] < *low) *low = stack->pixels[i];
    if (stack->pixels[i] > *high) *high = stack->pixels[i];
  }
  if (*low >= 0 && *high <= 1) {
    *low = 0;
    *high = 1;
  }
}

/* The views of a stack, or as many of them as the figure has columns, into row (or column) v; what
 * is marked in colour, unless `marked` is null. */
static enum willis_status picture_views(const struct call *call, struct figure *figure, int v,
                                        const struct willis_projections *stack,
                                        const struct willis_projections *marked,
                                        struct willis_error *err) {
  const bool transpose = call->option[TRANSPOSE].given;
  enum willis_status status = WILLIS_OK;
  float low, high;
  choose_window(stack, &low, &high);
  for (int a = 0; a < figure->angles && a < stack->view_count && !status; a++) {
    struct willis_picture *to =
        &figure->picture[transpose ? a * figure->volumes + v : v * figure->angles + a];
    const ptrdiff_t columns = stack->columns, lines = stack->rows, first = a * columns * lines;
    const float *pixels = stack->pixels + first;
    status = marked ? overlay_picture(to, pixels, marked->pixels + first, columns, lines, err)
                    : willis_picture_window(to, pixels, columns, lines, low, high, err);
  }
  return status;
}

static enum willis_status picture_volume(const struct call *call, struct figure *figure, int v,
                                         struct willis_error *err) {
  struct willis_volume volume = {0};
  struct willis_projections stack = {0}, marked = {0};
  const struct option_value *overlay = &call->option[OVERLAY];
  enum willis_status status = load_cube(call, call->argument[v], &volume, err);
  if (status) goto out;
  const struct willis_grid *grid = &volume.grid;
  status = willis_projections_create(&stack, grid->size[0], grid->size[2], figure->angles, err);
  if (status) goto out;
  for (int a = 0; a < figure->angles; a++)
    stack.view[a] = willis_view_parallel(figure->angle[a], grid);
  willis_grid_centre(grid, stack.isocenter_mm);
  stack.mode = WILLIS_PROJECTION_MAX;
  status = willis_project(&volume, &stack, err);
  if (!status && overlay->given)
    status = overlay_project(call, overlay->text, &volume, &stack, &marked, err);
  if (!status)
    status = picture_views(call, figure, v, &stack, overlay->given ? &marked : NULL, err);
out:
  willis_projections_release(&marked);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
  return status;
}

static enum willis_status write_figure(const struct call *call, const struct figure *figure,
                                       struct willis_error *err) {
  const char *volume_label[MOST_VOLUMES], *angle_label[MOST_ANGLES];
  for (int v = 0; v < figure->volumes; v++) volume_label[v] = figure->volume_label[v];
  for (int a = 0; a < figure->angles; a++) angle_label[a] = figure->angle_label[a];
  bool transpose = call->option[TRANSPOSE].given;
  struct willis_picture_table table = {
      .title = call->option[TITLE].text,
      .rows = transpose ? figure->angles : figure->volumes,
      .columns = transpose ? figure->volumes : figure->angles,
      .row_label = transpose ? angle_label : volume_label,
      .column_label = transpose ? volume_label : angle_label,
      .picture = figure->picture,
  };
  return willis_picture_table_write(call->output, &table, call->force, err);
}

/* One of projection stacks has a column for each view of the first. */
static enum willis_status look_at_stacks(const struct call *call, struct figure *figure,
                                         struct willis_error *err) {
  struct willis_projections first = {0};
  for (int v = 0; v < figure->volumes; v++) {
    enum willis_file_kind kind;
    const char *format;
    const bool is_stack = !willis_file_identify(call->argument[v], &kind, &format, NULL) &&
                          kind == WILLIS_FILE_PROJECTIONS;
    if (v == 0) figure->of_stacks = is_stack;
    if (is_stack == figure->of_stacks) continue;
    snprintf(err->message, sizeof err->message,
             "%s: a figure is of volumes or of projection stacks, not of both", call->argument[v]);
    return err->status = WILLIS_MISMATCH;
  }
  if (!figure->of_stacks) return WILLIS_OK;
  enum willis_status status = load_stack(call, call->argument[0], &first, err);
  figure->angles = first.view_count < MOST_ANGLES ? (int)first.view_count : MOST_ANGLES;
  for (int a = 0; a < figure->angles && !status; a++)
    snprintf(figure->angle_label[a], LABEL_SIZE, "%.4g°/%.4g°", first.view[a].primary_angle_deg,
             first.view[a].secondary_angle_deg);
  willis_projections_release(&first);
  return status;
}

static enum willis_status picture_stack(const struct call *call, struct figure *figure, int v,
                                        struct willis_error *err) {
  struct willis_projections stack = {0};
  enum willis_status status = load_stack(call, call->argument[v], &stack, err);
  if (!status) status = picture_views(call, figure, v, &stack, NULL, err);
  willis_projections_release(&stack);
  return status;
}

static int run(const struct call *call) {
  struct willis_error err;
  struct figure figure = {.volumes = call->argument_count};
  const struct option_value *labels = &call->option[LABELS];
  figure.angles = parse_number_list(call->option[ANGLES].text, figure.angle, MOST_ANGLES);
  if (figure.angles < 1)
    return print_usage_error(call->command, "--angles: '%s' is not up to %d numbers",
                             call->option[ANGLES].text, MOST_ANGLES);
  if (labels->given && !split_labels(&figure, labels->text))
    return print_usage_error(call->command, "--labels: '%s' is not %d labels", labels->text,
                             figure.volumes);
  for (int v = 0; v < figure.volumes && !labels->given; v++)
    label_from_path(figure.volume_label[v], call->argument[v]);
  for (int a = 0; a < figure.angles; a++)
    snprintf(figure.angle_label[a], LABEL_SIZE, "%g°", figure.angle[a]);
  if (look_at_stacks(call, &figure, &err)) return print_error(NULL, &err);
  if (call->option[OVERLAY].given && (figure.volumes > 1 || figure.of_stacks))
    return print_usage_error(call->command, "--overlay goes with one volume");

  int code = 0, count = figure.volumes * figure.angles;
  figure.picture = calloc((size_t)count, sizeof *figure.picture);
  if (!figure.picture) {
    snprintf(err.message, sizeof err.message, "no memory for %d pictures", count);
    return print_error(NULL, &err);
  }
  for (int v = 0; v < figure.volumes && !code; v++)
    if (figure.of_stacks ? picture_stack(call, &figure, v, &err)
                         : picture_volume(call, &figure, v, &err))
      code = print_error(figure.of_stacks ? NULL : call->argument[v], &err);
  if (!code && write_figure(call, &figure, &err)) code = print_error(NULL, &err);
  for (int i = 0; i < count; i++) willis_picture_release(&figure.picture[i]);
  free(figure.picture);
  return code;
}

const struct command cmd_render = {
    .name = "render",
    .arguments = "VOL… -o FIGURE",
    .summary = "Draw maximum projections of volumes, one labelled row a volume",
    .details = "Writes .png, .svg or .pdf. Volumes within 0 and 1 (probabilities, masks) are shown "
               "from 0 to 1, others from their darkest to their brightest projected value. Of "
               "projection stacks the views are shown as they are.",
    .least_arguments = 1,
    .most_arguments = MOST_VOLUMES,
    .needs_output = true,
    .rows = rows,
    .run = run,
};
