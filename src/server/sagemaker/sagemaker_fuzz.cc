// Any bytes as the body of POST /invocations, and their first line as its headers.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <simdjson.h>

#include "server/sagemaker/rows_call.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tilewise;
  using namespace tilewise::server::sagemaker;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const std::string_view line = body.substr(0, body.find('\n'));
  (void)body_format(line);
  if (attribute(line, "task").size() > line.size()) std::abort();
  for (const model::InputKind kind : {model::InputKind::text, model::InputKind::pair}) {
    for (const ParsedRow& row : parse_rows(body, kind)) {
      // The id is printed as it is: it must be JSON.
      simdjson::dom::parser parser;
      simdjson::dom::element id;
      if (parser.parse(simdjson::padded_string(row.row.id)).get(id) != simdjson::SUCCESS) {
        std::abort();
      }
    }
  }
  return 0;
}
