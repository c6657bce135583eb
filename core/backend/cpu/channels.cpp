// Ops on channels: operands and sums per channel, joining and cutting the last axis, LeNet-5's connections.
#include <algorithm>

#include "core/backend/cpu/channel_columns.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/reals.h"

namespace convoy::cpu {
namespace {

/// Bytes for the sums of all blocks and the folded sums.
std::size_t sums_bytes(const Columns& columns) {
  return round_up_64(static_cast<std::size_t>(columns.blocks() * columns.period) * sizeof(float)) +
         round_up_64(static_cast<std::size_t>(columns.channels) * sizeof(double));
}

/// Rows of `from_width` values, `count` of them from column `from` on, to column `to` of rows of `to_width`. T: a number of
/// the operands' size.
struct ColumnCopy {
  std::int64_t from_width, from, to_width, to, count;
  template <typename T>
  void operator()(const T* x, T* y, std::int64_t first_row, std::int64_t last_row) const {
    for (std::int64_t r = first_row; r < last_row; ++r)
      std::copy_n(x + r * from_width + from, count, y + r * to_width + to);
  }
};

constexpr std::int64_t kRowBlock = 1024;

/// Floats that a thread widens blocks of narrow numbers to, `each` blocks for each thread.
std::size_t buffers_bytes(const Reals& reals, const Columns& columns, int threads, int each) {
  return reals.narrow() ? static_cast<std::size_t>(threads * each * columns.block) * sizeof(float) : 0;
}

/// f32 numbers, or 16 bits of any kind.
bool is_wide(const OpDesc& op) { return op.inputs[0].dtype == DType::f32; }

std::int64_t rows_of(const Shape& shape) { return shape.elements() / shape[-1]; }

}  // namespace

Bound bind_channel_operand(const OpDesc& op, int threads, std::string*) {
  const Columns columns(op.inputs[0].shape.elements(), op.inputs[0].shape[-1]);
  const auto f = op.kind == OpKind::add_channels ? channel_kernels().add : channel_kernels().multiply;
  const Reals reals(op.inputs[0].dtype);
  KernelSpec spec;
  const std::size_t operand_bytes = round_up_64(static_cast<std::size_t>(columns.period) * sizeof(float));
  spec.scratch_bytes = operand_bytes + buffers_bytes(reals, columns, threads, 1);
  spec.in_place = {{0, 0}};
  spec.run = [=](const KernelArguments& arguments) {
    auto* operand = static_cast<float*>(arguments.scratch);
    auto* buffers = reinterpret_cast<float*>(static_cast<std::byte*>(arguments.scratch) + operand_bytes);
    columns.spread(input<float>(arguments, 1), operand);
    parallel_for_slots(threads, columns.blocks(), [&](std::int64_t b, int slot) {
      const std::int64_t begin = b * columns.block, n = columns.length(b);
      float* buffer = buffers + slot * columns.block;
      f(reals.read(input<void>(arguments, 0), begin, n, buffer), operand,
        reals.place(output<void>(arguments, 0), begin, buffer), n, columns.period);
      reals.put(output<void>(arguments, 0), begin, n, buffer);
    });
  };
  return make_vector_kernel(std::move(spec));
}

Bound bind_channel_sum(const OpDesc& op, int threads, std::string*) {
  const Columns columns(op.inputs[0].shape.elements(), op.inputs[0].shape[-1]);
  const ChannelKernels* k = &channel_kernels();
  const bool dot = op.kind == OpKind::dot_to_channels;
  const Reals reals(op.inputs[0].dtype);
  KernelSpec spec;
  const std::size_t before_buffers = sums_bytes(columns);
  spec.scratch_bytes = before_buffers + buffers_bytes(reals, columns, threads, 2);
  spec.run = [=](const KernelArguments& arguments) {
    auto* sums = static_cast<double*>(arguments.scratch);
    auto* parts =
        reinterpret_cast<float*>(static_cast<std::byte*>(arguments.scratch) +
                                 round_up_64(static_cast<std::size_t>(columns.channels) * sizeof(double)));
    auto* buffers = reinterpret_cast<float*>(static_cast<std::byte*>(arguments.scratch) + before_buffers);
    parallel_for_slots(threads, columns.blocks(), [&](std::int64_t b, int slot) {
      const std::int64_t begin = b * columns.block, n = columns.length(b);
      float* buffer = buffers + 2 * slot * columns.block;
      const float* x = reals.read(input<void>(arguments, 0), begin, n, buffer);
      if (dot)
        k->dot(x, reals.read(input<void>(arguments, 1), begin, n, buffer + columns.block), parts + b * columns.period, n,
               columns.period);
      else
        k->sum(x, parts + b * columns.period, n, columns.period);
    });
    columns.fold(parts, sums);
    std::transform(sums, sums + columns.channels, output<float>(arguments, 0),
                   [](double s) { return static_cast<float>(s); });
  };
  return make_vector_kernel(std::move(spec));
}

namespace {

template <typename T>
Bound copy_columns(const std::vector<ColumnCopy>& copies, std::int64_t rows, bool pads, int threads) {
  return make_kernel({.implementation = "copy", .run = [=](const KernelArguments& arguments) {
    T* y = output<T>(arguments, 0);
    parallel_blocks(threads, rows, kRowBlock, [&](std::int64_t begin, std::int64_t n) {
      if (pads) std::fill_n(y + begin * copies[0].to_width, n * copies[0].to_width, T{});
      for (std::size_t i = 0; i < copies.size(); ++i)
        copies[i](input<T>(arguments, static_cast<int>(i)), y, begin, begin + n);
    });
  }});
}

Bound copy_columns(const OpDesc& op, const std::vector<ColumnCopy>& copies, int threads) {
  const bool pads = op.kind == OpKind::pad_channels;
  const std::int64_t rows = rows_of(op.inputs[0].shape);
  return is_wide(op) ? copy_columns<float>(copies, rows, pads, threads)
                     : copy_columns<std::uint16_t>(copies, rows, pads, threads);
}

}  // namespace

Bound bind_concat(const OpDesc& op, int threads, std::string*) {
  const std::int64_t all = op.outputs[0].shape[-1];
  std::vector<ColumnCopy> copies;
  std::int64_t at = 0;
  for (const TensorDesc& x : op.inputs) {
    const std::int64_t width = x.shape[-1];
    copies.push_back({width, 0, all, at, width});
    at += width;
  }
  return copy_columns(op, copies, threads);
}

Bound bind_slice(const OpDesc& op, int threads, std::string*) {
  const auto& channels = std::get<ChannelsAttributes>(op.attributes);
  return copy_columns(op, {{op.inputs[0].shape[-1], channels.begin, channels.count, 0, channels.count}}, threads);
}

Bound bind_pad_channels(const OpDesc& op, int threads, std::string*) {
  const auto& channels = std::get<ChannelsAttributes>(op.attributes);
  const std::int64_t width = op.inputs[0].shape[-1];
  return copy_columns(op, {{width, 0, channels.count, channels.begin, width}}, threads);
}

Bound bind_connections(const OpDesc& op, int, std::string*) {
  const auto& connections = std::get<ConnectionsAttributes>(op.attributes);
  const bool scatter = op.kind == OpKind::scatter_connections;
  const Shape& full = scatter ? op.outputs[0].shape : op.inputs[0].shape;  // [o, k.., c]
  const std::int64_t c = full[-1], taps = full.elements(1, full.rank() - 1), size = full.elements();
  return make_kernel(
      {.implementation = "copy", .run = [=, links = connections.links](const KernelArguments& arguments) {
         const float* from = input<float>(arguments, 0);
         float* to = output<float>(arguments, 0);
         if (scatter) std::fill_n(to, size, 0.0f);
         for (std::size_t i = 0; i < links.size(); ++i)
           for (std::int64_t t = 0; t < taps; ++t) {
             const std::int64_t compact = static_cast<std::int64_t>(i) * taps + t;
             const std::int64_t place = (links[i].first * taps + t) * c + links[i].second;
             if (scatter)
               to[place] = from[compact];
             else
               to[compact] = from[place];
           }
       }});
}

}  // namespace convoy::cpu
