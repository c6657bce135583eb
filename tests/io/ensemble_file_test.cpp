#include "io/ensemble_file.h"

#include <unistd.h>

#include <cstdlib>

#include "core/tensor/error.h"
#include "io/checkpoint_samples.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using test::content_of;
using test::message_of;
using test::ScratchFolder;
using test::write_content;

class EnsembleFile : public testing::Test {
 protected:
  EnsembleFile() {
    for (int number = 1; number <= 12; ++number) {
      const std::string name = (number < 10 ? "0" : "") + std::to_string(number);
      Checkpoint checkpoint;
      checkpoint.step = 10 * number;
      checkpoint.parameters["conv1/filters"] =
          test::random_tensor({5}, DType::f32, static_cast<std::uint64_t>(number));
      const fs::path relative =
          member_folder("", name) / "checkpoints" / CheckpointFolder("").file_for(checkpoint.step).filename();
      fs::create_directories((scratch_.path() / relative).parent_path());
      write_checkpoint(scratch_.path() / relative, checkpoint);
      members_.push_back({name, relative, checkpoint.step, digest_of(checkpoint)});
    }
    write_ensemble(file_, members_);
  }
  fs::path checkpoint(std::size_t member) const { return scratch_.path() / members_[member].file; }

  ScratchFolder scratch_;
  fs::path file_ = scratch_.path() / kEnsembleFile;
  std::vector<EnsembleMember> members_;
};

TEST_F(EnsembleFile, IsReadAsItWasWritten) {
  const std::vector<EnsembleMember> read = read_ensemble(file_);
  ASSERT_EQ(read.size(), 12U);
  for (std::size_t m = 0; m < read.size(); ++m) {
    EXPECT_EQ(read[m].name, members_[m].name);
    EXPECT_EQ(read[m].file, members_[m].file);
    EXPECT_EQ(read[m].step, members_[m].step);
    EXPECT_EQ(read[m].digest, members_[m].digest);
    EXPECT_EQ(digest_of(read_member(file_, read[m])), members_[m].digest);
  }
  const std::string before = content_of(file_);
  write_ensemble(file_, members_);
  EXPECT_EQ(content_of(file_), before);  // the same content gives the same bytes
}

TEST_F(EnsembleFile, IsFoundByItsFolderOrItself) {
  EXPECT_EQ(find_ensemble(scratch_.path()), file_);
  EXPECT_EQ(find_ensemble(file_), file_);
  EXPECT_EQ(find_ensemble(checkpoint(0)), "");
  EXPECT_EQ(find_ensemble(scratch_.path() / "members/01"), "");
  EXPECT_EQ(find_ensemble(scratch_.path() / "missing"), "");
  fs::rename(file_, scratch_.path() / "seven.h5");
  EXPECT_EQ(find_ensemble(scratch_.path() / "seven.h5"), scratch_.path() / "seven.h5");
}

TEST_F(EnsembleFile, NamesAMembersCheckpointThatIsDamagedReplacedOrNotThere) {
  const std::string whole = content_of(checkpoint(2));
  std::string content = whole;
  const Checkpoint stored = read_checkpoint(checkpoint(2));
  const Tensor& filters = stored.parameters.at("conv1/filters");
  content[content.find(std::string(reinterpret_cast<const char*>(filters.bytes()), filters.size_bytes()))] ^= 1;
  write_content(checkpoint(2), content);
  EXPECT_NE(message_of<DataError>([&] {
              read_member(file_, members_[2]);
            }).find("members/03/checkpoints/step-00000030.h5"),
            std::string::npos);
  Checkpoint other = read_checkpoint(checkpoint(3));
  other.step = 30;
  write_checkpoint(checkpoint(2), other);
  EXPECT_NE(message_of<DataError>([&] {
              read_member(file_, members_[2]);
            }).find("but member 03 had " + members_[2].digest),
            std::string::npos);
  write_content(checkpoint(2), content_of(checkpoint(3)));
  EXPECT_NE(message_of<DataError>([&] {
              read_member(file_, members_[2]);
            }).find("holds step 40, but member 03 was step 30"),
            std::string::npos);
  fs::remove(checkpoint(2));
  EXPECT_NE(message_of<DataError>([&] {
              read_member(file_, members_[2]);
            }).find("is not there; ensemble.h5 belongs into the run folder"),
            std::string::npos);
  write_content(checkpoint(2), whole);
  EXPECT_NO_THROW(read_member(file_, members_[2]));
}

