#include "distributed/server/frame.h"

#include <map>
#include <new>

namespace convoy {
namespace {

constexpr std::align_val_t kAlignment{64};

}  // namespace

struct PayloadPool::Store {
  std::mutex mutex;
  std::multimap<std::size_t, std::byte*> free;  // by size; guarded by mutex

  ~Store() {
    for (const auto& [bytes, memory] : free) ::operator delete(memory, kAlignment);
  }
};

PayloadPool::PayloadPool() : store_(std::make_shared<Store>()) {}

Payload PayloadPool::take(std::size_t bytes) {
  std::byte* memory = nullptr;
  {
    const std::lock_guard lock(store_->mutex);
    if (const auto found = store_->free.find(bytes); found != store_->free.end()) {
      memory = found->second;
      store_->free.erase(found);
    }
  }
  if (!memory) memory = static_cast<std::byte*>(::operator new(bytes, kAlignment));
  const auto give_back = [store = store_, bytes](std::byte* used) {
    const std::lock_guard lock(store->mutex);
    store->free.emplace(bytes, used);
  };
  return {std::shared_ptr<std::byte>(memory, give_back), bytes};
}

}  // namespace convoy
