#include "core/backend/cpu/onednn.h"

#include <fmt/format.h>
#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/backend/cpu/rectified.h"
#include "core/tensor/error.h"

namespace convoy::onednn {
namespace {

using cpu::ConvSizes;
using cpu::DenseSizes;
using cpu::Direction;
using cpu::LayerPrimitive;
using cpu::NarrowPrimitive;
using dnnl::memory;

constexpr bool kBlockedFilters = true;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

/// oneDNN sizes its teams by OpenMP's setting of the calling thread.
class TeamSize {
 public:
  explicit TeamSize(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~TeamSize() { omp_set_num_threads(before_); }
  TeamSize(const TeamSize&) = delete;
  TeamSize& operator=(const TeamSize&) = delete;

 private:
  int before_;
};

/// dims in oneDNN's logical order (n, c, s..) of memory in which the second axis is innermost.
memory::desc channels_last(const memory::dims& dims, memory::data_type type) {
  memory::dims strides(dims.size());
  std::int64_t step = dims[1];
  strides[1] = 1;
  for (std::size_t a = dims.size(); a-- > 2;) {
    strides[a] = step;
    step *= dims[a];
  }
  strides[0] = step;
  return {dims, type, strides};
}

memory::desc any_layout(const memory::dims& dims, memory::data_type type) {
  return {dims, type, memory::format_tag::any};
}

memory::dims activation_dims(const ConvSizes& c, std::int64_t channels,
                             const std::array<std::int64_t, 3>& spatial) {
  memory::dims dims{c.n, channels};
  dims.insert(dims.end(), spatial.begin(), spatial.begin() + c.axes);
  return dims;
}

/// Filters OHWI in memory; logically (g, o / g, c / g, s..), or (o, c, s..) for one group.
memory::desc filters_desc(const ConvSizes& c, bool any, memory::data_type type) {
  memory::dims dims{c.o / c.groups, c.c / c.groups};
  dims.insert(dims.end(), c.kernel.begin(), c.kernel.begin() + c.axes);
  const memory::desc one_group = channels_last(dims, type);
  if (c.groups == 1) return any ? any_layout(dims, type) : one_group;
  std::int64_t size = 1;
  for (const auto d : dims) size *= d;
  memory::dims strides{size, size / dims[0], 1};
  std::int64_t step = dims[1];
  memory::dims spatial_strides(static_cast<std::size_t>(c.axes));
  for (std::size_t a = spatial_strides.size(); a-- > 0;) {
    spatial_strides[a] = step;
    step *= c.kernel[a];
  }
  strides.insert(strides.end(), spatial_strides.begin(), spatial_strides.end());
  dims.insert(dims.begin(), c.groups);
  return any ? any_layout(dims, type) : memory::desc(dims, type, strides);
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

// ---- primitive descriptors: the constructors that oneDNN 3 changed ----

#if DNNL_VERSION_MAJOR >= 3
template <typename Descriptor, typename... Arguments>
Descriptor describe(const dnnl::primitive_attr& attr, const Arguments&... arguments) {
  return Descriptor(engine(), arguments..., attr);
}
template <typename Descriptor, typename Hint, typename... Arguments>
Descriptor describe_backward(const dnnl::primitive_attr& attr, const Hint& hint,
                             const Arguments&... arguments) {
  return Descriptor(engine(), arguments..., hint, attr);
}
using ConvForward = dnnl::convolution_forward::primitive_desc;
using ConvData = dnnl::convolution_backward_data::primitive_desc;
using ConvFilters = dnnl::convolution_backward_weights::primitive_desc;
using DenseForward = dnnl::inner_product_forward::primitive_desc;
using DenseData = dnnl::inner_product_backward_data::primitive_desc;
using DenseFilters = dnnl::inner_product_backward_weights::primitive_desc;
#else
/// Pairs of a primitive descriptor and the operation descriptor that oneDNN 2 wants in between.
template <typename Primitive>
struct Described : Primitive::primitive_desc {
  using Operation = typename Primitive::desc;
  using Primitive::primitive_desc::primitive_desc;
};
using ConvForward = Described<dnnl::convolution_forward>;
using ConvData = Described<dnnl::convolution_backward_data>;
using ConvFilters = Described<dnnl::convolution_backward_weights>;
using DenseForward = Described<dnnl::inner_product_forward>;
using DenseData = Described<dnnl::inner_product_backward_data>;
using DenseFilters = Described<dnnl::inner_product_backward_weights>;

template <typename Descriptor, typename... Arguments>
Descriptor describe(const dnnl::primitive_attr& attr, const Arguments&... arguments) {
  return Descriptor(typename Descriptor::Operation(arguments...), attr, engine());
}
template <typename Descriptor, typename Hint, typename... Arguments>
Descriptor describe_backward(const dnnl::primitive_attr& attr, const Hint& hint,
                             const Arguments&... arguments) {
  return Descriptor(typename Descriptor::Operation(arguments...), attr, engine(), hint);
}
#endif

// ---- running ----

/// Where the parts of the scratch space begin.
struct Scratch {
  std::size_t bytes = 0;
  std::size_t take(std::size_t part) {
    const std::size_t at = bytes;
    bytes += (part + 63) / 64 * 64;
    return at;
  }
};

class Bound final : public LayerPrimitive, public NarrowPrimitive {
 public:
  /// Arguments of the primitive: a, b, result and bias by their oneDNN names; `plain` is the layout of our
  /// filters and `filters_name` which of the three operands holds them.
  struct Operands {
    int a, b, bias, result, filters;
    memory::desc a_desc, b_desc, bias_desc, result_desc, plain_filters;
    bool has_bias;
  };

  Bound(dnnl::primitive primitive, std::string implementation, Operands operands,
        const memory::desc& scratchpad, const memory::desc& preferred_filters, int threads)
      : primitive_(std::move(primitive)),
        implementation_(std::move(implementation)),
        operands_(std::move(operands)),
        threads_(threads),
        stream_(engine()) {
    const Operands& o = operands_;
    add(o.a, o.a_desc);
    add(o.b, o.b_desc);
    add(o.result, o.result_desc);
    if (o.has_bias) add(o.bias, o.bias_desc);
    scratchpad_at_ = scratch_.take(scratchpad.get_size());
    add(DNNL_ARG_SCRATCHPAD, scratchpad);
    if (preferred_filters != o.plain_filters) prepare_reorder(preferred_filters);
  }

  std::size_t scratch_bytes() const override { return scratch_.bytes; }
  std::string implementation() const override { return implementation_; }

  void run(const float* a, const float* b, float* bias, float* result, void* scratch) override {
    execute(a, b, bias, result, scratch);
  }
  void run(const Bf16* a, const Bf16* b, float* bias, void* result, void* scratch) override {
    execute(a, b, bias, result, scratch);
  }

 private:
  /// a, b and the result in the types that the primitive was made for.
  void execute(const void* a, const void* b, float* bias, void* result, void* scratch) {
    const TeamSize team(threads_);
    const Operands& o = operands_;
    auto* base = static_cast<std::byte*>(scratch);
    set(DNNL_ARG_SCRATCHPAD, base + scratchpad_at_);
    set(o.a, const_cast<void*>(a));
    set(o.b, const_cast<void*>(b));
    set(o.result, result);
    if (o.has_bias) set(o.bias, bias);
    try {
      if (reorders_ && o.filters != o.result) {
        plain_.set_data_handle(const_cast<void*>(b));
        set(o.filters, base + blocked_at_);
        reorder(plain_, arguments_.at(o.filters), base);
      }
      if (reorders_ && o.filters == o.result) set(o.result, base + blocked_at_);
      primitive_.execute(stream_, arguments_);
      if (reorders_ && o.filters == o.result) {
        plain_.set_data_handle(result);
        reorder(arguments_.at(o.filters), plain_, base);
      }
      stream_.wait();
    } catch (const dnnl::error& e) {
      throw LibraryError(fmt::format("oneDNN, running {}: {}", implementation_, e.what()));
    }
  }

  dnnl::primitive primitive_;
  std::string implementation_;
  Operands operands_;
  int threads_;
  dnnl::stream stream_;
  std::unordered_map<int, memory> arguments_;
  Scratch scratch_;
  std::size_t scratchpad_at_ = 0, blocked_at_ = 0, reorder_scratch_at_ = 0;
  bool reorders_ = false;
  memory plain_;
  dnnl::reorder reorder_;
  memory::desc reorder_scratch_;

  void add(int name, const memory::desc& desc) {
    arguments_.emplace(name, memory(desc, engine(), DNNL_MEMORY_NONE));
  }
  void set(int name, void* data) { arguments_.at(name).set_data_handle(data); }

  void prepare_reorder(const memory::desc& preferred) {
    const Operands& o = operands_;
    reorders_ = true;
    blocked_at_ = scratch_.take(preferred.get_size());
    plain_ = memory(o.plain_filters, engine(), DNNL_MEMORY_NONE);
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const bool backwards = o.filters == o.result;
    const dnnl::reorder::primitive_desc desc(engine(), backwards ? preferred : o.plain_filters, engine(),
                                             backwards ? o.plain_filters : preferred, attr);
    reorder_ = dnnl::reorder(desc);
    reorder_scratch_ = desc.scratchpad_desc();
    reorder_scratch_at_ = scratch_.take(reorder_scratch_.get_size());
  }

  void reorder(memory& from, memory& to, std::byte* base) {
    memory scratch(reorder_scratch_, engine(), base + reorder_scratch_at_);
    reorder_.execute(stream_, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, scratch}});
  }
};

/// oneDNN's reference code is slower than ours.
template <typename Descriptor>
bool is_reference(const Descriptor& descriptor, std::string* reason) {
  const std::string name = descriptor.impl_info_str();
  if (name.rfind("ref", 0) != 0) return false;
  *reason = fmt::format("oneDNN has only its reference code ({})", name);
  return true;
}

template <typename Make>
std::unique_ptr<Bound> guarded(int threads, std::string* reason, Make make) {
  const TeamSize team(threads);
  try {
    return make();
  } catch (const dnnl::error& e) {
    *reason = fmt::format("oneDNN: {}", e.what());
    return nullptr;
  }
}

/// Forward, backward data and backward filters of convolutions and dense layers take their operands in one
/// order.
template <typename Layer, typename Descriptor>
std::unique_ptr<Bound> bind_forward(const Descriptor& d, const memory::desc& plain, bool bias,
                                             int threads, std::string* reason) {
  if (is_reference(d, reason)) return nullptr;
  const Bound::Operands operands{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST, DNNL_ARG_WEIGHTS,
                                 d.src_desc(), d.weights_desc(), d.bias_desc(), d.dst_desc(), plain,
                                 bias};
  return std::make_unique<Bound>(Layer(d), d.impl_info_str(), operands, d.scratchpad_desc(), d.weights_desc(),
                                 threads);
}

template <typename Layer, typename Descriptor>
std::unique_ptr<Bound> bind_data(const Descriptor& d, const memory::desc& plain, int threads,
                                          std::string* reason) {
  if (is_reference(d, reason)) return nullptr;
  const Bound::Operands operands{DNNL_ARG_DIFF_DST,
                                 DNNL_ARG_WEIGHTS,
                                 DNNL_ARG_BIAS,
                                 DNNL_ARG_DIFF_SRC,
                                 DNNL_ARG_WEIGHTS,
                                 d.diff_dst_desc(),
                                 d.weights_desc(),
                                 memory::desc(),
                                 d.diff_src_desc(),
                                 plain,
                                 false};
  return std::make_unique<Bound>(Layer(d), d.impl_info_str(), operands, d.scratchpad_desc(), d.weights_desc(),
                                 threads);
}

template <typename Layer, typename Descriptor>
std::unique_ptr<Bound> bind_filters(const Descriptor& d, const memory::desc& plain, bool bias,
                                             int threads, std::string* reason) {
  if (is_reference(d, reason)) return nullptr;
  const Bound::Operands operands{
      DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_BIAS, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_WEIGHTS,
      d.src_desc(), d.diff_dst_desc(), d.diff_bias_desc(), d.diff_weights_desc(), plain,
      bias};
  return std::make_unique<Bound>(Layer(d), d.impl_info_str(), operands, d.scratchpad_desc(),
                                 d.diff_weights_desc(), threads);
}

memory::dims head(const std::array<std::int64_t, 3>& values, int axes) {
  return {values.begin(), values.begin() + axes};
}

std::unique_ptr<Bound> bind_conv(const ConvSizes& conv, Direction direction, memory::data_type type, int threads,
                                 std::string* reason) {
  return guarded(threads, reason, [&]() -> std::unique_ptr<Bound> {
    const auto x = channels_last(activation_dims(conv, conv.c, conv.in), type);
    const auto y = channels_last(activation_dims(conv, conv.o, conv.out), type);
    const auto plain = filters_desc(conv, false, type), filters = filters_desc(conv, kBlockedFilters, type);
    const auto bias =
        conv.bias ? memory::desc({conv.o}, memory::data_type::f32, memory::format_tag::a) : memory::desc();
    const auto stride = head(conv.stride, conv.axes);
    auto dilation = head(conv.dilation, conv.axes);
    for (auto& d : dilation) d -= 1;  // oneDNN counts the gaps
    const auto low = head(conv.pad_low, conv.axes), high = head(conv.pad_high, conv.axes);
    const auto algorithm = dnnl::algorithm::convolution_direct;
    const auto forward = describe<ConvForward>(attributes(), dnnl::prop_kind::forward_training,
                                               algorithm, x, filters, bias, y, stride, dilation, low, high);
    if (direction == Direction::forward)
      return bind_forward<dnnl::convolution_forward>(forward, plain, conv.bias, threads, reason);
    if (direction == Direction::backward_data)
      return bind_data<dnnl::convolution_backward_data>(
          describe_backward<ConvData>(attributes(), forward, algorithm, x, filters, y, stride, dilation,
                                      low, high),
          plain, threads, reason);
    const auto gradient = filters_desc(conv, kBlockedFilters, memory::data_type::f32);
    return bind_filters<dnnl::convolution_backward_weights>(
        describe_backward<ConvFilters>(attributes(), forward, algorithm, x, gradient, bias, y, stride,
                                       dilation, low, high),
        filters_desc(conv, false, memory::data_type::f32), conv.bias, threads, reason);
  });
}

std::unique_ptr<Bound> bind_dense(const DenseSizes& dense, Direction direction, memory::data_type type, int threads,
                                  std::string* reason) {
  return guarded(threads, reason, [&]() -> std::unique_ptr<Bound> {
    const auto matrix = [](std::int64_t rows, std::int64_t columns, memory::data_type of) {
      return memory::desc({rows, columns}, of, memory::format_tag::ab);
    };
    const auto x = matrix(dense.n, dense.f, type), y = matrix(dense.n, dense.o, type),
               weights = matrix(dense.o, dense.f, type);
    const auto bias =
        dense.bias ? memory::desc({dense.o}, memory::data_type::f32, memory::format_tag::a) : memory::desc();
    const auto forward =
        describe<DenseForward>(attributes(), dnnl::prop_kind::forward_training, x, weights, bias, y);
    if (direction == Direction::forward)
      return bind_forward<dnnl::inner_product_forward>(forward, weights, dense.bias, threads, reason);
    if (direction == Direction::backward_data)
      return bind_data<dnnl::inner_product_backward_data>(
          describe_backward<DenseData>(attributes(), forward, x, weights, y), weights, threads, reason);
    const auto gradient = matrix(dense.o, dense.f, memory::data_type::f32);
    return bind_filters<dnnl::inner_product_backward_weights>(
        describe_backward<DenseFilters>(attributes(), forward, x, gradient, bias, y), gradient, dense.bias,
        threads, reason);
  });
}

/// The layer with its ReLU, where it has one.
template <typename Layer>
std::unique_ptr<Layer> with_relu(std::unique_ptr<Layer> layer, const ConvSizes& conv, Direction direction, int threads) {
  if (!conv.relu || direction != Direction::forward) return layer;
  std::int64_t elements = conv.n * conv.o;
  for (int a = 0; a < conv.axes; ++a) elements *= conv.out[static_cast<std::size_t>(a)];
  return cpu::rectified(std::move(layer), elements, threads);
}
template <typename Layer>
std::unique_ptr<Layer> with_relu(std::unique_ptr<Layer> layer, const DenseSizes& dense, Direction direction, int threads) {
  if (!dense.relu || direction != Direction::forward) return layer;
  return cpu::rectified(std::move(layer), dense.n * dense.o, threads);
}

/// oneDNN emulates bf16 on processors that cannot multiply it, slower than f32.
bool takes_bf16(std::string* reason) {
  if (multiplies_bf16()) return true;
  *reason = fmt::format("the processor, or device.isa, has no AVX512_BF16 ({})", onednn::isa());
  return false;
}

}  // namespace

void limit_isa(CpuIsa isa) {
  const auto limit = isa == CpuIsa::avx2 ? dnnl::cpu_isa::avx2 : dnnl::cpu_isa::avx512_core;
  if (dnnl::set_max_cpu_isa(limit) != dnnl::status::success && dnnl::get_effective_cpu_isa() != limit)
    throw LibraryError(
        fmt::format("oneDNN has fixed its instruction set already ({}); device.isa={} must be set "
                    "before the first kernel is bound",
                    onednn::isa(), name_of(isa)));
}

bool multiplies_bf16() {
  const auto found = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto wanted = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (found & wanted) == wanted;
}

std::string version() {
  const dnnl_version_t* v = dnnl_version();
  return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

std::string isa() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx2:
      return "avx2";
    case dnnl::cpu_isa::avx2_vnni:
      return "avx2_vnni";
    case dnnl::cpu_isa::avx512_core:
      return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_amx:
      return "avx512_core_amx";
    default:
      return fmt::format("isa {:#x}", static_cast<unsigned>(dnnl::get_effective_cpu_isa()));
  }
}

