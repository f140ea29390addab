// SHA-256 (FIPS 180-4) of files, for provenance: what `sha256sum` prints.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace tilewise {

/// 64 lower-case hexadecimal digits; empty should the system's libcrypto refuse SHA-256. Thread-safe.
std::string sha256_hex(std::span<const std::byte> bytes);

/// The same for bytes that come piece by piece. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void update(std::span<const std::byte> bytes);

  /// Of all bytes so far; once, at the end.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tilewise
