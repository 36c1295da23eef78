// One compressed frame through DCMTK's codecs: wrapped as a picture of one frame of its own, so
// that a run is decoded frame by frame and never held whole.
#include "io/dicom_codec.h"

extern "C" {
#include "base/error.h"
}

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>

#include <climits>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace {

void register_codecs() {
  static std::once_flag once;
  std::call_once(once, [] {
    OFLog::configure(OFLogger::OFF_LOG_LEVEL);
    DJDecoderRegistration::registerCodecs();
    DJLSDecoderRegistration::registerCodecs();
  });
}

void describe(DcmItem *item, const willis_dicom_format &format, bool wide) {
  const int allocated = wide ? 16 : 8;
  const int stored = format.stored < allocated ? format.stored : allocated;
  item->putAndInsertUint16(DCM_SamplesPerPixel, 1);
  item->putAndInsertString(DCM_PhotometricInterpretation, "MONOCHROME2");
  item->putAndInsertString(DCM_NumberOfFrames, "1");
  item->putAndInsertUint16(DCM_Rows, static_cast<Uint16>(format.rows));
  item->putAndInsertUint16(DCM_Columns, static_cast<Uint16>(format.columns));
  item->putAndInsertUint16(DCM_BitsAllocated, static_cast<Uint16>(allocated));
  item->putAndInsertUint16(DCM_BitsStored, static_cast<Uint16>(stored));
  item->putAndInsertUint16(DCM_HighBit, static_cast<Uint16>(stored - 1));
  item->putAndInsertUint16(DCM_PixelRepresentation, format.is_signed ? 1 : 0);
}

// The frame's bytes behind an empty table of offsets. DCMTK owns what it is given.
DcmPixelSequence *wrap(const unsigned char *bytes, size_t size) {
  std::unique_ptr<DcmPixelSequence> sequence(new DcmPixelSequence(DcmTag(DCM_PixelData, EVR_OB)));
  sequence->insert(new DcmPixelItem(DcmTag(DCM_PixelItemTag, EVR_OB)));
  std::unique_ptr<DcmPixelItem> item(new DcmPixelItem(DcmTag(DCM_PixelItemTag, EVR_OB)));
  if (item->putUint8Array(bytes, static_cast<unsigned long>(size)).bad()) return nullptr;
  sequence->insert(item.release());
  return sequence.release();
}

enum willis_status decode(const char *syntax, const willis_dicom_format &format, bool wide,
                          const unsigned char *bytes, size_t size, unsigned short *value,
                          struct willis_error *err) {
  const size_t count = static_cast<size_t>(format.rows) * static_cast<size_t>(format.columns);
  // DCMTK wants an even number of bytes.
  std::vector<Uint16> plain(wide ? count : (count + 1) / 2);
  DcmDataset data;
  describe(&data, format, wide);
  DcmPixelData pixels(DCM_PixelData);
  DcmPixelSequence *sequence = wrap(bytes, size);
  if (!sequence) throw std::bad_alloc();
  pixels.putOriginalRepresentation(DcmXfer(syntax).getXfer(), nullptr, sequence);
  Uint32 fragment = 0;
  OFString color_model;
  OFCondition result = pixels.getUncompressedFrame(
      &data, 0, fragment, plain.data(), static_cast<Uint32>(2 * plain.size()), color_model);
  if (result == EC_MemoryExhausted) throw std::bad_alloc();
  if (result.bad())
    return willis_fail(err, WILLIS_FORMAT, "the compressed frame cannot be decoded: %s",
                       result.text());
  const auto *narrow = reinterpret_cast<const unsigned char *>(plain.data());
  for (size_t i = 0; i < count; i++) value[i] = wide ? plain[i] : narrow[i];
  return WILLIS_OK;
}

} // namespace

extern "C" enum willis_status willis_dicom_dcmtk_decode(const char *syntax,
                                                        const struct willis_dicom_format *format,
                                                        bool wide, const unsigned char *bytes,
                                                        size_t size, unsigned short *value,
                                                        struct willis_error *err) {
  if (size > UINT_MAX / 2)
    return willis_fail(err, WILLIS_UNSUPPORTED, "a compressed frame of %zu bytes", size);
  try {
    register_codecs();
    return decode(syntax, *format, wide, bytes, size, value, err);
  } catch (const std::bad_alloc &) {
    return willis_fail(err, WILLIS_OUT_OF_MEMORY, "no memory to decode a frame of %zu bytes", size);
  } catch (...) {
    return willis_fail(err, WILLIS_FORMAT, "the compressed frame cannot be decoded");
  }
}
