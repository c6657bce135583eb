#pragma once
// Ensembles of small nets, trained in a second or two.
#include "training_fixture.h"

namespace convoy {

class Ensembles : public Training {
 protected:
  /// Dropout and crops, so that every seed counts; a rate so small that there are mistakes left.
  static constexpr const char* kModel =
      " --model.name=mlp --model.dropout=0.3 --data.pad=2 --train.batch=40 --train.epochs=2 --optim.rate=0.002 "
      "--device.threads=1 ";
  static constexpr const char* kThree = "--mode=ensemble --members=3";

  /// `options` may hold blanks and quotes, as bash takes them.
  static Outcome ensemble(int ranks, const std::string& run, const std::string& options,
                          const std::string& mpirun = "") {
    return run_command(std::string(CONVOY_MPIRUN) + " " + mpirun + " -n " + std::to_string(ranks) + " " +
                       command(run, kModel + options));
  }
  static std::filesystem::path member(const std::string& run, int number) {
    return run_folder(run) / "members" / ("0" + std::to_string(number));
  }
  static std::string member_digest(const std::string& run, int number) {
    return digest(run + "/members/0" + std::to_string(number));
  }
  static json member_status(const std::string& run, int number) {
    return status(run + "/members/0" + std::to_string(number));
  }
  static bool is_complete(const std::string& run) {
    return std::filesystem::exists(run_folder(run) / "ensemble.h5");
  }
  /// Everything about a member's files that training it again would change.
  static std::string traces(const std::string& run, int number) {
    return run_command("find " + member(run, number).string() + " -type f -printf '%p %i %T@ %s\\n' | sort")
        .out;
  }
};

}  // namespace convoy
