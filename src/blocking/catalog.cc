#include "blocking/catalog.h"

#include <algorithm>
#include <deque>
#include <exception>
#include <future>
#include <memory>

#include "blocking/model_numbers.h"

namespace tilewise::blocking {
namespace {

constexpr size_t kBatchRows = 128;
constexpr int kBatchesAReplica = 2;  // one that is worked on, one that waits

const std::string* find_field(const model::Record& record, const std::string& name) {
  for (const model::Record::Field& field : record.fields) {
    if (field.name == name) return &field.value;
  }
  return nullptr;
}

std::string join(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) joined.append(joined.empty() ? "" : ", ").append(name);
  return joined;
}

/// The engine knows why, but not which row.
Status at_line(const Status& status, const rows::Position& position) {
  Problem problem = status.problem();
  problem.where = rows::describe(position) + (problem.where.empty() ? "" : ", " + problem.where);
  return {status.code(), std::move(problem)};
}

/// A record as the replica leaves it for the catalogue.
struct Embedded {
  Status status;
  std::string id;
  std::vector<float> vector;
  bool truncated = false;
  std::vector<std::string> numbers;
  std::vector<std::string> values;  // of the agreeing fields, normalized; "" where there is none
};

/// Some lines on their way. The reader fills it, a replica embeds it, the catalogue takes it.
class Batch {
 public:
  Batch(const RecordView& view, int32_t task) : view_(&view), tasks_{task} {}

  rows::LineReader::Chunk lines;
  double fraction = -1;

  std::vector<Embedded> records;  // one a line
  Status failure;                 // of the whole batch

  /// Does not throw.
  void embed(engine::Worker& worker) {
    records.assign(lines.lines.size(), {});
    failure = {};
    try {
      parse();
      worker.predict(pointers_, tasks_, {}, outcomes_);
      take_outcomes();
    } catch (const std::exception& error) {
      failure = unavailable_machine({.what = "cannot embed these records",
                                     .where = rows::describe(lines.lines.front().position),
                                     .found = error.what(),
                                     .remedy = "Give the process more memory"});
    }
  }

 private:
  void parse() {
    inputs_.clear();
    owners_.clear();
    for (size_t i = 0; i < lines.lines.size(); ++i) {
      Embedded& record = records[i];
      rows::CatalogRecord parsed;
      record.status = parser_.parse_record(lines.lines[i], parsed);
      if (!record.status.ok()) continue;
      record.id = std::move(parsed.id);
      add_keys(parsed.record, record);
      record.status = add_input(std::move(parsed.record), lines.lines[i].position);
      if (record.status.ok()) owners_.push_back(i);
    }
    pointers_.clear();
    for (const model::Input& input : inputs_) pointers_.push_back(&input);
  }

  Status add_input(model::Record record, const rows::Position& position) {
    if (view_->fields.empty()) {
      inputs_.emplace_back(model::TextInput{std::move(record)});
      return {};
    }
    std::string text;
    for (const std::string& name : view_->fields) {
      const std::string* value = find_field(record, name);
      if (value == nullptr || value->empty()) continue;
      text.append(text.empty() ? "" : " ").append(*value);
    }
    if (text.empty()) {
      return invalid_input({.what = "the record has none of the fields that are compared",
                            .where = rows::describe(position),
                            .expected = join(view_->fields),
                            .remedy = "Name fields that it has with --fields"});
    }
    inputs_.emplace_back(model::TextInput{std::move(text)});
    return {};
  }

  void add_keys(const model::Record& record, Embedded& out) const {
    for (const std::string& name : view_->number_fields) {
      if (const std::string* value = find_field(record, name)) {
        append_model_numbers(*value, out.numbers);
      }
    }
    for (const std::string& name : view_->agreeing_fields) {
      const std::string* value = find_field(record, name);
      out.values.push_back(value != nullptr ? normalized(*value) : "");
    }
  }

  void take_outcomes() {
    for (size_t i = 0; i < owners_.size(); ++i) {
      Embedded& record = records[owners_[i]];
      engine::Outcome& outcome = outcomes_[i];
      if (!outcome.status.ok()) {
        record.status = at_line(outcome.status, lines.lines[owners_[i]].position);
        continue;
      }
      record.vector = std::move(outcome.predictions.front().embedding);
      record.truncated = outcome.predictions.front().truncated;
    }
  }

  const RecordView* view_;
  engine::TaskSet tasks_;
  rows::RowParser parser_;
  std::vector<model::Input> inputs_;  // of the records that parsed
  std::vector<const model::Input*> pointers_;
  std::vector<size_t> owners_;  // their lines
  std::vector<engine::Outcome> outcomes_;
};

/// Reader -> replicas -> catalogue, in the order of the input.
class CatalogReader {
 public:
  CatalogReader(engine::Engine& engine, rows::LineReader reader, const RecordView& view,
                int32_t task, IdIndex& key_names, const ReadWatch& watch)
      : engine_(engine),
        reader_(std::move(reader)),
        key_names_(key_names),
        watch_(watch),
        catalog_{.ids = {},
                 .vectors = Vectors(engine.metadata().spec.hidden),
                 .keys = RecordKeys(view.agreeing_fields.size())} {
    for (int i = 0; i < kBatchesAReplica * engine.replicas() + 1; ++i) {
      batches_.push_back(std::make_unique<Batch>(view, task));
      free_.push_back(batches_.back().get());
    }
  }
  ~CatalogReader() {
    for (const Running& running : running_) running.done.wait();
  }
  CatalogReader(const CatalogReader&) = delete;
  CatalogReader& operator=(const CatalogReader&) = delete;

