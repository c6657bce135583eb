#include "launch/chaos/inject_spec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "core/random/philox.h"
#include "core/tensor/error.h"
#include "launch/suggest.h"

namespace convoy {
namespace {

enum When { kNever = 0, kAtStep = 1, kAtSave = 2, kAlways = 4 };  // kAlways: "@..." may be left out

struct Kind {
  InjectKind kind;
  const char* name;
  std::vector<std::string> takes;  // names of arguments
  int when;
  const char* example;
};

const std::vector<Kind>& kinds() {
  using enum InjectKind;
  static const std::vector<Kind> table = {
      {kill, "kill", {"rank"}, kAtStep | kAtSave, "kill:rank=2@step=37"},
      {stop, "stop", {"rank"}, kAtStep, "stop:rank=1@step=9"},
      {hang, "hang", {"rank"}, kAtStep, "hang:rank=any@step=10-20"},
      {slow, "slow", {"rank", "input", "compute", "reduce", "checkpoint"}, kAtStep | kAlways, "slow:rank=1,compute=50ms"},
      {flip, "flip", {"tensor", "rank"}, kAtStep, "flip:tensor=conv1@step=80"},
      {enospc, "enospc", {}, kAtSave, "enospc@checkpoint=2"},
      {eio, "eio", {}, kAtSave, "eio@checkpoint"},
      {nan, "nan", {"sample"}, kAlways, "nan:sample=123"},
  };
  return table;
}

/// One clause in the making; every failure names it.
class Reader {
 public:
  Reader(std::string_view text, int number) { clause_.text = text, clause_.number = number; }

  InjectClause read() {
    const std::string_view text = clause_.text;
    const std::size_t at = std::min(text.find('@'), text.size());
    const std::string_view left = text.substr(0, at);
    const std::size_t colon = std::min(left.find(':'), left.size());
    read_kind(left.substr(0, colon));
    if (colon < left.size()) read_arguments(left.substr(colon + 1));
    read_when(at < text.size() ? text.substr(at + 1) : "", at < text.size());
    check_whole();
    return std::move(clause_);
  }

 private:
  [[noreturn]] void fail(const std::string& expected, std::string_view found) const {
    throw UsageError(fmt::format("--inject, clause {} \"{}\": expected {}, found {}; for example {}", clause_.number,
                                 clause_.text, expected, found.empty() ? "nothing" : fmt::format("\"{}\"", found),
                                 kind_ ? kind_->example : "kill:rank=2@step=37"));
  }

  void read_kind(std::string_view word) {
    std::vector<std::string> names;
    for (const Kind& kind : kinds()) names.push_back(kind.name);
    const auto found = std::find(names.begin(), names.end(), word);
    if (found == names.end()) fail(fmt::format("one of {}", fmt::join(names, ", ")) + hint(word, names), word);
    kind_ = &kinds()[static_cast<std::size_t>(found - names.begin())];
    clause_.kind = kind_->kind;
  }

  static std::string hint(std::string_view word, const std::vector<std::string>& known) {
    const std::string near = nearest(word, known);
    return near.empty() ? "" : fmt::format(" (did you mean {}?)", near);
  }

  void read_arguments(std::string_view list) {
    std::vector<std::string_view> seen;
    for (bool more = true; more;) {
      const std::size_t end = std::min(list.find(','), list.size());
      const std::string_view argument = list.substr(0, end);
      more = end < list.size();
      if (more) list.remove_prefix(end + 1);
      const std::size_t equals = argument.find('=');
      if (equals == std::string_view::npos) fail("NAME=VALUE after the colon and after each comma", argument);
      const std::string_view name = argument.substr(0, equals);
      if (std::find(kind_->takes.begin(), kind_->takes.end(), name) == kind_->takes.end()) refuse(name);
      if (std::find(seen.begin(), seen.end(), name) != seen.end()) fail(fmt::format("{}= once", name), "it twice");
      seen.push_back(name);
      read_argument(name, argument.substr(equals + 1));
    }
  }

  [[noreturn]] void refuse(std::string_view name) const {
    if (kind_->takes.empty()) fail(fmt::format("no arguments of {} (rank 0 writes the checkpoints)", kind_->name), name);
    fail(fmt::format("one of {}= for {}", fmt::join(kind_->takes, "=, "), kind_->name) + hint(name, kind_->takes), name);
  }

