#include "launch/train/progress.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace convoy {
namespace {

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

/// The most memory that this process has had.
std::int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{1024} * usage.ru_maxrss;  // kilobytes on Linux
}

}  // namespace

Progress::Progress(bool speaks, std::int64_t every, const std::string& speaker)
    : speaks_(speaks),
      terminal_(speaks && speaker.empty() && isatty(STDERR_FILENO) == 1),
      every_(every),
      speaker_(speaker.empty() ? "" : speaker + ", "),
      begin_(Clock::now()),
      paused_(begin_) {}

void Progress::add(double loss, double weight, double top1, double data_wait, double communication_wait) {
  ++interval_.steps;
  interval_.loss += loss;
  interval_.weight += weight;
  interval_.top1 += top1;
  interval_.data_wait += data_wait;
  interval_.communication_wait += communication_wait;
}

bool Progress::due(const Standing& standing) const {
  return interval_.steps + interval_.overflows > 0 && (standing.step % every_ == 0 || standing.step == standing.last_step);
}

std::string Progress::line(const Standing& standing, double seconds) const {
  const double weight = interval_.weight > 0 ? interval_.weight : 1;
  const double rate = seconds > 0 ? static_cast<double>(interval_.steps) / seconds : 0;
  const double left = rate > 0 ? static_cast<double>(standing.last_step - standing.step) / rate : 0;
  return fmt::format(
      "epoch {:.2f}/{:.4g}  step {}/{}  loss {:.4f}  top-1 {:5.2f} %  rate {:.4g}  {:.0f} samples/s  data {:2.0f} %  "
      "comm {:2.0f} %  left {}{}{}",
      standing.epoch, standing.epochs, standing.step, standing.last_step, interval_.loss / weight,
      100 * interval_.top1 / weight, standing.rate, rate * static_cast<double>(standing.batch),
      seconds > 0 ? 100 * interval_.data_wait / seconds : 0, seconds > 0 ? 100 * interval_.communication_wait / seconds : 0,
      duration(left), interval_.overflows > 0 ? fmt::format("  overflows {}", interval_.overflows) : "", slow_.empty() ? "" : "  " + slow_);
}

std::string Progress::record(const Standing& standing, const StragglerReport& stragglers) {
  slow_ = stragglers.line();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  const double weight = interval_.weight > 0 ? interval_.weight : 1;
  nlohmann::ordered_json record{
      {"kind", "train"},
      {"step", standing.step},
      {"epoch", standing.epoch},
      {"loss", interval_.loss / weight},
      {"top1", interval_.top1 / weight},
      {"rate", standing.rate},
      {"samples_per_second",
       seconds > 0 ? static_cast<double>(interval_.steps * standing.batch) / seconds : 0.0},
      {"world_size", standing.world_size},
      {"booked_bytes", standing.booked_bytes},
      {"peak_rss_bytes", peak_rss_bytes()},
      {"data_wait", seconds > 0 ? interval_.data_wait / seconds : 0.0},
      {"communication_wait", seconds > 0 ? interval_.communication_wait / seconds : 0.0}};
  if (interval_.overflows > 0 || standing.loss_scale != 1) {
    record["overflows"] = interval_.overflows;
    record["loss_scale"] = standing.loss_scale;
  }
  if (speaks_) {
    const std::string text = line(standing, seconds);
    clear_line();
    std::fputs(fmt::format("[{}train] {}{}", speaker_, text, terminal_ ? "\r" : "\n").c_str(), stderr);
    line_open_ = terminal_;
    std::fflush(stderr);
  }
  interval_ = {};
  begin_ = Clock::now();
  std::string text = record.dump();
  text.insert(text.size() - 1, stragglers.json_members());
  return text;
}

void Progress::refresh(const Standing& standing) {
  if (!terminal_) return;
  const auto now = Clock::now();
  if (now - shown_ < std::chrono::milliseconds(200)) return;
  shown_ = now;
  clear_line();
  const std::string text = line(standing, std::chrono::duration<double>(now - begin_).count());
  std::fputs(fmt::format("[train] {}\r", text).c_str(), stderr);
  std::fflush(stderr);
  line_open_ = true;
}

void Progress::say(const std::string& who, const std::string& text) {
  if (!speaks_) return;
  clear_line();
  std::fputs(fmt::format("[{}{}] {}\n", speaker_, who, text).c_str(), stderr);
  std::fflush(stderr);
}

void Progress::pause() { paused_ = Clock::now(); }

void Progress::go_on() { begin_ += Clock::now() - paused_; }

void Progress::restart() {
  interval_ = {};
  begin_ = Clock::now();
}

void Progress::clear_line() {
  if (line_open_) std::fputs("\x1b[K", stderr);
  line_open_ = false;
}

}  // namespace convoy
