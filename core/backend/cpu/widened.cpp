#include "core/backend/cpu/widened.h"

#include <algorithm>

#include "core/backend/cpu/reals.h"

namespace convoy::cpu {
namespace {

bool is_narrow(DType type) { return type == DType::bf16 || type == DType::f16; }

/// An operand in a narrow type, and where its floats lie in the scratch space; f32 ones and integers stay where they are.
struct Converted {
  DType type;
  std::int64_t elements = 0;
  std::size_t at = 0;
};

class WidenedKernel final : public Kernel {
 public:
  WidenedKernel(const OpDesc& op, std::unique_ptr<Kernel> wide, int threads)
      : wide_(std::move(wide)), threads_(threads), bytes_(round_up_64(wide_->scratch_bytes())) {
    for (const TensorDesc& each : op.inputs) inputs_.push_back(plan(each));
    for (const TensorDesc& each : op.outputs) outputs_.push_back(plan(each));
    wide_inputs_.resize(inputs_.size());
    wide_outputs_.resize(outputs_.size());
  }

  std::size_t scratch_bytes() const override { return bytes_; }
  std::string implementation() const override { return wide_->implementation() + "+casts"; }

  /// Narrow inputs have been read when an output is written.
  bool runs_in_place(int input, int output) const override {
    const Converted &from = inputs_[static_cast<std::size_t>(input)], &to = outputs_[static_cast<std::size_t>(output)];
    return is_narrow(from.type) && from.type == to.type && from.elements == to.elements;
  }

  void run(const KernelArguments& arguments) override {
    auto* scratch = static_cast<std::byte*>(arguments.scratch);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const Converted& each = inputs_[i];
      wide_inputs_[i] = is_narrow(each.type) ? scratch + each.at : arguments.inputs[i];
      if (is_narrow(each.type)) convert(each.type, DType::f32, arguments.inputs[i], wide_inputs_[i], each.elements);
    }
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const bool converts = is_narrow(outputs_[i].type) && arguments.outputs[i] != nullptr;
      wide_outputs_[i] = converts ? scratch + outputs_[i].at : arguments.outputs[i];
    }
    wide_->run({wide_inputs_, wide_outputs_, arguments.scratch});
    for (std::size_t i = 0; i < outputs_.size(); ++i)
      if (wide_outputs_[i] != arguments.outputs[i])
        convert(DType::f32, outputs_[i].type, wide_outputs_[i], arguments.outputs[i], outputs_[i].elements);
  }

 private:
  std::unique_ptr<Kernel> wide_;
  int threads_;
  std::size_t bytes_;
  std::vector<Converted> inputs_, outputs_;
  std::vector<void*> wide_inputs_, wide_outputs_;

  Converted plan(const TensorDesc& operand) {
    Converted converted{operand.dtype, operand.shape.elements()};
    if (!is_narrow(operand.dtype)) return converted;
    converted.at = bytes_;
    bytes_ += round_up_64(static_cast<std::size_t>(converted.elements) * sizeof(float));
    return converted;
  }

  void convert(DType from, DType to, const void* x, void* y, std::int64_t elements) const {
    const Cast cast = cast_between(from, to);
    const auto from_size = static_cast<std::int64_t>(size_of(from)), to_size = static_cast<std::int64_t>(size_of(to));
    parallel_blocks(threads_, elements, kElementBlock, [&](std::int64_t begin, std::int64_t n) {
      cast(static_cast<const std::byte*>(x) + begin * from_size, static_cast<std::byte*>(y) + begin * to_size, n);
    });
  }
};

}  // namespace

bool is_narrow(const OpDesc& op) {
  const auto narrow = [](const TensorDesc& operand) { return is_narrow(operand.dtype); };
  return std::any_of(op.inputs.begin(), op.inputs.end(), narrow) ||
         std::any_of(op.outputs.begin(), op.outputs.end(), narrow);
}

OpDesc widened(const OpDesc& op) {
  OpDesc wide = op;
  for (auto* side : {&wide.inputs, &wide.outputs})
    for (TensorDesc& operand : *side)
      if (is_narrow(operand.dtype)) operand.dtype = DType::f32;
  if (auto* prepare = std::get_if<PrepareAttributes>(&wide.attributes)) prepare->output = DType::f32;
  return wide;
}

std::unique_ptr<Kernel> make_widened(const OpDesc& op, std::unique_ptr<Kernel> wide, int threads) {
  return std::make_unique<WidenedKernel>(op, std::move(wide), threads);
}

}  // namespace convoy::cpu