  void read_argument(std::string_view name, std::string_view value) {
    if (name == "rank") clause_.rank = value == "any" ? kAnyRank : static_cast<int>(number(value, 0, 1e9, "rank="));
    if (name == "sample") clause_.sample = number(value, 0, 1e15, "sample=");
    if (name == "tensor") clause_.tensor = value.empty() ? (fail("a parameter's name after tensor=", value), "") : value;
    if (name == "input") clause_.input = duration(value, name);
    if (name == "compute") clause_.compute = duration(value, name);
    if (name == "reduce") clause_.reduce = duration(value, name);
    if (name == "checkpoint") clause_.checkpoint = duration(value, name);
  }

  std::int64_t number(std::string_view text, double least, double most, std::string_view what) const {
    std::int64_t value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc{} && rest == text.data() + text.size() && !text.empty();
    if (!whole || static_cast<double>(value) < least || static_cast<double>(value) > most)
      fail(fmt::format("a whole number from {} to {} after {}{}", least, most, what, what == "rank=" ? ", or any" : ""),
           text);
    return value;
  }

  std::chrono::microseconds duration(std::string_view text, std::string_view name) const {
    double value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const std::string_view unit(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
    const double scale = unit == "us" ? 1 : unit == "ms" ? 1e3 : unit == "s" ? 1e6 : 0;
    const double microseconds = value * scale;
    if (error != std::errc{} || !(microseconds >= 1) || microseconds > 3.6e9)
      fail(fmt::format("a duration after {}= such as 200us, 50ms or 1.5s, up to an hour", name), text);
    return std::chrono::microseconds(static_cast<std::int64_t>(microseconds + 0.5));
  }

  void read_when(std::string_view when, bool given) {
    if (!given && (kind_->when & kAlways)) return;
    constexpr std::string_view kStep = "step=", kSave = "checkpoint";
    if ((kind_->when & kAtStep) && when.starts_with(kStep)) return read_steps(when.substr(kStep.size()));
    if ((kind_->when & kAtSave) && when.starts_with(kSave)) return read_save(when.substr(kSave.size()));
    const int places = kind_->when & (kAtStep | kAtSave);
    fail(places == 0         ? fmt::format("no \"@\" ({} strikes whenever its sample is drawn)", kind_->name)
         : places == kAtStep ? "@step=N or @step=A-B"
         : places == kAtSave ? "@checkpoint or @checkpoint=N"
                             : "@step=N, @step=A-B, @checkpoint or @checkpoint=N",
         when);
  }

  void read_steps(std::string_view steps) {
    const std::size_t dash = std::min(steps.find('-'), steps.size());
    clause_.first_step = clause_.last_step = number(steps.substr(0, dash), 1, 1e15, "@step=");
    if (dash == steps.size()) return;
    clause_.last_step = number(steps.substr(dash + 1), 1, 1e15, "the dash of @step=A-B");
    if (clause_.last_step < clause_.first_step) fail("A <= B in @step=A-B", steps);
  }

  void read_save(std::string_view rest) {
    if (!rest.empty() && rest.front() != '=') fail("@checkpoint or @checkpoint=N", rest);
    clause_.save = rest.empty() ? 1 : number(rest.substr(1), 1, 1e15, "@checkpoint=");
  }

  void check_whole() {
    using namespace std::chrono_literals;
    if (clause_.kind == InjectKind::flip && clause_.tensor.empty()) fail("tensor=NAME", "");
    if (clause_.kind == InjectKind::nan && clause_.sample < 0) fail("sample=ID", "");
    const bool delays = clause_.input + clause_.compute + clause_.reduce + clause_.checkpoint > 0us;
    if (clause_.kind == InjectKind::slow && !delays) fail("one or more of input=, compute=, reduce=, checkpoint=", "");
    // Checkpoints are rank 0's business.
    if (clause_.save == 0 && clause_.checkpoint == 0us) return;
    if (clause_.rank > 0) fail("rank=0, which writes the checkpoints", fmt::format("rank={}", clause_.rank));
    clause_.rank = 0;
  }

  InjectClause clause_;
  const Kind* kind_ = nullptr;
};

std::string without_blanks(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (std::string_view(" \t\r\n").find(c) == std::string_view::npos) out += c;
  return out;
}

[[noreturn]] void not_on_the_scene(const InjectClause& clause, const std::string& why) {
  throw UsageError(fmt::format("--inject, clause {} \"{}\": {}", clause.number, clause.text, why));
}

/// Whole, or the first that begins with it: "conv1" is rather "conv1/filters" than "conv10/filters".
std::string parameter_named(const InjectClause& clause, const InjectScene& scene, RandomKey key) {
  const auto& names = scene.parameters;
  if (clause.tensor == "any" && !names.empty()) return names[key.below(2, names.size())];
  for (const std::string& wanted : {clause.tensor, clause.tensor + "/"})
    for (const std::string& name : names)
      if (name == wanted || (wanted.back() == '/' && name.starts_with(wanted))) return name;
  for (const std::string& name : names)
    if (name.starts_with(clause.tensor)) return name;
  not_on_the_scene(clause, fmt::format("expected tensor= with the name of a parameter or how one begins, found \"{}\"; "
                                       "the model has {}{}",
                                       clause.tensor, fmt::join(names.begin(), names.begin() + std::min<std::ptrdiff_t>(
                                                                                   8, std::ssize(names)), ", "),
                                       names.size() > 8 ? ", ..." : ""));
}

}  // namespace

std::string_view name_of(InjectKind kind) {
  return std::find_if(kinds().begin(), kinds().end(), [&](const Kind& row) { return row.kind == kind; })->name;
}

std::vector<InjectClause> parse_inject(std::string_view spec) {
  std::vector<InjectClause> clauses;
  const std::string text = without_blanks(spec);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(';', begin), text.size());
    const std::string_view clause = std::string_view(text).substr(begin, end - begin);
    if (!clause.empty()) clauses.push_back(Reader(clause, static_cast<int>(clauses.size()) + 1).read());
    begin = end + 1;
  }
  return clauses;
}

