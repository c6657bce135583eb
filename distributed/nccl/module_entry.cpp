// What the binary sees of libconvoy_nccl.so (distributed/nccl_module.h).
#include "distributed/nccl/nccl_communicator.h"
#include "distributed/nccl_module.h"

extern "C" __attribute__((visibility("default"))) const convoy::ModuleHead* convoy_nccl_module() {
  static const convoy::NcclModule module{{convoy::module_build()}, convoy::nccl::version, convoy::nccl::make_communicator};
  return &module.head;
}
