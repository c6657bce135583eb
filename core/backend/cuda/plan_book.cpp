#include "core/backend/cuda/plan_book.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "core/random/sha256.h"

namespace convoy::cuda {
namespace {

constexpr std::string_view kFirstLine = "convoy-plans 1";
constexpr std::string_view kArrow = " -> ";

std::string short_hash(const std::string& text) { return hex(sha256(text)).substr(0, 16); }

std::string content_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

}  // namespace

PlanBook::Found PlanBook::find(const std::string& problem) {
  const auto entry = entries_.find(problem);
  if (entry == entries_.end()) return {};
  entry->second.in_use = true;
  return {entry->second.plan, entry->second.source};
}

void PlanBook::put(const std::string& problem, const std::string& plan) {
  entries_[problem] = {plan, Source::timed, true};
  unsaved_ = true;
}

std::string PlanBook::write(const Plans& plans) const {
  std::string text = fmt::format("{}\ndevice {}\nlibrary {}\n", kFirstLine, device_, library_);
  for (const auto& [problem, plan] : plans) text += fmt::format("{}{}{}\n", problem, kArrow, plan);
  return text + fmt::format("end {} {}\n", plans.size(), short_hash(text));
}

bool PlanBook::read(const std::string& text, Plans* plans, std::string* why_not) const {
  const std::size_t last = text.rfind("end ");
  std::istringstream lines(text);
  std::string line, device, library;
  std::getline(lines, line);
  if (line != kFirstLine || last == std::string::npos) return *why_not = "it is no list of plans, or cut short", false;
  std::getline(lines, device);
  std::getline(lines, library);
  while (std::getline(lines, line)) {
    const std::size_t arrow = line.find(kArrow);
    if (arrow == std::string::npos) break;
    (*plans)[line.substr(0, arrow)] = line.substr(arrow + kArrow.size());
  }
  if (text.substr(last) != fmt::format("end {} {}\n", plans->size(), short_hash(text.substr(0, last))))
    return *why_not = "its checksum does not match", false;
  if (device != "device " + device_) return *why_not = fmt::format("it is for {}, this is {}", device, device_), false;
  if (library != "library " + library_) return *why_not = fmt::format("it is for {}, this is {}", library, library_), false;
  return true;
}

std::string PlanBook::text() const {
  Plans plans;
  for (const auto& [problem, entry] : entries_)
    if (entry.in_use || entry.source == Source::adopted) plans.emplace(problem, entry.plan);
  return plans.empty() ? std::string() : write(plans);
}

std::string PlanBook::adopt(const std::string& text) {
  Plans plans;
  std::string why_not;
  if (text.empty()) return {};
  if (!read(text, &plans, &why_not)) return "plans are not taken over: " + why_not;
  for (const auto& [problem, plan] : plans) entries_[problem] = {plan, Source::adopted, false};
  return {};
}

std::filesystem::path PlanBook::file_in(const std::filesystem::path& folder) const {
  return folder / fmt::format("plans-{}.txt", short_hash(device_ + "\n" + library_));
}

std::string PlanBook::load(const std::filesystem::path& folder) {
  std::error_code unknown;
  const std::filesystem::path file = file_in(folder);
  if (!std::filesystem::exists(file, unknown)) return {};
  Plans plans;
  std::string why_not;
  if (!read(content_of(file), &plans, &why_not))
    return fmt::format("{} is damaged and is not used: {}; plans are timed anew", file.string(), why_not);
  for (const auto& [problem, plan] : plans) entries_.try_emplace(problem, Entry{plan, Source::cache, false});
  return {};
}

std::string PlanBook::save(const std::filesystem::path& folder) {
  if (!unsaved_) return {};
  const std::filesystem::path file = file_in(folder);
  const std::filesystem::path fresh = file.string() + fmt::format(".{}", getpid());
  Plans plans;
  std::string damaged;
  std::error_code error;
  if (std::filesystem::exists(file, error) && !read(content_of(file), &plans, &damaged)) plans.clear();
  for (const auto& [problem, entry] : entries_)
    if ((entry.source == Source::timed || entry.source == Source::cache) && entry.plan != kNoPlan) plans[problem] = entry.plan;
  std::filesystem::create_directories(folder, error);
  {
    std::ofstream stream(fresh, std::ios::binary | std::ios::trunc);
    stream << write(plans);
    stream.close();
    if (!stream) error = std::make_error_code(std::errc::io_error);
  }
  if (!error) std::filesystem::rename(fresh, file, error);
  if (error) {
    std::error_code gone;
    std::filesystem::remove(fresh, gone);
    return fmt::format("{} could not be written ({}): the next run times its plans anew", file.string(), error.message());
  }
  unsaved_ = false;
  return {};
}

}  // namespace convoy::cuda