  Result<Catalog> run() {
    while (!reader_.at_end() || !running_.empty()) {
      if (watch_.stop && watch_.stop()) return interrupted({.what = "stopped while reading"});
      if (!reader_.at_end() && !free_.empty()) {
        TILEWISE_RETURN_IF_ERROR(read());
      } else if (!running_.empty()) {
        TILEWISE_RETURN_IF_ERROR(take());
      }
    }
    return std::move(catalog_);
  }

 private:
  struct Running {
    Batch* batch;
    std::future<void> done;
  };

  Status read() {
    Batch* batch = free_.back();
    TILEWISE_RETURN_IF_ERROR(reader_.next(kBatchRows, batch->lines));
    if (batch->lines.lines.empty()) return {};
    batch->fraction = reader_.fraction();
    free_.pop_back();
    running_.push_back(
        {batch, engine_.submit([batch](engine::Worker& worker) { batch->embed(worker); })});
    return {};
  }

  Status take() {
    const Running oldest = std::move(running_.front());
    running_.pop_front();
    oldest.done.wait();
    Batch& batch = *oldest.batch;
    TILEWISE_RETURN_IF_ERROR(batch.failure);
    for (size_t i = 0; i < batch.records.size(); ++i) {
      ++catalog_.rows;
      TILEWISE_RETURN_IF_ERROR(take_record(batch.records[i], batch.lines.lines[i].position));
    }
    free_.push_back(oldest.batch);
    if (watch_.on_progress) watch_.on_progress(catalog_.rows, batch.fraction);
    return check_memory();
  }

  Status take_record(const Embedded& record, const rows::Position& position) {
    Status status = record.status;
    if (status.ok() && !catalog_.ids.add(record.id).is_new) {
      status = invalid_input({.what = "a record with this id came before",
                              .where = rows::describe(position),
                              .expected = "ids that differ",
                              .found = record.id});
    }
    if (!status.ok()) {
      ++catalog_.rejected;
      if (watch_.on_rejected) watch_.on_rejected(status);
      return {};
    }
    catalog_.truncated += record.truncated ? 1 : 0;
    std::vector<uint32_t> numbers, values;
    for (const std::string& number : record.numbers) {
      numbers.push_back(key_names_.add(number).index);
    }
    for (const std::string& value : record.values) {
      values.push_back(value.empty() ? RecordKeys::kNoValue : key_names_.add(value).index);
    }
    catalog_.keys.add(numbers, values);
    return catalog_.vectors.append(record.vector);
  }

  Status check_memory() const {
    const size_t bytes = catalog_.vectors.size() * catalog_.vectors.bytes_a_row() +
                         catalog_.ids.bytes() + key_names_.bytes();
    if (watch_.most_bytes <= 0 || bytes <= static_cast<size_t>(watch_.most_bytes)) return {};
    return unavailable_machine(
        {.what = "the catalogue is too large for the memory that it may use",
         .where = "record " + std::to_string(catalog_.vectors.size()),
         .expected =
             "at most " + std::to_string(watch_.most_bytes) + " bytes of embeddings and ids",
         .remedy =
             "Raise --memory, or split the catalogue by a field that duplicates share, such as "
             "the product type"});
  }

  engine::Engine& engine_;
  rows::LineReader reader_;
  IdIndex& key_names_;
  const ReadWatch& watch_;
  Catalog catalog_;
  std::vector<std::unique_ptr<Batch>> batches_;
  std::vector<Batch*> free_;
  std::deque<Running> running_;
};

}  // namespace

Result<int32_t> find_embedding(const engine::Engine& engine, const std::string& task) {
  const auto& tasks = engine.metadata().tasks;
  const auto is_embedding = [&](int32_t i) {
    return tasks[i].task.kind == model::TaskKind::embedding &&
           tasks[i].task.input == model::InputKind::text;
  };
  if (!task.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(const engine::TaskSet set, engine.find_tasks(task));
    if (set.size() == 1 && is_embedding(set.front())) return set.front();
    return invalid_argument({.what = "neighbours are found by embeddings",
                             .where = "--task",
                             .expected = "an embedding of texts",
                             .found = task});
  }
  std::vector<std::string> names;
  int32_t found = -1;
  for (int32_t i = 0; i < static_cast<int32_t>(tasks.size()); ++i) {
    if (!is_embedding(i)) continue;
    names.push_back(tasks[i].task.name);
    found = i;
  }
  if (names.size() == 1) return found;
  return invalid_argument(
      {.what = names.empty() ? "the model has no embedding" : "the model has several embeddings",
       .expected = "a model compiled from an encoder without heads or from a sentence-transformers "
                   "folder",
       .found = names.empty() ? "only tasks with heads" : join(names),
       .remedy = names.empty() ? "Compile the bare backbone" : "Choose one with --task"});
}

Result<Catalog> read_catalog(engine::Engine& engine, const std::vector<std::string>& paths,
                             std::optional<rows::Format> format, const RecordView& view,
                             IdIndex& key_names, const ReadWatch& watch) {
  TILEWISE_ASSIGN_OR_RETURN(const int32_t task, find_embedding(engine, view.task));
  TILEWISE_ASSIGN_OR_RETURN(const std::vector<rows::InputFile> files,
                            rows::list_inputs(paths, format));
  TILEWISE_ASSIGN_OR_RETURN(rows::LineReader reader,
                            rows::LineReader::open(files, watch.stop, rows::Hashing::none));
  return CatalogReader(engine, std::move(reader), view, task, key_names, watch).run();
}

}  // namespace tilewise::blocking
