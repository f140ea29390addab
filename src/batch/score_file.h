// The raw outputs of a part's rows with the keys that they depend on, so that a later run need not
// compute them again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/mapped_file.h"
#include "base/status.h"
#include "engine/engine.h"

namespace tilewise::batch {

// header | rows | footer, all little-endian, without gaps:
//   header  magic (8 bytes), version (u32), width (u32)
//   row     key (low and high, u64 each), width float32
//   footer  number of rows (u64), XXH3-64 of everything before the checksum (u64)

/// Appends one row to `out`. `values`: as many as the file's width. May be called on any thread,
/// for any rows: only ScoreWriter::add() sees them in order.
void append_score(const engine::Key& key, std::span<const float> values, std::string& out);

/// Makes what stands before and behind the rows of one file. The bytes are written by the caller:
/// header(), then the rows, each of which has gone through add(), then footer(). Not thread-safe.
class ScoreWriter {
 public:
  /// `width`: floats a row, at least 1 (Engine::output_width of the job's tasks).
  explicit ScoreWriter(size_t width);
  ScoreWriter(ScoreWriter&&) noexcept;
  ScoreWriter& operator=(ScoreWriter&&) noexcept;
  ~ScoreWriter();

  std::string header();
  /// Rows as append_score() made them, next to each other, in the order in which they are written.
  void add(std::string_view rows);
  std::string footer();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A score file, mapped. Thread-safe.
class ScoreFile {
 public:
  /// Reads all of it once for its checksum. Errors: those of MappedFile::open; invalid_input for
  /// what is no score file, is cut or damaged; unsupported for one of a newer version.
  static Result<ScoreFile> open(const std::string& path);

  /// The same for bytes in memory, 4-byte aligned, which must outlive it; `name` stands in
  /// messages.
  static Result<ScoreFile> open(std::span<const std::byte> bytes, const std::string& name);

  size_t width() const { return width_; }
  uint64_t rows() const { return rows_; }
  engine::Key key(uint64_t row) const;
  std::span<const float> values(uint64_t row) const;

 private:
  ScoreFile() = default;
  std::optional<MappedFile> file_;
  const std::byte* first_row_ = nullptr;
  size_t width_ = 0;
  uint64_t rows_ = 0;
};

}  // namespace tilewise::batch
