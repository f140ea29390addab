#include "server/kserve/binary.h"

#include <bit>
#include <cstring>

namespace tilewise::server::kserve {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they are");

constexpr size_t kLengthBytes = sizeof(uint32_t);

template <class Element>
Element load(const char* at) {
  Element element;
  std::memcpy(&element, at, sizeof(element));
  return element;
}

Status wrong_size(const InputTensor& tensor, std::string expected, std::string found) {
  return invalid_argument({.what = "the tensor's bytes do not fit its shape",
                           .where = "input " + std::string(tensor.name),
                           .expected = std::move(expected),
                           .found = std::move(found)});
}

template <class Element>
Status read_integers(std::string_view bytes, size_t count, InputTensor& tensor) {
  if (bytes.size() % sizeof(Element) != 0 || bytes.size() / sizeof(Element) != count) {
    return wrong_size(
        tensor,
        std::to_string(count) + " elements of " + std::to_string(sizeof(Element)) + " bytes",
        std::to_string(bytes.size()) + " bytes");
  }
  tensor.integers.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const auto element = load<Element>(bytes.data() + i * sizeof(Element));
    // Above the largest INT64 no value means anything here: as a negative one it is out of range.
    tensor.integers[i] = static_cast<int64_t>(element);
  }
  return {};
}

Status read_texts(std::string_view bytes, size_t count, InputTensor& tensor) {
  const auto wanted = [&] { return std::to_string(count) + " elements"; };
  if (bytes.size() / kLengthBytes < count) {
    return wrong_size(tensor, wanted(), std::to_string(bytes.size()) + " bytes");
  }
  tensor.texts.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t rest = bytes.size();
    const uint32_t length = rest < kLengthBytes ? 0 : load<uint32_t>(bytes.data());
    if (rest < kLengthBytes || rest - kLengthBytes < length) {
      return wrong_size(tensor, wanted(), "an end within element " + std::to_string(i));
    }
    tensor.texts.push_back(bytes.substr(kLengthBytes, length));
    bytes.remove_prefix(kLengthBytes + length);
  }
  if (bytes.empty()) return {};
  return wrong_size(tensor, wanted(), std::to_string(bytes.size()) + " bytes more");
}

}  // namespace

Status read_binary(std::string_view bytes, InputTensor& tensor) {
  tensor.texts.clear();
  tensor.integers.clear();
  TILEWISE_ASSIGN_OR_RETURN(const int64_t elements, element_count(tensor.shape));
  const auto count = static_cast<size_t>(elements);
  const std::string_view type = tensor.datatype;
  if (type == "BYTES") return read_texts(bytes, count, tensor);
  if (type == "INT64" || type == "UINT64") return read_integers<int64_t>(bytes, count, tensor);
  if (type == "INT32") return read_integers<int32_t>(bytes, count, tensor);
  if (type == "UINT32") return read_integers<uint32_t>(bytes, count, tensor);
  if (type == "INT16") return read_integers<int16_t>(bytes, count, tensor);
  if (type == "UINT16") return read_integers<uint16_t>(bytes, count, tensor);
  if (type == "INT8") return read_integers<int8_t>(bytes, count, tensor);
  if (type == "UINT8" || type == "BOOL") return read_integers<uint8_t>(bytes, count, tensor);
  return invalid_argument({.what = "no input has this datatype",
                           .where = "input " + std::string(tensor.name),
                           .expected = "BYTES, or an integer type such as INT64",
                           .found = std::string(type)});
}

size_t binary_size(const OutputTensor& tensor) {
  if (!tensor.is_text) return tensor.floats.size() * sizeof(float);
  size_t size = 0;
  for (const std::string& text : tensor.texts) size += kLengthBytes + text.size();
  return size;
}

void append_binary(const OutputTensor& tensor, std::string& out) {
  if (!tensor.is_text) {
    const auto* bytes = reinterpret_cast<const char*>(tensor.floats.data());
    out.append(bytes, tensor.floats.size() * sizeof(float));
    return;
  }
  for (const std::string& text : tensor.texts) {
    const auto length = static_cast<uint32_t>(text.size());
    out.append(reinterpret_cast<const char*>(&length), kLengthBytes);
    out += text;
  }
}

}  // namespace tilewise::server::kserve
