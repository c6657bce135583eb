// Ops that move channels without arithmetic: rows of a result are laid together from pieces of rows of the
// inputs, in the largest units of bytes that everything is a multiple of. And LeNet-5's connections.
#include <algorithm>
#include <vector>

#include "core/backend/cuda/index.h"
#include "core/backend/cuda/lanes.h"

namespace convoy::cuda {
namespace {

/// Pieces of one launch; more of them take several.
constexpr int kPieces = 16;

/// Columns [begin, end) of the rows of the result are columns from `offset` on of rows of `width`; all in
/// units.
struct Piece {
  const void* from;  // null: zeros
  std::uint32_t begin, end, offset, width;
};

struct Pieces {
  Piece at[kPieces];
  int count;
  std::uint32_t first, row;  // the launch's first column, and the columns of a whole row
  Divisor columns;           // of the launch
};

/// to [rows, row]; an item is one unit of the launch's columns.
template <typename Unit>
__global__ void lay(Pieces pieces, Unit* to, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t row = item;
  const std::uint32_t column = pieces.first + pieces.columns.take(row);
  int i = 0;
  while (i + 1 < pieces.count && column >= pieces.at[i].end) ++i;
  const Piece& piece = pieces.at[i];
  Unit unit{};
  if (piece.from != nullptr)
    unit = static_cast<const Unit*>(
        piece.from)[static_cast<std::int64_t>(row) * piece.width + piece.offset + column - piece.begin];
  to[static_cast<std::int64_t>(row) * pieces.row + column] = unit;
}

/// One piece before memory is known: channels.
struct Columns {
  int input;  // -1: zeros
  std::int64_t count, offset, width;
};

/// Rows first to first + count of all pieces.
template <typename Unit>
void lay_rows(const std::vector<Columns>& columns, std::int64_t per_unit, std::int64_t row, std::int64_t first,
              std::int64_t count, const KernelArguments& arguments, cudaStream_t stream) {
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < columns.size(); i += kPieces) {
    Pieces pieces{};
    pieces.first = static_cast<std::uint32_t>(begin);
    pieces.row = static_cast<std::uint32_t>(row);
    for (std::size_t j = i; j < std::min(columns.size(), i + kPieces); ++j) {
      const Columns& c = columns[j];
      const std::int64_t end = begin + c.count / per_unit, width = c.width / per_unit;
      const Unit* from = c.input < 0 ? nullptr : input<Unit>(arguments, c.input) + first * width;
      pieces.at[pieces.count++] = {from, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end),
                                   static_cast<std::uint32_t>(c.offset / per_unit),
                                   static_cast<std::uint32_t>(width)};
      begin = end;
    }
    const std::int64_t launched = begin - pieces.first;
    pieces.columns = Divisor(launched);
    const std::int64_t items = count * launched;
    launch(lay<Unit>, blocks_for(items), kThreads, stream, pieces, output<Unit>(arguments, 0) + first * row,
           static_cast<std::uint32_t>(items));
  }
}

/// Units of 16 bytes.
struct alignas(16) Sixteen {
  std::uint32_t words[4];
};

/// The result's rows of `row` channels, laid together from `columns`.
Bound bind_lay(const Context& context, const OpDesc& op, std::vector<Columns> columns, std::string* reason) {
  const Shape& y = op.outputs[0].shape;
  const std::int64_t row = y[-1], rows = y.elements() / std::max<std::int64_t>(row, 1);
  const auto size = static_cast<std::int64_t>(size_of(op.outputs[0].dtype));
  if (too_many(row, reason)) return nullptr;
  std::erase_if(columns, [](const Columns& c) { return c.count == 0; });
  const auto fits = [&](std::int64_t bytes) {
    return row * size % bytes == 0 && std::all_of(columns.begin(), columns.end(), [&](const Columns& c) {
             return c.count * size % bytes == 0 && c.offset * size % bytes == 0 && c.width * size % bytes == 0;
           });
  };
  const auto bind = [&]<typename Unit>(Unit) {
    const std::int64_t per_unit = static_cast<std::int64_t>(sizeof(Unit)) / size, units = row / per_unit;
    return make_kernel(
        context, {.implementation = "copy", .run = [=](const KernelArguments& arguments, cudaStream_t stream) {
                    for_samples(rows, units, [&](std::int64_t first, std::int64_t count) {
                      lay_rows<Unit>(columns, per_unit, units, first, count, arguments, stream);
                    });
                  }});
  };
  if (fits(16)) return bind(Sixteen{});
  if (fits(8)) return bind(std::uint64_t{});
  if (fits(4)) return bind(std::uint32_t{});
  return bind(std::uint16_t{});
}

