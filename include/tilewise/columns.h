// Many inputs in one call, as columns of strings that lie end to end in memory of the caller:
// Arrow's layout, of which nothing is copied. Answers come back as columns, too. What
// Model::predict_columns and score_columns of tilewise.h take and give.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <tilewise/export.h>
#include <tilewise/status.h>
#include <tilewise/tilewise.h>

namespace tilewise {

/// Strings in one of Arrow's three layouts. It owns nothing: the memory must stay as it is until
/// the call that uses it is over. The offsets and views are taken at their word.
class StringColumn {
 public:
  /// Which rows have a value: bit 0 of the first byte is row 0; null: all have.
  using Validity = const uint8_t*;

  /// No rows.
  StringColumn() = default;

  /// String i is bytes[offsets[i], offsets[i + 1]); so `rows` + 1 offsets. Of all three, `first` is
  /// the place of row 0 in what else is given, the validity included: a column can be a slice of a
  /// longer one.
  static StringColumn of_offsets(const int32_t* offsets, const char* bytes, int64_t rows,
                                 Validity validity = nullptr, int64_t first = 0) {
    return {Layout::offsets32, offsets, bytes, nullptr, rows, validity, first};
  }
  static StringColumn of_offsets(const int64_t* offsets, const char* bytes, int64_t rows,
                                 Validity validity = nullptr, int64_t first = 0) {
    return {Layout::offsets64, offsets, bytes, nullptr, rows, validity, first};
  }

  /// Arrow's "string view": `views` holds 16 bytes a row. The first four are the length; up to 12
  /// bytes of text lie behind it, or else four bytes of prefix, the number of one of `buffers`, and
  /// the offset in it.
  static StringColumn of_views(const void* views, const char* const* buffers, int64_t rows,
                               Validity validity = nullptr, int64_t first = 0) {
    return {Layout::views, views, nullptr, buffers, rows, validity, first};
  }

  int64_t rows() const { return rows_; }

  /// Whether row `row` has a value.
  bool has(int64_t row) const {
    const int64_t i = first_ + row;
    return validity_ == nullptr || ((validity_[i / 8] >> (i % 8)) & 1) != 0;
  }

  /// The text of a row that has() one.
  std::string_view operator[](int64_t row) const {
    switch (layout_) {
      case Layout::offsets32:
        return between(static_cast<const int32_t*>(index_) + first_ + row);
      case Layout::offsets64:
        return between(static_cast<const int64_t*>(index_) + first_ + row);
      case Layout::views:
        break;
    }
    return view(static_cast<const char*>(index_) + 16 * (first_ + row));
  }

 private:
  enum class Layout : uint8_t { offsets32, offsets64, views };

  StringColumn(Layout layout, const void* index, const char* bytes, const char* const* buffers,
               int64_t rows, Validity validity, int64_t first)
      : layout_(layout),
        index_(index),
        bytes_(bytes),
        buffers_(buffers),
        rows_(rows),
        validity_(validity),
        first_(first) {}

  template <class Offset>
  std::string_view between(const Offset* offset) const {
    const auto length = static_cast<size_t>(offset[1] - offset[0]);
    return length == 0 ? std::string_view() : std::string_view(bytes_ + offset[0], length);
  }

  std::string_view view(const char* place) const {
    int32_t parts[4];  // length, prefix, buffer, offset
    std::memcpy(parts, place, sizeof(parts));
    const auto length = static_cast<size_t>(parts[0]);
    return length <= 12 ? std::string_view(place + 4, length)
                        : std::string_view(buffers_[parts[2]] + parts[3], length);
  }

  Layout layout_ = Layout::offsets32;
  const void* index_ = nullptr;  // offsets or views
  const char* bytes_ = nullptr;
  const char* const* buffers_ = nullptr;
  int64_t rows_ = 0;
  Validity validity_ = nullptr;
  int64_t first_ = 0;
};

/// Records, a column a field. A row lacks the fields that have no value there.
struct RecordColumn {
  struct Field {
    std::string name;
    StringColumn values;  ///< as many rows as the others
  };
  std::vector<Field> fields;
  int64_t rows = 0;
};

/// One side of many inputs: plain texts, or records that the task's template turns into text.
using ContentColumn = std::variant<StringColumn, RecordColumn>;

struct ColumnOptions {
  PredictOptions predict = {};
  bool logits = false;  ///< fill AnswerColumns::logits
  /// Asked several times a second on the calling thread; true ends the call as interrupted.
  std::function<bool()> stop = {};
};

/// The answers of one task, in order of the inputs. A column that the task's kind does not have is
/// empty. A row without an answer has zeros, and -1 for its label.
struct AnswerColumns {
  int64_t rows = 0;
  std::vector<float> scores;      ///< binary: the probability; multiclass: that of the best label
  std::vector<int32_t> labels;    ///< index into TaskInfo::labels. Binary: 0 where the threshold is
                                  ///< reached, else -1; multiclass: the best
  std::vector<float> values;      ///< regression
  std::vector<float> embeddings;  ///< rows x TaskInfo::outputs
  std::vector<float> logits;      ///< rows x TaskInfo::outputs

  /// Multiclass: the best PredictOptions::top labels, where that is not 1; multilabel: the labels
  /// over the threshold; both best first. Those of row i are [ranked_ends[i - 1], ranked_ends[i]).
  std::vector<int64_t> ranked_ends;
  std::vector<int32_t> ranked_labels;
  std::vector<float> ranked_scores;

  std::vector<float> depths;          ///< layers that the answer took, where the task has exits
  std::vector<uint8_t> truncated;     ///< 1: the text was longer than the task takes and was cut
  std::vector<uint8_t> out_of_scope;  ///< multiclass; 1: none of the labels

  struct Failure {
    int64_t row;
    Status status;
  };
  std::vector<Failure> failures;  ///< the rows without an answer, in order
};

}  // namespace tilewise
