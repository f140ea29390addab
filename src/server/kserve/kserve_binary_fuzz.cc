// Any bytes as JSON with binary tensors behind it: the JSON ends with the first line end.
#include <cstddef>
#include <cstdint>

#include "server/kserve/fuzz_body.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const size_t end = body.find('\n');
  tilewise::server::kserve::check_body(body, end == std::string_view::npos ? size : end + 1);
  return 0;
}
