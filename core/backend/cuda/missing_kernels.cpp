// Stands in for kernels that other branches still write: weak, so that the real ones take their place as they are merged.
#include "core/backend/cuda/cuda_backend.h"
#include "core/backend/cuda/kernels.h"

namespace convoy::cuda {

#define CONVOY_MISSING(name)                                                                         \
  __attribute__((weak)) Bound name(const Context&, const OpDesc&, std::string* reason) {             \
    *reason = "not written yet";                                                                     \
    return nullptr;                                                                                  \
  }
CONVOY_MISSING(bind_conv_cudnn)
CONVOY_MISSING(bind_dense_cublas)
CONVOY_MISSING(bind_conv_direct)
CONVOY_MISSING(bind_dense_direct)
CONVOY_MISSING(bind_activation)
CONVOY_MISSING(bind_activation_backward)
CONVOY_MISSING(bind_add)
CONVOY_MISSING(bind_multiply)
CONVOY_MISSING(bind_cast)
CONVOY_MISSING(bind_channel_operand)
CONVOY_MISSING(bind_channel_sum)
CONVOY_MISSING(bind_batch_norm)
CONVOY_MISSING(bind_batch_norm_inference)
CONVOY_MISSING(bind_batch_norm_backward)
CONVOY_MISSING(bind_pool)
CONVOY_MISSING(bind_pool_backward)
CONVOY_MISSING(bind_dropout)
CONVOY_MISSING(bind_concat)
CONVOY_MISSING(bind_slice)
CONVOY_MISSING(bind_pad_channels)
CONVOY_MISSING(bind_connections)
CONVOY_MISSING(bind_softmax)
CONVOY_MISSING(bind_softmax_backward)
CONVOY_MISSING(bind_element_loss)
CONVOY_MISSING(bind_element_loss_backward)
CONVOY_MISSING(bind_top_k)
CONVOY_MISSING(bind_sum_weights)
CONVOY_MISSING(bind_prepare)
CONVOY_MISSING(bind_sgd)
CONVOY_MISSING(bind_running)
CONVOY_MISSING(bind_guard)
__attribute__((weak)) Bound bind_sgd_together(const Context&, std::span<const OpDesc>) { return nullptr; }
__attribute__((weak)) Bound bind_running_together(const Context&, std::span<const OpDesc>) { return nullptr; }

__attribute__((weak)) std::shared_ptr<Libraries> open_libraries(const Context&, const CudaOptions&) { return nullptr; }
__attribute__((weak)) std::vector<std::pair<std::string, std::string>> library_versions(const Libraries&) { return {}; }
__attribute__((weak)) std::string library_plans(const Libraries&) { return {}; }
__attribute__((weak)) void adopt_library_plans(Libraries&, const std::string&) {}

}  // namespace convoy::cuda
