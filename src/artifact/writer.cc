#include "artifact/writer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_set>

#include <fmt/format.h>

#include "artifact/format.h"
#include "base/output_file.h"

namespace tilewise::artifact {
namespace {

using format::Entry;
using format::Header;
using format::kAlignment;
using format::round_up;

Status unwritable(const OutputTensor& tensor, std::string expected, std::string found) {
  return internal_error({.what = "The tensor cannot be written",
                         .where = fmt::format("tensor \"{}\"", tensor.name),
                         .expected = std::move(expected),
                         .found = std::move(found),
                         .remedy = "Report this as a bug of the compiler"});
}

/// What the reader would refuse must not be written.
Status check_tensors(std::span<const OutputTensor> tensors, uint32_t version) {
  if (tensors.empty() || tensors.size() > format::kMaxTensors) {
    return internal_error({.what = "The artifact has too few or too many tensors",
                           .where = "",
                           .expected = fmt::format("1 to {}", format::kMaxTensors),
                           .found = fmt::to_string(tensors.size()),
                           .remedy = ""});
  }
  std::unordered_set<std::string_view> seen;
  for (const OutputTensor& tensor : tensors) {
    if (!format::is_valid_name(tensor.name)) {
      return unwritable(tensor, "a name of 1 to 255 bytes of UTF-8", "another");
    }
    if (!seen.insert(tensor.name).second) return unwritable(tensor, "each name once", "it twice");
    const auto bytes = format::is_known_type(tensor.type, version)
                           ? format::data_bytes(tensor.type, tensor.layout, tensor.shape)
                           : std::nullopt;
    if (!bytes || *bytes != tensor.data.size()) {
      return unwritable(tensor, format::describe(tensor.type, tensor.layout, tensor.shape),
                        fmt::format("{} bytes", tensor.data.size()));
    }
  }
  return {};
}

Entry describe_tensor(const OutputTensor& tensor, uint64_t offset) {
  Entry entry;
  entry.data_offset = offset;
  entry.data_bytes = tensor.data.size();
  entry.checksum = format::hash(tensor.data);
  entry.name_bytes = static_cast<uint32_t>(tensor.name.size());
  entry.type = static_cast<uint32_t>(tensor.type);
  entry.layout = static_cast<uint32_t>(tensor.layout);
  entry.rank = static_cast<uint32_t>(tensor.shape.size());
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    entry.shape[i] = static_cast<uint64_t>(tensor.shape[i]);
  }
  return entry;
}

template <class T>
void put(std::vector<std::byte>& bytes, uint64_t offset, const T& value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

void put_text(std::vector<std::byte>& bytes, uint64_t offset, std::string_view text) {
  std::memcpy(bytes.data() + offset, text.data(), text.size());
}

/// Everything before the first tensor.
std::vector<std::byte> make_front(std::string_view metadata, std::span<const OutputTensor> tensors,
                                  uint32_t version) {
  Header header;
  header.version = version;
  header.tensor_count = static_cast<uint32_t>(tensors.size());
  header.metadata_bytes = metadata.size();
  header.table_offset = round_up(sizeof(Header) + metadata.size(), kAlignment);
  for (const OutputTensor& tensor : tensors) header.name_bytes += tensor.name.size();
  uint64_t name_offset = header.table_offset + tensors.size() * sizeof(Entry);
  header.data_offset = round_up(name_offset + header.name_bytes, kAlignment);

  std::vector<std::byte> front(header.data_offset);
  put_text(front, sizeof(Header), metadata);
  uint64_t data_end = header.data_offset;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Entry entry = describe_tensor(tensors[i], round_up(data_end, kAlignment));
    put(front, header.table_offset + i * sizeof(Entry), entry);
    put_text(front, name_offset, tensors[i].name);
    name_offset += entry.name_bytes;
    data_end = entry.data_offset + entry.data_bytes;
  }
  header.file_bytes = data_end;
  put(front, 0, header);
  header.checksum = format::front_checksum(front);
  put(front, 0, header);
  return front;
}

}  // namespace

namespace {

Result<std::vector<std::byte>> checked_front(const Metadata& metadata,
                                             std::span<const OutputTensor> tensors) {
  const uint32_t version = format::version_of(metadata);
  TILEWISE_RETURN_IF_ERROR(validate(metadata));
  TILEWISE_RETURN_IF_ERROR(check_tensors(tensors, version));
  const std::string json = to_json(metadata);
  if (json.size() > format::kMaxMetadataBytes) {
    return invalid_input({.what = "The model's description is too long for an artifact",
                          .where = "labels and templates of the tasks",
                          .expected = fmt::format("up to {} bytes", format::kMaxMetadataBytes),
                          .found = fmt::to_string(json.size()),
                          .remedy = "Compile fewer tasks into one artifact"});
  }
  return make_front(json, tensors, version);
}

constexpr std::array<std::byte, kAlignment> kZeros = {};

}  // namespace

Status write(const std::string& path, const Metadata& metadata,
             std::span<const OutputTensor> tensors) {
  TILEWISE_ASSIGN_OR_RETURN(const std::vector<std::byte> front, checked_front(metadata, tensors));
  TILEWISE_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path));
  TILEWISE_RETURN_IF_ERROR(file.write(front));
  for (const OutputTensor& tensor : tensors) {
    const size_t gap = round_up(file.size(), kAlignment) - file.size();
    TILEWISE_RETURN_IF_ERROR(file.write(std::span(kZeros).first(gap)));
    TILEWISE_RETURN_IF_ERROR(file.write(tensor.data));
  }
  return file.commit();
}

Result<AlignedBuffer> write_to_memory(const Metadata& metadata,
                                      std::span<const OutputTensor> tensors) {
  TILEWISE_ASSIGN_OR_RETURN(const std::vector<std::byte> front, checked_front(metadata, tensors));
  size_t size = front.size();
  for (const OutputTensor& tensor : tensors) size = round_up(size, kAlignment) + tensor.data.size();
  TILEWISE_ASSIGN_OR_RETURN(AlignedBuffer buffer, AlignedBuffer::allocate(size));
  std::byte* end = std::ranges::copy(front, buffer.data()).out;
  for (const OutputTensor& tensor : tensors) {
    const auto used = static_cast<size_t>(end - buffer.data());
    end = std::fill_n(end, round_up(used, kAlignment) - used, std::byte{0});
    end = std::ranges::copy(tensor.data, end).out;
  }
  return buffer;
}

}  // namespace tilewise::artifact