TEST_F(EnsembleFile, TakesNoCheckpointFromElsewhere) {
  for (const char* file :
       {"/etc/passwd", "../members/01/checkpoints/step-00000010.h5", "members/02/checkpoints/step-00000010.h5",
        "members/01/checkpoints/../../../x.h5", "members/01/step-00000010.h5", "members/01/checkpoints/x.h5"}) {
    std::vector<EnsembleMember> members = members_;
    members[0].file = file;
    EXPECT_THROW(write_ensemble(file_, members), UsageError) << file;
  }
  // As another program may write it: every byte of a name in the file is another one.
  std::string content = content_of(file_);
  const std::string name = "members/01/checkpoints/step-00000010.h5";
  int places = 0;
  for (std::size_t at = content.find(name); at != std::string::npos; at = content.find(name, at + 1), ++places)
    content[at] = '/';
  ASSERT_GE(places, 2);
  write_content(file_, content);
  EXPECT_THROW(read_ensemble(file_), DataError);
}

TEST_F(EnsembleFile, FindsEveryFlippedBit) {
  const std::string whole = content_of(file_);
  std::size_t harmless = 0;
  for (std::size_t at = 0; at < whole.size(); at += 37) {
    std::string content = whole;
    content[at] ^= static_cast<char>(1 << (at % 8));
    write_content(file_, content);
    try {
      const std::vector<EnsembleMember> read = read_ensemble(file_);
      ++harmless;  // a byte that means nothing
      ASSERT_EQ(read.size(), members_.size()) << at;
      for (std::size_t m = 0; m < read.size(); ++m) {
        EXPECT_EQ(read[m].file, members_[m].file) << at;
        EXPECT_EQ(read[m].step, members_[m].step) << at;
        EXPECT_EQ(read[m].digest, members_[m].digest) << at;
      }
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find("ensemble.h5"), std::string::npos);
    }
  }
  EXPECT_LT(harmless, whole.size() / 37 / 2);
}

TEST_F(EnsembleFile, RefusesWhatIsNoEnsemble) {
  EXPECT_NE(message_of<DataError>([&] {
              read_ensemble(checkpoint(0));
            }).find("expected format \"convoy-ensemble\", found \"convoy-checkpoint\""),
            std::string::npos);
  write_content(file_, "not HDF5");
  EXPECT_THROW(read_ensemble(file_), DataError);
}

TEST_F(EnsembleFile, OpensInH5py) {
  if (access("/usr/bin/python3", X_OK) != 0 ||
      std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0)
    GTEST_SKIP() << "/usr/bin/python3 with h5py (Debian: python3-h5py) is not installed";
  write_content(scratch_ / "read.py",
                "import h5py, sys\n"
                "f = h5py.File(sys.argv[1], 'r')\n"
                "assert f.attrs['members'] == len(f['members']) == 12\n"
                "for name, member in f['members'].items():\n"
                "    link = member.get('checkpoint', getlink=True)\n"
                "    assert isinstance(link, h5py.ExternalLink) and not link.filename.startswith('/'), link\n"
                "    assert member['checkpoint'].attrs['step'] == member.attrs['step'] == 10 * int(name)\n"
                "    assert member['checkpoint/parameters/conv1/filters'].shape == (5,)\n");
  EXPECT_EQ(std::system(("cd / && HDF5_USE_FILE_LOCKING=FALSE /usr/bin/python3 '" +
                         (scratch_ / "read.py").string() + "' '" + file_.string() + "'")
                            .c_str()),
            0);
}

}  // namespace
}  // namespace convoy