std::vector<InjectClause> settle_inject(std::vector<InjectClause> clauses, const InjectScene& scene) {
  for (InjectClause& clause : clauses) {
    const RandomKey key = RandomKey(scene.seed, "inject").child(static_cast<std::uint64_t>(clause.number));
    if (clause.rank >= scene.ranks)
      not_on_the_scene(clause, fmt::format("expected a rank from 0 to {}, found rank={}", scene.ranks - 1, clause.rank));
    if (clause.sample >= scene.samples)
      not_on_the_scene(clause, fmt::format("expected a sample from 0 to {}, found sample={}", scene.samples - 1,
                                           clause.sample));
    if (clause.sample >= 0 && scene.held_out && scene.held_out(clause.sample))
      not_on_the_scene(clause, fmt::format("expected a sample that is trained on; sample {} is held out for validation "
                                           "(data.validation)", clause.sample));
    if (clause.first_step > scene.last_step)
      not_on_the_scene(clause, fmt::format("expected a step up to the run's last, {}, found step={}", scene.last_step,
                                           clause.first_step));
    if (clause.rank == kAnyRank && clause.kind != InjectKind::nan)
      clause.rank = static_cast<int>(key.below(0, static_cast<std::uint64_t>(scene.ranks)));
    if (clause.kind == InjectKind::flip) clause.tensor = parameter_named(clause, scene, key);
    if (clause.kind == InjectKind::slow || clause.first_step == 0) continue;
    const std::int64_t last = std::min(clause.last_step, scene.last_step);
    const double share = key.uniform_double(4);  // words 8 and 9; below() takes words 0 to 3
    clause.first_step += static_cast<std::int64_t>(share * static_cast<double>(last - clause.first_step + 1));
    clause.last_step = clause.first_step;
  }
  return clauses;
}

std::string inject_help() {
  return "--inject=\"CLAUSE; CLAUSE; ...\" breaks the run on purpose. kill:rank=2@step=37 kills a rank before that step; "
         "stop:... and hang:... stop it, or keep it out of that step's reduction; kill@checkpoint kills the writer while "
         "it writes. slow:rank=1,compute=50ms delays a rank at each step (input=, compute=, reduce=) or at each save "
         "(checkpoint=). flip:tensor=conv1@step=80 flips one bit of a parameter on one rank. enospc@checkpoint=2 and "
         "eio@checkpoint=2 make the second save meet a full or failing disk. nan:sample=123 makes a sample of the training "
         "split NaN.\n\n"
         "rank=any (the default) and step=A-B choose by the run's seed, so the same command does the same. All but slow "
         "and nan strike once in a run: RUNS/NAME/injected.log remembers them across restarts.";
}

}  // namespace convoy
