// The formats in which rows lie in files, and how files of rows may be compressed.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tilewise::rows {

/// csv: RFC 4180 with a header; tsv: the same with tabs for commas.
enum class Format : uint8_t { json_lines, csv, tsv };

enum class Compression : uint8_t { none, gzip, zstd };

/// "jsonl", "csv", "tsv": also the extension of a file of that format, after a point.
const char* name_of(Format format);

/// "none", "gzip", "zstd".
const char* name_of(Compression compression);

/// What a file's name ends with: "", ".gz", ".zst".
const char* suffix_of(Compression compression);

/// The inverse of name_of; nullopt for a name that does not exist.
std::optional<Format> parse_format(std::string_view name);
std::optional<Compression> parse_compression(std::string_view name);

/// By the name's end: .jsonl, .ndjson, .json / .csv / .tsv, .tab, each also with .gz or .zst behind
/// it, upper or lower case. nullopt for any other name.
std::optional<Format> format_of_file(std::string_view path);

}  // namespace tilewise::rows
