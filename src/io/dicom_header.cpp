// Attributes through DCMTK. No exception and no line of DCMTK's log gets out.
#include "io/dicom_header.h"

extern "C" {
#include "base/error.h"
}

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcfilefo.h>
#include <dcmtk/dcmdata/dcistrmb.h>
#include <dcmtk/dcmdata/dcsequen.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

struct willis_dicom_header {
  DcmFileFormat file;
};

namespace {

DcmItem *mutable_item(const willis_dicom_item *item) {
  return reinterpret_cast<DcmItem *>(const_cast<willis_dicom_item *>(item));
}

DcmElement *find(const willis_dicom_item *item, uint32_t tag) {
  DcmElement *element = nullptr;
  DcmTagKey key(static_cast<Uint16>(tag >> 16), static_cast<Uint16>(tag & 0xFFFF));
  if (!item || mutable_item(item)->findAndGetElement(key, element).bad()) return nullptr;
  return element;
}

DcmSequenceOfItems *find_sequence(const willis_dicom_item *item, uint32_t tag) {
  return dynamic_cast<DcmSequenceOfItems *>(find(item, tag));
}

// Numbers that are stored as such; false for those that are stored as text.
bool stored_number(DcmElement *element, unsigned long i, double *value) {
  Float64 f64 = 0;
  Float32 f32 = 0;
  Uint32 u32 = 0;
  Sint32 s32 = 0;
  Uint16 u16 = 0;
  Sint16 s16 = 0;
  switch (element->ident()) {
  case EVR_FD:
    return element->getFloat64(f64, i).good() && (*value = f64, true);
  case EVR_FL:
    return element->getFloat32(f32, i).good() && (*value = f32, true);
  case EVR_UL:
    return element->getUint32(u32, i).good() && (*value = u32, true);
  case EVR_SL:
    return element->getSint32(s32, i).good() && (*value = s32, true);
  case EVR_US:
    return element->getUint16(u16, i).good() && (*value = u16, true);
  case EVR_SS:
    return element->getSint16(s16, i).good() && (*value = s16, true);
  default:
    return false;
  }
}

// The numbers of "a\b\c"; −1 for anything else.
ptrdiff_t text_numbers(const char *text, double *value, ptrdiff_t room) {
  ptrdiff_t count = 0;
  while (*text == ' ') text++;
  if (!*text) return 0;
  for (;; text++) {
    char *end;
    double number = std::strtod(text, &end);
    if (end == text || !std::isfinite(number)) return -1;
    while (*end == ' ') end++;
    if (count < room) value[count] = number;
    count++;
    text = end;
    if (!*text) return count;
    if (*text != '\\') return -1;
  }
}

ptrdiff_t numbers(DcmElement *element, double *value, ptrdiff_t room) {
  if (!element || element->getLength() == 0) return 0;
  switch (element->ident()) {
  case EVR_FD:
  case EVR_FL:
  case EVR_UL:
  case EVR_SL:
  case EVR_US:
  case EVR_SS: {
    auto count = static_cast<ptrdiff_t>(element->getVM());
    for (ptrdiff_t i = 0; i < count && i < room; i++)
      if (!stored_number(element, static_cast<unsigned long>(i), &value[i]) ||
          !std::isfinite(value[i]))
        return -1;
    return count;
  }
  default: {
    OFString text;
    if (element->getOFStringArray(text).bad()) return -1;
    return text_numbers(text.c_str(), value, room);
  }
  }
}

} // namespace

extern "C" {

enum willis_status willis_dicom_header_open(const unsigned char *bytes, size_t size,
                                            struct willis_dicom_header **header,
                                            struct willis_error *err) {
  static std::once_flag once;
  *header = nullptr;
  try {
    std::call_once(once, [] { OFLog::configure(OFLogger::OFF_LOG_LEVEL); });
    auto made = new willis_dicom_header;
    DcmInputBufferStream stream;
    stream.setBuffer(bytes, static_cast<offile_off_t>(size));
    stream.setEos();
    made->file.transferInit();
    OFCondition result = made->file.read(stream, EXS_Unknown, EGL_noChange);
    made->file.transferEnd();
    if (result.good()) {
      *header = made;
      return WILLIS_OK;
    }
    delete made;
    return willis_fail(err, WILLIS_FORMAT, "byte %jd: not understood as DICOM: %s",
                       static_cast<intmax_t>(stream.tell()), result.text());
  } catch (const std::bad_alloc &) {
    return willis_fail(err, WILLIS_OUT_OF_MEMORY, "no memory for a DICOM header of %zu bytes",
                       size);
  } catch (...) {
    return willis_fail(err, WILLIS_FORMAT, "not understood as DICOM");
  }
}

void willis_dicom_header_close(struct willis_dicom_header *header) {
  delete header;
}

const struct willis_dicom_item *willis_dicom_header_root(const struct willis_dicom_header *header) {
  auto file = const_cast<DcmFileFormat *>(&header->file);
  return reinterpret_cast<const willis_dicom_item *>(static_cast<DcmItem *>(file->getDataset()));
}

ptrdiff_t willis_dicom_child_count(const struct willis_dicom_item *item, uint32_t sequence) {
  try {
    DcmSequenceOfItems *items = find_sequence(item, sequence);
    return items ? static_cast<ptrdiff_t>(items->card()) : 0;
  } catch (...) {
    return 0;
  }
}

const struct willis_dicom_item *willis_dicom_child(const struct willis_dicom_item *item,
                                                   uint32_t sequence, ptrdiff_t index) {
  try {
    DcmSequenceOfItems *items = find_sequence(item, sequence);
    if (!items || index < 0 || index >= static_cast<ptrdiff_t>(items->card())) return nullptr;
    DcmItem *child = items->getItem(static_cast<unsigned long>(index));
    return reinterpret_cast<const willis_dicom_item *>(child);
  } catch (...) {
    return nullptr;
  }
}

ptrdiff_t willis_dicom_reals(const struct willis_dicom_item *item, uint32_t tag, double *value,
                             ptrdiff_t room) {
  try {
    return numbers(find(item, tag), value, room);
  } catch (...) {
    return -1;
  }
}

const char *willis_dicom_text(const struct willis_dicom_item *item, uint32_t tag, char *to,
                              size_t size) {
  to[0] = 0;
  try {
    OFString text;
    DcmElement *element = find(item, tag);
    if (!element || element->getOFStringArray(text).bad()) return to;
    const char *from = text.c_str();
    while (*from == ' ') from++;
    size_t length = std::strlen(from);
    while (length && from[length - 1] == ' ') length--;
    if (length > size - 1) length = size - 1;
    std::memcpy(to, from, length);
    to[length] = 0;
  } catch (...) {
    to[0] = 0;
  }
  return to;
}
}
