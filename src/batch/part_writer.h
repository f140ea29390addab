// The files of one part on their way into the output directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/output_file.h"
#include "base/status.h"
#include "batch/chunk.h"
#include "batch/manifest.h"
#include "batch/output_directory.h"
#include "batch/score_file.h"
#include "rows/compressor.h"

namespace tilewise::batch {

/// A file that knows what has been written into it.
class RecordedFile {
 public:
  /// Makes its folder as well. Errors: those of OutputFile::create.
  static Result<RecordedFile> create(const std::string& path);

  Status write(std::string_view bytes);
  Result<FileRecord> commit();

 private:
  explicit RecordedFile(OutputFile file) : file_(std::move(file)) {}

  OutputFile file_;
  Hash hash_;
};

/// Writes parts one after the other. What was begun and not committed leaves nothing. Not
/// thread-safe.
class PartWriter {
 public:
  struct Format {
    std::string header;  ///< of each file of answers; may be empty
    rows::Compression compression = rows::Compression::none;
    size_t score_width = 0;  ///< 0: no score files
  };

  /// The directory must outlive it. Errors: those of Compressor::create.
  static Result<PartWriter> create(const OutputDirectory& directory, Format format);

  /// Answers of rows of the part. Opens the part where this is its first call.
  Status write(int64_t part, const Chunk& chunk);

  /// Rejections, scores, answers, in this order: where there are answers, the rest is there, too.
  /// The record lacks nothing but `input`.
  Result<PartRecord> commit(int64_t part);

 private:
  PartWriter(const OutputDirectory& directory, Format format, rows::Compressor compressor)
      : directory_(&directory), format_(std::move(format)), compressor_(std::move(compressor)) {}
  Status open(int64_t part);
  Status write_answers(std::string_view lines);
  Status write_scores(std::string_view rows);
  Status commit_rejections(int64_t part);
  Status commit_scores(int64_t part);
  Status commit_answers();

  const OutputDirectory* directory_;
  Format format_;
  rows::Compressor compressor_;
  std::string compressed_;
  PartRecord record_;
  std::optional<RecordedFile> answers_;
  std::optional<RecordedFile> rejections_;
  std::optional<RecordedFile> scores_;
  std::optional<ScoreWriter> score_writer_;
};

}  // namespace tilewise::batch
