// What the operating system knows of this process.
#pragma once

namespace tilewise::cli {

/// The most memory that the process has had resident, mapped files included, in MB (10^6 bytes).
double peak_memory_mb();

}  // namespace tilewise::cli
