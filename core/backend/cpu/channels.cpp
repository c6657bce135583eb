// Ops on channels: operands and sums per channel, joining and cutting the last axis, LeNet-5's connections.
#include <algorithm>

#include "core/backend/cpu/channel_columns.h"
#include "core/backend/cpu/kernels.h"

namespace convoy::cpu {
namespace {

/// Bytes for the sums of all blocks and the folded sums.
std::size_t sums_bytes(const Columns& columns) {
  return round_up_64(static_cast<std::size_t>(columns.blocks() * columns.period) * sizeof(float)) +
         round_up_64(static_cast<std::size_t>(columns.channels) * sizeof(double));
}

/// Rows of `from_width` values, `count` of them from column `from` on, to column `to` of rows of `to_width`.
struct ColumnCopy {
  std::int64_t rows, from_width, from, to_width, to, count;
  void operator()(const float* x, float* y, std::int64_t first_row, std::int64_t last_row) const {
    for (std::int64_t r = first_row; r < last_row; ++r)
      std::copy_n(x + r * from_width + from, count, y + r * to_width + to);
  }
};

constexpr std::int64_t kRowBlock = 1024;

std::int64_t rows_of(const Shape& shape) { return shape.elements() / shape[-1]; }

}  // namespace

Bound bind_channel_operand(const OpDesc& op, int threads, std::string*) {
  const Columns columns(op.inputs[0].shape.elements(), op.inputs[0].shape[-1]);
  const auto f = op.kind == OpKind::add_channels ? channel_kernels().add : channel_kernels().multiply;
  KernelSpec spec;
  spec.scratch_bytes = static_cast<std::size_t>(columns.period) * sizeof(float);
  spec.in_place = {{0, 0}};
  spec.run = [=](const KernelArguments& arguments) {
    auto* operand = static_cast<float*>(arguments.scratch);
    columns.spread(input<float>(arguments, 1), operand);
    parallel_for(threads, columns.blocks(), [&](std::int64_t b) {
      const std::int64_t begin = b * columns.block;
      f(input<float>(arguments, 0) + begin, operand, output<float>(arguments, 0) + begin, columns.length(b),
        columns.period);
    });
  };
  return make_vector_kernel(std::move(spec));
}

Bound bind_channel_sum(const OpDesc& op, int threads, std::string*) {
  const Columns columns(op.inputs[0].shape.elements(), op.inputs[0].shape[-1]);
  const ChannelKernels* k = &channel_kernels();
  const bool dot = op.kind == OpKind::dot_to_channels;
  KernelSpec spec;
  spec.scratch_bytes = sums_bytes(columns);
  spec.run = [=](const KernelArguments& arguments) {
    auto* sums = static_cast<double*>(arguments.scratch);
    auto* parts =
        reinterpret_cast<float*>(static_cast<std::byte*>(arguments.scratch) +
                                 round_up_64(static_cast<std::size_t>(columns.channels) * sizeof(double)));
    parallel_for(threads, columns.blocks(), [&](std::int64_t b) {
      const float* x = input<float>(arguments, 0) + b * columns.block;
      if (dot)
        k->dot(x, input<float>(arguments, 1) + b * columns.block, parts + b * columns.period, columns.length(b),
               columns.period);
      else
        k->sum(x, parts + b * columns.period, columns.length(b), columns.period);
    });
    columns.fold(parts, sums);
    std::transform(sums, sums + columns.channels, output<float>(arguments, 0),
                   [](double s) { return static_cast<float>(s); });
  };
  return make_vector_kernel(std::move(spec));
}

Bound bind_concat(const OpDesc& op, int threads, std::string*) {
  const Shape& y = op.outputs[0].shape;
  std::vector<ColumnCopy> copies;
  std::int64_t at = 0;
  for (const TensorDesc& x : op.inputs) {
    const std::int64_t width = x.shape[-1];
    copies.push_back({rows_of(y), width, 0, y[-1], at, width});
    at += width;
  }
  const std::int64_t rows = rows_of(y);
  return make_kernel({.implementation = "copy", .run = [=](const KernelArguments& arguments) {
                        parallel_blocks(threads, rows, kRowBlock, [&](std::int64_t begin, std::int64_t n) {
                          for (std::size_t i = 0; i < copies.size(); ++i)
                            copies[i](input<float>(arguments, static_cast<int>(i)), output<float>(arguments, 0),
                                      begin, begin + n);
                        });
                      }});
}

Bound bind_slice(const OpDesc& op, int threads, std::string*) {
  const auto& channels = std::get<ChannelsAttributes>(op.attributes);
  const Shape& x = op.inputs[0].shape;
  const ColumnCopy copy{rows_of(x), x[-1], channels.begin, channels.count, 0, channels.count};
  return make_kernel({.implementation = "copy", .run = [=](const KernelArguments& arguments) {
                        parallel_blocks(threads, copy.rows, kRowBlock, [&](std::int64_t begin, std::int64_t n) {
                          copy(input<float>(arguments, 0), output<float>(arguments, 0), begin, begin + n);
                        });
                      }});
}

Bound bind_pad_channels(const OpDesc& op, int threads, std::string*) {
  const auto& channels = std::get<ChannelsAttributes>(op.attributes);
  const Shape& x = op.inputs[0].shape;
  const ColumnCopy copy{rows_of(x), x[-1], 0, channels.count, channels.begin, x[-1]};
  return make_kernel({.implementation = "copy", .run = [=](const KernelArguments& arguments) {
                        float* y = output<float>(arguments, 0);
                        parallel_blocks(threads, copy.rows, kRowBlock, [&](std::int64_t begin, std::int64_t n) {
                          std::fill_n(y + begin * copy.to_width, n * copy.to_width, 0.0f);
                          copy(input<float>(arguments, 0), y, begin, begin + n);
                        });
                      }});
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
