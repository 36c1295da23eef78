/* What a user of the installed library writes first. */
#include <stdio.h>
#include <willis/willis.h>

int main(void) {
  struct willis_grid grid = willis_grid_cube(8, 0.5, NULL);
  struct willis_volume volume;
  struct willis_error err;
  if (willis_volume_create(&volume, &grid, &err)) {
    fprintf(stderr, "%s\n", err.message);
    return 1;
  }
  willis_volume_release(&volume);
  puts(willis_version());
  return willis_grid_count(&grid) != 512;
}
