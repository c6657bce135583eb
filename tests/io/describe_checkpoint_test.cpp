#include "io/describe_checkpoint.h"

#include <unistd.h>

#include <cstdio>

#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "io/bench_checkpoint.h"
#include "io/checkpoint_samples.h"

namespace convoy {
namespace {

using test::sample_checkpoint;
using test::ScratchFolder;

TEST(DescribeCheckpoint, TellsEverythingAsJson) {
  const ScratchFolder scratch;
  const Checkpoint saved = sample_checkpoint();
  write_checkpoint(scratch / "a.h5", saved);
  const nlohmann::json json = nlohmann::json::parse(to_json(describe_checkpoint(scratch / "a.h5")));
  EXPECT_EQ(json.at("file"), (scratch / "a.h5").string());
  EXPECT_EQ(json.at("bytes"), std::filesystem::file_size(scratch / "a.h5"));
  EXPECT_EQ(json.at("digest"), digest_of(saved));
  EXPECT_EQ(json.at("step"), 12000);
  EXPECT_EQ(json.at("epoch"), 3.75);
  EXPECT_EQ(json.at("world_size"), 3);
  EXPECT_EQ(json.at("graph_hash"), "0123abcd");
  EXPECT_EQ(json.at("updates"), 11998);
  EXPECT_EQ(json.at("loss_scale"), 1024.5);
  EXPECT_EQ(json.at("best").at("metric").get<double>(), 0.1 + 0.2);
  EXPECT_EQ(json.at("best").at("step"), 11000);
  EXPECT_EQ(json.at("ledgers").at(0).at("xor").get<std::uint64_t>(), 0xffffffffffffffffULL);
  EXPECT_EQ(json.at("skipped_steps"), (std::vector<std::int64_t>{5, 77}));
  EXPECT_EQ(json.at("run_record").get<RunRecord>(), saved.run_record);
  EXPECT_EQ(json.at("config"), saved.config);
  EXPECT_EQ(json.at("metrics").at("accuracy"), 0.9);
  EXPECT_EQ(json.at("parameter_count"), 150 + 6 + 800 + 1);
  EXPECT_EQ(json.at("tensors").size(), 13u);
  EXPECT_EQ(json.at("tensors").at(2),
            nlohmann::json({{"name", "parameters/dense/weights"}, {"dtype", "bfloat16"}, {"shape", {40, 20}}, {"bytes", 1600}}));
}

TEST(DescribeCheckpoint, TellsItAsText) {
  const ScratchFolder scratch;
  write_checkpoint(scratch / "a.h5", sample_checkpoint());
  const std::string text = to_text(describe_checkpoint(scratch / "a.h5"));
  for (const std::string& part :
       {std::string("step                 12000\n"), digest_of(sample_checkpoint()), std::string("0.3 at step 11000"),
        std::string("  parameters/conv1/filters          float32   [6, 5, 5, 1]\n"), std::string("written by           3 ranks"),
        std::string("epochs = 5"), std::string("  precision = fp32\n"), std::string("epoch 4: 28 samples, sum 12, xor 5")})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nis not in\n" << text.substr(0, 3000);
}

TEST(DescribeCheckpoint, TakesARunFolderAndShowsItsBest) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch / "checkpoints");
  folder.save(sample_checkpoint(10), 9, true);
  folder.save(sample_checkpoint(20), 9, false);
  EXPECT_EQ(describe_checkpoint(scratch.path()).checkpoint.step, 10);
}

TEST(DescribeCheckpoint, ShowsMetricsThatAreNoJsonAsText) {
  const ScratchFolder scratch;
  Checkpoint checkpoint;
  checkpoint.metrics = "not json";
  write_checkpoint(scratch / "a.h5", checkpoint);
  const nlohmann::json json = nlohmann::json::parse(to_json(describe_checkpoint(scratch / "a.h5")));
  EXPECT_EQ(json.at("metrics"), "not json");
  EXPECT_TRUE(json.at("best").is_null());
}

TEST(VerifyCheckpoint, SpeaksJson) {
  const ScratchFolder scratch;
  write_checkpoint(scratch / "a.h5", sample_checkpoint());
  const nlohmann::json good = nlohmann::json::parse(to_json(verify_checkpoint(scratch / "a.h5")));
  EXPECT_TRUE(good.at("good").get<bool>());
  EXPECT_GT(good.at("items").size(), 25u);
  const nlohmann::json missing = nlohmann::json::parse(to_json(verify_checkpoint(scratch / "b.h5")));
  EXPECT_FALSE(missing.at("good").get<bool>());
  EXPECT_EQ(missing.at("items").at(0).at("name"), "file");
}

TEST(BenchCheckpoint, MeasuresEveryRound) {
  const ScratchFolder scratch;
  const CheckpointBenchResult result =
      bench_checkpoint({.folder = scratch.path(), .size_bytes = 1'000'000, .tensors = 5, .repeats = 3});
  EXPECT_GE(result.file_bytes, 1'000'000);
  for (const std::vector<double>* rates : {&result.save, &result.raw_write, &result.load, &result.raw_read}) {
    ASSERT_EQ(rates->size(), 3u);
    for (double rate : *rates) EXPECT_GT(rate, 0);
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
  EXPECT_THROW(bench_checkpoint({.folder = scratch.path(), .size_bytes = 0}), UsageError);
}

/// Reads one file with h5py and compares with what was saved; written as a reader of the format would write it.
constexpr char kPython[] = R"py(
import json, sys, h5py, numpy as np
f = h5py.File(sys.argv[1], "r")
assert f.attrs["format"] == b"convoy-checkpoint" and f.attrs["version"] == 1
assert f.attrs["step"] == 12000 and f.attrs["loss_scale"] == 1024.5 and f.attrs["best_step"] == 11000
assert json.loads(f["run_record"][()])["precision"] == "fp32"
assert f["config"][()].decode().startswith("[train]\nepochs = 5\n")
assert json.loads(f["metrics"][()])["loss"] == 0.25
assert f["parameters/conv1/filters"].dtype == np.float32 and f["parameters/conv1/filters"].shape == (6, 5, 5, 1)
assert f["parameters/conv1/filters"][:].tobytes().hex() == sys.argv[2]
assert f["parameters/dense/weights"].dtype == np.uint16 and f["parameters/dense/weights"].attrs["dtype"] == b"bfloat16"
assert f["state/bn1/mean"].dtype == np.float16
assert f["optimizer/momentum/empty"].shape == (0, 3)
assert f["ledgers"][0].tolist() == [3, 100, 4950, 2**64 - 1] and f["skipped_steps"][:].tolist() == [5, 77]
names = []
f.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
assert all("crc32c" in f[name].attrs for name in names) and len(names) == 18, names
)py";

TEST(CheckpointFormat, IsReadableWithH5py) {
  if (access("/usr/bin/python3", X_OK) != 0 || std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0)
    GTEST_SKIP() << "/usr/bin/python3 with h5py (Debian: python3-h5py) is not installed";
  const ScratchFolder scratch;
  const Checkpoint saved = sample_checkpoint();
  write_checkpoint(scratch / "a.h5", saved);
  test::write_content(scratch / "read.py", kPython);
  std::string bytes;
  const Tensor& filters = saved.parameters.at("conv1/filters");
  for (std::size_t i = 0; i < filters.size_bytes(); ++i) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(filters.bytes()[i]));
    bytes += digits;
  }
  const std::string command = "/usr/bin/python3 '" + (scratch / "read.py").string() + "' '" + (scratch / "a.h5").string() + "' " + bytes;
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace convoy
