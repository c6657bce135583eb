#include "io/ring_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <mutex>
#include <system_error>
#include <thread>

#include <fmt/format.h>

#include "io/files.h"
#include "io/ring_format.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using ring_format::Header;
using namespace std::chrono_literals;

constexpr auto kInterval = std::chrono::nanoseconds(kRingIntervalNs);
constexpr auto kRetry = 1s;              // after an error: the file system may come back
constexpr auto kSyncEvery = 1s;
constexpr long kNfs = 0x6969;            // statfs(2)

std::int64_t wall_now() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

}  // namespace

struct RingFile::State {
  fs::path folder;
  RingIdentity identity;

  mutable std::mutex mutex;  // guards what follows
  std::condition_variable wake, ended_now;
  bool stop = false, ended = false;
  std::string warning;

  /// Waits for the next copy. True: it is the last.
  bool pause() {
    std::unique_lock lock(mutex);
    return wake.wait_for(lock, kInterval, [this] { return stop; });
  }
  void warn(const std::string& what) {
    const std::lock_guard lock(mutex);
    if (warning.empty()) warning = what;
  }
};

namespace {

/// What the copying thread owns.
class Mirror {
 public:
  Mirror(fs::path folder, const RingIdentity& identity) : folder_(std::move(folder)), file_(folder_ / ring_name(identity.rank)) {
    header_.rank = identity.rank;
    header_.size = identity.size;
    header_.pid = identity.pid;
    header_.life = identity.life;
    header_.began_ns = wall_now();
    identity.host.copy(header_.host.data(), header_.host.size() - 1);
  }

  /// One copy. Returns what went wrong, or "". After an error nothing is tried for a while, unless it is the last copy.
  std::string copy(bool last) {
    const auto now = std::chrono::steady_clock::now();
    if (now < retry_ && !last) return "";
    header_.finished = last ? 1 : 0;
    std::string wrong = descriptor_.valid() ? "" : open_file();
    if (wrong.empty()) wrong = write_block();
    if (wrong.empty()) wrong = write_header();
    if (!wrong.empty()) retry_ = now + kRetry;
    else if (on_network_ && (last || now >= sync_)) {
      // Other machines see the bytes only when the server has them.
      static_cast<void>(fdatasync(descriptor_.get()));
      sync_ = now + kSyncEvery;
    }
    return wrong;
  }

 private:
  std::string trouble(const char* verb) const {
    return fmt::format("{} cannot be {}: {}; `convoy doctor` will know less of this rank", file_.string(), verb,
                       std::generic_category().message(errno));
  }

  std::string open_file() {
    static_cast<void>(mkdir(folder_.c_str(), 0777));  // where that fails, so does the next line
    descriptor_ = FileDescriptor(open(file_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!descriptor_.valid()) return trouble("made");
    struct statfs system{};
    on_network_ = fstatfs(descriptor_.get(), &system) == 0 && static_cast<long>(system.f_type) == kNfs;
    return "";
  }

  bool write_all(const void* data, std::size_t size_bytes, std::int64_t offset) const {
    ssize_t written = 0;
    do written = pwrite(descriptor_.get(), data, size_bytes, offset);
    while (written < 0 && errno == EINTR);
    if (written >= 0 && static_cast<std::size_t>(written) != size_bytes) errno = ENOSPC;
    return written == static_cast<ssize_t>(size_bytes);
  }

  /// The block to the slot that is not valid, if it changed.
  std::string write_block() {
    const std::size_t size_bytes = trace::copy_block(next_.data());
    if (size_bytes == header_.block_bytes && std::memcmp(next_.data(), written_.data(), size_bytes) == 0) return "";
    const std::uint32_t slot = header_.slot ^ 1;
    if (!write_all(next_.data(), size_bytes, ring_format::slot_offset(slot))) return trouble("written");
    header_.slot = slot;
    header_.block_bytes = static_cast<std::uint32_t>(size_bytes);
    header_.block_crc = crc32c(next_.data(), size_bytes);
    next_.swap(written_);
    return "";
  }

  std::string write_header() {
    header_.copy_clock = trace::now();
    header_.copy_ns = wall_now();
    header_.crc = ring_format::crc_of(header_);
    return write_all(&header_, sizeof header_, 0) ? "" : trouble("written");
  }

  fs::path folder_, file_;
  FileDescriptor descriptor_;
  Header header_;
  std::vector<std::byte> next_ = std::vector<std::byte>(trace::kBlockBytes);
  std::vector<std::byte> written_ = std::vector<std::byte>(trace::kBlockBytes);
  std::chrono::steady_clock::time_point retry_{}, sync_{};
  bool on_network_ = false;
};

}  // namespace

RingFile::RingFile(const fs::path& folder, const RingIdentity& identity) : state_(std::make_shared<State>()) {
  state_->folder = folder;
  state_->identity = identity;
  try {
    // Detached: a thread that hangs in a lost file system cannot be joined.
    std::thread([state = state_] {
      try {
        Mirror mirror(state->folder, state->identity);
        for (bool last = false;; last = state->pause()) {
          if (const std::string wrong = mirror.copy(last); !wrong.empty()) state->warn(wrong);
          if (last) break;
        }
      } catch (const std::exception& error) {
        state->warn(fmt::format("{}: the flight recorder ended: {}", state->folder.string(), error.what()));
      }
      const std::lock_guard lock(state->mutex);
      state->ended = true;
      state->ended_now.notify_all();
    }).detach();
  } catch (const std::system_error& error) {
    state_->warning = fmt::format("no thread for the flight recorder: {}", error.what());
    state_->ended = true;
  }
}

RingFile::~RingFile() {
  std::unique_lock lock(state_->mutex);
  state_->stop = true;
  state_->wake.notify_all();
  state_->ended_now.wait_for(lock, 1s, [this] { return state_->ended; });
}

std::string RingFile::warning() const {
  const std::lock_guard lock(state_->mutex);
  return state_->warning;
}

}  // namespace convoy
