// Bytes that nobody vouches for: they are refused or read, and whatever is read lies inside them.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

#include "artifact/format.h"
#include "artifact/golden.h"
#include "artifact/reader.h"

namespace tilewise::artifact {
namespace {

void check(bool condition) {
  if (!condition) std::abort();
}

void open(std::span<const std::byte> bytes) {
  const auto artifact = Artifact::open(bytes, "fuzz");
  if (!artifact.ok()) return;
  for (const TensorView& tensor : (*artifact)->tensors()) {
    check(tensor.data.data() >= bytes.data());
    check(tensor.data.data() + tensor.data.size() <= bytes.data() + bytes.size());
    check((*artifact)->find(tensor.name) == &tensor);
  }
  check(to_json((*artifact)->metadata()).size() < bytes.size());
  (void)(*artifact)->verify();
}

/// Gives the header the magic and the checksum that random changes never hit, so that what lies
/// behind them is reached.
void seal(Image& image) {
  if (image.size() < sizeof(format::Header)) return;
  auto header = image.get<format::Header>(0);
  header.magic = format::kMagic;
  if (header.data_offset < sizeof header || header.data_offset > image.size()) return;
  image.put(0, header);
  header.checksum = format::front_checksum(image.first(header.data_offset));
  image.put(0, header);
}

}  // namespace
}  // namespace tilewise::artifact

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tilewise::artifact;
  Image image(std::as_bytes(std::span(data, size)));
  open(image.bytes());
  seal(image);
  open(image.bytes());
  const auto metadata = parse_metadata({reinterpret_cast<const char*>(data), size});
  if (metadata.ok())
    check(to_json(*metadata) == std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
