#pragma once
// Which classes a classifier takes for which.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace convoy {

/// Counts of (true class, predicted class) and what follows from them. All ratios are NaN where they are 0 / 0.
class ConfusionMatrix {
 public:
  /// At least one class. Throws UsageError for none.
  explicit ConfusionMatrix(std::vector<std::string> class_names);

  /// Throws DataError for a label, UsageError for a prediction outside [0, classes()).
  void add(std::int64_t label, std::int64_t predicted, std::int64_t count = 1);
  /// Adds another matrix of the same classes; UsageError otherwise. Counts are integers: any order gives the
  /// same.
  void merge(const ConfusionMatrix& other);

  int classes() const { return static_cast<int>(names_.size()); }
  const std::vector<std::string>& class_names() const { return names_; }
  /// Row-major [true, predicted].
  std::span<const std::int64_t> counts() const { return counts_; }
  std::int64_t count(int label, int predicted) const;

  std::int64_t total() const;
  std::int64_t correct() const;
  /// Samples of a true class; samples taken for a class.
  std::int64_t support(int label) const;
  std::int64_t predictions(int predicted) const;

  double accuracy() const;            // correct / total
  double precision(int label) const;  // true positives / predictions
  double recall(int label) const;     // true positives / support
  double f1(int label) const;         // 2 true positives / (support + predictions)
  /// Mean F1 over the classes that have one.
  double macro_f1() const;

  /// Accuracy, a table of the classes, the matrix if its rows fit into `width` columns (else the line that says
  /// how to get it), and the most frequent mistakes. Ends in a newline.
  std::string text(int width = 110) const;
  /// {"classes": [names], "matrix": [[...]], "total", "correct", "accuracy", "macro_f1",
  ///  "per_class": [{"name", "support", "predicted", "precision", "recall", "f1"}]}; NaN as null.
  std::string json() const;

 private:
  std::vector<std::string> names_;
  std::vector<std::int64_t> counts_;
};

}  // namespace convoy
