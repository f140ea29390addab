// Any bytes as the body of POST /v1/embeddings.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/openai/call.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tilewise::server::openai;
  tilewise::server::JsonReader reader;
  EmbeddingsCall call;
  if (!parse({reinterpret_cast<const char*>(data), size}, reader, call).ok()) return 0;
  // Texts or ids, never both and never none.
  if (call.inputs.empty() == call.token_inputs.empty()) std::abort();
  for (const auto& input : call.token_inputs) {
    for (const int32_t id : input.ids) {
      if (id < 0) std::abort();
    }
  }
  return 0;
}
