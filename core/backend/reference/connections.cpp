// compact [l, k], filters [o, k, c]; link l joins output map o and input map c.
#include <algorithm>

#include "core/backend/reference/kernels.h"

namespace convoy::reference {
namespace {

/// Calls visit(i, j) for every element i of the compact filters and its place j in the full ones.
template <typename Visit>
void for_each_place(const ConnectionsAttributes& a, std::int64_t K, Visit visit) {
  for (std::int64_t l = 0; l < static_cast<std::int64_t>(a.links.size()); ++l) {
    const auto [o, c] = a.links[static_cast<std::size_t>(l)];
    for (std::int64_t k = 0; k < K; ++k) visit(l * K + k, (o * K + k) * a.inputs + c);
  }
}

}  // namespace

/// filters[o, k, c] = compact[l, k] for each link l = (o, c), zero elsewhere
void scatter_connections(const OpDesc& op, const KernelArguments& arguments) {
  const Shape& shape = op.inputs[0].shape;
  const double* compact = in(arguments, 0);
  double* filters = out(arguments, 0);
  std::fill_n(filters, op.outputs[0].shape.elements(), 0.0);
  for_each_place(attributes<ConnectionsAttributes>(op), shape.elements(1, shape.rank()),
                 [&](std::int64_t i, std::int64_t j) { filters[j] = compact[i]; });
}

/// compact[l, k] = filters[o, k, c] for each link l = (o, c)
void gather_connections(const OpDesc& op, const KernelArguments& arguments) {
  const Shape& shape = op.outputs[0].shape;
  const double* filters = in(arguments, 0);
  double* compact = out(arguments, 0);
  for_each_place(attributes<ConnectionsAttributes>(op), shape.elements(1, shape.rank()),
                 [&](std::int64_t i, std::int64_t j) { compact[i] = filters[j]; });
}

}  // namespace convoy::reference
