#include "batch/output_directory.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace tilewise::batch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuccessName = "_SUCCESS";
constexpr const char* kRejectedFolder = "rejected";
constexpr const char* kScoresFolder = "_scores";
constexpr const char* kRejectedRecords = "records.jsonl";
constexpr std::string_view kTemporaryMark = ".tmp-";
constexpr size_t kTemporaryDigits = 6;

Status cannot(const char* what, const fs::path& path, const std::error_code& error) {
  return io_error({.what = what, .where = path.string(), .found = error.message()});
}

/// A name in a directory survives a crash once the directory has been synced; some file systems
/// cannot do that.
Status sync(const fs::path& directory) {
  const Descriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0 || ::fsync(opened.get()) == 0 || errno == EINVAL || errno == ENOTSUP) {
    return {};
  }
  return io_error({.what = "cannot write the output directory",
                   .where = directory.string(),
                   .found = errno_text(errno)});
}

/// Nothing where it is there. Errors: io_error, also where there is none above it.
Status create_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return {};
  fs::create_directory(folder, error);
  if (error) return cannot("cannot create a folder for the output", folder, error);
  return sync(folder.parent_path().empty() ? "." : folder.parent_path());
}

/// With those above it.
Status create_folders(const fs::path& folder) {
  std::error_code error;
  if (folder.empty() || fs::is_directory(folder, error)) return {};
  TILEWISE_RETURN_IF_ERROR(create_folders(folder.parent_path()));
  return create_folder(folder);
}

/// The name without what base/output_file.h adds while the file is being written.
std::string_view without_temporary(std::string_view name) {
  const size_t mark = name.rfind(kTemporaryMark);
  const bool is_temporary = mark != std::string_view::npos &&
                            name.size() - mark == kTemporaryMark.size() + kTemporaryDigits;
  return is_temporary ? name.substr(0, mark) : name;
}

/// The number of the part that a file belongs to; negative for any other file.
int64_t part_of(std::string_view name) {
  constexpr std::string_view kPrefix = "part-";
  constexpr std::string_view kExtensions[] = {".jsonl", ".csv", ".tsv", ".scores"};
  if (!name.starts_with(kPrefix)) return -1;
  name.remove_prefix(kPrefix.size());
  const size_t digits = std::min(name.size(), name.find_first_not_of("0123456789"));
  if (digits < 5 || digits > 15) return -1;
  const std::string number(name.substr(0, digits));
  name.remove_prefix(digits);
  const bool is_known = std::ranges::any_of(
      kExtensions, [&](std::string_view extension) { return name.starts_with(extension); });
  return is_known ? std::stoll(number) : -1;
}

/// Whether a job has written a file of this name, or was about to.
bool is_of_a_job(std::string_view name) {
  const std::string_view whole = without_temporary(name);
  return part_of(whole) >= 0 || whole == kManifestName || whole == kSuccessName ||
         whole == kRejectedRecords;
}

/// All files of jobs for which `is_wanted(name)` holds, by name: first the mark of success and the
/// manifest, without which nobody takes the rest for a result.
Result<std::vector<fs::path>> list(const fs::path& directory,
                                   const std::function<bool(std::string_view)>& is_wanted) {
  std::vector<fs::path> found;
  for (const fs::path& folder :
       {directory, directory / kRejectedFolder, directory / kScoresFolder}) {
    std::error_code error;
    fs::directory_iterator entry(folder, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
      const std::string name = entry->path().filename();
      if (is_of_a_job(name) && is_wanted(name)) found.push_back(entry->path());
    }
    if (error && error != std::errc::no_such_file_or_directory) {
      return cannot("cannot read the output directory", folder, error);
    }
  }
  std::ranges::sort(found, {}, &fs::path::filename);
  return found;
}

bool holds_rejected_records_alone(const fs::path& folder) {
  std::error_code error;
  if (folder.filename() != kRejectedFolder) return false;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().filename() != kRejectedRecords) return false;
  }
  return !error;
}

Status remove_all(const std::vector<fs::path>& files) {
  for (const fs::path& file : files) TILEWISE_RETURN_IF_ERROR(remove_file(file));
  return {};
}

/// Errors: unavailable where another process has it. Some network file systems cannot lock: there
/// it is up to the caller to run one job at a time.
Result<Descriptor> lock(const std::string& path) {
  Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0) {
    return io_error(
        {.what = "cannot open the output directory", .where = path, .found = errno_text(errno)});
  }
  if (::flock(directory.get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return directory;
  return unavailable({.what = "another job is writing into the output directory",
                      .where = path,
                      .remedy = "Wait for its end, or name another directory"});
}

}  // namespace

