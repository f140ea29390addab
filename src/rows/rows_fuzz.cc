// Any bytes as lines of rows: nothing may crash, and what is accepted can be written.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "rows/reader.h"
#include "rows/writer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tilewise;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  static rows::RowParser any;
  static rows::RowParser texts(model::InputKind::text);
  static rows::RowParser pairs(model::InputKind::pair);
  int64_t number = 0;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    ++number;
    for (rows::RowParser* parser : {&any, &texts, &pairs}) {
      model::Row row;
      if (!parser->parse(line, {"fuzz", number}, row).ok()) continue;
      // The id is JSON that we print as it is: it must read back as an id that prints the same.
      std::string again = "{\"text\":\"\",\"left\":\"\",\"right\":\"\",\"id\":" + row.id + "}";
      model::Row second;
      if (!parser->parse(again, {"again", 0}, second).ok() || second.id != row.id) std::abort();
    }
  }
  return 0;
}
