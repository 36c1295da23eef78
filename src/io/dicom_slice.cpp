// The wall around DCMTK: the only C++ in Willis. Bytes in, plain numbers out, no exception and no
// line of DCMTK's log gets through.
#include "io/dicom_slice.h"

#include "io/dicom_codec.h"

extern "C" {
#include "base/error.h"
}

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcfilefo.h>
#include <dcmtk/dcmdata/dcistrmb.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>

#include <cmath>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

namespace {

void prepare_dcmtk() {
  static std::once_flag once;
  std::call_once(once, [] {
    OFLog::configure(OFLogger::OFF_LOG_LEVEL);
    DJDecoderRegistration::registerCodecs();
    DJLSDecoderRegistration::registerCodecs();
  });
}

// An attribute as messages call it: its name in the standard and its tag.
struct attribute {
  const char *name;
  DcmTagKey tag;
};

struct reader {
  DcmDataset *data;
  const struct willis_limits *limits;
  struct willis_error *err;

  enum willis_status fail(enum willis_status status, const attribute &a, const char *expected) {
    bool there = data->tagExists(a.tag);
    return willis_fail(err, status, "%s (%04x,%04x) is %s, expected %s", a.name, a.tag.getGroup(),
                       a.tag.getElement(), there ? "something else" : "missing", expected);
  }
  enum willis_status fail(enum willis_status status, const attribute &a, long value,
                          const char *expected) {
    return willis_fail(err, status, "%s (%04x,%04x) is %ld, expected %s", a.name, a.tag.getGroup(),
                       a.tag.getElement(), value, expected);
  }

  // DCMTK zeroes its output when an attribute is missing, so the default is set after that.
  long integer(const attribute &a, long fallback) {
    Uint16 value = 0;
    return data->findAndGetUint16(a.tag, value).good() ? static_cast<long>(value) : fallback;
  }

