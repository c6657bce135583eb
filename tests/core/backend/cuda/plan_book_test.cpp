#include "core/backend/cuda/plan_book.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace convoy::cuda {
namespace {

using Source = PlanBook::Source;

PlanBook book_of(const std::string& device = "GPU A") { return {device, "cuDNN 9.1.0"}; }

/// A book with two plans in use.
PlanBook filled() {
  PlanBook book = book_of();
  book.put("conv b", "engine=2 knobs=");
  book.put("conv a", "engine=1 knobs=3:4,5:6");
  return book;
}

class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / ("plan_book_test." + std::to_string(getpid()))) {
    std::filesystem::remove_all(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string content(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}

TEST(PlanBook, IsEmptyTextWithoutPlans) {
  EXPECT_EQ(book_of().text(), "");
  EXPECT_EQ(book_of().adopt(""), "");
}

TEST(PlanBook, TellsItsPlansSortedAndTakesThemBack) {
  const std::string text = filled().text();
  EXPECT_LT(text.find("conv a -> engine=1 knobs=3:4,5:6\n"), text.find("conv b -> engine=2 knobs=\n"));
  PlanBook other = book_of();
  EXPECT_EQ(other.adopt(text), "");
  EXPECT_EQ(other.find("conv a").plan, "engine=1 knobs=3:4,5:6");
  EXPECT_EQ(other.find("conv a").source, Source::adopted);
  EXPECT_EQ(other.find("conv c").source, Source::none);
  EXPECT_EQ(other.text(), text);
}

TEST(PlanBook, DoesNotTakeAnotherDevicesPlans) {
  PlanBook other = book_of("GPU B");
  EXPECT_NE(other.adopt(filled().text()).find("GPU A"), std::string::npos);
  EXPECT_EQ(other.find("conv a").source, Source::none);
}

TEST(PlanBook, NoticesEveryDamagedByteAndEveryCut) {
  const std::string text = filled().text();
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string flipped = text;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    EXPECT_NE(book_of().adopt(flipped), "") << "byte " << at;
    if (at > 0) {
      EXPECT_NE(book_of().adopt(text.substr(0, at)), "") << "cut at " << at;
    }
  }
}

TEST(PlanBook, KeepsPlansInAFileOfTheDevice) {
  const Folder folder;
  PlanBook book = filled();
  EXPECT_EQ(book.save(folder.path() / "below"), "");
  PlanBook later = book_of(), elsewhere = book_of("GPU B");
  EXPECT_EQ(later.load(folder.path() / "below"), "");
  EXPECT_EQ(elsewhere.load(folder.path() / "below"), "");
  EXPECT_EQ(later.find("conv b").source, Source::cache);
  EXPECT_EQ(elsewhere.find("conv b").source, Source::none);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path() / "below"), {}), 1) << "no temporary file stays";
}

TEST(PlanBook, TellsOthersOfAProblemWithoutAPlanButKeepsThatInNoFile) {
  const Folder folder;
  PlanBook book = filled();
  book.put("conv c", std::string(kNoPlan));
  PlanBook other = book_of();
  ASSERT_EQ(other.adopt(book.text()), "");
  EXPECT_EQ(other.find("conv c").plan, kNoPlan);
  EXPECT_EQ(other.find("conv c").source, Source::adopted);
  ASSERT_EQ(book.save(folder.path()), "");
  PlanBook later = book_of();
  ASSERT_EQ(later.load(folder.path()), "");
  EXPECT_EQ(later.find("conv a").source, Source::cache);
  EXPECT_EQ(later.find("conv c").source, Source::none);
}

TEST(PlanBook, TellsOnlyWhatIsInUseOfACache) {
  const Folder folder;
  PlanBook book = filled();
  book.save(folder.path());
  PlanBook later = book_of();
  later.load(folder.path());
  EXPECT_EQ(later.text(), "");
  later.find("conv a");
  EXPECT_NE(later.text().find("conv a"), std::string::npos);
  EXPECT_EQ(later.text().find("conv b"), std::string::npos);
}

TEST(PlanBook, AdoptedPlansWinOverTheCache) {
  const Folder folder;
  PlanBook mine = book_of(), theirs = book_of();
  mine.put("conv a", "engine=1 knobs=");
  mine.save(folder.path());
  theirs.put("conv a", "engine=9 knobs=");
  PlanBook book = book_of();
  book.load(folder.path());
  book.adopt(theirs.text());
  EXPECT_EQ(book.find("conv a").plan, "engine=9 knobs=");
  EXPECT_EQ(book.find("conv a").source, Source::adopted);
}

TEST(PlanBook, SavingKeepsWhatOthersWroteMeanwhile) {
  const Folder folder;
  PlanBook first = filled(), second = book_of(), third = book_of();
  second.put("conv c", "engine=3 knobs=");
  first.save(folder.path());
  second.save(folder.path());
  third.load(folder.path());
  for (const char* problem : {"conv a", "conv b", "conv c"}) EXPECT_EQ(third.find(problem).source, Source::cache) << problem;
}

TEST(PlanBook, ADamagedFileIsNamedAndReplaced) {
  const Folder folder;
  PlanBook book = filled();
  book.save(folder.path());
  const std::filesystem::path file = book.file_in(folder.path());
  write(file, content(file).substr(0, 50));
  PlanBook later = book_of();
  EXPECT_NE(later.load(folder.path()).find(file.string()), std::string::npos);
  EXPECT_EQ(later.find("conv a").source, Source::none);
  later.put("conv a", "engine=7 knobs=");
  EXPECT_EQ(later.save(folder.path()), "");
  PlanBook last = book_of();
  EXPECT_EQ(last.load(folder.path()), "");
  EXPECT_EQ(last.find("conv a").plan, "engine=7 knobs=");
}

TEST(PlanBook, AFolderThatCannotBeWrittenIsAWarning) {
  PlanBook book = filled();
  EXPECT_NE(book.save("/proc/no-such-folder").find("could not be written"), std::string::npos);
}

}  // namespace
}  // namespace convoy::cuda
