// Modules, good and bad, made of fake_module.cpp.
#include "core/backend/module.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "core/tensor/error.h"
#include "support/fake_module.h"

namespace convoy {
namespace {

const std::filesystem::path kFolder = CONVOY_FAKE_MODULES;

OpenedModule open(const char* name) { return open_module(name, {kFolder}); }

TEST(Module, IsLoadedFromTheFirstFolderThatHasIt) {
  const OpenedModule opened = open_module("fake_good", {"/nowhere", kFolder});
  ASSERT_NE(opened.head, nullptr) << opened.why_not;
  EXPECT_EQ(opened.why_not, "");
  EXPECT_STREQ(opened.head->build, module_build());
}

TEST(Module, ThrowsErrorsThatTheBinaryCatches) {
  const OpenedModule opened = open("fake_good");
  ASSERT_NE(opened.head, nullptr) << opened.why_not;
  const auto* fake = reinterpret_cast<const FakeModule*>(opened.head);
  EXPECT_THROW(fake->fail("library"), LibraryError);
  EXPECT_THROW(fake->fail("usage"), UsageError);
  try {
    fake->fail("library");
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "thrown in the module");
  }
}

TEST(Module, NotThereNamesTheFolders) {
  const OpenedModule opened = open_module("fake_absent", {"/nowhere", "/neither"});
  EXPECT_EQ(opened.head, nullptr);
  EXPECT_TRUE(opened.why_not.starts_with("libfake_absent.so is in none of: /nowhere, /neither; ")) << opened.why_not;
  EXPECT_NE(opened.why_not.find("cmake --build build/release"), std::string::npos) << opened.why_not;
}

TEST(Module, OfAnotherBuildIsRefused) {
  const OpenedModule opened = open("fake_stranger");
  EXPECT_EQ(opened.head, nullptr);
  EXPECT_NE(opened.why_not.find("belongs to another build of convoy (0.0.9-stranger, "), std::string::npos) << opened.why_not;
}

TEST(Module, WhoseLibraryIsMissingTellsWhich) {
  const OpenedModule opened = open("fake_needy");
  EXPECT_EQ(opened.head, nullptr);
  EXPECT_NE(opened.why_not.find("libfake_needy.so cannot be loaded: "), std::string::npos) << opened.why_not;
  EXPECT_NE(opened.why_not.find("of_a_library_that_is_not_there"), std::string::npos) << opened.why_not;
}

TEST(Module, ThatIsNoModuleIsToldSo) {
  const OpenedModule empty = open("fake_empty");
  EXPECT_EQ(empty.head, nullptr);
  EXPECT_NE(empty.why_not.find("is no module of convoy"), std::string::npos) << empty.why_not;
  const auto folder = std::filesystem::temp_directory_path() / ("module_test." + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  std::ofstream(folder / "libfake_text.so") << "not a library";
  const OpenedModule text = open_module("fake_text", {folder});
  EXPECT_EQ(text.head, nullptr);
  EXPECT_NE(text.why_not.find("cannot be loaded"), std::string::npos) << text.why_not;
  std::filesystem::remove_all(folder);
}

/// The loader would map pages that are not there, and the process die by SIGBUS when it touches one.
TEST(Module, ThatIsCutOffIsToldSo) {
  const auto folder = std::filesystem::temp_directory_path() / ("module_test_cut." + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  const auto whole = std::filesystem::file_size(kFolder / "libfake_good.so");
  for (const std::uintmax_t bytes : {std::uintmax_t{0}, std::uintmax_t{10}, std::uintmax_t{100}, whole / 4, whole / 2, whole - 1}) {
    std::filesystem::copy_file(kFolder / "libfake_good.so", folder / "libfake_good.so",
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(folder / "libfake_good.so", bytes);
    const OpenedModule opened = open_module("fake_good", {folder});
    EXPECT_EQ(opened.head, nullptr) << bytes << " bytes";
    EXPECT_NE(opened.why_not.find("libfake_good.so cannot be loaded: it is "), std::string::npos) << opened.why_not;
    EXPECT_EQ(opened.why_not.find('\n'), std::string::npos) << opened.why_not;
  }
  std::filesystem::remove_all(folder);
}

TEST(Module, AGivenFolderThatDoesNotExistIsToldSo) {
  setenv("CONVOY_MODULES", (kFolder.string() + ":/nowhere").c_str(), 1);
  const std::string wrong = wrong_module_folder();
  setenv("CONVOY_MODULES", kFolder.c_str(), 1);
  EXPECT_EQ(wrong_module_folder(), "");
  unsetenv("CONVOY_MODULES");
  EXPECT_EQ(wrong_module_folder(), "");
  EXPECT_NE(wrong.find("/nowhere"), std::string::npos) << wrong;
}

TEST(Module, FoldersAreThoseGivenThenBesideTheBinaryThenLib) {
  setenv("CONVOY_MODULES", "/one::/two", 1);
  const auto folders = module_folders();
  unsetenv("CONVOY_MODULES");
  const auto own = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  EXPECT_EQ(folders, (std::vector<std::filesystem::path>{"/one", "/two", own, own.parent_path() / "lib"}));
}

}  // namespace
}  // namespace convoy
