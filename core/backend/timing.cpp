#include "core/backend/timing.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/optim/scalars.h"
#include "core/random/philox.h"
#include "core/tensor/error.h"
#include "core/tensor/narrow.h"

namespace convoy {
namespace {

constexpr std::size_t kPattern = 65536;   // numbers drawn; longer arrays repeat them

std::size_t bytes_of(const TensorDesc& desc) {
  return static_cast<std::size_t>(desc.shape.elements()) * size_of(desc.dtype);
}

template <typename T, typename Make>
void fill(std::byte* to, std::size_t bytes, Make make) {
  const std::size_t first = std::min(bytes / sizeof(T), kPattern);
  for (std::size_t i = 0; i < first; ++i) {
    const T value = make(i);
    std::memcpy(to + i * sizeof(T), &value, sizeof(T));
  }
  for (std::size_t done = first * sizeof(T); done < bytes; done += std::min(done, bytes - done))
    std::memcpy(to + done, to, std::min(done, bytes - done));
}

/// Values that any op takes: a label, winner or offset of 0 is valid everywhere.
void fill_operand(std::byte* to, const TensorDesc& desc, std::uint64_t seed) {
  const RandomKey key(seed, "timing");
  const std::size_t bytes = bytes_of(desc);
  switch (desc.dtype) {
    case DType::f32: fill<float>(to, bytes, [&](std::size_t i) { return static_cast<float>(key.normal(i)); }); break;
    case DType::f64: fill<double>(to, bytes, [&](std::size_t i) { return key.normal(i); }); break;
    case DType::bf16: fill<Bf16>(to, bytes, [&](std::size_t i) { return to_bf16(static_cast<float>(key.normal(i))); }); break;
    case DType::f16: fill<F16>(to, bytes, [&](std::size_t i) { return to_f16(static_cast<float>(key.normal(i))); }); break;
    default: std::memset(to, 0, bytes);
  }
}

/// The step's scalars as a step that updates has them; the rate is so small that weights stay what they are.
void fill_scalars(std::byte* to) {
  double scalars[kStepScalars] = {};
  scalars[kLearningRate] = 1e-12;
  scalars[kWanted] = scalars[kDivisor] = scalars[kFinite] = scalars[kApply] = scalars[kLossScale] = scalars[kUpdates] = 1;
  std::memcpy(to, scalars, sizeof scalars);
}

bool is_scalars(const OpDesc& op, std::size_t input) {
  const auto i = static_cast<int>(input);
  return always_double(op.kind, op.attributes, i) && op.inputs[input].shape.elements() == kStepScalars;
}

/// A kernel with operands of its own.
class Bench {
 public:
  Bench(const Backend& backend, std::span<const OpDesc> ops, int threads) : device_(backend.device()) {
    if (ops.size() > 1) kernel_ = backend.bind_together(ops);
    if (!kernel_ && ops.size() > 1) throw UsageError("the backend binds these ops one by one only");
    std::string reasons;
    if (!kernel_) kernel_ = backend.try_bind(ops.front(), threads, &reasons);
    if (!kernel_) throw UsageError(reasons);
    for (const OpDesc& op : ops) add_operands(op);
    scratch_ = device_.allocate(kernel_->scratch_bytes());
    device_.synchronize(Stream::compute);
  }

  void run() { kernel_->run({inputs_, outputs_, scratch_.get()}); }
  std::string implementation() const { return kernel_->implementation(); }

 private:
  Device& device_;
  std::unique_ptr<Kernel> kernel_;
  std::vector<DeviceMemory> memory_;
  std::vector<void*> inputs_, outputs_;
  DeviceMemory scratch_;

