#include <cstring>

#include <fmt/format.h>

#include "artifact/schema.h"
#include "base/aligned_buffer.h"
#include "compile/passes.h"
#include "text/tokenizer.h"

namespace tilewise::compile {

Result<std::string> build_tokenizer(Draft& draft) {
  std::vector<std::byte> tables = text::build_tables(draft.model.tokenizer);
  TILEWISE_ASSIGN_OR_RETURN(const AlignedBuffer aligned, AlignedBuffer::allocate(tables.size()));
  std::memcpy(aligned.data(), tables.data(), tables.size());
  TILEWISE_ASSIGN_OR_RETURN(const text::Tokenizer tokenizer,
                            text::Tokenizer::open({aligned.data(), tables.size()}));
  const auto size = static_cast<int64_t>(tables.size());
  draft.tensors.push_back({artifact::kTokenizerTensor,
                           artifact::DataType::bytes,
                           artifact::Layout::rows,
                           {size},
                           std::move(tables)});
  return fmt::format("{} tokens, {:.1f} MB", tokenizer.vocabulary_size(),
                     static_cast<double>(size) * 1e-6);
}

}  // namespace tilewise::compile
