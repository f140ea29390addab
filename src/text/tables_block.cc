#include "text/tables_block.h"

#include <cstring>

namespace tilewise::text {
namespace {

bool has_magic(const TablesHeader& header, const char (&magic)[8]) {
  return std::memcmp(header.magic, magic, sizeof magic) == 0;
}

}  // namespace

Status broken_tables(std::string what, std::string expected, std::string found) {
  return invalid_input({.what = std::move(what),
                        .where = "tokenizer tables",
                        .expected = std::move(expected),
                        .found = std::move(found),
                        .remedy = "compile the model again"});
}

Result<BlockReader> BlockReader::open(std::span<const std::byte> block) {
  const auto shorter_than = [&](size_t bytes) {
    return broken_tables("The tables are shorter than their header",
                         std::to_string(bytes) + " bytes", std::to_string(block.size()));
  };
  if (reinterpret_cast<uintptr_t>(block.data()) % kTablesAlignment != 0) {
    return broken_tables("The tables are not aligned", "an address divisible by 64", {});
  }
  if (block.size() < kHeaderBytesOfLayout1) return shorter_than(kHeaderBytesOfLayout1);
  BlockReader reader(block);
  std::memcpy(&reader.header, block.data(), kHeaderBytesOfLayout1);
  if (has_magic(reader.header, kTablesMagic)) {
    reader.header.model = kWordPieceTag;
    reader.header.pair_separators = reader.header.second_type = 1;
  } else if (has_magic(reader.header, kTablesMagic2)) {
    if (block.size() < sizeof(TablesHeader)) return shorter_than(sizeof(TablesHeader));
    std::memcpy(&reader.header, block.data(), sizeof(TablesHeader));
  } else {
    return broken_tables("The tables begin with an unknown mark", "TWTEXT01 or TWTEXT02", {});
  }
  if (reader.header.block_bytes != block.size()) {
    return broken_tables("The tables have another length than their header says",
                         std::to_string(reader.header.block_bytes) + " bytes",
                         std::to_string(block.size()));
  }
  return reader;
}

BlockWriter::BlockWriter(const char (&magic)[8]) {
  std::memcpy(header.magic, magic, sizeof magic);
  block_.resize(header_bytes());
}

size_t BlockWriter::header_bytes() const {
  return has_magic(header, kTablesMagic) ? kHeaderBytesOfLayout1 : sizeof(TablesHeader);
}

void BlockWriter::add_bytes(int index, std::span<const std::byte> bytes) {
  block_.resize((block_.size() + kTablesAlignment - 1) / kTablesAlignment * kTablesAlignment);
  header.sections[index] = {block_.size(), bytes.size()};
  block_.insert(block_.end(), bytes.begin(), bytes.end());
}

std::vector<std::byte> BlockWriter::finish() {
  header.block_bytes = block_.size();
  std::memcpy(block_.data(), &header, header_bytes());
  return std::move(block_);
}

}  // namespace tilewise::text
