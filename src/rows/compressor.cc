#include "rows/compressor.h"

#include <algorithm>
#include <utility>

#include <zlib.h>
#include <zstd.h>

namespace tilewise::rows {
namespace {

/// Both libraries' output depends in places on how their input was cut, so they get it in pieces of
/// this size.
constexpr size_t kPieceBytes = size_t{128} << 10;
constexpr int kZstdLevel = 3;

Status failed(const char* found) {
  return internal_error({.what = "cannot compress", .found = found == nullptr ? "" : found});
}

/// A library's stream.
class Stream {
 public:
  virtual ~Stream() = default;

  /// Appends what becomes of `piece` to `out`; the file ends with the last one.
  virtual Status append(std::string_view piece, bool is_last, std::string& out) = 0;
};

class GzipStream final : public Stream {
 public:
  ~GzipStream() override { deflateEnd(&stream_); }

  bool open() {
    constexpr int kGzipWindow = 15 + 16;  // 32 KB, with the header and checksum of gzip
    constexpr int kMemoryLevel = 8;
    return deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, kMemoryLevel,
                        Z_DEFAULT_STRATEGY) == Z_OK;
  }

  Status append(std::string_view piece, bool is_last, std::string& out) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    stream_.avail_in = static_cast<uInt>(piece.size());
    int result = Z_OK;
    do {
      const size_t before = out.size();
      out.resize(before + kPieceBytes);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
      stream_.avail_out = static_cast<uInt>(kPieceBytes);
      result = deflate(&stream_, is_last ? Z_FINISH : Z_NO_FLUSH);
      out.resize(out.size() - stream_.avail_out);
      if (result == Z_STREAM_ERROR) return failed(stream_.msg);
    } while (stream_.avail_out == 0 || (is_last && result != Z_STREAM_END));
    if (is_last) deflateReset(&stream_);
    return {};
  }

 private:
  z_stream stream_{};
};

class ZstdStream final : public Stream {
 public:
  ~ZstdStream() override { ZSTD_freeCCtx(context_); }

  bool open() {
    context_ = ZSTD_createCCtx();
    return context_ != nullptr &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, kZstdLevel)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1));
  }

  Status append(std::string_view piece, bool is_last, std::string& out) override {
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    size_t left = 0;
    do {
      const size_t before = out.size();
      out.resize(before + ZSTD_CStreamOutSize());
      ZSTD_outBuffer room{out.data() + before, out.size() - before, 0};
      left = ZSTD_compressStream2(context_, &room, &in, is_last ? ZSTD_e_end : ZSTD_e_continue);
      out.resize(before + room.pos);
      if (ZSTD_isError(left)) return failed(ZSTD_getErrorName(left));
    } while (in.pos < in.size || (is_last && left > 0));
    return {};
  }

 private:
  ZSTD_CCtx* context_ = nullptr;
};

template <class Kind>
std::unique_ptr<Stream> open_stream() {
  auto stream = std::make_unique<Kind>();
  if (!stream->open()) return nullptr;
  return stream;
}

}  // namespace

struct Compressor::State {
  std::unique_ptr<Stream> stream;  // null: plain bytes
  std::string piece;               // the input's rest that is no whole piece
};

Compressor::Compressor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Compressor::Compressor(Compressor&&) noexcept = default;
Compressor& Compressor::operator=(Compressor&&) noexcept = default;
Compressor::~Compressor() = default;

Result<Compressor> Compressor::create(Compression compression) {
  auto state = std::make_unique<State>();
  if (compression == Compression::none) return Compressor(std::move(state));
  state->stream =
      compression == Compression::gzip ? open_stream<GzipStream>() : open_stream<ZstdStream>();
  if (state->stream) return Compressor(std::move(state));
  return unavailable_machine(
      {.what = "not enough memory to compress", .remedy = "Give the process more memory"});
}

Status Compressor::append(std::string_view text, std::string& out) {
  State& state = *state_;
  if (!state.stream) {
    out += text;
    return {};
  }
  while (!text.empty()) {
    const size_t count = std::min(text.size(), kPieceBytes - state.piece.size());
    state.piece += text.substr(0, count);
    text.remove_prefix(count);
    if (state.piece.size() < kPieceBytes) break;
    TILEWISE_RETURN_IF_ERROR(state.stream->append(state.piece, false, out));
    state.piece.clear();
  }
  return {};
}

Status Compressor::finish(std::string& out) {
  State& state = *state_;
  if (!state.stream) return {};
  TILEWISE_RETURN_IF_ERROR(state.stream->append(state.piece, true, out));
  state.piece.clear();
  return {};
}

}  // namespace tilewise::rows
