#include "launch/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <new>

#include "core/tensor/error.h"
#include "launch/printable.h"

namespace convoy {

Failure failure_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const UsageError& usage) {
    return {kWrongUsage, usage.what(), -1};
  } catch (const DataError& data) {
    return {kBadData, data.what(), -1};
  } catch (const PeerError& peer) {
    return {kFailed, peer.what(), peer.peer()};
  } catch (const std::filesystem::filesystem_error& file) {
    return {kFailed, fmt::format("{}: {}", file.path1().string(), file.code().message()), -1};
  } catch (const std::bad_alloc&) {
    return {kFailed, "out of memory", -1};
  } catch (const std::exception& other) {
    return {kFailed, other.what(), -1};
  } catch (...) {
    return {kFailed, "an exception of an unknown kind", -1};
  }
}

void print_failure(const std::string& message) {
  std::string line = message;
  std::replace(line.begin(), line.end(), '\n', ' ');
  fmt::print(stderr, "convoy: {}\n", printable(line));
  std::fflush(stderr);
}

void print_bad_news(const BadNews& news) {
  print_failure(news.reporter == 0 || news.rank != news.reporter ? news.reason : fmt::format("rank {}: {}", news.rank, news.reason));
}

void print_watch(const std::string& message) {
  fmt::print(stderr, "[watch] {}\n", message);
  std::fflush(stderr);
}

}  // namespace convoy
