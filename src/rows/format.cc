#include "rows/format.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>

namespace tilewise::rows {
namespace {

constexpr Format kFormats[] = {Format::json_lines, Format::csv, Format::tsv};
constexpr Compression kCompressions[] = {Compression::none, Compression::gzip, Compression::zstd};

constexpr std::pair<std::string_view, Format> kExtensions[] = {
    {".jsonl", Format::json_lines}, {".ndjson", Format::json_lines}, {".json", Format::json_lines},
    {".csv", Format::csv},          {".tsv", Format::tsv},           {".tab", Format::tsv}};

}  // namespace

const char* name_of(Format format) {
  switch (format) {
    case Format::json_lines:
      return "jsonl";
    case Format::csv:
      return "csv";
    case Format::tsv:
      return "tsv";
  }
  return "";
}

const char* name_of(Compression compression) {
  switch (compression) {
    case Compression::none:
      return "none";
    case Compression::gzip:
      return "gzip";
    case Compression::zstd:
      return "zstd";
  }
  return "";
}

const char* suffix_of(Compression compression) {
  switch (compression) {
    case Compression::none:
      return "";
    case Compression::gzip:
      return ".gz";
    case Compression::zstd:
      return ".zst";
  }
  return "";
}

std::optional<Format> parse_format(std::string_view name) {
  for (const Format format : kFormats) {
    if (name == name_of(format)) return format;
  }
  return std::nullopt;
}

std::optional<Compression> parse_compression(std::string_view name) {
  for (const Compression compression : kCompressions) {
    if (name == name_of(compression)) return compression;
  }
  return std::nullopt;
}

std::optional<Format> format_of_file(std::string_view path) {
  std::string name(path.substr(path.find_last_of('/') + 1));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string_view stem = name;
  for (const Compression compression : {Compression::gzip, Compression::zstd}) {
    const std::string_view suffix = suffix_of(compression);
    if (stem.ends_with(suffix)) {
      stem.remove_suffix(suffix.size());
      break;
    }
  }
  for (const auto& [extension, format] : kExtensions) {
    if (stem.ends_with(extension)) return format;
  }
  return std::nullopt;
}

}  // namespace tilewise::rows
