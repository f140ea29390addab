#include "cli/data_output.h"

#include <utility>

namespace tilewise::cli {
namespace {

rows::Compression compression_of(std::string_view path) {
  for (const auto compression : {rows::Compression::gzip, rows::Compression::zstd}) {
    if (path.ends_with(rows::suffix_of(compression))) return compression;
  }
  return rows::Compression::none;
}

}  // namespace

Result<DataOutput> DataOutput::open(Session& session, const std::string& path) {
  DataOutput output(session);
  if (path.empty()) return output;
  TILEWISE_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path));
  output.file_.emplace(std::move(file));
  if (const auto compression = compression_of(path); compression != rows::Compression::none) {
    TILEWISE_ASSIGN_OR_RETURN(rows::Compressor compressor, rows::Compressor::create(compression));
    output.compressor_.emplace(std::move(compressor));
  }
  return output;
}

Status DataOutput::write(std::string_view text) {
  if (!file_) return session_->out.write(text);
  if (!compressor_) return file_->write(text);
  compressed_.clear();
  TILEWISE_RETURN_IF_ERROR(compressor_->append(text, compressed_));
  return file_->write(compressed_);
}

Status DataOutput::finish() {
  if (!file_) return {};
  if (compressor_) {
    compressed_.clear();
    TILEWISE_RETURN_IF_ERROR(compressor_->finish(compressed_));
    TILEWISE_RETURN_IF_ERROR(file_->write(compressed_));
  }
  return file_->commit();
}

Status write_report(Session& session, const std::string& path, std::string_view text) {
  if (path == "-") return session.out.write(text);
  TILEWISE_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path));
  TILEWISE_RETURN_IF_ERROR(file.write(text));
  return file.commit();
}

}  // namespace tilewise::cli