  void add_operands(const OpDesc& op) {
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
      const std::size_t bytes = bytes_of(op.inputs[i]);
      const DeviceMemory staging = device_.allocate_staging(bytes);
      if (is_scalars(op, i)) {
        fill_scalars(staging.get());
      } else {
        fill_operand(staging.get(), op.inputs[i], i);
      }
      memory_.push_back(device_.is_host() ? staging : device_.allocate(bytes));
      if (!device_.is_host()) device_.copy(Stream::compute, memory_.back().get(), staging.get(), bytes);
      device_.synchronize(Stream::compute);   // before the staging memory goes
      inputs_.push_back(memory_.back().get());
    }
    for (std::size_t i = 0; i < op.outputs.size(); ++i) {
      const bool wanted = op.wanted.empty() || op.wanted[i];
      memory_.push_back(device_.allocate(wanted ? bytes_of(op.outputs[i]) : 0));
      outputs_.push_back(wanted ? memory_.back().get() : nullptr);
    }
  }
};

/// Seconds of one call of `enqueue`, on the compute stream.
Timing time_enqueued(Device& device, const std::function<void()>& enqueue, const TimingOptions& options) {
  using Clock = std::chrono::steady_clock;
  const auto seconds_of = [&](Replay& replay) {
    const auto begin = Clock::now();
    replay.launch();
    device.synchronize(Stream::compute);
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  const auto repeated = [&](std::int64_t runs) {
    return device.capture([&enqueue, runs] {
      for (std::int64_t run = 0; run < runs; ++run) enqueue();
    });
  };
  enqueue();   // what is made on the first run (pages, lazily loaded code) is not timed, and not captured
  device.synchronize(Stream::compute);
  std::int64_t runs = 1;
  std::unique_ptr<Replay> replay = repeated(runs);
  seconds_of(*replay);
  for (double seconds = seconds_of(*replay); seconds < options.least_seconds && runs < 4096; seconds = seconds_of(*replay)) {
    const double more = 1.2 * options.least_seconds / std::max(seconds, 1e-7);
    runs = std::min<std::int64_t>(4096, std::max<std::int64_t>(2 * runs, static_cast<std::int64_t>(static_cast<double>(runs) * more)));
    replay = repeated(runs);
    seconds_of(*replay);
  }
  std::vector<double> found;
  for (int repetition = 0; repetition < options.repetitions; ++repetition)
    found.push_back(seconds_of(*replay) / static_cast<double>(runs));
  std::sort(found.begin(), found.end());
  return {found[found.size() / 2], found.front(), found.back(), {}};
}

/// y = x w, all [side, side]: large enough for the best rate, small enough to be measured in a moment.
OpDesc square_product(DType type, bool on_host) {
  const std::int64_t side = on_host ? 1024 : type == DType::f32 ? 4096 : 8192;
  OpDesc op{OpKind::dense, DenseAttributes{.units = side, .bias = false}, {}, {}, {}};
  op.inputs = {{Shape{side, side}, type}, {Shape{side, side}, type}};
  op.outputs = op_def(op.kind).infer(op.attributes, op.inputs);
  return op;
}

}  // namespace

Timing time_ops(const Backend& backend, std::span<const OpDesc> ops, const TimingOptions& options) {
  Bench bench(backend, ops, options.threads);
  Timing timing = time_enqueued(backend.device(), [&bench] { bench.run(); }, options);
  timing.implementation = bench.implementation();
  return timing;
}

Limits measure_limits(const Backend& backend, std::span<const DType> types, const TimingOptions& options) {
  Device& device = backend.device();
  Limits limits;
  for (const DType type : types) {
    const OpDesc op = square_product(type, device.is_host());
    const double count = cost_of(op.kind, op.attributes, op.inputs, op.outputs).multiply_adds;
    limits.multiply_adds_per_second[type] = count / time_ops(backend, {&op, 1}, options).least;
  }
  const std::int64_t elements = std::int64_t{1} << (device.is_host() ? 24 : 28);
  OpDesc sum{OpKind::add, {}, {{Shape{elements}, DType::f32}, {Shape{elements}, DType::f32}}, {}, {}};
  sum.outputs = op_def(sum.kind).infer(sum.attributes, sum.inputs);
  const double sum_bytes = cost_of(sum.kind, sum.attributes, sum.inputs, sum.outputs).bytes;
  limits.bytes_per_second = sum_bytes / time_ops(backend, {&sum, 1}, options).least;

  const std::size_t bytes = static_cast<std::size_t>(elements) * sizeof(float);
  const DeviceMemory from = device.allocate(bytes), to = device.allocate(bytes);
  const auto copy = [&] { device.copy(Stream::compute, to.get(), from.get(), bytes); };
  const double copied = 2 * static_cast<double>(bytes) / time_enqueued(device, copy, options).least;
  limits.bytes_per_second = std::max(limits.bytes_per_second, copied);
  return limits;
}

double least_seconds(const Cost& cost, DType type, const Limits& limits) {
  const double traffic = cost.bytes / limits.bytes_per_second;
  const auto rate = limits.multiply_adds_per_second.find(type);
  if (cost.multiply_adds == 0 || rate == limits.multiply_adds_per_second.end()) return traffic;
  return std::max(traffic, cost.multiply_adds / rate->second);
}

}  // namespace convoy
