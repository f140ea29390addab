// Any bytes as the JSON body of an inference request.
#include <cstddef>
#include <cstdint>

#include "server/kserve/fuzz_body.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tilewise::server::kserve::check_body({reinterpret_cast<const char*>(data), size}, std::nullopt);
  return 0;
}
