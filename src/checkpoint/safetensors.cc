#include "checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include <simdjson.h>

namespace tilewise::checkpoint {
namespace dom = simdjson::dom;

namespace {

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's limit

struct TypeSize {
  std::string_view name;
  uint64_t bytes;
};
constexpr std::array<TypeSize, 14> kTypes = {{{"F32", 4},
                                              {"F16", 2},
                                              {"BF16", 2},
                                              {"F64", 8},
                                              {"I64", 8},
                                              {"I32", 4},
                                              {"I16", 2},
                                              {"I8", 1},
                                              {"U8", 1},
                                              {"U16", 2},
                                              {"U32", 4},
                                              {"U64", 8},
                                              {"BOOL", 1},
                                              {"C64", 8}}};

Status broken(const std::string& where, std::string what, std::string expected, std::string found) {
  return invalid_input({std::move(what), where, std::move(expected), std::move(found),
                        "Save or download the file again"});
}

uint64_t read_length(std::span<const std::byte> bytes) {
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i)
    length |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  return length;
}

/// The JSON header, or why the file has none.
Result<std::string_view> header_of(std::span<const std::byte> bytes, const std::string& where) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("version https://git-lfs")) {
    return invalid_input({"This is a pointer of Git LFS, not the weights themselves", where, "", "",
                          "Fetch the weights with `git lfs pull`"});
  }
  if (bytes.size() < kLengthBytes) {
    return broken(where, "The file is too short for safetensors", "at least 8 bytes",
                  std::to_string(bytes.size()) + " bytes");
  }
  const uint64_t length = read_length(bytes);
  if (length > kMaxHeaderBytes || length > bytes.size() - kLengthBytes) {
    return broken(
        where, "The header of the file does not fit into it (cut short, or not safetensors)",
        "a header of at most " +
            std::to_string(std::min<uint64_t>(kMaxHeaderBytes, bytes.size() - kLengthBytes)) +
            " bytes",
        std::to_string(length) + " bytes");
  }
  const std::string_view header = text.substr(kLengthBytes, length);
  if (!header.starts_with('{')) {
    return broken(where, "The file is not safetensors", "a header that begins with {", "");
  }
  return header;
}

struct Range {
  uint64_t begin;
  uint64_t end;
};

/// Reads one entry of the header; its data is set once its range has been checked against the file.
class EntryReader {
 public:
  EntryReader(std::string_view name, dom::element value, const std::string& file)
      : where_(file + ": " + std::string(name)), value_(value) {
    entry_.name = name;
  }

  Status read(std::span<const std::byte> data) {
    TILEWISE_RETURN_IF_ERROR(read_type());
    TILEWISE_RETURN_IF_ERROR(read_shape());
    return read_range(data);
  }
  TensorEntry& entry() { return entry_; }
  Range range() const { return range_; }

 private:
  Status wrong(std::string what, std::string expected, std::string found) const {
    return broken(where_, std::move(what), std::move(expected), std::move(found));
  }

  Status read_type() {
    std::string_view type;
    if (value_["dtype"].get(type) != simdjson::SUCCESS) {
      return wrong("A tensor has no dtype", "a string", "");
    }
    entry_.dtype = type;
    const auto known = std::find_if(kTypes.begin(), kTypes.end(),
                                    [&](const TypeSize& t) { return t.name == type; });
    if (known == kTypes.end()) {
      return unsupported({"A tensor has a type that is not known", where_, "F32, F16 or BF16",
                          entry_.dtype, "Save the weights as F32, F16 or BF16"});
    }
    bytes_ = known->bytes;
    return {};
  }

  Status read_shape() {
    dom::array sizes;
    if (value_["shape"].get(sizes) != simdjson::SUCCESS) {
      return wrong("A tensor has no shape", "an array of sizes", "");
    }
    for (const dom::element item : sizes) {
      uint64_t size = 0;
      if (item.get(size) != simdjson::SUCCESS ||
          size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        return wrong("A tensor has a size that cannot be", "a non-negative integer",
                     std::string(simdjson::minify(item)).substr(0, 40));
      }
      if (size != 0 && bytes_ > std::numeric_limits<uint64_t>::max() / size) {
        return wrong("A tensor is larger than any file", "", "");
      }
      bytes_ *= size;
      entry_.shape.push_back(static_cast<int64_t>(size));
    }
    return {};
  }

  Status read_range(std::span<const std::byte> data) {
    dom::array ends;
    std::array<uint64_t, 2> offsets{};
    if (value_["data_offsets"].get(ends) != simdjson::SUCCESS || ends.size() != offsets.size() ||
        ends.at(0).get(offsets[0]) != simdjson::SUCCESS ||
        ends.at(1).get(offsets[1]) != simdjson::SUCCESS) {
      return wrong("A tensor has no data_offsets", "[begin, end]", "");
    }
    range_ = {offsets[0], offsets[1]};
    const std::string found =
        "[" + std::to_string(range_.begin) + ", " + std::to_string(range_.end) + "]";
    if (range_.begin > range_.end || range_.end > data.size()) {
      return wrong("A tensor lies outside the file (cut short?)",
                   "offsets up to " + std::to_string(data.size()), found);
    }
    if (range_.end - range_.begin != bytes_) {
      return wrong(
          "The bytes of a tensor do not fit its shape",
          std::to_string(bytes_) + " bytes for " + entry_.dtype + " " + shape_text(entry_.shape),
          found);
    }
    entry_.data = data.subspan(range_.begin, bytes_);
    return {};
  }

