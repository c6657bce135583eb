#include "distributed/server/parameter_server.h"

#include <fmt/format.h>

#include <cstring>

#include "core/tensor/error.h"

namespace convoy {
namespace {

// A worker that asks ahead has pulled once more before its push arrives; one more pull may be on its way.
constexpr std::size_t kKeptPulls = 3;

}  // namespace

ParameterServer::ParameterServer(Slice& slice, bool keeps_pulled) : slice_(slice), keeps_pulled_(keeps_pulled) {}

void ParameterServer::take(const PushName& push, Payload slice) {
  if (slice.bytes < slice_.leaf() * sizeof(float))
    throw Error(fmt::format("push {} of worker {}: {} bytes where the slice has {} floats", push.second, push.first, slice.bytes,
                            slice_.leaf()));
  pushes_[push] = std::move(slice);
}

void ParameterServer::forget(std::int32_t worker) {
  std::erase_if(pushes_, [&](const auto& entry) { return entry.first.first == worker; });
  pulled_.erase(worker);
}

void ParameterServer::apply(const Update& update) {
  float* sum = sum_of(update.pushes);
  slice_.apply(update, sum, keeps_pulled_ ? pulled_at(update.pushes.front().first, update.pulled) : nullptr);
  for (const PushName& push : update.pushes) pushes_.erase(push);
  ++applied_;
}

float* ParameterServer::sum_of(const std::vector<PushName>& pushes) {
  const auto leaf_of = [&](const PushName& push) {
    const auto found = pushes_.find(push);
    if (found == pushes_.end()) throw Error(fmt::format("push {} of worker {} is to be applied, but is not here", push.second, push.first));
    return found->second.as<float>();
  };
  if (pushes.size() == 1) return leaf_of(pushes.front());
  const int leaves = static_cast<int>(pushes.size());
  std::unique_ptr<LocalSums>& sums = sums_[pushes.size()];
  if (!sums) sums = std::make_unique<LocalSums>(0, leaves, leaves, slice_.leaf(), 1, SumRounding::none);
  sums->clear();
  for (int leaf = 0; leaf < leaves; ++leaf) sums->add_leaf(leaf, leaf_of(pushes[static_cast<std::size_t>(leaf)]));
  return sums->sums().front();
}

const float* ParameterServer::pulled_at(std::int32_t worker, std::int64_t version) const {
  if (const auto found = pulled_.find(worker); found != pulled_.end())
    for (const auto& [at, payload] : found->second)
      if (at == version) return payload.as<float>();
  return nullptr;
}

Payload ParameterServer::pull(std::int32_t worker, std::int64_t version) {
  if (version != handed_version_) {
    handed_out_ = pool_.take(slice_.parameters() * sizeof(float));
    std::memcpy(handed_out_.data.get(), slice_.values(), handed_out_.bytes);
    handed_version_ = version;
  }
  if (keeps_pulled_) {
    auto& kept = pulled_[worker];
    kept.emplace_back(version, handed_out_);
    if (kept.size() > kKeptPulls) kept.pop_front();
  }
  return handed_out_;
}

Payload ParameterServer::state() {
  Payload all = pool_.take(slice_.state() * sizeof(float));
  slice_.write_state(all.as<float>());
  return all;
}

std::size_t ParameterServer::memory_bytes() const {
  std::size_t bytes = handed_out_.bytes;
  for (const auto& [name, payload] : pushes_) bytes += payload.bytes;
  for (const auto& [leaves, sums] : sums_) bytes += sums->memory_bytes();
  return bytes;
}

}  // namespace convoy
