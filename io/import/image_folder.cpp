#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "core/tensor/error.h"
#include "io/atomic_file.h"
#include "io/import/encoded_import.h"
#include "io/import/raw_import.h"
#include "io/import/search.h"
#include "io/import/session.h"
#include "io/shard.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

/// The ranks of an import: they agree after every part of the work, so that none waits for one that failed.
class Ranks {
 public:
  explicit Ranks(const ImportOptions& options) : options_(options) {}
  bool is_first() const { return options_.rank == 0; }

  /// Runs `work` and throws on every rank where it threw on any: each its own error, or the first of the others'.
  void agree(const std::function<void()>& work) const {
    std::exception_ptr own;
    std::string told;
    try {
      work();
    } catch (const UsageError& error) {
      own = std::current_exception();
      told = std::string("U") + error.what();
    } catch (const DataError& error) {
      own = std::current_exception();
      told = std::string("D") + error.what();
    } catch (const std::exception& error) {
      own = std::current_exception();
      told = std::string("L") + error.what();
    }
    const std::vector<std::string> all = gather(told);
    if (own) std::rethrow_exception(own);
    for (const std::string& error : all) {
      if (error.empty()) continue;
      const std::string message = error.substr(1);
      if (error[0] == 'U') throw UsageError(message);
      if (error[0] == 'D') throw DataError(message);
      throw LibraryError(message);
    }
  }

  std::vector<std::string> gather(const std::string& mine) const {
    return options_.ranks > 1 ? options_.all_gather(mine) : std::vector<std::string>{mine};
  }

 private:
  const ImportOptions& options_;
};

[[noreturn]] void refuse(const fs::path& source, std::int64_t count, std::vector<SkippedFile> bad, const fs::path& report) {
  constexpr std::size_t kListed = 10;
  std::ranges::sort(bad, {}, [](const SkippedFile& file) { return file.file.native(); });
  std::string list;
  for (std::size_t i = 0; i < std::min(bad.size(), kListed); ++i) {
    const std::string file = bad[i].file.string();
    list += "\n  " + (bad[i].reason.starts_with(file) ? bad[i].reason : file + ": " + bad[i].reason);
  }
  if (count > static_cast<std::int64_t>(kListed)) list += fmt::format("\n  and {} more, in {}", count - std::int64_t(kListed), report.string());
  throw DataError(fmt::format("{}: {} bad files. Mend or remove them, or leave them out with --skip-bad:{}", source.string(),
                              count, list));
}

/// Joins the parts of the report; counts their rows and lists the first bad files.
void join_report(const ImportOptions& options, const ImportPlan& plan, ImportReport& report, SearchReport& search) {
  TemporaryFile joined(options.output / "import-report.tsv");
  const auto append = [&](const fs::path& part, bool counts_bad) {
    std::string text;
    read_report_part(part, [&](const ReportRow& row) {
      text += fmt::format("{}\t{}\t{}\n", row.file, name_of(row.fate), row.why);
      switch (row.fate) {
        case Fate::bad: ++report.bad; break;
        case Fate::left_out: ++report.left_out; break;
        case Fate::converted: ++report.converted; break;
        case Fate::kept: ++report.kept_odd; break;
      }
      if (row.fate == Fate::bad && counts_bad && search.bad.size() < kSkippedListed) search.bad.push_back({row.file, row.why});
    });
    joined.write(text.data(), text.size());
  };
  const std::string head = "file\twhat\twhy\n";
  joined.write(head.data(), head.size());
  append(search_part(options), false);
  for (const SplitPlan& split : plan.splits)
    for (int shard = 0; shard < split.shards; ++shard)
      append(shard_part(options, plan, split.split, shard), plan.form.encoding != "raw");
  joined.commit();
  report.report_file = options.output / "import-report.tsv";
  search.bad_count = report.bad;
}

/// What only the import itself needs. `shards`: also those that are finished and have no names yet.
void remove_work(const ImportOptions& options, const ImportPlan& plan, bool shards) {
  std::error_code ignored;
  fs::remove_all(work_folder(options), ignored);
  for (const SplitPlan& split : plan.splits)
    for (int shard = 0; shards && shard < split.shards; ++shard)
      fs::remove(options.output / (shard_name(split.split, shard, split.shards) + kPartialSuffix), ignored);
}

ImportReport finish(const ImportOptions& options, const ImportPlan& plan, ImportSession& session, SearchReport& search) {
  ImportReport facts, report;
  if (plan.form.encoding == "raw") report = import_raw(options, plan, session, search);
  join_report(options, plan, facts, search);
  if (facts.bad > 0 && !options.skip_bad) refuse(options.source, facts.bad, search.bad, facts.report_file);
  if (plan.form.encoding != "raw") report = finish_encoded(options, plan, session);
  remove_work(options, plan, true);
  report.bad = facts.bad;
  report.left_out = facts.left_out;
  report.converted = facts.converted;
  report.kept_odd = facts.kept_odd;
  report.report_file = facts.report_file;
  report.skipped = std::move(search.bad);
  report.skipped.insert(report.skipped.end(), search.other.begin(), search.other.end());
  report.hidden = search.hidden;
  return report;
}

}  // namespace

ImportReport import_image_folder(const ImportOptions& given) {
  ImportOptions options = given;
  options.takes_list = true;
  const Ranks ranks(options);
  std::unique_ptr<ImportSession> session;
  SearchReport search;
  ImportPlan plan;
  ranks.agree([&] {
    if (!ranks.is_first()) return;
    session = std::make_unique<ImportSession>(options);
    try {
      plan = search_pictures(options, search);
      for (const SplitPlan& split : plan.splits) session->expect_free(split.split);
    } catch (...) {
      remove_work(options, {}, false);
      throw;
    }
  });
  plan = plan_from(ranks.gather(ranks.is_first() ? text_of(plan) : "").front());
  std::int64_t resumed = 0;
  if (plan.form.encoding != "raw") ranks.agree([&] { make_encoded_shards(options, plan, resumed); });
  std::int64_t resumed_in_all = 0;
  for (const std::string& count : ranks.gather(std::to_string(resumed))) resumed_in_all += std::stoll(count);
  ImportReport report;
  ranks.agree([&] {
    if (!ranks.is_first()) return;
    try {
      report = finish(options, plan, *session, search);
    } catch (const DataError&) {  // that another try would meet again
      remove_work(options, plan, true);
      throw;
    }
  });
  report.resumed_shards = resumed_in_all;
  return report;
}

}  // namespace convoy