std::unique_ptr<LayerPrimitive> make_conv(const ConvSizes& conv, Direction direction, int threads,
                                          std::string* reason) {
  return with_relu<LayerPrimitive>(bind_conv(conv, direction, memory::data_type::f32, threads, reason), conv, direction, threads);
}

std::unique_ptr<LayerPrimitive> make_dense(const DenseSizes& dense, Direction direction, int threads,
                                           std::string* reason) {
  return with_relu<LayerPrimitive>(bind_dense(dense, direction, memory::data_type::f32, threads, reason), dense, direction, threads);
}

std::unique_ptr<NarrowPrimitive> make_conv_bf16(const ConvSizes& conv, Direction direction, int threads,
                                                std::string* reason) {
  if (!takes_bf16(reason)) return nullptr;
  return with_relu<NarrowPrimitive>(bind_conv(conv, direction, memory::data_type::bf16, threads, reason), conv, direction, threads);
}

std::unique_ptr<NarrowPrimitive> make_dense_bf16(const DenseSizes& dense, Direction direction, int threads,
                                                 std::string* reason) {
  if (!takes_bf16(reason)) return nullptr;
  return with_relu<NarrowPrimitive>(bind_dense(dense, direction, memory::data_type::bf16, threads, reason), dense, direction, threads);
}

}  // namespace convoy::onednn
