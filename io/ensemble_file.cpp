#include "io/ensemble_file.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "core/tensor/error.h"
#include "io/atomic_file.h"
#include "io/checkpoint_hdf5.h"
#include "io/crc32c.h"
#include "io/hdf5.h"
#include "io/hdf5_descriptor.h"
#include "io/rehearsal.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using namespace checkpoint_format;

constexpr char kFormatName[] = "convoy-ensemble";
constexpr std::int64_t kFormatVersion = 1;
constexpr char kMembers[] = "members", kLink[] = "checkpoint", kContent[] = "content_crc32c";

std::uint32_t content_crc(const std::vector<EnsembleMember>& members) {
  std::string lines;
  for (const EnsembleMember& m : members)
    lines += fmt::format("{}\t{}\t{}\t{}\n", m.name, m.file.string(), m.step, m.digest);
  return crc32c(lines.data(), lines.size());
}

/// members/NAME/checkpoints/step-*.h5, and so nothing outside the folder.
bool is_members_own(const EnsembleMember& member) {
  const fs::path folder = member_folder("", member.name) / "checkpoints";
  const std::string name = member.file.filename().string();
  return !member.name.empty() && member.name.find_first_not_of("0123456789") == std::string::npos &&
         member.file.parent_path() == folder && name.starts_with("step-") && name.ends_with(".h5");
}

void write_contents(hid_t file, const std::vector<EnsembleMember>& members) {
  hdf5::write_text(file, "format", kFormatName);
  hdf5::write_number(file, "version", kFormatVersion);
  hdf5::write_number(file, "members", static_cast<std::int64_t>(members.size()));
  const hdf5::Group all = create_group(file, kMembers);
  for (const EnsembleMember& member : members) {
    const hdf5::Group group = create_group(all.get(), member.name);
    hdf5::write_text(group.get(), "file", member.file.string());
    hdf5::write_number(group.get(), "step", member.step);
    hdf5::write_text(group.get(), "digest", member.digest);
    CONVOY_HDF5(H5Lcreate_external(member.file.c_str(), "/", group.get(), kLink, H5P_DEFAULT, H5P_DEFAULT));
  }
  hdf5::write_number(file, kContent, content_crc(members));
}

