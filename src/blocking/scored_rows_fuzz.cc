// Any bytes as answers about pairs, as JSON and, where the first line is a header, as CSV: nothing
// may crash, and ids that split must join again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "blocking/scored_pairs.h"

namespace {

using namespace tilewise;

std::string_view take_line(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  return line;
}

void parse_all(std::string_view rest, const rows::CsvHeader* columns) {
  static blocking::ScoredRowParser one(""), of_several("same");
  for (int64_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = take_line(rest);
    for (blocking::ScoredRowParser* parser : {&one, &of_several}) {
      blocking::ScoredRow row;
      if (!parser->parse({line, {"fuzz", number}, columns}, row).ok()) continue;
      blocking::ScoredPair pair;
      const bool splits = blocking::split_id(row.id, pair).ok();
      if (splits && pair.left + "~" + pair.right != row.id) std::abort();
      if (splits != (std::count(row.id.begin(), row.id.end(), '~') == 1)) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  parse_all(text, nullptr);
  std::string_view rest = text;
  const auto header = rows::CsvHeader::parse(take_line(rest), rows::Format::csv);
  if (header.ok()) parse_all(rest, &*header);
  return 0;
}
