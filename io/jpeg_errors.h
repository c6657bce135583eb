#pragma once
// How libjpeg reports, for the two files that call it. Private to io.
//
// It reports errors by calling error_exit, which must not return: it jumps. A jump must not pass over an object with a
// destructor, so every function that calls setjmp holds only plain values.
#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>

namespace convoy {

struct JpegErrors {
  jpeg_error_mgr base;                 // first: libjpeg hands out a pointer to it
  std::jmp_buf jump;
  char words[JMSG_LENGTH_MAX] = "";    // of the error before the jump
  char damage[JMSG_LENGTH_MAX] = "";   // of the first warning that pixels are wrong
  char oddity[JMSG_LENGTH_MAX] = "";   // of the first warning of bytes that belong to nothing
  bool no_end_marker = false;
};

/// For info.err. `errors` must outlive the struct that uses it.
jpeg_error_mgr* connect(JpegErrors& errors);
JpegErrors& jpeg_errors_of(j_common_ptr info);

}  // namespace convoy
