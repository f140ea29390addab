#include "artifact/reader.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "artifact/format.h"

namespace tilewise::artifact {

using format::Entry;
using format::Header;
using format::kAlignment;
using format::round_up;

namespace {

constexpr const char* kRemedyCopy = "Copy the file again, or compile the model again";
constexpr const char* kRemedyCompile = "Compile the model again";

template <class T>
T read_at(std::span<const std::byte> bytes, uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// What a file that is not an artifact seems to be: people pass the wrong one of two files.
std::string guess_kind(std::span<const std::byte> bytes) {
  const std::string_view text = as_text(bytes.first(std::min<size_t>(bytes.size(), 64)));
  if (text.empty()) return "an empty file";
  if (text.starts_with("\x89TWM")) return "an artifact whose line ends were changed on the way";
  if (text.starts_with("version https://git-lfs"))
    return "a pointer of Git LFS instead of the file";
  if (text.starts_with("PK\x03\x04")) return "a ZIP archive (a PyTorch checkpoint?)";
  if (text.starts_with("\x1f\x8b")) return "a gzip file";
  if (text.starts_with("\x28\xb5\x2f\xfd")) return "a zstd file";
  if (text.starts_with("GGUF")) return "a GGUF file";
  if (text.size() > 8 && text[8] == '{') return "a safetensors file";
  if (text.starts_with("{") || text.starts_with("[")) return "a JSON file";
  return "another kind of file";
}

}  // namespace

/// Opens one artifact: the checks of FORMAT.md in their order.
class Opener {
 public:
  Opener(std::span<const std::byte> bytes, std::string name) {
    artifact_->bytes_ = bytes;
    artifact_->name_ = std::move(name);
  }

  Result<std::shared_ptr<const Artifact>> open(std::unique_ptr<MappedFile> file) {
    artifact_->file_ = std::move(file);
    TILEWISE_RETURN_IF_ERROR(check_magic());
    TILEWISE_RETURN_IF_ERROR(check_front());
    TILEWISE_RETURN_IF_ERROR(check_version());
    TILEWISE_RETURN_IF_ERROR(check_file_size());
    TILEWISE_RETURN_IF_ERROR(check_sections());
    TILEWISE_RETURN_IF_ERROR(read_metadata());
    TILEWISE_RETURN_IF_ERROR(read_tensors());
    TILEWISE_RETURN_IF_ERROR(index_names());
    artifact_->fingerprint_ = fmt::format("{:016x}", header_.checksum);
    return std::shared_ptr<const Artifact>(std::move(artifact_));
  }

 private:
  std::span<const std::byte> bytes() const { return artifact_->bytes_; }

  std::string at(std::string_view part) const {
    return fmt::format("{}: {}", artifact_->name_, part);
  }

  Status truncated(uint64_t expected_bytes) const {
    return invalid_input({.what = "The artifact is truncated",
                          .where = artifact_->name_,
                          .expected = fmt::format("{} bytes", expected_bytes),
                          .found = fmt::format("{} bytes", bytes().size()),
                          .remedy = kRemedyCopy});
  }

  Status corrupted(std::string_view part, std::string expected, std::string found) const {
    return invalid_input({.what = "The artifact is corrupted",
                          .where = at(part),
                          .expected = std::move(expected),
                          .found = std::move(found),
                          .remedy = kRemedyCopy});
  }

  Status check_magic() const {
    const auto magic = std::as_bytes(std::span(format::kMagic));
    const size_t size = std::min(bytes().size(), magic.size());
    if (size > 0 &&
        std::equal(magic.begin(), magic.begin() + static_cast<ptrdiff_t>(size), bytes().begin())) {
      return {};
    }
    return invalid_input({.what = "The file is not a tilewise artifact",
                          .where = artifact_->name_,
                          .expected = "a file that `tilewise compile` wrote",
                          .found = guess_kind(bytes()),
                          .remedy = "Compile the checkpoint with `tilewise compile`"});
  }

  /// The front lies in the file and is what was written. Holds for every format version.
  Status check_front() {
    const uint64_t size = bytes().size();
    if (size < sizeof(Header)) return truncated(sizeof(Header));
    header_ = read_at<Header>(bytes(), 0);
    const uint64_t front = header_.data_offset;
    if (front > size && header_.file_bytes > size) return truncated(header_.file_bytes);
    if (front < sizeof(Header) || front % kAlignment != 0 || front > size) {
      return corrupted("header, data_offset", "a multiple of 64 inside the file",
                       fmt::to_string(front));
    }
    const uint64_t checksum = format::front_checksum(bytes().first(front));
    if (checksum != header_.checksum) {
      return corrupted("header, metadata or tensor table",
                       fmt::format("checksum {:016x}", header_.checksum),
                       fmt::format("{:016x}", checksum));
    }
    return {};
  }

  Status check_version() const {
    if (header_.version >= 1 && header_.version <= format::kVersion) return {};
    if (header_.version == 0) return corrupted("header, version", "1 or more", "0");
    return unsupported({.what = "The artifact was written by a newer tilewise",
                        .where = artifact_->name_,
                        .expected = fmt::format("format version up to {}", format::kVersion),
                        .found = fmt::format("version {}", header_.version),
                        .remedy = "Update tilewise, or compile the model again with this one"});
  }

