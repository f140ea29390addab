#include "compile/calibration_tokens.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "artifact/schema.h"
#include "base/aligned_buffer.h"
#include "text/input.h"
#include "text/tokenizer.h"

namespace tilewise::compile {
namespace {

// A pass over the rows takes about a second of one core on the portable kernels for a small model;
// large ones are measured with fewer rows.
constexpr int64_t kMultiplyAdds = int64_t{40} << 30;
constexpr int64_t kMinTokens = 512;
constexpr int64_t kMaxTokens = 4096;

int64_t token_budget(const model::EncoderSpec& spec) {
  int64_t multiply_adds = 0;
  for (const artifact::LinearLayer& layer : artifact::linear_layers(spec)) {
    multiply_adds += layer.outputs * layer.inputs;
  }
  return std::clamp(kMultiplyAdds / multiply_adds, kMinTokens, kMaxTokens);
}

Result<int32_t> find_task(const artifact::Metadata& metadata, const std::string& name) {
  std::vector<std::string_view> names;
  for (const artifact::TaskEntry& entry : metadata.tasks) {
    if (entry.task.name == name) return static_cast<int32_t>(names.size());
    names.push_back(entry.task.name);
  }
  return invalid_argument({.what = "The model has no such task to calibrate with",
                           .where = "calibration",
                           .expected = fmt::format("{}", fmt::join(names, ", ")),
                           .found = name,
                           .remedy = "Name one of the model's tasks"});
}

/// All rows that fit the task.
Result<text::PackedTokens> encode(const Calibration& calibration, const model::Task& task,
                                  text::InputEncoder& encoder, RejectedRows& rejected) {
  text::PackedTokens packed;
  for (const model::Input& input : calibration.inputs) {
    if (Status status = encoder.append(task, input, packed); !status.ok()) {
      if (rejected.count++ == 0) rejected.first = std::move(status);
    }
  }
  if (packed.sequences() > 0) return packed;
  return invalid_input({.what = fmt::format("No row can calibrate task {}", task.name),
                        .where = "calibration",
                        .expected = fmt::format("rows of kind {}", name_of(task.input)),
                        .found = rejected.count == 0 ? "none" : rejected.first.message(),
                        .remedy = "Give rows as `tilewise predict` takes them for this task"});
}

/// `count` of the sequences, evenly spread.
TaskTokens spread(const text::PackedTokens& packed, int64_t count, int32_t task) {
  TaskTokens tokens;
  tokens.task = task;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = (2 * i + 1) * packed.sequences() / (2 * count);
    const auto first = packed.offsets[static_cast<size_t>(row)];
    const auto last = packed.offsets[static_cast<size_t>(row) + 1];
    tokens.ids.insert(tokens.ids.end(), packed.ids.begin() + first, packed.ids.begin() + last);
    tokens.types.insert(tokens.types.end(), packed.types.begin() + first,
                        packed.types.begin() + last);
    tokens.offsets.push_back(static_cast<int32_t>(tokens.ids.size()));
  }
  return tokens;
}

}  // namespace

Result<std::vector<TaskTokens>> calibration_tokens(Draft& draft) {
  const std::vector<std::byte>& tables = draft.tensors.front().data;
  TILEWISE_ASSIGN_OR_RETURN(const AlignedBuffer aligned, AlignedBuffer::allocate(tables.size()));
  std::memcpy(aligned.data(), tables.data(), tables.size());
  TILEWISE_ASSIGN_OR_RETURN(text::Tokenizer tokenizer,
                            text::Tokenizer::open({aligned.data(), tables.size()}));
  text::InputEncoder encoder(std::move(tokenizer));

  const int64_t budget = token_budget(draft.metadata.spec) /
                         static_cast<int64_t>(std::max<size_t>(1, draft.calibration.size()));
  std::vector<TaskTokens> result;
  std::set<int32_t> seen;
  for (const Calibration& calibration : draft.calibration) {
    TILEWISE_ASSIGN_OR_RETURN(const int32_t task, find_task(draft.metadata, calibration.task));
    if (!seen.insert(task).second) {
      return invalid_argument({.what = "A task is calibrated with one file of rows",
                               .where = "calibration",
                               .expected = "each task once",
                               .found = calibration.task + " again",
                               .remedy = "Put all of its rows into one file"});
    }
    RejectedRows rejected{.task = calibration.task, .count = 0, .first = {}};
    TILEWISE_ASSIGN_OR_RETURN(
        const text::PackedTokens packed,
        encode(calibration, draft.metadata.tasks[static_cast<size_t>(task)].task, encoder,
               rejected));
    if (rejected.count > 0) draft.rejected.push_back(std::move(rejected));
    const int64_t count =
        std::clamp<int64_t>(packed.sequences() * budget / packed.tokens(), 1, packed.sequences());
    result.push_back(spread(packed, count, task));
  }
  return result;
}

}  // namespace tilewise::compile
