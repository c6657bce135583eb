#pragma once
// What goes into a program and comes out of it, for callers on the host: on a host the program reads and writes their own
// memory, on a device copies travel.
#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include "core/graph/program.h"

namespace convoy {

/// Threads: one, the program's.
class ProgramIo {
 public:
  /// `inputs`: values that put() is called for before the first run; `outputs`: values that are kept. Both outlive this
  /// object.
  ProgramIo(Program& program, Device& device, const std::vector<Value>& inputs, const std::vector<Value>& outputs);

  /// The value's bytes for the next runs; on a host they are not copied and stay where they are until those are over.
  void put(Value value, const void* data);
  /// Runs the program; the outputs can be read until the next run. LibraryError where a device takes longer than `deadline`.
  void run(std::chrono::milliseconds deadline);
  template <typename T>
  const T* get(Value value) const { return static_cast<const T*>(found(value)); }

 private:
  struct Copy {
    DeviceMemory staging, memory;  // memory: inputs alone
    std::size_t bytes = 0;
  };
  Program& program_;
  Device& device_;
  std::map<int, Copy> inputs_, outputs_;  // by value id; empty on a host
  std::unique_ptr<Event> over_;

  const void* found(Value value) const;
};

}  // namespace convoy
