#include "batch/record_store.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <exception>
#include <future>
#include <memory>
#include <utility>

#include <xxhash.h>

#include "base/clock.h"
#include "batch/hash.h"
#include "batch/rejection.h"

namespace tilewise::batch {
namespace {

/// Of a record as it lies in the file: this, its token ids (2 or 4 bytes each), its id, and zeros
/// up to a multiple of 4 bytes.
struct RecordHeader {
  uint32_t id_bytes = 0;
  uint32_t ids = 0;     // token ids
  uint64_t tokens = 0;  // Side::tokens
};
constexpr size_t kRecordAlignment = 4;

struct StoredRecord {
  RecordHeader header;
  const std::byte* ids;
  std::string_view id;
};

StoredRecord record_at(const std::byte* bytes, size_t token_bytes) {
  StoredRecord record;
  std::memcpy(&record.header, bytes, sizeof record.header);
  record.ids = bytes + sizeof record.header;
  record.id = {reinterpret_cast<const char*>(record.ids + record.header.ids * token_bytes),
               record.header.id_bytes};
  return record;
}

template <class T>
void append_values(std::span<const T> values, std::string& out) {
  out.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

void append_record(std::string_view id, const engine::Side& side, size_t token_bytes,
                   std::string& out) {
  const RecordHeader header = {.id_bytes = static_cast<uint32_t>(id.size()),
                               .ids = static_cast<uint32_t>(side.ids.size()),
                               .tokens = static_cast<uint64_t>(side.tokens)};
  append_values(std::span(&header, 1), out);
  if (token_bytes == sizeof(int32_t)) {
    append_values(side.ids, out);
  } else {
    for (const int32_t token : side.ids) {
      const auto narrow = static_cast<uint16_t>(token);
      append_values(std::span(&narrow, 1), out);
    }
  }
  out += id;
  out.resize((out.size() + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment);
}

uint64_t hash_of(std::string_view id) { return XXH3_64bits(id.data(), id.size()); }

Status second_record(std::string_view id, const rows::Position& position) {
  return invalid_input({.what = "an earlier record of the catalogue has this id",
                        .where = rows::describe(position),
                        .expected = "each id once",
                        .found = "\"" + std::string(id) + "\" again",
                        .remedy = "The first record counts; remove the other, or rename it"});
}

Status no_pairs(const model::Task& task) {
  return invalid_argument({.what = "catalogues are for tasks that read pairs",
                           .where = "task " + task.name,
                           .expected = "pairs",
                           .found = "single texts",
                           .remedy = "Name the texts themselves as input"});
}

/// Lines of a catalogue on their way into the store. All memory is reused. Not thread-safe: the
/// builder fills it, a replica's thread encodes it, the builder stores it.
class RecordChunk {
 public:
  rows::LineReader::Chunk input;
  double fraction = -1;  ///< of the input bytes up to the end of this chunk

  /// Does not throw.
  void encode(engine::Worker& worker, const model::Task& task, size_t token_bytes);

  std::string bytes;             ///< the records as they will lie in the store
  std::vector<Status> statuses;  ///< one a line
  std::vector<size_t> ends;      ///< one a line: in `bytes`; of a bad line that of the one before
  Status failure;                ///< not of a line but of the whole chunk (memory)

 private:
  Status encode_line(const rows::LineReader::Line& line, engine::Worker& worker,
                     const model::Task& task, size_t token_bytes);

  rows::RowParser parser_;
  rows::CatalogRecord record_;
  std::vector<int32_t> ids_;
};

void RecordChunk::encode(engine::Worker& worker, const model::Task& task, size_t token_bytes) {
  bytes.clear();
  statuses.clear();
  ends.clear();
  failure = {};
  try {
    for (const rows::LineReader::Line& line : input.lines) {
      statuses.push_back(encode_line(line, worker, task, token_bytes));
      ends.push_back(bytes.size());
    }
  } catch (const std::exception& error) {
    failure = unavailable_machine({.what = "cannot encode these records",
                                   .where = rows::describe(input.lines.front().position),
                                   .found = error.what(),
                                   .remedy = "Give the process more memory"});
  }
}

Status RecordChunk::encode_line(const rows::LineReader::Line& line, engine::Worker& worker,
                                const model::Task& task, size_t token_bytes) {
  TILEWISE_RETURN_IF_ERROR(parser_.parse_record(line, record_));
  ids_.clear();
  const Result<int64_t> tokens =
      worker.encode_side(task, model::Content(std::move(record_.record)), ids_);
  if (!tokens.ok()) return at_row(tokens.status(), line.position);
  append_record(record_.id, {ids_, *tokens}, token_bytes, bytes);
  return {};
}

constexpr size_t kChunkLines = 128;
/// One that is worked on, one that waits: a replica never waits for the reader.
constexpr int kChunksAReplica = 2;
/// The file grows by a quarter, so that it is seldom mapped anew.
constexpr size_t kLeastGrowth = size_t{16} << 20;

}  // namespace

class RecordStoreBuilder {
 public:
  RecordStoreBuilder(engine::Engine& engine, const model::Task& task, rows::LineReader reader,
                     RecordStore store, const std::function<void(const Status&)>& on_rejected)
      : engine_(engine),
        task_(task),
        on_rejected_(on_rejected),
        reader_(std::move(reader)),
        store_(std::move(store)) {
    for (int i = 0; i < kChunksAReplica * engine.replicas() + 1; ++i) {
      free_.push_back(std::make_unique<RecordChunk>());
    }
  }

  /// Waits for what is on the way.
  ~RecordStoreBuilder() {
    for (const Running& running : running_) running.done.wait();
  }
  RecordStoreBuilder(const RecordStoreBuilder&) = delete;
  RecordStoreBuilder& operator=(const RecordStoreBuilder&) = delete;

  Result<RecordStore> build(const std::function<void(const RecordStore::Progress&)>& on_progress);

 private:
  struct Running {
    std::unique_ptr<RecordChunk> chunk;
    std::future<void> done;
  };

  Status read();
  Status store_oldest();
  Status store(std::string_view bytes, const rows::Position& position);
  Status make_room(size_t bytes);
  void reject(const Status& status);
  Status finish();

  engine::Engine& engine_;
  const model::Task& task_;
  const std::function<void(const Status&)>& on_rejected_;
  rows::LineReader reader_;
  RecordStore store_;
  size_t end_ = 0;  // of the records in the store's data
  Hash hash_;
  RecordStore::Progress progress_;
  Time start_ = SteadyClock().now();
  std::vector<std::unique_ptr<RecordChunk>> free_;
  std::deque<Running> running_;
};

Result<RecordStore> RecordStoreBuilder::build(
    const std::function<void(const RecordStore::Progress&)>& on_progress) {
  while (!reader_.at_end() || !running_.empty()) {
    if (!reader_.at_end() && !free_.empty()) {
      TILEWISE_RETURN_IF_ERROR(read());
      continue;
    }
    TILEWISE_RETURN_IF_ERROR(store_oldest());
    if (on_progress) on_progress(progress_);
  }
  TILEWISE_RETURN_IF_ERROR(finish());
  return std::move(store_);
}

Status RecordStoreBuilder::read() {
  RecordChunk* const chunk = free_.back().get();
  TILEWISE_RETURN_IF_ERROR(reader_.next(kChunkLines, chunk->input));
  if (chunk->input.lines.empty()) return {};
  chunk->fraction = reader_.fraction();
  auto done = engine_.submit(
      [this, chunk](engine::Worker& worker) { chunk->encode(worker, task_, store_.token_bytes_); });
  running_.push_back({std::move(free_.back()), std::move(done)});
  free_.pop_back();
  return {};
}

// In the order of the input, so that the same catalogue gives the same store on any machine.
Status RecordStoreBuilder::store_oldest() {
  running_.front().done.wait();
  const RecordChunk& chunk = *running_.front().chunk;
  TILEWISE_RETURN_IF_ERROR(chunk.failure);
  size_t begin = 0;
  for (size_t i = 0; i < chunk.statuses.size(); ++i) {
    const auto bytes = std::string_view(chunk.bytes).substr(begin, chunk.ends[i] - begin);
    begin = chunk.ends[i];
    if (chunk.statuses[i].ok()) {
      TILEWISE_RETURN_IF_ERROR(store(bytes, chunk.input.lines[i].position));
    } else {
      reject(chunk.statuses[i]);
    }
  }
  progress_.records = store_.records();
  progress_.fraction = chunk.fraction;
  progress_.seconds = seconds_between(start_, SteadyClock().now());
  free_.push_back(std::move(running_.front().chunk));
  running_.pop_front();
  return {};
}

Status RecordStoreBuilder::store(std::string_view bytes, const rows::Position& position) {
  const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
  const std::string_view id = record_at(first, store_.token_bytes_).id;
  const uint64_t hash = hash_of(id);
  if (store_.locate(id, hash)) {
    reject(second_record(id, position));
    return {};
  }
  TILEWISE_RETURN_IF_ERROR(make_room(bytes.size()));
  TILEWISE_RETURN_IF_ERROR(store_.index_.insert(hash, end_));
  std::memcpy(store_.data_.bytes().data() + end_, bytes.data(), bytes.size());
  end_ += bytes.size();
  hash_.append(bytes);
  return {};
}

Status RecordStoreBuilder::make_room(size_t bytes) {
  const size_t size = store_.data_.bytes().size();
  if (bytes <= size - end_) return {};
  return store_.data_.resize(size + std::max({bytes, size / 4, kLeastGrowth}));
}

void RecordStoreBuilder::reject(const Status& status) {
  ++progress_.rejected;
  if (on_rejected_) on_rejected_(status);
}

Status RecordStoreBuilder::finish() {
  TILEWISE_RETURN_IF_ERROR(store_.data_.resize(end_));
  store_.data_.expect_random_reads();
  store_.index_.expect_random_reads();
  store_.inputs_ = reader_.inputs();
  store_.content_hash_ = hash_.hex();
  return {};
}

Result<RecordStore> RecordStore::build(engine::Engine& engine, const Options& options,
                                       const std::function<void(const Status&)>& on_rejected,
                                       const std::function<void(const Progress&)>& on_progress) {
  const model::Task& task = engine.metadata().tasks[options.tasks.front()].task;
  if (task.input != model::InputKind::pair) return no_pairs(task);
  TILEWISE_ASSIGN_OR_RETURN(
      auto reader,
      rows::LineReader::open(options.files, options.stop, rows::Hashing::sha256, options.limits));
  TILEWISE_ASSIGN_OR_RETURN(auto data, TemporaryMap::create(options.temporary_directory));
  TILEWISE_ASSIGN_OR_RETURN(auto index, MappedIndex::create(options.temporary_directory, 0));
  // Most vocabularies fit into two bytes, and the file is half as large.
  const bool is_narrow = engine.metadata().spec.vocab_size <= 1 << 16;
  RecordStore store(std::move(data), std::move(index),
                    is_narrow ? sizeof(uint16_t) : sizeof(int32_t));
  return RecordStoreBuilder(engine, task, std::move(reader), std::move(store), on_rejected)
      .build(on_progress);
}

std::optional<engine::Side> RecordStore::find(std::string_view id,
                                              std::vector<int32_t>& memory) const {
  const std::optional<uint64_t> offset = locate(id, hash_of(id));
  if (!offset) return std::nullopt;
  const StoredRecord record = record_at(data_.bytes().data() + *offset, token_bytes_);
  const auto tokens = static_cast<int64_t>(record.header.tokens);
  const size_t count = record.header.ids;
  if (token_bytes_ == sizeof(int32_t)) {
    return engine::Side{{reinterpret_cast<const int32_t*>(record.ids), count}, tokens};
  }
  const auto* narrow = reinterpret_cast<const uint16_t*>(record.ids);
  memory.assign(narrow, narrow + count);
  return engine::Side{memory, tokens};
}

std::optional<uint64_t> RecordStore::locate(std::string_view id, uint64_t hash) const {
  return index_.find(hash, [&](uint64_t offset) {
    return record_at(data_.bytes().data() + offset, token_bytes_).id == id;
  });
}

}  // namespace tilewise::batch
