#include "core/backend/backend.h"

#include <fmt/format.h>

#include "core/tensor/error.h"

namespace convoy {

std::unique_ptr<Kernel> Backend::bind(const OpDesc& op, int threads) const {
  std::string reasons;
  auto kernel = try_bind(op, threads, &reasons);
  if (kernel == nullptr)
    throw UsageError(fmt::format("the {} backend cannot run the op {}: {}", name(), op_def(op.kind).name, reasons));
  return kernel;
}

std::string Backend::declines(const OpDesc& op) const {
  std::string reasons;
  return try_bind(op, 1, &reasons) != nullptr ? std::string() : reasons;
}

}  // namespace convoy
