#include "core/metrics/confusion.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"

namespace convoy {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  if (whole == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(part) / static_cast<double>(whole);
}

nlohmann::ordered_json number(double x) {
  return std::isnan(x) ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(x);
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(std::vector<std::string> class_names)
    : names_(std::move(class_names)), counts_(names_.size() * names_.size()) {
  if (names_.empty()) throw UsageError("a confusion matrix needs at least one class, found none");
}

void ConfusionMatrix::add(std::int64_t label, std::int64_t predicted, std::int64_t count) {
  const std::int64_t k = classes();
  if (label < 0 || label >= k)
    throw DataError(
        fmt::format("label {} of {} classes; labels are 0 to {}: check the dataset with 'convoy data verify'",
                    label, k, k - 1));
  if (predicted < 0 || predicted >= k)
    throw UsageError(
        fmt::format("predicted class {} of {}; classes are 0 to {}: does the network have as many outputs "
                    "as the dataset has classes?",
                    predicted, k, k - 1));
  counts_[static_cast<std::size_t>(label * k + predicted)] += count;
}

void ConfusionMatrix::merge(const ConfusionMatrix& other) {
  if (other.names_ != names_)
    throw UsageError(fmt::format("confusion matrices of different classes cannot be merged ({} and {} classes)",
                                 classes(), other.classes()));
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

std::int64_t ConfusionMatrix::count(int label, int predicted) const {
  return counts_.at(static_cast<std::size_t>(label) * names_.size() + static_cast<std::size_t>(predicted));
}

std::int64_t ConfusionMatrix::total() const {
  std::int64_t sum = 0;
  for (const std::int64_t count : counts_) sum += count;
  return sum;
}

std::int64_t ConfusionMatrix::correct() const {
  std::int64_t sum = 0;
  for (int i = 0; i < classes(); ++i) sum += count(i, i);
  return sum;
}

std::int64_t ConfusionMatrix::support(int label) const {
  std::int64_t sum = 0;
  for (int i = 0; i < classes(); ++i) sum += count(label, i);
  return sum;
}

std::int64_t ConfusionMatrix::predictions(int predicted) const {
  std::int64_t sum = 0;
  for (int i = 0; i < classes(); ++i) sum += count(i, predicted);
  return sum;
}

double ConfusionMatrix::accuracy() const { return ratio(correct(), total()); }
double ConfusionMatrix::precision(int label) const { return ratio(count(label, label), predictions(label)); }
double ConfusionMatrix::recall(int label) const { return ratio(count(label, label), support(label)); }
double ConfusionMatrix::f1(int label) const {
  return ratio(2 * count(label, label), support(label) + predictions(label));
}

double ConfusionMatrix::macro_f1() const {
  double sum = 0;
  int defined = 0;
  for (int i = 0; i < classes(); ++i) {
    if (std::isnan(f1(i))) continue;
    sum += f1(i);
    ++defined;
  }
  return defined ? sum / defined : std::numeric_limits<double>::quiet_NaN();
}

std::string ConfusionMatrix::json() const {
  nlohmann::ordered_json matrix = nlohmann::ordered_json::array(), per_class = nlohmann::ordered_json::array();
  for (int i = 0; i < classes(); ++i) {
    nlohmann::ordered_json row = nlohmann::ordered_json::array();
    for (int j = 0; j < classes(); ++j) row.push_back(count(i, j));
    matrix.push_back(std::move(row));
    per_class.push_back({{"name", names_[static_cast<std::size_t>(i)]},
                         {"support", support(i)},
                         {"predicted", predictions(i)},
                         {"precision", number(precision(i))},
                         {"recall", number(recall(i))},
                         {"f1", number(f1(i))}});
  }
  const nlohmann::ordered_json all{{"classes", names_},
                                   {"matrix", std::move(matrix)},
                                   {"total", total()},
                                   {"correct", correct()},
                                   {"accuracy", number(accuracy())},
                                   {"macro_f1", number(macro_f1())},
                                   {"per_class", std::move(per_class)}};
  // Names come from files: bytes that are not UTF-8 become U+FFFD instead of an exception.
  return all.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace convoy
