#include "io/jpeg_errors.h"

#include <jerror.h>

namespace convoy {
namespace {

[[noreturn]] void on_error(j_common_ptr info) {
  JpegErrors& manager = jpeg_errors_of(info);
  (*info->err->format_message)(info, manager.words);
  std::longjmp(manager.jump, 1);
}

/// Warnings that say that pixels are wrong. The others tell of oddities beside the picture.
bool is_damage(int code) {
  return code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_ARITH_BAD_CODE || code == JWRN_MUST_RESYNC ||
         code == JWRN_NOT_SEQUENTIAL || code == JWRN_BOGUS_PROGRESSION;
}

void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;  // traces
  JpegErrors& manager = jpeg_errors_of(info);
  const int code = info->err->msg_code;
  if (code == JWRN_JPEG_EOF) manager.no_end_marker = true;
  if (is_damage(code) && manager.damage[0] == '\0') (*info->err->format_message)(info, manager.damage);
  if (code == JWRN_EXTRANEOUS_DATA && manager.oddity[0] == '\0') (*info->err->format_message)(info, manager.oddity);
}

void print_nothing(j_common_ptr) {}

}  // namespace

jpeg_error_mgr* connect(JpegErrors& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = on_error;
  errors.base.emit_message = on_message;
  errors.base.output_message = print_nothing;
  return &errors.base;
}

JpegErrors& jpeg_errors_of(j_common_ptr info) { return *reinterpret_cast<JpegErrors*>(info->err); }

}  // namespace convoy