  // `count` decimal numbers; false when one is missing or not finite.
  bool reals(const attribute &a, unsigned long count, double *value) {
    for (unsigned long i = 0; i < count; i++) {
      Float64 number = 0;
      if (data->findAndGetFloat64(a.tag, number, i).bad() || !std::isfinite(number)) return false;
      value[i] = number;
    }
    return true;
  }
  double real(const attribute &a, double fallback) {
    double value;
    return reals(a, 1, &value) ? value : fallback;
  }
};

const attribute ROWS = {"Rows", DCM_Rows};
const attribute COLUMNS = {"Columns", DCM_Columns};
const attribute FRAMES = {"NumberOfFrames", DCM_NumberOfFrames};
const attribute SAMPLES = {"SamplesPerPixel", DCM_SamplesPerPixel};
const attribute SPACING = {"PixelSpacing", DCM_PixelSpacing};
const attribute POSITION = {"ImagePositionPatient", DCM_ImagePositionPatient};
const attribute ORIENTATION = {"ImageOrientationPatient", DCM_ImageOrientationPatient};
const attribute THICKNESS = {"SliceThickness", DCM_SliceThickness};
const attribute BETWEEN = {"SpacingBetweenSlices", DCM_SpacingBetweenSlices};
const attribute SLOPE = {"RescaleSlope", DCM_RescaleSlope};
const attribute INTERCEPT = {"RescaleIntercept", DCM_RescaleIntercept};
const attribute ALLOCATED = {"BitsAllocated", DCM_BitsAllocated};
const attribute STORED = {"BitsStored", DCM_BitsStored};
const attribute HIGH = {"HighBit", DCM_HighBit};
const attribute SIGN = {"PixelRepresentation", DCM_PixelRepresentation};
const attribute PIXELS = {"PixelData", DCM_PixelData};

enum willis_status read_sizes(reader &r, willis_dicom_slice *slice) {
  slice->rows = r.integer(ROWS, 0);
  slice->columns = r.integer(COLUMNS, 0);
  if (slice->rows < 1 || slice->rows > r.limits->edge)
    return r.fail(WILLIS_FORMAT, ROWS, slice->rows, "1 to the limit of an edge");
  if (slice->columns < 1 || slice->columns > r.limits->edge)
    return r.fail(WILLIS_FORMAT, COLUMNS, slice->columns, "1 to the limit of an edge");
  Sint32 frames = 0;
  if (r.data->findAndGetSint32(FRAMES.tag, frames).bad()) frames = 1;
  if (frames != 1)
    return r.fail(WILLIS_UNSUPPORTED, FRAMES, frames, "1: a run of frames is no volume");
  long samples = r.integer(SAMPLES, 1);
  if (samples != 1)
    return r.fail(WILLIS_UNSUPPORTED, SAMPLES, samples, "1: grey values, not colours");
  return WILLIS_OK;
}

enum willis_status read_place(reader &r, willis_dicom_slice *slice) {
  double spacing[2], orientation[6], thickness = 0;
  if (!r.reals(SPACING, 2, spacing) || !(spacing[0] > 0) || !(spacing[1] > 0))
    return r.fail(WILLIS_GEOMETRY, SPACING, "two lengths in mm above 0");
  if (!r.reals(POSITION, 3, slice->position_mm))
    return r.fail(WILLIS_GEOMETRY, POSITION, "three coordinates in mm");
  if (!r.reals(ORIENTATION, 6, orientation))
    return r.fail(WILLIS_GEOMETRY, ORIENTATION, "two directions");
  slice->row_spacing_mm = spacing[0];
  slice->column_spacing_mm = spacing[1];
  std::memcpy(slice->row_direction, orientation, sizeof slice->row_direction);
  std::memcpy(slice->column_direction, orientation + 3, sizeof slice->column_direction);
  if (r.reals(THICKNESS, 1, &thickness) && thickness < 0)
    return r.fail(WILLIS_GEOMETRY, THICKNESS, "a length in mm above 0");
  slice->thickness_mm = thickness > 0 ? thickness : std::fabs(r.real(BETWEEN, 0));
  OFString series;
  r.data->findAndGetOFString(DCM_SeriesInstanceUID, series);
  std::strncpy(slice->series, series.c_str(), sizeof slice->series - 1);
  return WILLIS_OK;
}

// How a stored value becomes a number.
struct pixel_format {
  long allocated, stored;
  bool is_signed;
  double slope, intercept;
};

enum willis_status read_pixel_format(reader &r, pixel_format *format) {
  format->allocated = r.integer(ALLOCATED, 0);
  format->stored = r.integer(STORED, format->allocated);
  format->is_signed = r.integer(SIGN, 0) != 0;
  if (format->allocated != 8 && format->allocated != 16 && format->allocated != 32)
    return r.fail(WILLIS_UNSUPPORTED, ALLOCATED, format->allocated, "8, 16 or 32");
  if (format->stored < 1 || format->stored > format->allocated)
    return r.fail(WILLIS_FORMAT, STORED, format->stored, "1 to BitsAllocated");
  long high = r.integer(HIGH, format->stored - 1);
  if (high != format->stored - 1) return r.fail(WILLIS_UNSUPPORTED, HIGH, high, "BitsStored - 1");
  format->slope = r.real(SLOPE, 1);
  format->intercept = r.real(INTERCEPT, 0);
  if (format->slope == 0) return r.fail(WILLIS_FORMAT, SLOPE, "a number other than 0");
  return WILLIS_OK;
}

float convert(Uint32 bits, const pixel_format &format) {
  long long value = bits & ((1ll << format.stored) - 1);
  if (format.is_signed && value >> (format.stored - 1)) value -= 1ll << format.stored;
  return static_cast<float>(format.slope * static_cast<double>(value) + format.intercept);
}

// RLE by ourselves: DCMTK reads beyond a stream that is cut.
enum willis_status read_rle(reader &r, const willis_dicom_slice *slice, float *pixels) {
  pixel_format format;
  DcmElement *element = nullptr;
  DcmPixelSequence *fragments = nullptr;
  const DcmRepresentationParameter *parameter = nullptr;
  E_TransferSyntax syntax = EXS_Unknown;
  enum willis_status status = read_pixel_format(r, &format);
  if (status) return status;
  if (format.allocated > 16)
    return r.fail(WILLIS_UNSUPPORTED, ALLOCATED, format.allocated, "8 or 16 in RLE");
  if (r.data->findAndGetElement(PIXELS.tag, element).good())
    if (auto data = dynamic_cast<DcmPixelData *>(element)) {
      data->getOriginalRepresentationKey(syntax, parameter);
      data->getEncapsulatedRepresentation(syntax, parameter, fragments);
    }
  if (!fragments) return r.fail(WILLIS_FORMAT, PIXELS, "compressed pixels");
  std::vector<unsigned char> bytes;
  for (unsigned long i = 1; i < fragments->card(); i++) {
    DcmPixelItem *item = nullptr;
    Uint8 *part = nullptr;
    if (fragments->getItem(item, i).good() && item->getUint8Array(part).good() && part)
      bytes.insert(bytes.end(), part, part + item->getLength());
  }
  const willis_dicom_format shape = {slice->columns, slice->rows,
                                     static_cast<int>(format.allocated),
                                     static_cast<int>(format.stored), format.is_signed};
  const auto count = static_cast<size_t>(slice->rows * slice->columns);
  std::vector<unsigned short> value(count);
  status = willis_rle_decode(&shape, bytes.data(), bytes.size(), value.data(), r.err);
  for (size_t i = 0; i < count && !status; i++) pixels[i] = convert(value[i], format);
  return status;
}

enum willis_status read_pixels(reader &r, const willis_dicom_slice *slice, float *pixels) {
  if (r.data->getOriginalXfer() == EXS_RLELossless) return read_rle(r, slice, pixels);
  // JPEG and JPEG-LS become plain values; DCMTK has nothing for JPEG 2000.
  if (r.data->chooseRepresentation(EXS_LittleEndianExplicit, nullptr).bad() ||
      !r.data->canWriteXfer(EXS_LittleEndianExplicit))
    return r.fail(WILLIS_UNSUPPORTED, PIXELS,
                  "uncompressed, RLE, JPEG or JPEG-LS that can be decoded");
  pixel_format format; // decoding may have changed it
  enum willis_status status = read_pixel_format(r, &format);
  if (status) return status;
  const size_t count = static_cast<size_t>(slice->rows) * static_cast<size_t>(slice->columns);
  unsigned long have = 0;
  if (format.allocated == 8) {
    const Uint8 *bits = nullptr;
    if (r.data->findAndGetUint8Array(PIXELS.tag, bits, &have).bad() || !bits || have < count)
      return r.fail(WILLIS_FORMAT, PIXELS, "Rows x Columns values");
    for (size_t i = 0; i < count; i++) pixels[i] = convert(bits[i], format);
    return WILLIS_OK;
  }
  const size_t words = format.allocated == 32 ? 2 : 1;
  const Uint16 *bits = nullptr;
  if (r.data->findAndGetUint16Array(PIXELS.tag, bits, &have).bad() || !bits || have < count * words)
    return r.fail(WILLIS_FORMAT, PIXELS, "Rows x Columns values");
  // DCMTK has put each word of 16 bits into the machine's order, but not the two of a long value.
  const bool high_first = DcmXfer(r.data->getOriginalXfer()).isBigEndian();
  for (size_t i = 0; i < count; i++) {
    Uint32 low = bits[words * i + (high_first ? words - 1 : 0)];
    Uint32 high = words == 2 ? bits[2 * i + (high_first ? 0 : 1)] : 0;
    pixels[i] = convert(high << 16 | low, format);
  }
  return WILLIS_OK;
}

enum willis_status read_slice(const unsigned char *bytes, size_t size,
                              const struct willis_limits *limits, bool *is_image,
                              willis_dicom_slice *slice, float *pixels, struct willis_error *err) {
  DcmInputBufferStream stream;
  stream.setBuffer(bytes, static_cast<offile_off_t>(size));
  stream.setEos();
  DcmFileFormat file;
  file.transferInit();
  OFCondition result = file.read(stream, EXS_Unknown, EGL_noChange);
  file.transferEnd();
  if (result.bad())
    return willis_fail(err, WILLIS_FORMAT, "byte %jd: not understood as DICOM: %s",
                       static_cast<intmax_t>(stream.tell()), result.text());
  reader r = {file.getDataset(), limits, err};
  *is_image = r.data->tagExists(ROWS.tag) || r.data->tagExists(PIXELS.tag);
  if (!*is_image) return WILLIS_OK;
  enum willis_status status = read_sizes(r, slice);
  if (!status) status = read_place(r, slice);
  pixel_format format;
  if (!status) status = read_pixel_format(r, &format);
  if (status) return status;
  slice->integral =
      format.slope == std::floor(format.slope) && format.intercept == std::floor(format.intercept);
  return pixels ? read_pixels(r, slice, pixels) : WILLIS_OK;
}

} // namespace

extern "C" enum willis_status willis_dicom_slice_read(const unsigned char *bytes, size_t size,
                                                      const struct willis_limits *limits,
                                                      bool *is_image,
                                                      struct willis_dicom_slice *slice,
                                                      float *pixels, struct willis_error *err) {
  *is_image = false;
  *slice = willis_dicom_slice();
  try {
    prepare_dcmtk();
    return read_slice(bytes, size, limits, is_image, slice, pixels, err);
  } catch (const std::bad_alloc &) {
    return willis_fail(err, WILLIS_OUT_OF_MEMORY, "no memory for a DICOM file of %zu bytes", size);
  } catch (...) {
    return willis_fail(err, WILLIS_FORMAT, "not understood as DICOM");
  }
}
