#include "launch/train/program_io.h"

#include <cstring>

#include "distributed/device_wait.h"

namespace convoy {

ProgramIo::ProgramIo(Program& program, Device& device, const std::vector<Value>& inputs, const std::vector<Value>& outputs)
    : program_(program), device_(device), over_(device.make_event()) {
  if (device_.is_host()) return;
  const auto bytes_of = [&](Value value) {
    const TensorDesc& desc = program_.graph().info(value).desc;
    return static_cast<std::size_t>(desc.shape.elements()) * size_of(desc.dtype);
  };
  for (Value value : inputs) {
    const std::size_t bytes = bytes_of(value);
    inputs_[value.id] = {device_.allocate_staging(bytes), device_.allocate(bytes), bytes};
    program_.bind_memory(value, inputs_[value.id].memory.get());
  }
  for (Value value : outputs) outputs_[value.id] = {device_.allocate_staging(bytes_of(value)), nullptr, bytes_of(value)};
}

void ProgramIo::put(Value value, const void* data) {
  if (device_.is_host()) return program_.bind_memory(value, const_cast<void*>(data));  // inputs are only read
  const Copy& copy = inputs_.at(value.id);
  std::memcpy(copy.staging.get(), data, copy.bytes);  // run() has seen the last copy end
  device_.copy(Stream::compute, copy.memory.get(), copy.staging.get(), copy.bytes);
}

void ProgramIo::run(std::chrono::milliseconds deadline) {
  program_.run();
  if (device_.is_host()) return;
  for (const auto& [id, copy] : outputs_)
    device_.copy(Stream::compute, copy.staging.get(), program_.memory({id}), copy.bytes);
  device_.record(Stream::compute, *over_);
  wait_until_done(device_, *over_, {.what = "a batch", .deadline = deadline});
}

const void* ProgramIo::found(Value value) const {
  return device_.is_host() ? program_.memory(value) : outputs_.at(value.id).staging.get();
}

}  // namespace convoy
