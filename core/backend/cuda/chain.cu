// Chains of element-wise ops: a thread loads its 4 or 8 neighbours of every input, interprets the list of steps on registers,
// and stores the outputs. The list travels in the kernel's arguments; all threads take the same way through it. Every operand
// is read before the same place of an output is written, so an output may lie in any of them.
#include "core/ops/chain.h"

#include <algorithm>
#include <cstdint>

#include "core/backend/cuda/index.h"
#include "core/backend/cuda/kernels.h"
#include "core/backend/cuda/lanes.h"
#include "core/backend/cuda/launch.h"

namespace convoy::cuda {
namespace {

constexpr std::int64_t kMostBlocks = 1 << 20;

struct Operand {
  void* at;
  DType type;
  bool per_channel;  // f32 [channels]
};
struct Code {
  ChainStep::Function function;
  ActivationKind activation;
  float slope;
  DType type;
  int a, b;  // registers: input i, or Inputs + step j
};
struct Result {
  void* at;  // null: not wanted
  DType type;
  int from;
};
struct Program {
  Operand inputs[kMostChainInputs];
  Code steps[kMostChainSteps];
  Result outputs[kMostChainOutputs];
  int input_count, step_count, output_count;
  std::int64_t elements, channels;
  Divisor by_channels;
};

/// Room for short chains, which most are, and for the longest.
struct Short {
  static constexpr int kInputs = 3, kSteps = 3;
};
struct Long {
  static constexpr int kInputs = kMostChainInputs, kSteps = kMostChainSteps;
};

template <typename T, int W>
__device__ void load_some(const void* from, std::int64_t at, int count, float (&to)[W]) {
  const T* x = static_cast<const T*>(from) + at;
  if (count == W) return load<W>(x, to);
#pragma unroll
  for (int w = 0; w < W; ++w) to[w] = w < count ? to_float(x[w]) : 0.0f;
}

template <typename T, int W>
__device__ void store_some(void* to, std::int64_t at, int count, const float (&from)[W]) {
  T* y = static_cast<T*>(to) + at;
  if (count == W) return store<W>(y, from);
#pragma unroll
  for (int w = 0; w < W; ++w)
    if (w < count) y[w] = from_float<T>(from[w]);
}

template <int W>
__device__ void load_channels(const Program& program, const float* from, std::int64_t at, float (&to)[W]) {
  std::int64_t c = at % program.channels;
  if (program.elements <= kMostItems) {
    auto place = static_cast<std::uint32_t>(at);
    c = program.by_channels.take(place);
  }
  if (program.channels % W == 0) return load<W>(from + c, to);
#pragma unroll
  for (int w = 0; w < W; ++w) {
    to[w] = from[c];
    c = c + 1 == program.channels ? 0 : c + 1;
  }
}

template <int W>
__device__ void load_input(const Program& program, const Operand& input, std::int64_t at, int count, float (&to)[W]) {
  if (input.per_channel) return load_channels<W>(program, static_cast<const float*>(input.at), at, to);
  switch (input.type) {
    case DType::bf16: return load_some<Bf16, W>(input.at, at, count, to);
    case DType::f16: return load_some<F16, W>(input.at, at, count, to);
    default: return load_some<float, W>(input.at, at, count, to);
  }
}

template <int W>
__device__ void store_output(const Result& output, std::int64_t at, int count, const float (&from)[W]) {
  switch (output.type) {
    case DType::bf16: return store_some<Bf16, W>(output.at, at, count, from);
    case DType::f16: return store_some<F16, W>(output.at, at, count, from);
    default: return store_some<float, W>(output.at, at, count, from);
  }
}

template <int W, typename F>
__device__ void each(float (&a)[W], const float (&b)[W], F f) {
#pragma unroll
  for (int w = 0; w < W; ++w) a[w] = f(a[w], b[w]);
}

template <int W>
__device__ void activate(ActivationKind kind, float slope, float (&a)[W]) {
  switch (kind) {
    case ActivationKind::relu: return each(a, a, [](float x, float) { return math::relu(x); });
    case ActivationKind::tanh: return each(a, a, [](float x, float) { return math::tanh(x); });
    case ActivationKind::sigmoid: return each(a, a, [](float x, float) { return math::sigmoid(x); });
    case ActivationKind::scaled_tanh: return each(a, a, [](float x, float) { return math::scaled_tanh(x); });
    case ActivationKind::leaky_relu: return each(a, a, [=](float x, float) { return math::leaky_relu(x, slope); });
    case ActivationKind::elu: return each(a, a, [=](float x, float) { return math::elu(x, slope); });
    case ActivationKind::negative_part: return each(a, a, [](float x, float) { return math::negative_part(x); });
    case ActivationKind::complement: return each(a, a, [](float x, float) { return 1.0f - x; });
    case ActivationKind::scale: return each(a, a, [=](float x, float) { return slope * x; });
    case ActivationKind::none:
    case ActivationKind::count_: return;
  }
}

/// a: y, b: dy.
template <int W>
__device__ void activate_backward(ActivationKind kind, float slope, float (&a)[W], const float (&b)[W]) {
  switch (kind) {
    case ActivationKind::relu: return each(a, b, [](float y, float dy) { return math::relu_backward(y, dy); });
    case ActivationKind::tanh: return each(a, b, [](float y, float dy) { return math::tanh_backward(y, dy); });
    case ActivationKind::sigmoid: return each(a, b, [](float y, float dy) { return math::sigmoid_backward(y, dy); });
    case ActivationKind::scaled_tanh:
      return each(a, b, [](float y, float dy) { return math::scaled_tanh_backward(y, dy); });
    case ActivationKind::leaky_relu: return each(a, b, [=](float y, float dy) { return math::leaky_relu_backward(y, dy, slope); });
    case ActivationKind::elu: return each(a, b, [=](float y, float dy) { return math::elu_backward(y, dy, slope); });
    case ActivationKind::negative_part:
      return each(a, b, [](float y, float dy) { return math::negative_part_backward(y, dy); });
    case ActivationKind::complement: return each(a, b, [](float, float dy) { return -dy; });
    case ActivationKind::scale: return each(a, b, [=](float, float dy) { return slope * dy; });
    case ActivationKind::none:
    case ActivationKind::count_: return each(a, b, [](float, float dy) { return dy; });
  }
}

/// The step's result, in a.
template <int W>
__device__ void compute(const Code& step, float (&a)[W], const float (&b)[W]) {
  using Function = ChainStep::Function;
  switch (step.function) {
    case Function::activation: activate(step.activation, step.slope, a); break;
    case Function::activation_backward: activate_backward(step.activation, step.slope, a, b); break;
    case Function::add:
    case Function::add_channels: each(a, b, [](float x, float y) { return x + y; }); break;
    case Function::multiply:
    case Function::multiply_channels: each(a, b, [](float x, float y) { return x * y; }); break;
    case Function::cast: break;
  }
  if (step.type == DType::bf16) each(a, a, [](float x, float) { return rounded_to<Bf16>(x); });
  if (step.type == DType::f16) each(a, a, [](float x, float) { return rounded_to<F16>(x); });
}

/// A register whose number is known at run time alone: indexing would move them all to memory.
template <int R, int W>
__device__ void read_register(const float (&registers)[R][W], int number, float (&to)[W]) {
#pragma unroll
  for (int r = 0; r < R; ++r)
    if (r == number) {
#pragma unroll
      for (int w = 0; w < W; ++w) to[w] = registers[r][w];
    }
}

template <typename Room, int W>
__global__ void __launch_bounds__(kThreads) interpret(Program program) {
  constexpr int R = Room::kInputs + Room::kSteps;
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads * W;
  for (std::int64_t at = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * W; at < program.elements; at += stride) {
    const int count = program.elements - at < W ? static_cast<int>(program.elements - at) : W;
    float registers[R][W] = {};
#pragma unroll
    for (int i = 0; i < Room::kInputs; ++i)
      if (i < program.input_count) load_input<W>(program, program.inputs[i], at, count, registers[i]);
#pragma unroll 1
    for (int s = 0; s < program.step_count; ++s) {
      float a[W] = {}, b[W] = {};
      read_register(registers, program.steps[s].a, a);
      read_register(registers, program.steps[s].b, b);
      compute<W>(program.steps[s], a, b);
#pragma unroll
      for (int r = Room::kInputs; r < R; ++r)
        if (r == Room::kInputs + s) {
#pragma unroll
          for (int w = 0; w < W; ++w) registers[r][w] = a[w];
        }
    }
#pragma unroll 1
    for (int o = 0; o < program.output_count; ++o) {
      if (program.outputs[o].at == nullptr) continue;
      float y[W] = {};
      read_register(registers, program.outputs[o].from, y);
      store_output<W>(program.outputs[o], at, count, y);
    }
  }
}

template <typename Room>
Program program_of(const OpDesc& op, const ChainAttributes& chain) {
  const int inputs = static_cast<int>(op.inputs.size());
  const std::vector<bool> per_channel = per_channel_inputs(chain, op.inputs.size());
  const auto register_of = [&](int number) { return number < inputs ? number : number - inputs + Room::kInputs; };
  Program program{};
  program.input_count = inputs;
  program.step_count = static_cast<int>(chain.steps.size());
  program.output_count = static_cast<int>(chain.outputs.size());
  program.elements = op.outputs[0].shape.elements();
  program.channels = op.outputs[0].shape[-1];
  program.by_channels = Divisor(std::min(program.channels, kMostItems));
  for (int i = 0; i < inputs; ++i)
    program.inputs[i] = {nullptr, op.inputs[static_cast<std::size_t>(i)].dtype, per_channel[static_cast<std::size_t>(i)]};
  for (int s = 0; s < program.step_count; ++s) {
    const ChainStep& step = chain.steps[static_cast<std::size_t>(s)];
    program.steps[s] = {step.function, step.activation.kind, static_cast<float>(step.activation.slope), step.type, register_of(step.a), register_of(step.b)};
  }
  for (int o = 0; o < program.output_count; ++o)
    program.outputs[o] = {nullptr, op.outputs[static_cast<std::size_t>(o)].dtype,
                          Room::kInputs + chain.outputs[static_cast<std::size_t>(o)]};
  return program;
}

template <typename Room, int W>
Bound make_chain(const Context& context, const OpDesc& op) {
  const Program bound = program_of<Room>(op, std::get<ChainAttributes>(op.attributes));
  const std::int64_t per_block = std::int64_t{kThreads} * W;
  const dim3 grid(static_cast<unsigned>(std::clamp<std::int64_t>((bound.elements + per_block - 1) / per_block, 1, kMostBlocks)));
  KernelSpec spec{.implementation = "registers"};
  spec.run = [=](const KernelArguments& arguments, cudaStream_t stream) {
    Program program = bound;
    for (int i = 0; i < program.input_count; ++i) program.inputs[i].at = changed_input<void>(arguments, i);
    for (int o = 0; o < program.output_count; ++o) program.outputs[o].at = output<void>(arguments, o);
    launch(interpret<Room, W>, grid, dim3(kThreads), stream, program);
  };
  for (int i = 0; i < bound.input_count; ++i)
    for (int o = 0; o < bound.output_count; ++o)
      if (!bound.inputs[i].per_channel && size_of(bound.inputs[i].type) == size_of(bound.outputs[o].type))
        spec.in_place.emplace_back(i, o);
  return make_kernel(context, std::move(spec));
}

bool within(const OpDesc& op, const ChainAttributes& chain, int inputs, int steps) {
  return static_cast<int>(op.inputs.size()) <= inputs && static_cast<int>(chain.steps.size()) <= steps;
}

/// Whether no operand but those per channel has more than 2 bytes an element: then 8 of them are 16 bytes.
bool all_narrow(const OpDesc& op, const std::vector<bool>& per_channel) {
  for (std::size_t i = 0; i < op.inputs.size(); ++i)
    if (!per_channel[i] && size_of(op.inputs[i].dtype) > 2) return false;
  return std::all_of(op.outputs.begin(), op.outputs.end(), [](const TensorDesc& y) { return size_of(y.dtype) == 2; });
}

}  // namespace

Bound bind_chain(const Context& context, const OpDesc& op, std::string* reason) {
  const auto& chain = std::get<ChainAttributes>(op.attributes);
  const auto is_double = [](const TensorDesc& operand) { return operand.dtype == DType::f64; };
  if (std::any_of(op.inputs.begin(), op.inputs.end(), is_double) || std::any_of(op.outputs.begin(), op.outputs.end(), is_double)) {
    *reason = "computes in float32, bfloat16 or float16, found an operand of float64";
    return nullptr;
  }
  if (!within(op, chain, kMostChainInputs, kMostChainSteps) || chain.outputs.size() > kMostChainOutputs) {
    *reason = "takes at most " + std::to_string(kMostChainInputs) + " inputs, " + std::to_string(kMostChainSteps) + " steps and " +
              std::to_string(kMostChainOutputs) + " outputs";
    return nullptr;
  }
  const bool is_short = within(op, chain, Short::kInputs, Short::kSteps);
  if (all_narrow(op, per_channel_inputs(chain, op.inputs.size())))
    return is_short ? make_chain<Short, 8>(context, op) : make_chain<Long, 8>(context, op);
  return is_short ? make_chain<Short, 4>(context, op) : make_chain<Long, 4>(context, op);
}

}  // namespace convoy::cuda
