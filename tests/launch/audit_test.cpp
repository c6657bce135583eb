// Parameters that differ between ranks are found, named, and mended by majority.
#include "launch/train/audit.h"

#include <gtest/gtest.h>

#include "support/on_ranks.h"

namespace convoy {
namespace {

ModelState small_state() {
  ModelState state;
  for (const char* name : {"conv1/bias", "conv1/filters"}) {
    Tensor tensor(Shape{5}, DType::f32);
    for (float& value : tensor.values<float>()) value = 0.25F;
    state.parameters.emplace(name, tensor);
    state.slots.emplace("momentum/" + std::string(name), Tensor(Shape{5}, DType::f32));
  }
  return state;
}

void flip(Tensor& tensor) { tensor.bytes()[9] ^= std::byte{4}; }

TEST(Audit, FindsNothingWhereAllRanksAgree) {
  on_ranks(3, [](Communicator& world) {
    const ModelState state = small_state();
    EXPECT_TRUE(audit_state(state, world, 7).empty());
  });
}

TEST(Audit, NamesTheTensorAndTheRankThatDiffers) {
  on_ranks(3, [](Communicator& world) {
    ModelState state = small_state();
    if (world.rank() == 1) flip(state.parameters.at("conv1/filters"));
    const auto findings = audit_state(state, world, 7);
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(sentence_of(findings[0], 3), "parameters/conv1/filters differs on rank 1 from the 2 ranks that agree");
    EXPECT_EQ(findings[0].majority, 0);
  });
}

TEST(Audit, LooksAtTheOptimizersSlotsToo) {
  on_ranks(3, [](Communicator& world) {
    ModelState state = small_state();
    if (world.rank() == 0) flip(state.slots.at("momentum/conv1/bias"));
    const auto findings = audit_state(state, world, 7);
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].tensor, "optimizer/momentum/conv1/bias");
    EXPECT_EQ(findings[0].ranks, std::vector<int>{0});
    EXPECT_EQ(findings[0].majority, 1);
  });
}

TEST(Audit, CopiesTheMajoritysTensor) {
  on_ranks(3, [](Communicator& world) {
    ModelState state = small_state();
    if (world.rank() == 0) flip(state.parameters.at("conv1/bias"));
    EXPECT_TRUE(repair_by_majority(state, audit_state(state, world, 7), world, 7));
    EXPECT_TRUE(audit_state(state, world, 7).empty());
    EXPECT_EQ(state.parameters.at("conv1/bias").values<float>()[2], 0.25F);
  });
}

TEST(Audit, RepairsNothingWhereTwoRanksDisagree) {
  on_ranks(2, [](Communicator& world) {
    ModelState state = small_state();
    if (world.rank() == 1) flip(state.parameters.at("conv1/bias"));
    const auto findings = audit_state(state, world, 7);
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(sentence_of(findings[0], 2),
              "parameters/conv1/bias differs between ranks 0, 1, and no copy has a majority");
    EXPECT_FALSE(repair_by_majority(state, findings, world, 7));
    EXPECT_FALSE(audit_state(state, world, 7).empty());
  });
}

}  // namespace
}  // namespace convoy