/// The group behind a hard link: nothing else is opened.
hdf5::Object open_group(hid_t parent, const std::string& name) {
  hdf5::quiet();
  H5L_info_t link{};
  if (H5Lexists(parent, name.c_str(), H5P_DEFAULT) <= 0 ||
      H5Lget_info(parent, name.c_str(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
    throw DataError(fmt::format("expected a group \"{}\"", name));
  hdf5::Object group(H5Oopen(parent, name.c_str(), H5P_DEFAULT));
  if (!group.valid() || H5Iget_type(group.get()) != H5I_GROUP)
    throw DataError(fmt::format("expected a group \"{}\"", name));
  check_group_is_plain(group.get());
  return group;
}

std::vector<EnsembleMember> read_contents(const fs::path& path) {
  const hdf5::File file = hdf5::open_file(path);
  const hid_t root = file.get();
  check_group_is_plain(root);
  if (const std::string format = read_fixed_text(root, "format"); format != kFormatName)
    throw DataError(fmt::format("expected format \"{}\", found \"{}\": not an ensemble", kFormatName, format));
  if (const auto version = hdf5::read_number<std::int64_t>(root, "version");
      version < 1 || version > kFormatVersion)
    throw DataError(fmt::format("format version {}, but this convoy reads up to {}; use a newer convoy",
                                version, kFormatVersion));
  const hdf5::Object all = open_group(root, kMembers);
  std::vector<EnsembleMember> members;
  for (const std::string& name : hdf5::members(all.get())) {
    const hdf5::Object group = open_group(all.get(), name);
    members.push_back({name, read_fixed_text(group.get(), "file"),
                       hdf5::read_number<std::int64_t>(group.get(), "step"),
                       read_fixed_text(group.get(), "digest")});
    if (!is_members_own(members.back()))
      throw DataError(fmt::format("member {} names the file {}, which is no checkpoint in its folder", name,
                                  members.back().file.string()));
  }
  if (const auto count = hdf5::read_number<std::int64_t>(root, "members");
      count != static_cast<std::int64_t>(members.size()))
    throw DataError(fmt::format("expected {} members, found {}", count, members.size()));
  if (members.empty()) throw DataError("an ensemble without members");
  if (const auto crc = hdf5::read_number<std::uint32_t>(root, kContent); crc != content_crc(members))
    throw DataError(fmt::format(
        "names, steps and digests have the CRC-32C {:08x}, but {:08x} was stored when the file was written",
        content_crc(members), crc));
  return members;
}

}  // namespace

fs::path member_folder(const fs::path& run_folder, const std::string& name) {
  return run_folder / kMembers / name;
}

void write_ensemble(const fs::path& path, const std::vector<EnsembleMember>& members) {
  for (const EnsembleMember& member : members)
    if (!is_members_own(member))
      throw UsageError(fmt::format("{}: {} is no checkpoint in the folder of member {}", path.string(),
                                   member.file.string(), member.name));
  TemporaryFile temporary(path);
  hdf5::DescriptorFile out(temporary.descriptor(), temporary.path());
  try {
    write_contents(out.get(), members);
    out.close();
  } catch (const LibraryError& error) {
    if (out.error() == 0) throw LibraryError(fmt::format("cannot write {}: {}", path.string(), error.what()));
  }
  if (out.error() != 0) throw_system_error("write", path, out.error());
  temporary.commit();
}

std::vector<EnsembleMember> read_ensemble(const fs::path& path) {
  try {
    rehearse("the file", [&] { read_contents(path); });
    return read_contents(path);
  } catch (const Error& error) {
    throw DataError(fmt::format(
        "ensemble {}: {}; `convoy train` with the ensemble's config and --resume=latest writes it anew",
        path.string(), error.what()));
  }
}

Checkpoint read_member(const fs::path& path, const EnsembleMember& member) {
  const fs::path file = path.parent_path() / member.file;
  std::error_code error;
  if (!fs::exists(file, error))
    throw DataError(fmt::format(
        "ensemble {}: member {}'s checkpoint {} is not there; {} belongs into the run folder that holds "
        "the folder members",
        path.string(), member.name, file.string(), path.filename().string()));
  Checkpoint checkpoint = read_checkpoint(file);
  if (checkpoint.step != member.step)
    throw DataError(fmt::format("ensemble {}: {} holds step {}, but member {} was step {}", path.string(),
                                file.string(), checkpoint.step, member.name, member.step));
  if (const std::string digest = digest_of(checkpoint); digest != member.digest)
    throw DataError(fmt::format(
        "ensemble {}: {} has the digest {}, but member {} had {}: it is another checkpoint than the one the "
        "ensemble was made of; bring that one back, or train with --resume=latest to make the ensemble anew",
        path.string(), file.string(), digest, member.name, member.digest));
  return checkpoint;
}

fs::path find_ensemble(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error))
    return fs::is_regular_file(path / kEnsembleFile, error) ? path / kEnsembleFile : fs::path();
  if (!fs::is_regular_file(path, error)) return {};
  if (path.filename() == kEnsembleFile) return path;
  const auto is_ensemble = [&] {
    const hdf5::File file = hdf5::open_file(path);
    return hdf5::has_attribute(file.get(), "format") && read_fixed_text(file.get(), "format") == kFormatName;
  };
  try {
    rehearse("the file", [&] { static_cast<void>(is_ensemble()); });
    return is_ensemble() ? path : fs::path();
  } catch (const Error&) {
    return {};  // whoever reads it as a checkpoint says what is wrong
  }
}

}  // namespace convoy
