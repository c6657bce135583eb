#pragma once
// The parameters and running statistics of a network as PyTorch lays them out: what safetensors and ONNX files of other
// programs expect.
//   filters of a convolution     here [o, k.., c / groups], there [o, c / groups, k..]
//   weights of a dense layer     rows are the same; behind a map [s.., c] columns count s.. c here, c s.. there
//   everything else              the same
#include <string>
#include <vector>

#include "core/models/training.h"

namespace convoy {

struct OutsideTensor {
  std::string name;                // here: "stage1/block1/conv1/filters"
  Role role = Role::parameter;     // parameter, state or constant
  std::string layer, leaf;         // "stage1/block1/conv1", "filters"
  Shape here, there;
  std::int64_t channels = 0;       // the innermost axis here that lies before the spatial ones there; 0: the same layout
};

/// All of a graph, in the order in which the network reads them.
std::vector<OutsideTensor> outside_tensors(const Graph& graph);

/// float32 in the layout here -> a copy in the layout there.
Tensor to_outside(const Tensor& tensor, const OutsideTensor& what);
/// The way back, into memory of the shape here; `tensor` is of the shape there and f32, f64, bf16 or f16 (f64 is rounded).
void from_outside(const Tensor& tensor, const OutsideTensor& what, Tensor& into);

}  // namespace convoy
