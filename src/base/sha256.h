// SHA-256 (FIPS 180-4) of files, for provenance: what `sha256sum` prints.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace tilewise {

/// 64 lower-case hexadecimal digits; empty should the system's libcrypto refuse SHA-256. Thread-safe.
std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace tilewise
