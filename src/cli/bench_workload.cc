#include "cli/bench_workload.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "rows/reader.h"
#include "rows/writer.h"
#include "text/input.h"

namespace tilewise::cli {
namespace {

Status memory_file_failed(int error) {
  return unavailable_machine(
      {.what = "cannot keep the benchmark's rows in memory", .found = errno_text(error)});
}

/// Counts tokens as a worker would.
class RowCounter {
 public:
  RowCounter(const artifact::Metadata& metadata, const BenchQuestion& question,
             text::Tokenizer tokenizer)
      : metadata_(metadata), question_(question), encoder_(std::move(tokenizer)) {}

  Result<Flops> count(const model::Input& input) {
    const model::Task& task = metadata_.tasks[question_.set.front()].task;
    packed_.clear();
    TILEWISE_RETURN_IF_ERROR(encoder_.append(task, input, packed_));
    if (question_.predict.both_orders) {
      const auto& pair = std::get<model::PairInput>(input);
      TILEWISE_RETURN_IF_ERROR(
          encoder_.append(task, model::PairInput{pair.right, pair.left}, packed_));
    }
    return count_flops(metadata_, question_, packed_.offsets);
  }

  /// Of the row that was counted last.
  int32_t tokens() const { return packed_.offsets.back(); }

 private:
  const artifact::Metadata& metadata_;
  const BenchQuestion& question_;
  text::InputEncoder encoder_;
  text::PackedTokens packed_;
};

/// Adds one line to the workload. Errors: the row cannot be answered.
Status add_row(const rows::LineReader::Line& line, rows::RowParser& parser, RowCounter& counter,
               bool keep_inputs, Workload& workload, std::string& bytes) {
  model::Row row;
  TILEWISE_RETURN_IF_ERROR(parser.parse(line, row));
  TILEWISE_ASSIGN_OR_RETURN(const Flops flops, counter.count(row.input));
  workload.flops += flops;
  ++workload.rows;
  if (line.columns == nullptr) {
    bytes.append(line.text) += '\n';
  } else {
    rows::append_row(row, bytes);
  }
  if (keep_inputs) {
    workload.inputs.push_back(std::move(row.input));
    workload.input_flops.push_back(flops);
    workload.input_tokens.push_back(counter.tokens());
  }
  return {};
}

}  // namespace

Flops count_flops(const artifact::Metadata& metadata, const BenchQuestion& question,
                  std::span<const int32_t> offsets) {
  Flops flops = runtime::backbone_flops(metadata, offsets);
  const auto sequences = static_cast<int32_t>(offsets.size()) - 1;
  for (const int32_t index : question.set) {
    const artifact::TaskEntry& entry = metadata.tasks[index];
    flops.fp32 +=
        runtime::head_flops(metadata.spec, sequences, entry.task.outputs(), entry.has_dense);
  }
  return flops;
}

Result<MemoryFile> MemoryFile::create() {
  const int descriptor = memfd_create("tilewise-bench", MFD_CLOEXEC);
  if (descriptor < 0) return memory_file_failed(errno);
  return MemoryFile(descriptor);
}

MemoryFile::MemoryFile(MemoryFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

MemoryFile::~MemoryFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status MemoryFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return memory_file_failed(errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

std::string MemoryFile::path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

Result<Workload> load_workload(const engine::Engine& engine, const BenchQuestion& question,
                               const std::vector<std::string>& paths, int64_t limit,
                               bool keep_inputs) {
  constexpr size_t kRowsAtATime = 256;
  const artifact::Metadata& metadata = engine.metadata();
  TILEWISE_ASSIGN_OR_RETURN(const text::Tokenizer tokenizer,
                            text::Tokenizer::open(engine.artifact().find("tokenizer")->data));
  TILEWISE_ASSIGN_OR_RETURN(rows::LineReader reader,
                            rows::LineReader::open(paths, {}, rows::Hashing::none));
  TILEWISE_ASSIGN_OR_RETURN(MemoryFile file, MemoryFile::create());
  Workload workload{.file = std::move(file)};
  rows::RowParser parser(metadata.tasks[question.set.front()].task.input);
  RowCounter counter(metadata, question, tokenizer);
  rows::LineReader::Chunk chunk;
  std::string bytes;
  int64_t seen = 0, rejected = 0;
  Status first_rejected;
  while (!reader.at_end() && (limit == 0 || seen < limit)) {
    const size_t most = limit == 0 ? kRowsAtATime : std::min<size_t>(kRowsAtATime, limit - seen);
    TILEWISE_RETURN_IF_ERROR(reader.next(most, chunk));
    seen += static_cast<int64_t>(chunk.lines.size());
    bytes.clear();
    for (const auto& line : chunk.lines) {
      const Status status = add_row(line, parser, counter, keep_inputs, workload, bytes);
      if (!status.ok() && rejected++ == 0) first_rejected = status;
    }
    TILEWISE_RETURN_IF_ERROR(workload.file.append(bytes));
  }
  if (rejected > 0) {
    log_warn(std::to_string(rejected) +
             " rows are left out, the first one: " + first_rejected.message());
  }
  if (workload.rows > 0) return workload;
  return invalid_input({.what = "there is no row to measure with",
                        .where = paths.front(),
                        .found = std::to_string(rejected) + " rows, all rejected"});
}

}  // namespace tilewise::cli
