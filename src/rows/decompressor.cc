#include "rows/decompressor.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

namespace tilewise::rows {
namespace {

constexpr std::string_view kGzipMagic = "\x1F\x8B";
constexpr std::string_view kZstdFrame = "\x28\xB5\x2F\xFD";
constexpr std::string_view kZstdSkippable = "\x2A\x4D\x18";  // behind a byte 0x50 to 0x5F

Status broken(const char* format, const char* found) {
  return invalid_input({.what = std::string("the ") + format + " data is broken",
                        .found = found == nullptr ? "" : found,
                        .remedy = "Copy or make the file anew"});
}

Status no_memory() {
  return unavailable_machine(
      {.what = "not enough memory to decompress", .remedy = "Give the process more memory"});
}

class Gzip final : public Decompressor {
 public:
  ~Gzip() override { inflateEnd(&stream_); }

  bool open(size_t /*window_bytes*/) {
    constexpr int kGzipWindow = 15 + 16;  // 32 KB, with the header and checksum of gzip
    return inflateInit2(&stream_, kGzipWindow) == Z_OK;
  }

  Result<Step> step(std::span<const char> input, std::span<char> output) override {
    if (between_members_) {
      // Tapes and block devices pad with zeros, which gzip passes over, too.
      const auto first = std::find_if(input.begin(), input.end(), [](char c) { return c != 0; });
      const auto zeros = static_cast<size_t>(first - input.begin());
      padded_ |= zeros > 0;
      if (zeros > 0 || input.empty()) return Step{.taken = zeros};
      if (padded_) return broken("gzip", "more data behind its padding");
      inflateReset(&stream_);
      between_members_ = false;
    }
    return inflate_step(input, output);
  }

  bool is_whole() const override { return between_members_; }

 private:
  Result<Step> inflate_step(std::span<const char> input, std::span<char> output) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(output.data());
    stream_.avail_out = static_cast<uInt>(output.size());
    const int result = inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) return no_memory();
    if (result == Z_STREAM_END) between_members_ = true;
    // Z_BUF_ERROR: it can only go on with more input.
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
      return broken("gzip", stream_.msg);
    return Step{input.size() - stream_.avail_in, output.size() - stream_.avail_out};
  }

  z_stream stream_{};
  bool between_members_ = false;
  bool padded_ = false;
};

class Zstd final : public Decompressor {
 public:
  ~Zstd() override { ZSTD_freeDStream(stream_); }

  bool open(size_t window_bytes) {
    stream_ = ZSTD_createDStream();
    if (stream_ == nullptr) return false;
    const ZSTD_bounds bounds = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
    const int window_log = std::clamp(static_cast<int>(std::bit_width(window_bytes)) - 1,
                                      bounds.lowerBound, bounds.upperBound);
    window_bytes_ = size_t{1} << window_log;
    return ZSTD_isError(ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, window_log)) == 0;
  }

  Result<Step> step(std::span<const char> input, std::span<char> output) override {
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    ZSTD_outBuffer out{output.data(), output.size(), 0};
    // A call without input would begin a frame that may never come.
    if (whole_ && input.empty()) return Step{};
    const size_t hint = ZSTD_decompressStream(stream_, &out, &in);
    if (ZSTD_isError(hint)) return refuse(hint);
    whole_ = hint == 0;
    return Step{in.pos, out.pos};
  }

  bool is_whole() const override { return whole_; }

 private:
  Status refuse(size_t error) const {
    switch (ZSTD_getErrorCode(error)) {
      case ZSTD_error_memory_allocation:
        return no_memory();
      case ZSTD_error_frameParameter_windowTooLarge:
        return unsupported({.what = "the zstd data needs a larger window than is taken",
                            .expected = "at most " + std::to_string(window_bytes_ >> 20) + " MB",
                            .remedy = "Compress it without --long, or allow more memory"});
      default:
        return broken("zstd", ZSTD_getErrorName(error));
    }
  }

  ZSTD_DStream* stream_ = nullptr;
  size_t window_bytes_ = 0;
  bool whole_ = false;
};

template <class Kind>
Result<std::unique_ptr<Decompressor>> make(size_t window_bytes) {
  auto decompressor = std::make_unique<Kind>();
  if (!decompressor->open(window_bytes)) return no_memory();
  return std::unique_ptr<Decompressor>(std::move(decompressor));
}

/// Whether `start` agrees with the magic number as far as both go.
bool agrees(std::string_view start, std::string_view magic) {
  const size_t both = std::min(start.size(), magic.size());
  return start.substr(0, both) == magic.substr(0, both);
}

bool begins_as_gzip(std::string_view start) { return agrees(start, kGzipMagic); }

/// A frame of data, or one of those to skip that pzstd writes before each.
bool begins_as_zstd(std::string_view start) {
  if (agrees(start, kZstdFrame)) return true;
  return !start.empty() && (start.front() & 0xF0) == 0x50 &&
         agrees(start.substr(1), kZstdSkippable);
}

}  // namespace

Result<std::unique_ptr<Decompressor>> Decompressor::create(Compression compression,
                                                           size_t window_bytes) {
  return compression == Compression::gzip ? make<Gzip>(window_bytes) : make<Zstd>(window_bytes);
}

Compression detect_compression(std::string_view start) {
  if (start.size() >= kGzipMagic.size() && begins_as_gzip(start)) return Compression::gzip;
  if (start.size() >= kZstdFrame.size() && begins_as_zstd(start)) return Compression::zstd;
  return Compression::none;
}

bool may_become_compressed(std::string_view start) {
  return detect_compression(start) == Compression::none &&
         (begins_as_gzip(start) || begins_as_zstd(start));
}

}  // namespace tilewise::rows
