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

  /// Offsets of the row's sequences. Errors: the row cannot be answered.
  Result<std::vector<int32_t>> count(const model::Input& input) {
    const model::Task& task = metadata_.tasks[question_.set.front()].task;
    packed_.clear();
    TILEWISE_RETURN_IF_ERROR(encoder_.append(task, input, packed_));
    if (question_.predict.both_orders) {
      const auto& pair = std::get<model::PairInput>(input);
      TILEWISE_RETURN_IF_ERROR(
          encoder_.append(task, model::PairInput{pair.right, pair.left}, packed_));
    }
    return packed_.offsets;
  }

 private:
  const artifact::Metadata& metadata_;
  const BenchQuestion& question_;
  text::InputEncoder encoder_;
  text::PackedTokens packed_;
};

/// Rows that can be answered, before anything of them is known but their lengths.
struct CountedRows {
  std::vector<model::Input> inputs;
  std::vector<std::vector<int32_t>> offsets;
};

/// Adds one line. Errors: the row cannot be answered.
Status add_row(const rows::LineReader::Line& line, rows::RowParser& parser, RowCounter& counter,
               CountedRows& counted, std::string& bytes) {
  model::Row row;
  TILEWISE_RETURN_IF_ERROR(parser.parse(line, row));
  TILEWISE_ASSIGN_OR_RETURN(std::vector<int32_t> offsets, counter.count(row.input));
  if (line.columns == nullptr) {
    bytes.append(line.text) += '\n';
  } else {
    rows::append_row(row, bytes);
  }
  counted.inputs.push_back(std::move(row.input));
  counted.offsets.push_back(std::move(offsets));
  return {};
}

/// Of each row, one a task of the question; none where all layers run whatever the answer is.
std::vector<std::vector<float>> depths_of(engine::Engine& engine, const BenchQuestion& question,
                                          const std::vector<model::Input>& inputs) {
  std::vector<std::vector<float>> depths(inputs.size());
  if (question.predict.full_depth || !engine.has_exits(question.set)) return depths;
  const auto outcomes = engine.predict(inputs, question.set, question.predict);
  for (size_t i = 0; i < outcomes.size(); ++i) {
    for (const model::Prediction& prediction : outcomes[i].predictions) {
      depths[i].push_back(prediction.depth);
    }
  }
  return depths;
}

void add_costs(engine::Engine& engine, const BenchQuestion& question, CountedRows counted,
               bool keep_inputs, Workload& workload) {
  const artifact::Metadata& metadata = engine.metadata();
  const auto depths = depths_of(engine, question, counted.inputs);
  for (size_t i = 0; i < counted.inputs.size(); ++i) {
    const Flops flops = count_flops(metadata, question, counted.offsets[i], depths[i]);
    const float layers = pass_depth(metadata, question, depths[i]);
    workload.flops += flops;
    workload.layers += layers;
    ++workload.rows;
    if (!keep_inputs) continue;
    workload.inputs.push_back(std::move(counted.inputs[i]));
    workload.input_flops.push_back(flops);
    workload.input_tokens.push_back(counted.offsets[i].back());
    workload.input_depths.push_back(layers);
  }
}

}  // namespace

float pass_depth(const artifact::Metadata& metadata, const BenchQuestion& question,
                 std::span<const float> depths) {
  const auto layers = static_cast<float>(metadata.spec.layers);
  float deepest = depths.empty() ? layers : 0;
  for (size_t t = 0; t < depths.size(); ++t) {
    const bool has_exits = !metadata.tasks[question.set[t]].task.exits.empty();
    deepest = std::max(deepest, has_exits ? depths[t] : layers);
  }
  return deepest;
}

Flops count_flops(const artifact::Metadata& metadata, const BenchQuestion& question,
                  std::span<const int32_t> offsets, std::span<const float> depths) {
  const auto sequences = static_cast<int32_t>(offsets.size()) - 1;
  const auto layers = static_cast<float>(metadata.spec.layers);
  const std::vector<float> each(static_cast<size_t>(sequences),
                                pass_depth(metadata, question, depths));
  Flops flops = runtime::backbone_flops(metadata, offsets, each);
  for (size_t t = 0; t < question.set.size(); ++t) {
    const artifact::TaskEntry& entry = metadata.tasks[question.set[t]];
    const auto head = [&](bool has_dense) {
      return runtime::head_flops(metadata.spec, sequences, entry.task.outputs(), has_dense);
    };
    const bool uses_exits = !depths.empty() && !entry.task.exits.empty();
    if (!uses_exits || depths[t] == layers) flops.fp32 += head(entry.has_dense);
    for (const model::Exit& exit : entry.task.exits) {
      if (uses_exits && static_cast<float>(exit.after_layer) <= depths[t])
        flops.fp32 += head(false);
    }
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

Result<Workload> load_workload(engine::Engine& engine, const BenchQuestion& question,
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
    CountedRows counted;
    for (const auto& line : chunk.lines) {
      const Status status = add_row(line, parser, counter, counted, bytes);
      if (!status.ok() && rejected++ == 0) first_rejected = status;
    }
    add_costs(engine, question, std::move(counted), keep_inputs, workload);
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