  std::string where_;
  dom::element value_;
  TensorEntry entry_;
  Range range_{};
  uint64_t bytes_ = 0;
};

/// Entries in the order of the file must follow each other without overlap or gap and fill the
/// data.
Status check_coverage(std::vector<std::pair<Range, std::string_view>> ranges, uint64_t size,
                      const std::string& where) {
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.begin, a.first.end) < std::pair(b.first.begin, b.first.end);
  });
  uint64_t position = 0;
  for (const auto& [range, name] : ranges) {
    if (range.begin != position) {
      return broken(where + ": " + std::string(name),
                    range.begin < position ? "A tensor overlaps another one"
                                           : "There is a gap before a tensor",
                    "begin at " + std::to_string(position), std::to_string(range.begin));
    }
    position = range.end;
  }
  if (position != size) {
    return broken(where, "Bytes of the file belong to no tensor",
                  std::to_string(position) + " bytes of tensors", std::to_string(size));
  }
  return {};
}

float widen_f16(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1Fu;
  const uint32_t fraction = half & 0x3FFu;
  if (exponent == 0) {  // zero or subnormal: fraction x 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const uint32_t wide_exponent = exponent == 31 ? 255 : exponent + (127 - 15);
  const uint32_t bits = sign | (wide_exponent << 23) | (fraction << 13);
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float widen_bf16(uint16_t bits16) {
  const uint32_t bits = static_cast<uint32_t>(bits16) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <float (*widen)(uint16_t)>
void widen_all(std::span<const std::byte> data, std::vector<float>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, data.data() + 2 * i, sizeof bits);
    values[i] = widen(bits);
  }
}

/// The index of the first NaN or infinity, or the number of values.
size_t first_not_finite(const std::vector<float>& values) {
  constexpr uint32_t kExponent = 0x7F800000u;
  for (size_t i = 0; i < values.size(); ++i) {
    uint32_t bits = 0;
    std::memcpy(&bits, &values[i], sizeof bits);
    if ((bits & kExponent) == kExponent) return i;
  }
  return values.size();
}

}  // namespace

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t size : shape)
    text.append(text.size() > 1 ? ", " : "").append(std::to_string(size));
  return text + "]";
}

Result<Safetensors> Safetensors::open(const std::string& path, const std::string& where) {
  TILEWISE_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  TILEWISE_ASSIGN_OR_RETURN(Safetensors tensors, parse(file.bytes(), where));
  tensors.file_ = std::move(file);
  return tensors;
}

Result<Safetensors> Safetensors::parse(std::span<const std::byte> bytes, const std::string& where) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string_view header, header_of(bytes, where));
  dom::parser parser;
  dom::object fields;
  if (const auto error = parser.parse(header.data(), header.size()).get(fields);
      error != simdjson::SUCCESS) {
    return broken(where, "The header of the file is not a JSON object", "",
                  simdjson::error_message(error));
  }
  const auto data = bytes.subspan(kLengthBytes + header.size());

  Safetensors file;
  std::vector<std::pair<Range, std::string_view>> ranges;
  for (const dom::key_value_pair field : fields) {
    if (field.key == "__metadata__") continue;
    EntryReader reader(field.key, field.value, where);
    TILEWISE_RETURN_IF_ERROR(reader.read(data));
    ranges.emplace_back(reader.range(), field.key);
    file.tensors_.push_back(std::move(reader.entry()));
  }
  TILEWISE_RETURN_IF_ERROR(check_coverage(std::move(ranges), data.size(), where));

  const auto by_name = [](const TensorEntry& a, const TensorEntry& b) { return a.name < b.name; };
  std::sort(file.tensors_.begin(), file.tensors_.end(), by_name);
  const auto twice = std::adjacent_find(
      file.tensors_.begin(), file.tensors_.end(),
      [](const TensorEntry& a, const TensorEntry& b) { return a.name == b.name; });
  if (twice != file.tensors_.end()) {
    return broken(where + ": " + twice->name, "A tensor is listed twice", "", "");
  }
  return file;
}

const TensorEntry* Safetensors::find(std::string_view name) const {
  const auto found =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const TensorEntry& a, std::string_view b) { return a.name < b; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

bool is_float_type(std::string_view dtype) {
  return dtype == "F32" || dtype == "F16" || dtype == "BF16";
}

Result<std::vector<float>> to_fp32(const TensorEntry& tensor, const std::string& where) {
  if (!is_float_type(tensor.dtype)) {
    return unsupported({"A tensor has a type that weights cannot have", where, "F32, F16 or BF16",
                        tensor.dtype, "Save the weights as F32, F16 or BF16"});
  }
  std::vector<float> values(tensor.data.size() / (tensor.dtype == "F32" ? 4 : 2));
  if (tensor.dtype == "F32") {
    if (!values.empty()) std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  } else if (tensor.dtype == "F16") {
    widen_all<widen_f16>(tensor.data, values);
  } else {
    widen_all<widen_bf16>(tensor.data, values);
  }
  if (const size_t bad = first_not_finite(values); bad < values.size()) {
    return invalid_input({"A tensor holds a value that is not finite", where, "finite numbers",
                          "a NaN or an infinity at index " + std::to_string(bad),
                          "The training diverged, or the file is damaged"});
  }
  return values;
}

}  // namespace tilewise::checkpoint
