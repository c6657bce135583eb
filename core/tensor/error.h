#pragma once
// The errors of convoy. launch/ maps each to its exit status in one place (design: section 8).
#include <stdexcept>
#include <string>

namespace convoy {

/// Anything that convoy throws. Exit status 1 unless a subclass says otherwise.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A wrong option, config or model attribute: what was expected, what was found, how to mend it. Status 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// A file, shard or sample that is not what it should be; the message names it. Status 3.
class DataError : public Error {
 public:
  using Error::Error;
};

/// A C library call failed; the message holds the call and the library's own words. Status 1.
class LibraryError : public Error {
 public:
  using Error::Error;
};

/// Another rank failed or is silent. Status 1; the rank that knows why has said so already.
class PeerError : public Error {
 public:
  explicit PeerError(const std::string& message, int peer = -1) : Error(message), peer_(peer) {}
  /// The world rank that failed or is silent; -1: not known.
  int peer() const { return peer_; }

 private:
  int peer_;
};

}  // namespace convoy
