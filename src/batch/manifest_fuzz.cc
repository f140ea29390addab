// Any bytes as a manifest: nothing may crash, and what is accepted reads back equal once it has
// been written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "batch/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tilewise;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto manifest = batch::parse_manifest(text, "fuzz");
  if (!manifest.ok()) return 0;
  // Measured numbers are rounded when they are written, and then no more.
  const std::string first = batch::to_json(*manifest);
  const auto again = batch::parse_manifest(first, "again");
  if (!again.ok() || batch::to_json(*again) != first) std::abort();
  return 0;
}