std::string part_name(int64_t index) { return fmt::format("part-{:05}", index); }

std::string scores_path(const std::string& directory, int64_t part) {
  return directory + "/" + kScoresFolder + "/" + part_name(part) + ".scores";
}

Status remove_file(const std::string& path) {
  std::error_code error;
  fs::remove(path, error);
  return error ? cannot("cannot remove a file of an earlier job", path, error) : Status();
}

Result<OutputDirectory> OutputDirectory::open(const std::string& path, std::string extension) {
  TILEWISE_RETURN_IF_ERROR(create_folders(path));
  TILEWISE_ASSIGN_OR_RETURN(Descriptor locked, lock(path));
  TILEWISE_ASSIGN_OR_RETURN(const auto temporaries, list(path, [](std::string_view name) {
                              return without_temporary(name) != name;
                            }));
  TILEWISE_RETURN_IF_ERROR(remove_all(temporaries));
  return OutputDirectory(path, std::move(extension), std::move(locked));
}

Status OutputDirectory::clear() {
  // A power cut must not bring it back beside what is left of the rest.
  TILEWISE_RETURN_IF_ERROR(remove_file(success()));
  TILEWISE_RETURN_IF_ERROR(sync(path_));
  TILEWISE_ASSIGN_OR_RETURN(const auto files, list(path_, [](std::string_view) { return true; }));
  TILEWISE_RETURN_IF_ERROR(remove_all(files));
  for (const char* folder : {kRejectedFolder, kScoresFolder}) {
    std::error_code ignored;  // something else lies in it
    fs::remove(fs::path(path_) / folder, ignored);
  }
  return {};
}

Status OutputDirectory::prepare(bool overwrite) {
  if (overwrite) return clear();
  std::error_code error;
  const bool has_manifest = fs::exists(manifest(), error);
  if (error) return cannot("cannot read the output directory", path_, error);
  return has_manifest ? Status() : check_empty();
}

Status OutputDirectory::check_empty() const {
  std::error_code error;
  fs::directory_iterator entry(path_, error);
  // Records may have been rejected before there was a manifest.
  if (!error && entry != fs::directory_iterator() && holds_rejected_records_alone(*entry)) {
    entry.increment(error);
  }
  if (error) return cannot("cannot read the output directory", path_, error);
  if (entry == fs::directory_iterator()) return {};
  return invalid_argument(
      {.what = "the output directory is not empty and holds no batch job",
       .where = path_,
       .expected = "an empty directory, or one that does not exist",
       .found = entry->path().filename().string(),
       .remedy = "Name another one, or replace the parts in it with --overwrite"});
}

Status OutputDirectory::check_in_place() const {
  struct stat opened = {}, found = {};
  if (::fstat(lock_.get(), &opened) == 0 && ::stat(path_.c_str(), &found) == 0 &&
      opened.st_dev == found.st_dev && opened.st_ino == found.st_ino) {
    return {};
  }
  return io_error({.what = "the output directory was moved or removed while the job ran",
                   .where = path_,
                   .remedy = "Run the job again, and leave its directory alone"});
}

Status OutputDirectory::remove_unlisted(const Manifest& manifest) {
  TILEWISE_ASSIGN_OR_RETURN(const auto files, list(path_, [&](std::string_view name) {
                              const int64_t part = part_of(name);
                              return part >= 0 && manifest.find(part) == nullptr;
                            }));
  return remove_all(files);
}

std::string OutputDirectory::answers(int64_t part) const {
  return path_ + "/" + part_name(part) + extension_;
}
std::string OutputDirectory::rejections(int64_t part) const {
  return path_ + "/" + kRejectedFolder + "/" + part_name(part) + ".jsonl";
}
std::string OutputDirectory::scores(int64_t part) const { return scores_path(path_, part); }
std::string OutputDirectory::rejected_records() const {
  return path_ + "/" + kRejectedFolder + "/" + kRejectedRecords;
}
std::string OutputDirectory::manifest() const { return path_ + "/" + kManifestName; }
std::string OutputDirectory::success() const { return path_ + "/" + kSuccessName; }

Status OutputDirectory::create_folder_of(const std::string& file) {
  const fs::path folder = fs::path(file).parent_path();
  const bool is_ours = folder.filename() == kRejectedFolder || folder.filename() == kScoresFolder;
  // The directory itself is there since open(); where it was taken away, so were results.
  return is_ours ? create_folder(folder) : Status();
}

}  // namespace tilewise::batch