  Status check_file_size() const {
    const uint64_t size = bytes().size();
    if (header_.file_bytes > size) return truncated(header_.file_bytes);
    if (header_.file_bytes < size) {
      return corrupted("end of the file", fmt::format("{} bytes", header_.file_bytes),
                       fmt::format("{} bytes more", size - header_.file_bytes));
    }
    return {};
  }

  /// Metadata, table and names lie one after the other in the front, with zeros between.
  Status check_sections() const {
    if (header_.metadata_bytes > format::kMaxMetadataBytes) {
      return corrupted("header, metadata_bytes", fmt::format("up to {}", format::kMaxMetadataBytes),
                       fmt::to_string(header_.metadata_bytes));
    }
    if (header_.tensor_count < 1 || header_.tensor_count > format::kMaxTensors) {
      return corrupted("header, tensor_count", fmt::format("1 to {}", format::kMaxTensors),
                       fmt::to_string(header_.tensor_count));
    }
    if (header_.name_bytes > format::kMaxTensors * format::kMaxNameBytes) {
      return corrupted("header, name_bytes", "the sum of the names' lengths",
                       fmt::to_string(header_.name_bytes));
    }
    const uint64_t metadata_end = sizeof(Header) + header_.metadata_bytes;
    const uint64_t table = round_up(metadata_end, kAlignment);
    const uint64_t names_end = names_offset() + header_.name_bytes;
    if (header_.table_offset != table || header_.data_offset != round_up(names_end, kAlignment)) {
      return corrupted(
          "header", "metadata, tensor table and names end to end",
          fmt::format("table at {}, data at {}", header_.table_offset, header_.data_offset));
    }
    TILEWISE_RETURN_IF_ERROR(check_zeros(metadata_end, table, "behind the metadata"));
    return check_zeros(names_end, header_.data_offset, "behind the tensor names");
  }

  uint64_t names_offset() const {
    return header_.table_offset + header_.tensor_count * sizeof(Entry);
  }

  Status check_zeros(uint64_t from, uint64_t to, std::string_view part) const {
    if (all_zero(bytes().subspan(from, to - from))) return {};
    return corrupted(part, "zeros", "other bytes");
  }

  Status read_metadata() {
    auto metadata =
        parse_metadata(as_text(bytes().subspan(sizeof(Header), header_.metadata_bytes)));
    if (metadata.ok()) {
      const uint32_t due = format::version_of(*metadata);
      if (header_.version != due) {
        return corrupted("header, version",
                         fmt::format("{} for a model in {}{}", due, name_of(metadata->precision),
                                     due == 3 ? " with what older versions cannot say" : ""),
                         fmt::to_string(header_.version));
      }
      artifact_->metadata_ = std::move(*metadata);
      return {};
    }
    Problem problem = metadata.status().problem();
    problem.where = at(problem.where);
    problem.remedy = kRemedyCompile;
    return {metadata.status().code(), std::move(problem)};
  }

  Status read_tensors() {
    uint64_t name_offset = names_offset();
    const uint64_t names_end = name_offset + header_.name_bytes;
    uint64_t data_end = header_.data_offset;
    artifact_->tensors_.reserve(header_.tensor_count);
    for (uint64_t i = 0; i < header_.tensor_count; ++i) {
      const auto entry = read_at<Entry>(bytes(), header_.table_offset + i * sizeof(Entry));
      const std::string part = fmt::format("tensor {}", i);
      if (entry.name_bytes > names_end - name_offset) {
        return corrupted(part, "a name inside the table",
                         fmt::format("{} bytes", entry.name_bytes));
      }
      const auto name = as_text(bytes().subspan(name_offset, entry.name_bytes));
      if (!format::is_valid_name(name)) {
        return corrupted(part, "a name of 1 to 255 bytes of UTF-8", "another");
      }
      name_offset += entry.name_bytes;
      const uint64_t offset = i == 0 ? data_end : round_up(data_end, kAlignment);
      TILEWISE_RETURN_IF_ERROR(read_tensor(entry, name, offset));
      data_end = offset + entry.data_bytes;
    }
    if (name_offset != names_end) {
      return corrupted("header, name_bytes", fmt::to_string(name_offset - names_offset()),
                       fmt::to_string(header_.name_bytes));
    }
    if (data_end != header_.file_bytes) {
      return corrupted("end of the file", fmt::format("the last tensor's end, {}", data_end),
                       fmt::to_string(header_.file_bytes));
    }
    return {};
  }

