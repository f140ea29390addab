#include "artifact/format.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <new>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <simdjson.h>
#include <xxhash.h>

namespace tilewise::artifact::format {
namespace {

constexpr uint64_t kPanelColumns = 32;
constexpr uint64_t kStepBytes = 64;  // K is padded to whole cache lines

uint64_t element_bytes(DataType type) {
  switch (type) {
    case DataType::f32:
    case DataType::s32:
      return 4;
    case DataType::bf16:
      return 2;
    case DataType::bytes:
    case DataType::s8:
      return 1;
  }
  return 0;
}

std::optional<uint64_t> product(uint64_t a, uint64_t b) {
  uint64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

// Versions 1 and 2 have no word for it.

bool needs_version_3(const TaskEntry& entry) {
  return !entry.task.exits.empty() || entry.dense_norm;
}

bool needs_version_3(const model::EncoderSpec& spec) {
  const model::EncoderSpec defaults;
  return spec.embedding_size != 0 || spec.norm_placement != defaults.norm_placement ||
         spec.is_gated || spec.positions != defaults.positions || spec.rotary_base != 0 ||
         spec.rotary_base_local != 0 || spec.window != 0 ||
         spec.global_every != defaults.global_every || spec.relative_buckets != 0 ||
         spec.relative_distance != defaults.relative_distance;
}

}  // namespace

uint32_t version_of(const Metadata& metadata) {
  const auto is_new = [](const TaskEntry& entry) { return needs_version_3(entry); };
  if (needs_version_3(metadata.spec) || std::ranges::any_of(metadata.tasks, is_new)) return 3;
  return metadata.precision == model::Precision::int8 ? 2 : 1;
}

bool is_known_type(DataType type, uint32_t version) {
  return element_bytes(type) != 0 &&
         (version >= 2 || (type != DataType::s8 && type != DataType::s32));
}

uint64_t hash(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

uint64_t front_checksum(std::span<const std::byte> front) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  if (!state) throw std::bad_alloc();
  const auto before = front.first(offsetof(Header, checksum));
  const auto after = front.subspan(sizeof(Header));
  XXH3_64bits_reset(state.get());
  XXH3_64bits_update(state.get(), before.data(), before.size());
  XXH3_64bits_update(state.get(), after.data(), after.size());
  return XXH3_64bits_digest(state.get());
}

std::optional<uint64_t> data_bytes(DataType type, Layout layout, std::span<const int64_t> shape) {
  const uint64_t size = element_bytes(type);
  if (size == 0 || shape.empty() || shape.size() > 2) return std::nullopt;
  for (const int64_t dimension : shape) {
    if (dimension < 1 || dimension > kMaxDimension) return std::nullopt;
  }
  const auto first = static_cast<uint64_t>(shape[0]);
  const auto second = shape.size() == 2 ? static_cast<uint64_t>(shape[1]) : 1;
  switch (layout) {
    case Layout::rows: {
      if (type == DataType::bytes && shape.size() != 1) return std::nullopt;
      const auto elements = product(first, second);
      return elements ? product(*elements, size) : std::nullopt;
    }
    case Layout::panels: {
      const bool is_weight =
          type == DataType::f32 || type == DataType::bf16 || type == DataType::s8;
      if (!is_weight || shape.size() != 2) return std::nullopt;
      return product(round_up(first, kPanelColumns), round_up(second * size, kStepBytes));
    }
  }
  return std::nullopt;
}

std::string describe(DataType type, Layout layout, std::span<const int64_t> shape) {
  constexpr const char* kTypeNames[] = {"?", "f32", "bf16", "bytes", "s8", "s32"};
  const auto index = static_cast<size_t>(type);
  const char* type_name = kTypeNames[index < std::size(kTypeNames) ? index : 0];
  const char* layout_name = layout == Layout::panels ? "panels" : "rows";
  return fmt::format("{} {} [{}]", type_name, layout_name, fmt::join(shape, ", "));
}

bool is_valid_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes) return false;
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return simdjson::validate_utf8(name.data(), name.size());
}

}  // namespace tilewise::artifact::format
