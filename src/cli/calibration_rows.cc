#include "cli/calibration_rows.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/mapped_file.h"
#include "base/sha256.h"
#include "rows/reader.h"

namespace tilewise::cli {
namespace {

/// Evenly spread items of a sequence whose length is not known: every one, then every second, every
/// fourth... At most kMost are kept.
template <class Item>
class EvenSample {
 public:
  void add(Item item) {
    if (seen_++ % step_ != 0) return;
    items_.push_back(std::move(item));
    if (items_.size() <= kMost) return;
    for (size_t i = 0; 2 * i < items_.size(); ++i) items_[i] = std::move(items_[2 * i]);
    items_.resize((items_.size() + 1) / 2);
    step_ *= 2;
  }
  std::vector<Item> take() { return std::move(items_); }

 private:
  static constexpr size_t kMost = 8192;
  std::vector<Item> items_;
  size_t seen_ = 0;
  size_t step_ = 1;
};

Result<const model::Task*> find_task(const CalibrateFlag& flag, const model::Model& model) {
  std::string names;
  for (const model::TaskWithHead& task : model.tasks) {
    if (task.task.name == flag.task) return &task.task;
    names += (names.empty() ? "" : ", ") + task.task.name;
  }
  return not_found({.what = "The model has no such task",
                    .where = "--calibrate",
                    .expected = names,
                    .found = flag.task,
                    .remedy = "Name one of the model's tasks: --calibrate TASK=ROWS"});
}

Status no_rows(const CalibrateFlag& flag, const model::Task& task, const CalibrationRows& rows) {
  return invalid_input({.what = "The file has no row to calibrate with",
                        .where = fmt::format("--calibrate {}={}", flag.task, flag.path),
                        .expected = task.input == model::InputKind::pair
                                        ? "lines with \"left\" and \"right\""
                                        : "lines with \"text\"",
                        .found = rows.lines == 0 ? "an empty file" : rows.first_rejection.message(),
                        .remedy = "Give rows as `tilewise predict` takes them for this task"});
}

}  // namespace

Result<CalibrateFlag> parse_calibrate(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals != text.npos && equals > 0 && equals + 1 < text.size()) {
    return CalibrateFlag{text.substr(0, equals), text.substr(equals + 1)};
  }
  return invalid_argument({.what = "--calibrate names no task and file",
                           .where = "--calibrate",
                           .expected = "TASK=ROWS, ROWS a file of JSON lines",
                           .found = text});
}

Result<CalibrationRows> read_calibration(const CalibrateFlag& flag, const model::Model& model) {
  TILEWISE_ASSIGN_OR_RETURN(const model::Task* task, find_task(flag, model));
  TILEWISE_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(flag.path));
  TILEWISE_ASSIGN_OR_RETURN(rows::LineReader reader,
                            rows::LineReader::open({flag.path}, {}, rows::Hashing::none));
  CalibrationRows result;
  result.calibration.task = flag.task;
  result.calibration.sha256 = sha256_hex(file.bytes());

  constexpr size_t kLines = 256;
  rows::RowParser parser(task->input);
  rows::LineReader::Chunk chunk;
  EvenSample<model::Input> sample;
  while (!reader.at_end()) {
    TILEWISE_RETURN_IF_ERROR(reader.next(kLines, chunk));
    for (const rows::LineReader::Line& line : chunk.lines) {
      model::Row row;
      ++result.lines;
      Status status = parser.parse(line, row);
      if (status.ok()) {
        sample.add(std::move(row.input));
      } else if (result.rejected++ == 0) {
        result.first_rejection = std::move(status);
      }
    }
  }
  result.calibration.inputs = sample.take();
  if (result.calibration.inputs.empty()) return no_rows(flag, *task, result);
  return result;
}

}  // namespace tilewise::cli
