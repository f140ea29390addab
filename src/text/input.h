// From an input of a task (text, record or pair) to the token sequence that the encoder sees.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/content_view.h"
#include "model/row.h"
#include "model/task.h"
#include "text/tokenizer.h"

namespace tilewise::text {

/// Sequences packed end to end, without padding. Cleared and reused between batches so that it
/// stops allocating.
struct PackedTokens {
  std::vector<int32_t> ids;
  std::vector<int32_t> types;          ///< of each id: 0, or Tokenizer::second_type() in a pair
  std::vector<int32_t> offsets = {0};  ///< sequences + 1
  std::vector<bool> truncated;         ///< one a sequence

  int32_t sequences() const { return static_cast<int32_t>(offsets.size()) - 1; }
  int32_t tokens() const { return offsets.back(); }
  void clear();
};

/// Appends the text of `content` to `out`: itself, or the record through the template.
/// Errors: invalid_input for a record where the task has no template, or that has none of the
/// template's fields.
Status render(const model::InputTemplate& record_template, const model::Content& content,
              std::string& out);
Status render(const model::InputTemplate& record_template, const model::ContentView& content,
              std::string& out);

/// How many tokens of each side stay.
struct Kept {
  int64_t left;
  int64_t right;
};

/// The rule of Hugging Face's fast tokenizers for `left` + `right` tokens that must fit into
/// `budget` (special tokens not counted); right = 0 for a single text. nullopt where the one side
/// that may be cut would have no token left.
std::optional<Kept> truncate(int64_t left, int64_t right, int64_t budget,
                             model::Truncation truncation);

/// One side of a pair, encoded, without special tokens.
struct Side {
  /// The first of its tokens. Of a side that is longer than its task's max_tokens, so many are
  /// enough.
  std::span<const int32_t> ids;
  int64_t tokens = 0;  ///< how many there are in all: where a pair is cut depends on it
};

/// What happens to an input that is longer than its task's max_tokens.
enum class Overlong : uint8_t {
  refuse,
  cut_right,  ///< the end of a text goes, as the task's truncation says
  cut_left,   ///< its beginning goes, as with Hugging Face's truncation_side="left"
};

struct EncodeOptions {
  Overlong overlong = Overlong::cut_right;
  bool both_orders = false;  ///< a pair becomes two sequences: left before right, then the reverse
};

/// Builds [CLS] text [SEP] or [CLS] left [SEP] right [SEP], with as many separators between the two
/// as the tokenizer says, and appends it. One InputEncoder a
/// thread (it owns scratch memory); the tokenizer is shared.
class InputEncoder {
 public:
  explicit InputEncoder(Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}

  /// From now on with another tokenizer and the same memory.
  void use(Tokenizer tokenizer) { tokenizer_ = std::move(tokenizer); }

  /// Errors (nothing is appended then): invalid_input when the input's shape is not the task's (a
  /// pair for a text task), the record does not fit the template, max_tokens has no room for the
  /// special tokens, or only_first / only_second cannot make the input short enough (Hugging Face
  /// fails there too), or it is to be refused as too long. Empty text is a valid input: only
  /// special tokens.
  Status append(const model::Task& task, const model::Input& input, PackedTokens& out,
                const EncodeOptions& options = {});

  /// The same for a text, or the sides of a pair, from encode_side(); cut_left needs them whole.
  Status append_text(const model::Task& task, const Side& text, PackedTokens& out,
                     const EncodeOptions& options = {});
  Status append_pair(const model::Task& task, const Side& left, const Side& right,
                     PackedTokens& out, const EncodeOptions& options = {});

  /// Appends the tokens of a side (without special ones) to `ids`, at most `task.max_tokens` of
  /// them. Returns how many there are in all, for Side::tokens. Errors: those of render(); nothing
  /// is appended then.
  Result<int64_t> encode_side(const model::Task& task, const model::Content& content,
                              std::vector<int32_t>& ids);
  Result<int64_t> encode_side(const model::Task& task, const model::ContentView& content,
                              std::vector<int32_t>& ids);

 private:
  Status encode(const model::Task& task, const model::Content& content, std::vector<int32_t>& ids);
  void append_sequence(const Side& left, const Side* right, const Kept& kept, Overlong overlong,
                       PackedTokens& out) const;

  Tokenizer tokenizer_;
  std::string rendered_;
  std::vector<int32_t> left_;
  std::vector<int32_t> right_;
};

}  // namespace tilewise::text
