/* Files in and out. Every reader checks lengths against what is there before it allocates, and
 * returns FORMAT (broken), UNSUPPORTED (valid, but not for Willis) or IO. Every writer writes aside
 * and renames; with `overwrite` false an existing file is EXISTS and stays as it is. */
#ifndef WILLIS_IO_H
#define WILLIS_IO_H

#include <willis/geometry.h>
#include <willis/volume.h>

WILLIS_BEGIN

/* What a reader may take on. */
struct willis_limits {
  size_t file_bytes;     /* a file on disk (4 GiB) */
  size_t expanded_bytes; /* after decompression (8 GiB) */
  ptrdiff_t edge;        /* voxels along an edge (4096) */
};
WILLIS_API struct willis_limits willis_limits_defaults(void);

/* .nii .nii.gz .nrrd .nhdr, a DICOM file or a folder of DICOM slices; by content, not by name. In
 * LPS mm with the file's own axes order (see willis_volume_orient_lps). NaN is NUMERIC. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_volume_read(const char *path, struct willis_volume *volume,
                   const struct willis_warnings *warnings, struct willis_error *err);

enum willis_voxel_type { WILLIS_VOXEL_FLOAT32, WILLIS_VOXEL_UINT8, WILLIS_VOXEL_INT16 };
/* .nii, .nii.gz or .nrrd by the path's ending; "-" is NIfTI on stdout. Values that the type cannot
 * hold are INVALID_ARGUMENT. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_volume_write(const char *path, const struct willis_volume *volume,
                    enum willis_voxel_type type, bool overwrite, struct willis_error *err);

/* The same a piece at a time, in the order of memory, so that the volume never exists whole. */
struct willis_volume_writer;
WILLIS_API WILLIS_CHECKED enum willis_status
willis_volume_writer_open(const char *path, const struct willis_grid *grid,
                          enum willis_voxel_type type, bool overwrite,
                          struct willis_volume_writer **writer, struct willis_error *err);
/* The next `count` voxels. INVALID_ARGUMENT when that is more than are missing. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_volume_writer_put(struct willis_volume_writer *writer, const float *voxels, ptrdiff_t count,
                         struct willis_error *err);
/* Makes the file appear, and frees the writer whatever happens. INVALID_ARGUMENT when voxels are
 * missing: then nothing is written. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_volume_writer_commit(struct willis_volume_writer *writer, struct willis_error *err);
/* Null is fine. */
WILLIS_API void willis_volume_writer_abandon(struct willis_volume_writer *writer);

/* A projection stack: .nii.gz of [columns, rows, views] with a .json beside it
 * (doc/projections.md). */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_projections_read(const char *path, struct willis_projections *stack,
                        const struct willis_warnings *warnings, struct willis_error *err);
WILLIS_API WILLIS_CHECKED enum willis_status
willis_projections_write(const char *path, const struct willis_projections *stack, bool overwrite,
                         struct willis_error *err);

/* .obj .stl .ply, plain or .gz. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_mesh_read(const char *path, struct willis_mesh *mesh, const struct willis_warnings *warnings,
                 struct willis_error *err);
/* By the path's ending: .stl (binary), .ply (binary), .obj. mm, LPS, said so in the comment. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_mesh_write(const char *path,
                                                               const struct willis_mesh *mesh,
                                                               bool overwrite,
                                                               struct willis_error *err);
/* SWC. Lines that are cut or make no sense are skipped with a warning. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_tree_read(const char *path, struct willis_tree *tree, const struct willis_warnings *warnings,
                 struct willis_error *err);
/* By the path's ending: .swc, .vtp (VTK's XML PolyData for ParaView: points with radius_mm, lines
 * from fork to fork) or .csv (a row a node); "-" is SWC on stdout. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_tree_write(const char *path,
                                                               const struct willis_tree *tree,
                                                               bool overwrite,
                                                               struct willis_error *err);

/* Whether `path` may be written later: nothing is there, or a file and `overwrite` is set (else
 * EXISTS), or, with `folder`, a folder. IO for a folder otherwise, and when its own folder is not
 * there or not writable. "-" always may. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_output_check(const char *path, bool overwrite, bool folder, struct willis_error *err);

/* What a path holds, told by its content. */
enum willis_file_kind {
  WILLIS_FILE_VOLUME,
  WILLIS_FILE_PROJECTIONS,
  WILLIS_FILE_MESH,
  WILLIS_FILE_TREE,
  WILLIS_FILE_MODEL,
  WILLIS_FILE_ANGIOGRAM,
  WILLIS_FILE_UNKNOWN
};
WILLIS_API WILLIS_CHECKED enum willis_status willis_file_identify(const char *path,
                                                                  enum willis_file_kind *kind,
                                                                  const char **format,
                                                                  struct willis_error *err);

WILLIS_END

#endif
