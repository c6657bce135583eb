// What a run folder holds beside checkpoints: status.json, and metrics.jsonl that a resume cuts.
#include "fuzz/target.h"
#include "io/run_folder.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace convoy;
  const std::filesystem::path run = fuzz::scratch() / "run";
  fuzz::put("run/metrics.jsonl", fuzz::view(data, size));
  fuzz::put("run/status.json", fuzz::view(data, size));
  fuzz::read_or_refuse([&] { read_status(run); });
  return fuzz::read_or_refuse([&] {
    RunFolder folder(fuzz::scratch(), "run");
    folder.continue_from(3);
    fuzz::promise(std::filesystem::file_size(run / "metrics.jsonl") <= size, "metrics are cut, never made up");
  });
}
