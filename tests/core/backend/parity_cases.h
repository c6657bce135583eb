#pragma once
// The cases of the parity tests, by family; each family's forward and backward ops in one list.
#include "support/parity.h"

namespace convoy::test {

/// A grid over padding modes, strides, dilations, groups, odd sizes, 1 to 3 axes.
std::vector<ParityFamily> conv_grid();
/// Convolutions of lenet-5, resnet-20, resnet-50 and vgg.
std::vector<ParityFamily> conv_layers();
std::vector<ParityFamily> dense_families();
std::vector<ParityFamily> pool_families();
std::vector<ParityFamily> batch_norm_families();
std::vector<ParityFamily> global_batch_norm_families();
std::vector<ParityFamily> elementwise_families();
std::vector<ParityFamily> chain_families();     // elementwise_chain
std::vector<ParityFamily> channel_families();
std::vector<ParityFamily> loss_families();
std::vector<ParityFamily> data_families();    // prepare, dropout, paths
/// Local response normalisation, layer normalisation.
std::vector<ParityFamily> row_families();
std::vector<ParityFamily> resample_families();
/// A NaN among the operands of what ends in an activation, and of pools: for expect_not_a_number.
std::vector<ParityFamily> not_a_number_families();
std::vector<ParityFamily> update_families();  // weight_update, running_update, step_guard

}  // namespace convoy::test
