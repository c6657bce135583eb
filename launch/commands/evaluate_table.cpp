// convoy evaluate --table: what more models and more crops gain, as Szegedy et al. 2015 show it in table 3.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "launch/commands/evaluate_report.h"

namespace convoy {
namespace {

constexpr int kFirstColumn = 8, kColumn = 17;  // characters

std::string json_text(const Models& models, const Backend& backend, const Config& config,
                      const std::vector<EvaluationResult>& results) {
  const auto crops = config.get<std::vector<std::string>>("crops");
  const Scores& base = results.front().first.front();
  auto each = nlohmann::ordered_json::array(), rows = nlohmann::ordered_json::array();
  for (const auto& model : models)
    each.push_back({{"checkpoint", model->file.string()},
                    {"step", model->checkpoint.step},
                    {"precision", precision_on(backend, *model)}});
  for (std::size_t m = 0; m < models.size(); ++m) {
    for (std::size_t c = 0; c < crops.size(); ++c) {
      const Scores& scores = results[c].first[m];
      rows.push_back({{"models", m + 1},
                      {"crops", crops[c]},
                      {"loss", scores.loss},
                      {"top1_error", 1 - scores.top1},
                      {"top5_error", 1 - scores.top5},
                      {"top1_gain", scores.top1 - base.top1},
                      {"top5_gain", scores.top5 - base.top5}});
    }
  }
  const nlohmann::ordered_json json{{"split", config.get<std::string>("data.split")},
                                    {"samples", results.front().samples},
                                    {"models", each},
                                    {"table", rows}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

/// "9.42 (-0.31)": the error in %, and how it differs from that of the base.
std::string cell(double share, double base) {
  return fmt::format("{:6.2f} ({:+5.2f})", 100 * (1 - share), 100 * (base - share));
}

void print_row(const std::string& row) { fmt::print("{}\n", row.substr(0, row.find_last_not_of(' ') + 1)); }

void print_text(const Models& models, const Backend& backend, const Config& config,
                const std::vector<EvaluationResult>& results) {
  const auto crops = config.get<std::vector<std::string>>("crops");
  const Scores& base = results.front().first.front();
  fmt::print("{} models on the {} samples of the {} split\n", models.size(), results.front().samples,
             config.get<std::string>("data.split"));
  for (std::size_t m = 0; m < models.size(); ++m)
    fmt::print("  {:>3}   {}, step {}, in {}\n", m + 1, models[m]->file.string(), models[m]->checkpoint.step,
               precision_on(backend, *models[m]));
  fmt::print("errors of the first models in %, and what they differ from one model's with crops {}\n\n",
             crops.front());
  std::string head(kFirstColumn, ' '), names = fmt::format("{:<{}}", "models", kFirstColumn);
  for (const std::string& name : crops) {
    head += fmt::format("{:<{}}", "crops " + name, 2 * kColumn);
    for (const char* error : {" top-1", " top-5"}) names += fmt::format("{:<{}}", error, kColumn);
  }
  print_row(head);
  print_row(names);
  for (std::size_t m = 0; m < models.size(); ++m) {
    std::string row = fmt::format("{:<{}}", m + 1, kFirstColumn);
    for (const EvaluationResult& result : results)
      row += fmt::format("{:<{}}{:<{}}", cell(result.first[m].top1, base.top1), kColumn,
                         cell(result.first[m].top5, base.top5), kColumn);
    print_row(row);
  }
}

}  // namespace

void report_table(const Models& models, const Backend& backend, const Config& config,
                  const std::vector<EvaluationResult>& results) {
  if (config.get<std::string>("format") == "json")
    fmt::print("{}", json_text(models, backend, config, results));
  else
    print_text(models, backend, config, results);
}

}  // namespace convoy