  /// `offset`: where the data must lie, as all before it are in place.
  Status read_tensor(const Entry& entry, std::string_view name, uint64_t offset) {
    const std::string part = fmt::format("tensor \"{}\"", name);
    TensorView view{.name = name,
                    .type = static_cast<DataType>(entry.type),
                    .layout = static_cast<Layout>(entry.layout),
                    .shape = {},
                    .data = {},
                    .checksum = entry.checksum};
    if (entry.rank < 1 || entry.rank > entry.shape.size() || entry.reserved != 0 ||
        (entry.rank == 1 && entry.shape[1] != 0)) {
      return corrupted(part, "rank 1 or 2, and zeros where nothing is said",
                       fmt::format("rank {}", entry.rank));
    }
    for (uint32_t i = 0; i < entry.rank; ++i) {
      if (entry.shape[i] > static_cast<uint64_t>(format::kMaxDimension)) {
        return corrupted(part, fmt::format("dimensions of 1 to {}", format::kMaxDimension),
                         fmt::to_string(entry.shape[i]));
      }
      view.shape.push_back(static_cast<int64_t>(entry.shape[i]));
    }
    const auto expected = format::is_known_type(view.type, header_.version)
                              ? format::data_bytes(view.type, view.layout, view.shape)
                              : std::nullopt;
    if (!expected) {
      return corrupted(part, "a type, layout and shape that go together",
                       fmt::format("type {}, layout {}, shape [{}]", entry.type, entry.layout,
                                   fmt::join(view.shape, ", ")));
    }
    if (entry.data_bytes != *expected) {
      return corrupted(part,
                       fmt::format("{} bytes for {}", *expected,
                                   format::describe(view.type, view.layout, view.shape)),
                       fmt::to_string(entry.data_bytes));
    }
    if (entry.data_offset != offset || offset > bytes().size() ||
        entry.data_bytes > bytes().size() - offset) {
      return corrupted(part, fmt::format("data at {}, inside the file", offset),
                       fmt::format("{} bytes at {}", entry.data_bytes, entry.data_offset));
    }
    view.data = bytes().subspan(offset, entry.data_bytes);
    artifact_->tensors_.push_back(std::move(view));
    return {};
  }

  Status index_names() {
    auto& order = artifact_->by_name_;
    const auto& tensors = artifact_->tensors_;
    order.resize(tensors.size());
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(),
              [&](uint32_t a, uint32_t b) { return tensors[a].name < tensors[b].name; });
    const auto twice = std::adjacent_find(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return tensors[a].name == tensors[b].name;
    });
    if (twice == order.end()) return {};
    return corrupted(fmt::format("tensor \"{}\"", tensors[*twice].name), "each name once",
                     "it twice");
  }

  std::shared_ptr<Artifact> artifact_ = std::shared_ptr<Artifact>(new Artifact());
  Header header_;
};

Result<std::shared_ptr<const Artifact>> Artifact::open(const std::string& path) {
  TILEWISE_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  auto file = std::make_unique<MappedFile>(std::move(mapped));
  const auto bytes = file->bytes();
  return Opener(bytes, path).open(std::move(file));
}

Result<std::shared_ptr<const Artifact>> Artifact::open(std::span<const std::byte> bytes,
                                                       const std::string& name) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % kAlignment != 0) {
    return invalid_argument({.what = "An artifact in memory must be aligned",
                             .where = name,
                             .expected = "an address that is a multiple of 64",
                             .found = fmt::format("{}", fmt::ptr(bytes.data())),
                             .remedy = ""});
  }
  return Opener(bytes, name).open(nullptr);
}

const TensorView* Artifact::find(std::string_view name) const {
  const auto found = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [this](uint32_t index, std::string_view wanted) { return tensors_[index].name < wanted; });
  if (found == by_name_.end() || tensors_[*found].name != name) return nullptr;
  return &tensors_[*found];
}

Result<const TensorView*> Artifact::require(std::string_view name, DataType type, Layout layout,
                                            const std::vector<int64_t>& shape) const {
  const TensorView* tensor = find(name);
  const bool fits =
      tensor && tensor->type == type && tensor->layout == layout && tensor->shape == shape;
  if (fits) return tensor;
  return invalid_input(
      {.what = tensor ? "A tensor of the artifact does not fit its model"
                      : "The artifact lacks a tensor that its model needs",
       .where = fmt::format("{}: tensor \"{}\"", name_, name),
       .expected = format::describe(type, layout, shape),
       .found = tensor ? format::describe(tensor->type, tensor->layout, tensor->shape) : "none",
       .remedy = kRemedyCompile});
}

Status Artifact::verify() const {
  const std::byte* end = tensors_.empty() ? nullptr : tensors_.front().data.data();
  for (const TensorView& tensor : tensors_) {
    const bool zeros = all_zero({end, tensor.data.data()});
    const uint64_t checksum = format::hash(tensor.data);
    if (!zeros || checksum != tensor.checksum) {
      return invalid_input(
          {.what = "The artifact is corrupted",
           .where = fmt::format("{}: tensor \"{}\"", name_, tensor.name),
           .expected = zeros ? fmt::format("checksum {:016x}", tensor.checksum) : "zeros before it",
           .found = zeros ? fmt::format("{:016x}", checksum) : "other bytes",
           .remedy = kRemedyCopy});
    }
    end = tensor.data.data() + tensor.data.size();
  }
  return {};
}

void Artifact::release(std::span<const std::byte> part) const {
  if (file_ != nullptr) file_->release(part);
}

}  // namespace tilewise::artifact
