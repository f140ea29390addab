// For tests and fuzzing: a body as a connection holds it, with the padding behind it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/message.h"

namespace tilewise::server::kserve {

class PaddedBody {
 public:
  explicit PaddedBody(std::string_view text) : bytes_(text.begin(), text.end()), size_(text.size()) {
    bytes_.resize(size_ + kBodyPadding, '\xA5');  // what a connection has there is anything
  }

  std::string_view view() const { return {bytes_.data(), size_}; }

 private:
  std::vector<char> bytes_;
  size_t size_;
};

}  // namespace tilewise::server::kserve
