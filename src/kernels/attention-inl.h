// attention.h over the micro-kernel, one sequence and one head at a time. See vector_math-inl.h for
// the linkage.
//
// A block of queries goes through: scores = Q K^T + B, weights = exp2(scores - max) unnormalised,
// context = weights V, scaled by 1 / sum of the very weights that were used (rounded to bf16 where
// they are), so that these always sum to 1. The sums of Q K^T start from B: it depends on the
// distance alone, so a row of it is the row before, one float further on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"
#include "kernels/attention_pack-inl.h"
#include "kernels/attention_window-inl.h"
#include "kernels/elements-inl.h"
#include "kernels/micro_kernel-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

HWY_INLINE int64_t round_up_to(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Sizes of one head of a sequence and where its parts lie in the scratch memory. Strides in
/// elements.
template <class Dot>
struct AttentionLayout {
  using Element = typename Dot::Element;
  using Left = typename Dot::Left;
  static constexpr int kPerStep = 4 / sizeof(Element);
  static constexpr int kEvenSteps = 2 * kPerStep;  ///< elements of a pair of steps
  static constexpr bool kWidens = sizeof(Left) != sizeof(Element);

  int32_t key_steps;     ///< along head_dim
  int32_t value_steps;   ///< along the tokens
  int64_t score_stride;  ///< also of the weights
  int64_t query_stride;  ///< of widened queries
  int64_t context_stride;
  int64_t keys, values, scores, weights, queries, context, inverse, bytes;  ///< offsets, total

  /// Scores of a block of queries with up to `most_keys` keys.
  HWY_INLINE AttentionLayout(int32_t tokens, int32_t most_keys, int32_t head_dim) {
    const int64_t columns = round_up_to(tokens, kPanelColumns);
    const int64_t dimensions = round_up_to(head_dim, kPanelColumns);
    key_steps = static_cast<int32_t>(round_up_to(head_dim, kEvenSteps) / kPerStep);
    value_steps = static_cast<int32_t>(round_up_to(tokens, kEvenSteps) / kPerStep);
    // Off the powers of two, which would share cache sets.
    score_stride = round_up_to(most_keys, kPanelColumns) + 16;
    query_stride = dimensions + 16;
    context_stride = dimensions + 32;
    keys = 0;
    values = keys + columns * key_steps * 4;
    scores = values + dimensions * value_steps * 4;
    // fp32 weights replace the scores.
    weights = sizeof(Left) == 4 ? scores : scores + Dot::kMaxRows * score_stride * 4;
    queries = weights + Dot::kMaxRows * round_up_to(score_stride * sizeof(Left), 64);
    context = queries + (kWidens ? Dot::kMaxRows * query_stride * 4 : 0);
    inverse = context + Dot::kMaxRows * context_stride * static_cast<int64_t>(sizeof(Element));
    bytes = inverse + 64;
  }
};

/// Turns one row of scores into weights exp2(score - max); returns 1 / their sum. Writes zeros
/// after the last token up to `padded`; reads and writes whole vectors.
template <class Dot>
HWY_INLINE float softmax_row(float* scores, int32_t tokens, typename Dot::Left* weights,
                             int32_t padded) {
  const FloatTag d;
  const int32_t last = (tokens - 1) / kLanes * kLanes;  // first token of the last vector
  const auto valid = hn::FirstN(d, static_cast<size_t>(tokens - last));
  const Floats tail = hn::LoadU(d, scores + last);
  hn::StoreU(hn::IfThenElse(valid, tail, hn::Set(d, -__builtin_inff())), d, scores + last);
  Floats most = hn::LoadU(d, scores);
  for (int32_t i = kLanes; i <= last; i += kLanes) most = hn::Max(most, hn::LoadU(d, scores + i));
  most = hn::MaxOfLanes(d, most);

  const auto weigh = [&](const float* score) {
    return Exp2OfNegative<typename Dot::Element>(d, hn::Sub(hn::LoadU(d, score), most));
  };
  // What is added up is what has been stored, rounded.
  Floats sum = hn::Zero(d), second_sum = hn::Zero(d);
  int32_t i = 0;
  for (; i < last; i += 2 * kLanes) {
    store_pair(d, weigh(scores + i), weigh(scores + i + kLanes), weights + i);
    sum = hn::Add(sum, load(d, weights + i));
    second_sum = hn::Add(second_sum, load(d, weights + i + kLanes));
  }
  for (; i <= last; i += kLanes) {
    store(d, weigh(scores + i), weights + i);
    sum = hn::Add(sum, load(d, weights + i));
  }
  for (; i < padded; ++i) weights[i] = typename Dot::Left{};
  return 1.0f / hn::GetLane(hn::SumOfLanes(d, hn::Add(sum, second_sum)));
}

template <class Dot>
class Attention {
  using Element = typename Dot::Element;
  using Left = typename Dot::Left;
  using Layout = AttentionLayout<Dot>;
  static constexpr int kColumns = Dot::kVectors * kLanes;

 public:
  HWY_INLINE Attention(const AttentionArgs& args, int32_t sequence)
      : args_(args),
        first_(args.offsets[sequence]),
        tokens_(args.offsets[sequence + 1] - first_),
        window_(args.window, tokens_),
        layout_(tokens_, window_.most_keys(Dot::kMaxRows), args.head_dim) {}

  HWY_INLINE void run() {
    for (int32_t head = 0; head < args_.heads; ++head) {
      pack_keys(head_rows(head, 1), layout_.key_steps, at<uint32_t>(layout_.keys));
      pack_values(head_rows(head, 2), layout_.value_steps, at<uint32_t>(layout_.values));
      const RowSplit split(tokens_, Dot::kMaxRows);
      for (int32_t block = 0, query = 0; block < split.blocks(); ++block) {
        const int32_t rows = split.height(block);
        const KeyRange keys = window_.keys_of(query, rows);
        compute_scores(head, query, rows, keys);
        compute_weights(query, rows, keys);
        compute_context(head, query, rows, keys);
        query += rows;
      }
    }
  }

 private:
  template <class T>
  HWY_INLINE T* at(int64_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(args_.scratch) + offset);
  }

  /// `part` is 0 for Q, 1 for K, 2 for V.
  HWY_INLINE HeadRows<Element> head_rows(int32_t head, int32_t part) const {
    const int64_t column = static_cast<int64_t>(part) * args_.section + head * args_.head_dim;
    return {static_cast<const char*>(args_.qkv) + first_ * args_.qkv_stride +
                column * static_cast<int64_t>(sizeof(Element)),
            args_.qkv_stride, tokens_, args_.head_dim};
  }

  HWY_INLINE void compute_scores(int32_t head, int32_t query, int32_t rows, const KeyRange& keys) {
    const HeadRows<Element> queries = head_rows(head, 0);
    BlockArgs block;
    block.left = reinterpret_cast<const char*>(queries.row(query));
    block.left_stride = queries.stride;
    if constexpr (Layout::kWidens) {
      // A query's last step may take elements of its neighbour; the keys are zero there.
      float* widened = at<float>(layout_.queries);
      for (int32_t i = 0; i < rows; ++i) {
        widen_query(queries.row(query + i), widened + i * layout_.query_stride);
      }
      block.left = reinterpret_cast<const char*>(widened);
      block.left_stride = layout_.query_stride * static_cast<int64_t>(sizeof(float));
    }
    block.steps = layout_.key_steps;
    block.start = kZeros;
    const float* bias = args_.relative_bias;
    if (bias != nullptr) {
      bias += head * args_.relative_bias_stride - query;
      block.start_stride = -1;
    }
    block.output_stride = layout_.score_stride * static_cast<int64_t>(sizeof(float));
    block.finish = Finish::store_fp32;
    for (int32_t column = keys.first; column < keys.last; column += kColumns) {
      block.right = panel_column(layout_.keys, layout_.key_steps, column);
      block.prefetch = block.right;
      block.output = reinterpret_cast<char*>(at<float>(layout_.scores) + column - keys.first);
      if (bias != nullptr) block.start = bias + column;
      if (keys.last - column <= kLanes) {
        kBlocks<Dot, 1, 1>.of[rows](block);
      } else {
        kBlocks<Dot, Dot::kVectors, 1>.of[rows](block);
      }
    }
  }

  HWY_INLINE void widen_query(const Element* query, float* widened) const {
    const int32_t count = layout_.key_steps * Layout::kPerStep;
    const hn::CappedTag<float, 4> d;
    for (int32_t k = 0; k < count; k += static_cast<int32_t>(hn::Lanes(d))) {
      hn::StoreU(load(d, query + k), d, widened + k);
    }
  }

  HWY_INLINE void compute_weights(int32_t query, int32_t rows, const KeyRange& keys) {
    const auto padded = static_cast<int32_t>(round_up_to(keys.count(), Layout::kEvenSteps));
    for (int32_t i = 0; i < rows; ++i) {
      float* scores = at<float>(layout_.scores) + i * layout_.score_stride;
      if (window_.is_local()) window_.mask(scores, keys, query + i);
      at<float>(layout_.inverse)[i] = softmax_row<Dot>(
          scores, keys.count(), at<Left>(layout_.weights) + i * layout_.score_stride, padded);
    }
  }

  HWY_INLINE void compute_context(int32_t head, int32_t query, int32_t rows, const KeyRange& keys) {
    BlockArgs block;
    block.left = at<char>(layout_.weights);
    block.left_stride = layout_.score_stride * static_cast<int64_t>(sizeof(Left));
    block.steps =
        static_cast<int32_t>(round_up_to(keys.count(), Layout::kEvenSteps)) / Layout::kPerStep;
    const int64_t first_step = keys.first / Layout::kPerStep * kStepBytes;
    block.start = kZeros;
    block.scale = at<float>(layout_.inverse);
    block.finish = Finish::scale;
    char* output =
        static_cast<char*>(args_.context) + (first_ + query) * args_.context_stride +
        static_cast<int64_t>(head) * args_.head_dim * static_cast<int64_t>(sizeof(Element));
    for (int32_t column = 0; column < args_.head_dim; column += kColumns) {
      block.right = panel_column(layout_.values, layout_.value_steps, column) + first_step;
      block.prefetch = block.right;
      char* target = output + column * static_cast<int64_t>(sizeof(Element));
      const int32_t left = args_.head_dim - column;
      if (left >= kColumns) {
        block.output = target;
        block.output_stride = args_.context_stride;
        kBlocks<Dot, Dot::kVectors, 1>.of[rows](block);
      } else {
        // The block is wider than what is left of the head, and the next head's columns are not
        // ours.
        block.output = at<char>(layout_.context);
        block.output_stride = layout_.context_stride * static_cast<int64_t>(sizeof(Element));
        kBlocks<Dot, Dot::kVectors, 1>.of[rows](block);
        for (int32_t i = 0; i < rows; ++i) {
          __builtin_memcpy(target + i * args_.context_stride,
                           block.output + i * block.output_stride,
                           static_cast<size_t>(left) * sizeof(Element));
        }
      }
    }
  }

  HWY_INLINE const char* panel_column(int64_t panels, int32_t steps, int32_t column) const {
    return at<char>(panels) + static_cast<int64_t>(column / kPanelColumns) * steps * kStepBytes +
           column % kPanelColumns * 4;
  }

  HWY_ALIGN static constexpr float kZeros[kPanelColumns] = {};

  const AttentionArgs& args_;
  int32_t first_;
  int32_t tokens_;
  Window window_;
  Layout layout_;
};

template <class Dot>
HWY_INLINE void run_attention(const AttentionArgs& args) {
  for (int32_t sequence = 0; sequence < args.sequences; ++sequence) {
    Attention<Dot>(args, sequence).run();
  }
}

template <class Dot>
HWY_INLINE size_t attention_scratch_bytes(int32_t longest, int32_t head_dim) {
  // A window needs no more.
  return static_cast<size_t>(AttentionLayout<Dot>(longest, longest, head_dim).bytes);
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
