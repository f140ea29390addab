#include "batch/part_writer.h"

#include <utility>

namespace tilewise::batch {

Result<RecordedFile> RecordedFile::create(const std::string& path) {
  TILEWISE_RETURN_IF_ERROR(OutputDirectory::create_folder_of(path));
  TILEWISE_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path));
  return RecordedFile(std::move(file));
}

Status RecordedFile::write(std::string_view bytes) {
  hash_.append(bytes);
  return file_.write(bytes);
}

Result<FileRecord> RecordedFile::commit() {
  TILEWISE_RETURN_IF_ERROR(file_.commit());
  return FileRecord{.bytes = static_cast<int64_t>(file_.size()), .hash = hash_.hex()};
}

Result<PartWriter> PartWriter::create(const OutputDirectory& directory, Format format) {
  TILEWISE_ASSIGN_OR_RETURN(rows::Compressor compressor,
                            rows::Compressor::create(format.compression));
  return PartWriter(directory, std::move(format), std::move(compressor));
}

Status PartWriter::write(int64_t part, const Chunk& chunk) {
  if (!answers_) TILEWISE_RETURN_IF_ERROR(open(part));
  TILEWISE_RETURN_IF_ERROR(write_answers(chunk.output));
  if (scores_) TILEWISE_RETURN_IF_ERROR(write_scores(chunk.scores));
  if (!chunk.rejections.empty()) {
    if (!rejections_) {
      TILEWISE_ASSIGN_OR_RETURN(RecordedFile file,
                                RecordedFile::create(directory_->rejections(part)));
      rejections_.emplace(std::move(file));
    }
    TILEWISE_RETURN_IF_ERROR(rejections_->write(chunk.rejections));
  }
  record_.rows += chunk.rows;
  record_.rejected += static_cast<int64_t>(chunk.rejected.size());
  record_.tokens += chunk.tokens;
  record_.reused += chunk.reused;
  add_depths(chunk.depths, record_.depths);
  return {};
}

Result<PartRecord> PartWriter::commit(int64_t part) {
  TILEWISE_RETURN_IF_ERROR(commit_rejections(part));
  TILEWISE_RETURN_IF_ERROR(commit_scores(part));
  TILEWISE_RETURN_IF_ERROR(commit_answers());
  return std::exchange(record_, {});
}

Status PartWriter::open(int64_t part) {
  TILEWISE_ASSIGN_OR_RETURN(RecordedFile answers, RecordedFile::create(directory_->answers(part)));
  answers_.emplace(std::move(answers));
  TILEWISE_RETURN_IF_ERROR(write_answers(format_.header));
  if (format_.score_width == 0) return {};
  TILEWISE_ASSIGN_OR_RETURN(RecordedFile scores, RecordedFile::create(directory_->scores(part)));
  scores_.emplace(std::move(scores));
  score_writer_.emplace(format_.score_width);
  return scores_->write(score_writer_->header());
}

Status PartWriter::write_answers(std::string_view lines) {
  if (format_.compression == rows::Compression::none) return answers_->write(lines);
  compressed_.clear();
  TILEWISE_RETURN_IF_ERROR(compressor_.append(lines, compressed_));
  return answers_->write(compressed_);
}

Status PartWriter::write_scores(std::string_view rows) {
  score_writer_->add(rows);
  return scores_->write(rows);
}

// Those of a job that did not come so far as the manifest go.
Status PartWriter::commit_rejections(int64_t part) {
  if (!rejections_) return remove_file(directory_->rejections(part));
  TILEWISE_ASSIGN_OR_RETURN(record_.rejections, rejections_->commit());
  rejections_.reset();
  return {};
}

Status PartWriter::commit_scores(int64_t part) {
  if (!scores_) return remove_file(directory_->scores(part));
  TILEWISE_RETURN_IF_ERROR(scores_->write(score_writer_->footer()));
  TILEWISE_ASSIGN_OR_RETURN(record_.scores, scores_->commit());
  scores_.reset();
  return {};
}

Status PartWriter::commit_answers() {
  if (format_.compression != rows::Compression::none) {
    compressed_.clear();
    TILEWISE_RETURN_IF_ERROR(compressor_.finish(compressed_));
    TILEWISE_RETURN_IF_ERROR(answers_->write(compressed_));
  }
  TILEWISE_ASSIGN_OR_RETURN(record_.answers, answers_->commit());
  answers_.reset();
  return {};
}

}  // namespace tilewise::batch
