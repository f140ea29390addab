// Opening a file for reading, with the errors that every reader owes.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "base/status.h"

namespace tilewise {

/// Owner of a file descriptor, closed on destruction.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);  // the old one goes away with `other`
    return *this;
  }
  ~Descriptor();

  int get() const { return value_; }

 private:
  int value_;
};

struct OpenedFile {
  Descriptor descriptor;
  size_t size = 0;
};

/// Fails with not_found, or io_error (no permission, a directory, a pipe or a device).
Result<OpenedFile> open_regular(const std::string& path);

}  // namespace tilewise
