#include "distributed/communicator.h"

#include <algorithm>

namespace convoy {

std::vector<std::string> Communicator::all_gather_strings(const std::string& mine) {
  const std::uint64_t length = mine.size();
  std::vector<std::uint64_t> lengths(static_cast<std::size_t>(size()));
  all_gather(&length, sizeof length, lengths.data());
  // Padded to the longest: one collective of equal parts instead of one broadcast for each rank.
  const std::uint64_t longest = *std::max_element(lengths.begin(), lengths.end());
  std::string padded = mine;
  padded.resize(longest);
  std::string all(longest * lengths.size(), '\0');
  all_gather(padded.data(), longest, all.data());
  std::vector<std::string> texts;
  for (std::size_t r = 0; r < lengths.size(); ++r) {
    texts.push_back(all.substr(r * longest, lengths[r]));
  }
  return texts;
}

std::string Communicator::broadcast_string(const std::string& text, int root) {
  std::uint64_t length = text.size();
  broadcast(&length, sizeof length, root);
  std::string received = rank() == root ? text : std::string(length, '\0');
  broadcast(received.data(), length, root);
  return received;
}

}  // namespace convoy