/// Links of one launch.
constexpr int kLinks = 256;

struct Links {
  int output[kLinks], input[kLinks];
  std::uint32_t inputs, first;  // input maps of the full filters; the first link's number
  Divisor taps;
};

/// compact [links, taps], full [outputs, taps, inputs]; an item is one element of the compact filters.
template <bool Scatter>
__global__ void connect(Links links, const float* from, float* to, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  std::uint32_t link = item;
  const std::uint32_t tap = links.taps.take(link);
  const std::int64_t compact = static_cast<std::int64_t>(links.first + link) * links.taps.value() + tap;
  const std::int64_t full =
      (static_cast<std::int64_t>(links.output[link]) * links.taps.value() + tap) * links.inputs +
      links.input[link];
  if constexpr (Scatter)
    to[full] = from[compact];
  else
    to[compact] = from[full];
}

template <bool Scatter>
void connect_all(const ConnectionsAttributes& connections, std::int64_t taps, const KernelArguments& arguments,
                 cudaStream_t stream) {
  const auto count = static_cast<std::int64_t>(connections.links.size());
  for (std::int64_t first = 0; first < count; first += kLinks) {
    const std::int64_t here = std::min<std::int64_t>(kLinks, count - first);
    Links links{};
    for (std::int64_t i = 0; i < here; ++i) {
      links.output[i] = connections.links[static_cast<std::size_t>(first + i)].first;
      links.input[i] = connections.links[static_cast<std::size_t>(first + i)].second;
    }
    links.inputs = static_cast<std::uint32_t>(connections.inputs);
    links.first = static_cast<std::uint32_t>(first);
    links.taps = Divisor(taps);
    launch(connect<Scatter>, blocks_for(here * taps), kThreads, stream, links, input<float>(arguments, 0),
           output<float>(arguments, 0), static_cast<std::uint32_t>(here * taps));
  }
}

}  // namespace

Bound bind_concat(const Context& context, const OpDesc& op, std::string* reason) {
  std::vector<Columns> columns;
  for (const TensorDesc& x : op.inputs)
    columns.push_back({static_cast<int>(columns.size()), x.shape[-1], 0, x.shape[-1]});
  return bind_lay(context, op, std::move(columns), reason);
}

Bound bind_slice(const Context& context, const OpDesc& op, std::string* reason) {
  const auto& channels = std::get<ChannelsAttributes>(op.attributes);
  const std::int64_t width = op.inputs[0].shape[-1];
  if (too_many(width, reason)) return nullptr;
  return bind_lay(context, op, {{0, channels.count, channels.begin, width}}, reason);
}

Bound bind_pad_channels(const Context& context, const OpDesc& op, std::string* reason) {
  const auto& channels = std::get<ChannelsAttributes>(op.attributes);
  const std::int64_t width = op.inputs[0].shape[-1];
  return bind_lay(
      context, op,
      {{-1, channels.begin, 0, 0}, {0, width, 0, width}, {-1, channels.count - channels.begin - width, 0, 0}},
      reason);
}

Bound bind_connections(const Context& context, const OpDesc& op, std::string* reason) {
  const auto& connections = std::get<ConnectionsAttributes>(op.attributes);
  const bool scatter = op.kind == OpKind::scatter_connections;
  const Shape& full = scatter ? op.outputs[0].shape : op.inputs[0].shape;  // [o, k.., c]
  const std::int64_t taps = full.elements(1, full.rank() - 1);
  if (too_many(kLinks * taps, reason)) return nullptr;
  const auto bytes = static_cast<std::size_t>(full.elements()) * sizeof(float);
  return make_kernel(
      context, {.implementation = "copy", .run = [=](const KernelArguments& arguments, cudaStream_t stream) {
                  if (!scatter) return connect_all<false>(connections, taps, arguments, stream);
                  CONVOY_CUDA(cudaMemsetAsync(output<float>(arguments, 0), 0, bytes, stream));
                  connect_all<true>(connections, taps, arguments, stream);
                }});
}

}  // namespace convoy::cuda
