#include "batch/score_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

#include <fmt/format.h>
#include <xxhash.h>

namespace tilewise::batch {
namespace {

static_assert(std::endian::native == std::endian::little, "scores are used where they lie");

constexpr std::array<uint8_t, 8> kMagic = {0x89, 'T', 'W', 'S', '\r', '\n', 0x1a, '\n'};
constexpr uint32_t kVersion = 1;
constexpr uint32_t kMostWidth = uint32_t{1} << 24;

struct Header {
  std::array<uint8_t, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t width = 0;
};
struct Footer {
  uint64_t rows = 0;
  uint64_t checksum = 0;
};
static_assert(sizeof(Header) == 16 && sizeof(Footer) == 16 && sizeof(engine::Key) == 16);

constexpr size_t kFrameBytes = sizeof(Header) + sizeof(Footer);

size_t row_bytes(size_t width) { return sizeof(engine::Key) + width * sizeof(float); }

template <class T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <class T>
T read_at(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

Status damaged(const std::string& name, std::string expected, std::string found) {
  return invalid_input({.what = "the score file is damaged",
                        .where = name,
                        .expected = std::move(expected),
                        .found = std::move(found),
                        .remedy = "Run the job that wrote it again, or run without --since"});
}

Status no_score_file(const std::string& name) {
  return invalid_input({.what = "this is no score file",
                        .where = name,
                        .expected = "a file of _scores/ that `tilewise batch` wrote",
                        .remedy = "Name the output directory of an earlier job"});
}

Status check_header(const Header& header, const std::string& name) {
  if (header.magic != kMagic) return no_score_file(name);
  if (header.version > kVersion) {
    return unsupported({.what = "the score file was written by a newer tilewise",
                        .where = name,
                        .expected = fmt::format("format version up to {}", kVersion),
                        .found = fmt::format("version {}", header.version),
                        .remedy = "Update tilewise, or run without --since"});
  }
  if (header.version == 0) return damaged(name, "version 1 or more", "0");
  if (header.width == 0 || header.width > kMostWidth) {
    return damaged(name, fmt::format("1 to {} numbers a row", kMostWidth),
                   fmt::to_string(header.width));
  }
  return {};
}

}  // namespace

void append_score(const engine::Key& key, std::span<const float> values, std::string& out) {
  out += bytes_of(key);
  out.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

struct ScoreWriter::State {
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> hash{XXH3_createState()};
  size_t width = 0;
  uint64_t rows = 0;

  void add(std::string_view bytes) { XXH3_64bits_update(hash.get(), bytes.data(), bytes.size()); }
};

ScoreWriter::ScoreWriter(size_t width) : state_(std::make_unique<State>()) {
  if (!state_->hash) throw std::bad_alloc();
  state_->width = width;
}
ScoreWriter::ScoreWriter(ScoreWriter&&) noexcept = default;
ScoreWriter& ScoreWriter::operator=(ScoreWriter&&) noexcept = default;
ScoreWriter::~ScoreWriter() = default;

std::string ScoreWriter::header() {
  XXH3_64bits_reset(state_->hash.get());
  state_->rows = 0;
  const Header header = {.width = static_cast<uint32_t>(state_->width)};
  state_->add(bytes_of(header));
  return std::string(bytes_of(header));
}

void ScoreWriter::add(std::string_view rows) {
  state_->add(rows);
  state_->rows += rows.size() / row_bytes(state_->width);
}

std::string ScoreWriter::footer() {
  Footer footer = {.rows = state_->rows};
  state_->add(bytes_of(footer.rows));
  footer.checksum = XXH3_64bits_digest(state_->hash.get());
  return std::string(bytes_of(footer));
}

Result<ScoreFile> ScoreFile::open(const std::string& path) {
  TILEWISE_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  TILEWISE_ASSIGN_OR_RETURN(ScoreFile file, open(mapped.bytes(), path));
  file.file_.emplace(std::move(mapped));
  return file;
}

Result<ScoreFile> ScoreFile::open(std::span<const std::byte> bytes, const std::string& name) {
  const size_t shown = std::min(bytes.size(), kMagic.size());
  if (shown == 0 || std::memcmp(bytes.data(), kMagic.data(), shown) != 0) {
    return no_score_file(name);
  }
  if (bytes.size() < kFrameBytes) {
    return damaged(name, fmt::format("at least {} bytes", kFrameBytes),
                   fmt::to_string(bytes.size()));
  }
  const auto header = read_at<Header>(bytes.data());
  TILEWISE_RETURN_IF_ERROR(check_header(header, name));
  const auto footer = read_at<Footer>(bytes.data() + bytes.size() - sizeof(Footer));
  const size_t rows_bytes = bytes.size() - kFrameBytes;
  const size_t rows = rows_bytes / row_bytes(header.width);
  if (rows_bytes % row_bytes(header.width) != 0 || footer.rows != rows) {
    return damaged(name, fmt::format("{} rows of {} bytes", footer.rows, row_bytes(header.width)),
                   fmt::format("{} bytes of rows", rows_bytes));
  }
  const uint64_t checksum = XXH3_64bits(bytes.data(), bytes.size() - sizeof footer.checksum);
  if (checksum != footer.checksum) {
    return damaged(name, fmt::format("checksum {:016x}", footer.checksum),
                   fmt::format("{:016x}", checksum));
  }
  ScoreFile file;
  file.first_row_ = bytes.data() + sizeof(Header);
  file.width_ = header.width;
  file.rows_ = rows;
  return file;
}

engine::Key ScoreFile::key(uint64_t row) const {
  return read_at<engine::Key>(first_row_ + row * row_bytes(width_));
}

std::span<const float> ScoreFile::values(uint64_t row) const {
  const std::byte* values = first_row_ + row * row_bytes(width_) + sizeof(engine::Key);
  return {reinterpret_cast<const float*>(values), width_};
}

}  // namespace tilewise::batch
