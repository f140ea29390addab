#include "text/tokenizer.h"

#include "text/tables.h"
#include "text/utf8.h"

namespace tilewise::text {

struct Tokenizer::Tables : TokenizerTables {
  explicit Tables(const TokenizerTables& tables) : TokenizerTables(tables) {}
};

namespace {

template <class Model>
void encode_with(const Model& model, const AddedTokens& added, std::string_view text,
                 std::vector<int32_t>& ids) {
  typename Model::Encoder encoder(model, ids);
  const auto on_token = [&ids](int32_t id) { ids.push_back(id); };
  const auto on_normalized = [&](std::string_view part) { encoder.encode_normalized(part); };
  const auto on_raw = [&](std::string_view raw) {
    if (!added.any(AddedTokens::kNormalized)) return encoder.encode(raw);
    const auto& normalized = encoder.normalized(raw);
    added.split(AddedTokens::kNormalized, normalized, model.code_points(), on_normalized, on_token);
  };
  added.split(AddedTokens::kRaw, text, model.code_points(), on_raw, on_token);
}

}  // namespace

Result<Tokenizer> Tokenizer::open(std::span<const std::byte> tables) {
  TILEWISE_ASSIGN_OR_RETURN(const auto opened, TokenizerTables::open(tables));
  return Tokenizer(std::make_shared<const Tables>(opened));
}

void Tokenizer::encode(std::string_view text, std::vector<int32_t>& ids) const {
  const TokenizerTables& tables = *tables_;
  std::string repaired;
  if (!is_valid_utf8(text)) {
    repaired = replace_invalid_utf8(text);
    text = repaired;
  }
  std::visit([&](const auto& model) { encode_with(model, tables.added, text, ids); }, tables.model);
}

model::TokenizerModel Tokenizer::model() const {
  return std::visit([](const auto& model) { return model.kModel; }, tables_->model);
}
int32_t Tokenizer::cls_id() const { return tables_->cls_id; }
int32_t Tokenizer::sep_id() const { return tables_->sep_id; }
int32_t Tokenizer::pad_id() const { return tables_->pad_id; }
int32_t Tokenizer::pair_separators() const { return tables_->pair_separators; }
int32_t Tokenizer::second_type() const { return tables_->second_type; }
bool Tokenizer::prepends_blank() const {
  const auto* const unigram = std::get_if<Unigram>(&tables_->model);
  return unigram != nullptr && unigram->prepends();
}
int32_t Tokenizer::vocabulary_size() const { return tables_->vocabulary_size; }
std::string_view Tokenizer::token(int32_t id) const { return tables_->token(id); }

bool Tokenizer::is_special(int32_t id) const {
  const TokenizerTables& tables = *tables_;
  if (id == tables.cls_id || id == tables.sep_id || id == tables.pad_id || id == tables.unknown_id)
    return true;
  bool found = false;
  tables.added.split(
      AddedTokens::kRaw, token(id), tables.code_points(), [](std::string_view) {},
      [&](int32_t added) { found |= added == id; });
  return found;
}

}  // namespace tilewise::text
