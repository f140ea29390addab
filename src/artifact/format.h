// The bytes of FORMAT.md as structs, for reader and writer alike. Private to this folder.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/reader.h"
#include "base/status.h"

namespace tilewise::artifact::format {

static_assert(std::endian::native == std::endian::little, "tensors are used where they lie");

inline constexpr std::array<uint8_t, 8> kMagic = {0x89, 'T', 'W', 'M', '\r', '\n', 0x1a, '\n'};
inline constexpr uint32_t kVersion = 3;  // the newest that this code reads
inline constexpr uint64_t kAlignment = 64;

inline constexpr uint64_t kMaxMetadataBytes = uint64_t{1} << 26;
inline constexpr uint64_t kMaxTensors = uint64_t{1} << 20;
inline constexpr uint64_t kMaxNameBytes = 255;
inline constexpr int64_t kMaxDimension = int64_t{1} << 40;

struct Header {
  std::array<uint8_t, 8> magic = kMagic;
  uint32_t version = 0;
  uint32_t tensor_count = 0;
  uint64_t file_bytes = 0;
  uint64_t data_offset = 0;
  uint64_t metadata_bytes = 0;
  uint64_t table_offset = 0;
  uint64_t name_bytes = 0;
  uint64_t checksum = 0;
};
static_assert(sizeof(Header) == 64 && offsetof(Header, checksum) == 56);

struct Entry {
  uint64_t data_offset = 0;
  uint64_t data_bytes = 0;
  uint64_t checksum = 0;
  uint32_t name_bytes = 0;
  uint32_t type = 0;
  uint32_t layout = 0;
  uint32_t rank = 0;
  std::array<uint64_t, 2> shape = {};
  uint64_t reserved = 0;
};
static_assert(sizeof(Entry) == 64 && offsetof(Entry, reserved) == 56);

/// For values far from the limit of 64 bits, as all bounded ones are.
constexpr uint64_t round_up(uint64_t value, uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// The lowest version that can express such a model: the one that its file has.
uint32_t version_of(const Metadata& metadata);

/// Whether files of this version may hold such tensors.
bool is_known_type(DataType type, uint32_t version);

/// XXH3-64.
uint64_t hash(std::span<const std::byte> bytes);

/// The header's checksum: of everything before the first tensor but the checksum itself. `front`
/// has at least 64 bytes.
uint64_t front_checksum(std::span<const std::byte> front);

/// Bytes that the data of such a tensor takes; nullopt if there can be no such tensor (rank, a
/// dimension, an overflow).
std::optional<uint64_t> data_bytes(DataType type, Layout layout, std::span<const int64_t> shape);

/// "f32 rows [3, 4]", for messages.
std::string describe(DataType type, Layout layout, std::span<const int64_t> shape);

/// A name that the format allows, by its characters and its length.
bool is_valid_name(std::string_view name);

}  // namespace tilewise::artifact::format
