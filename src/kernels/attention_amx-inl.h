// attention.h on a tile unit, for heads of 32 or 64 dimensions in bf16. A template over the tile
// unit, as linear_amx-inl.h is.
//
// The work is cut into one head and up to 16 queries of a sequence at a time, and passes through
// four stages:
//   score      scores = Q K^T + B                              (tiles)
//   softmax    weights = exp2(scores - their maximum), bf16    (vectors)
//   weigh      context = weights V, sums = weights 1           (tiles)
//   normalise  context / sums                                  (vectors)
// Tile and vector stages of different pieces take turns in the program, so that the processor
// overlaps them. The sums are those of the rounded weights that were really used, so they sum to 1.
//
// A sequence is computed by itself: scores of tokens beyond its end never get a weight, their
// values are taken as zero. A tile of B is one tile load: it depends on the distance alone, so each
// row lies one float before the row above.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"
#include "kernels/attention_pack_amx-inl.h"
#include "kernels/attention_window-inl.h"
#include "kernels/softmax_amx-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// One head and up to kQueries queries of one sequence.
struct Piece {
  int sequence = 0;
  int head = 0;
  int query = 0;  ///< the first one

  int first_row = 0;  ///< of the sequence
  int tokens = 0;     ///< of the sequence; 0 before the first piece and behind the last one
  KeyRange keys;      ///< what the queries attend to

  int parity = 0;       ///< alternates from piece to piece
  int head_parity = 0;  ///< alternates from head to head

  bool exists() const { return tokens > 0; }
  int queries() const { return tokens - query < kQueries ? tokens - query : kQueries; }
  bool starts_head() const { return query == 0; }
};

/// The pieces in order: sequences, their heads, their queries.
class Pieces {
 public:
  explicit Pieces(const AttentionArgs& args) : args_(args) {}

  Piece first() const { return from_sequence(0, Piece()); }

  Piece after(Piece piece) const {
    if (!piece.exists()) return piece;
    piece.parity ^= 1;
    piece.query += kQueries;
    if (piece.query < piece.tokens) return with_keys(piece);
    piece.query = 0;
    piece.head_parity ^= 1;
    if (++piece.head < args_.heads) return with_keys(piece);
    return from_sequence(piece.sequence + 1, piece);
  }

 private:
  /// The first piece of the first sequence from `sequence` on that has tokens.
  Piece from_sequence(int sequence, Piece piece) const {
    piece.head = 0;
    piece.tokens = 0;
    for (; sequence < args_.sequences && !piece.exists(); ++sequence) {
      piece.sequence = sequence;
      piece.first_row = args_.offsets[sequence];
      piece.tokens = args_.offsets[sequence + 1] - piece.first_row;
    }
    return with_keys(piece);
  }

  Piece with_keys(Piece piece) const {
    piece.keys = Window(args_.window, piece.tokens).keys_of(piece.query, piece.queries());
    return piece;
  }

  const AttentionArgs& args_;
};

/// Where the parts of the scratch lie: bytes from its beginning, for sequences of up to `longest`
/// tokens. Everything is there twice: one is written while the other is read.
struct ScratchLayout {
  int64_t keys[2], values[2], scores[2], weights[2], context[2], bytes;

  ScratchLayout(int longest, int head_dim) {
    const int64_t depth = (head_dim + 31) / 32;
    bytes = 0;
    take(keys, key_tiles(longest) * depth * kTileBytes);
    take(values, weight_tiles(longest) * 2 * depth * kTileBytes);
    take(scores, kQueries * score_stride(longest));
    take(weights, kQueries * weight_stride(longest));
    take(context, (2 * depth + 1) * kTileBytes);
  }

  /// Tiles of 16 keys.
  static int64_t key_tiles(int tokens) { return (tokens + 15) / 16; }
  /// Tiles of 32 weights.
  static int64_t weight_tiles(int tokens) { return (tokens + 31) / 32; }
  /// Bytes between rows; an odd number of cache lines, so that the rows of a tile fall into
  /// different cache sets.
  static int64_t score_stride(int tokens) { return (key_tiles(tokens) | 1) * kTileRowBytes; }
  static int64_t weight_stride(int tokens) { return (weight_tiles(tokens) | 1) * kTileRowBytes; }

 private:
  void take(int64_t (&twice)[2], int64_t size) {
    twice[0] = bytes;
    twice[1] = bytes + size;
    bytes += 2 * size;
  }
};

/// Tiles: 0 to 3 scores or context, 4 and 5 queries, 4 also the sums and 5 the weights, 6 keys or
/// values, 7 ones.
template <class Tiles, int kDepth>
class TileAttention {
 public:
  TileAttention(const AttentionArgs& args, int longest) : args_(args), layout_(longest, kHeadDim) {}

  /// Five pieces are under way at a time. The tile stages read what was written a turn ago, so that
  /// they need not wait for it, and their steps lie between the rows of the softmax.
  void run() {
    Tiles::template load<7>(kOnes, 0);
    const Pieces pieces(args_);
    Piece second_before, before, current, next, second_next = pieces.first();
    do {
      TileSteps steps(*this, next, before);
      if (second_next.exists() && second_next.starts_head()) pack_keys(second_next);
      if (current.exists() && current.starts_head()) pack_values(current);
      if (current.exists()) {
        mask(current);
        const int steps_of_row = (steps.left() + current.queries() - 1) / current.queries();
        softmax(softmax_rows(current), current.queries(), [&] {
          for (int i = 0; i < steps_of_row; ++i) steps.take();
        });
      }
      while (steps.left() > 0) steps.take();
      if (second_before.exists()) normalise(second_before);
      second_before = before;
      before = current;
      current = next;
      next = second_next;
      second_next = pieces.after(second_next);
    } while (second_before.exists() || before.exists() || current.exists() || next.exists());
  }

 private:
  static constexpr int kHeadDim = 32 * kDepth;
  static constexpr int64_t kHeadBytes = 64 * kDepth;
  alignas(64) static constexpr char kZeros[64] = {};
  static constexpr uint32_t kOneBf16Pair = 0x3f803f80U;
  alignas(64) static constexpr uint32_t kOnes[16] = {
      kOneBf16Pair, kOneBf16Pair, kOneBf16Pair, kOneBf16Pair, kOneBf16Pair, kOneBf16Pair,
      kOneBf16Pair, kOneBf16Pair, kOneBf16Pair, kOneBf16Pair, kOneBf16Pair, kOneBf16Pair,
      kOneBf16Pair, kOneBf16Pair, kOneBf16Pair, kOneBf16Pair};

  /// The tile stages of one turn in small steps: first the scores of one piece, 16 keys a step,
  /// then the context of another, 32 values a step.
  class TileSteps {
   public:
    TileSteps(const TileAttention& attention, const Piece& scored, const Piece& weighed)
        : attention_(attention),
          scored_(scored),
          weighed_(weighed),
          score_steps_(static_cast<int>(ScratchLayout::key_tiles(scored.keys.count()))),
          steps_(score_steps_ +
                 static_cast<int>(ScratchLayout::weight_tiles(weighed.keys.count()))) {}

    int left() const { return steps_ - step_; }

    /// Takes one step, if one is left.
    HWY_INLINE void take() {
      if (step_ == steps_) return;
      if (step_ < score_steps_) {
        attention_.score(scored_, step_);
      } else {
        attention_.weigh(weighed_, step_ - score_steps_, step_ + 1 == steps_);
      }
      ++step_;
    }

   private:
    const TileAttention& attention_;
    const Piece& scored_;
    const Piece& weighed_;
    int score_steps_;
    int steps_;
    int step_ = 0;
  };

  /// The scores of 16 keys.
  void score(const Piece& piece, int step) const {
    if (step == 0) {
      const char* queries = token(piece, 0, piece.query);
      Tiles::template load<4>(queries, args_.qkv_stride);
      if constexpr (kDepth == 2) Tiles::template load<5>(queries + 64, args_.qkv_stride);
    }
    const int tile = piece.keys.first / 16 + step;
    const char* keys = at<char>(layout_.keys[piece.head_parity]) + tile * kDepth * kTileBytes;
    start_scores(piece, 16 * tile);
    Tiles::template load<6>(keys, kTileRowBytes);
    Tiles::template multiply_add_bf16<0, 4, 6>();
    if constexpr (kDepth == 2) {
      Tiles::template load<6>(keys + kTileBytes, kTileRowBytes);
      Tiles::template multiply_add_bf16<0, 5, 6>();
    }
    Tiles::template store<0>(at<char>(layout_.scores[piece.parity]) + step * kTileRowBytes,
                             ScratchLayout::score_stride(piece.keys.count()));
  }

  /// The scores of the keys from `key` on start from B.
  HWY_INLINE void start_scores(const Piece& piece, int key) const {
    if (args_.relative_bias == nullptr) return Tiles::template zero<0>();
    constexpr int64_t kBack = -static_cast<int64_t>(sizeof(float));
    Tiles::template load<0>(
        args_.relative_bias + piece.head * args_.relative_bias_stride + key - piece.query, kBack);
  }

  /// What 32 tokens add to the context and to the sums.
  void weigh(const Piece& piece, int step, bool last) const {
    if (step == 0) zero_context();
    const int tile = piece.keys.first / 32 + step;
    const char* values =
        at<char>(layout_.values[piece.head_parity]) + tile * 2 * kDepth * kTileBytes;
    Tiles::template load<5>(at<char>(layout_.weights[piece.parity]) + step * kTileRowBytes,
                            ScratchLayout::weight_stride(piece.keys.count()));
    weigh_tile<0>(values);
    weigh_tile<1>(values);
    if constexpr (kDepth == 2) {
      weigh_tile<2>(values);
      weigh_tile<3>(values);
    }
    Tiles::template multiply_add_bf16<4, 5, 7>();
    if (last) store_context(at<char>(layout_.context[piece.parity]));
  }

  template <int kSums>
  static HWY_INLINE void weigh_tile(const char* values) {
    Tiles::template load<6>(values + kSums * kTileBytes, kTileRowBytes);
    Tiles::template multiply_add_bf16<kSums, 5, 6>();
  }

  static HWY_INLINE void zero_context() {
    Tiles::template zero<0>();
    Tiles::template zero<1>();
    if constexpr (kDepth == 2) {
      Tiles::template zero<2>();
      Tiles::template zero<3>();
    }
    Tiles::template zero<4>();
  }

  static HWY_INLINE void store_context(char* context) {
    Tiles::template store<0>(context, kTileRowBytes);
    Tiles::template store<1>(context + kTileBytes, kTileRowBytes);
    if constexpr (kDepth == 2) {
      Tiles::template store<2>(context + 2 * kTileBytes, kTileRowBytes);
      Tiles::template store<3>(context + 3 * kTileBytes, kTileRowBytes);
    }
    Tiles::template store<4>(context + 2 * kDepth * kTileBytes, kTileRowBytes);
  }

  SoftmaxRows softmax_rows(const Piece& piece) const {
    SoftmaxRows rows;
    rows.scores = at<float>(layout_.scores[piece.parity]);
    rows.score_stride = ScratchLayout::score_stride(piece.keys.count()) / 4;
    rows.weights = at<uint16_t>(layout_.weights[piece.parity]);
    rows.weight_stride = ScratchLayout::weight_stride(piece.keys.count()) / 2;
    rows.tokens = piece.keys.count();
    rows.padded = static_cast<int>(32 * ScratchLayout::weight_tiles(piece.keys.count()));
    return rows;
  }

  /// Takes the scores that lie outside the window of their query out of the softmax.
  void mask(const Piece& piece) const {
    const Window window(args_.window, piece.tokens);
    if (!window.is_local()) return;
    const int64_t stride = ScratchLayout::score_stride(piece.keys.count()) / 4;
    float* scores = at<float>(layout_.scores[piece.parity]);
    for (int query = 0; query < piece.queries(); ++query) {
      window.mask(scores + query * stride, piece.keys, piece.query + query);
    }
  }

  void normalise(const Piece& piece) {
    const hn::ScalableTag<float> d;
    const int lanes = static_cast<int>(hn::Lanes(d));
    constexpr int kTileFloats = kTileBytes / 4;
    const float* context = at<float>(layout_.context[piece.parity]);
    const float* sums = context + 2 * kDepth * kTileFloats;
    char* output = static_cast<char*>(args_.context) +
                   (piece.first_row + piece.query) * args_.context_stride + piece.head * kHeadBytes;
    for (int query = 0; query < piece.queries(); ++query) {
      const auto inverse = hn::Set(d, 1.0f / sums[16 * query]);
      for (int half = 0; half < kDepth; ++half) {
        const float* even = context + 2 * half * kTileFloats + 16 * query;
        for (int i = 0; i < 16; i += lanes) {
          store_interleaved(d, hn::Mul(inverse, hn::Load(d, even + i)),
                            hn::Mul(inverse, hn::Load(d, even + kTileFloats + i)),
                            reinterpret_cast<uint16_t*>(output) + 32 * half + 2 * i);
        }
      }
      output += args_.context_stride;
    }
  }

  void pack_keys(const Piece& piece) {
    char* tile = at<char>(layout_.keys[piece.head_parity]);
    for (int first = 0; first < piece.tokens; first += 16) {
      for (int half = 0; half < kDepth; ++half, tile += kTileBytes) {
        transpose_keys(token(piece, 1, first) + 64 * half, args_.qkv_stride, tile);
      }
    }
  }

  void pack_values(const Piece& piece) {
    const int pairs = (piece.tokens + 1) / 2;
    const char* even = token(piece, 2, 0);
    for (int pair = 0; pair < pairs; ++pair, even += 2 * args_.qkv_stride) {
      const bool alone = 2 * pair + 1 == piece.tokens;
      char* row = value_row(piece, pair);
      for (int half = 0; half < kDepth; ++half, row += 2 * kTileBytes) {
        pair_values(even + 64 * half, alone ? kZeros : even + args_.qkv_stride + 64 * half, row,
                    row + kTileBytes);
      }
    }
    // The weights behind the last token are zero, and their values must be numbers. Both copies of
    // the values get this from the first heads of the sequence.
    if (piece.head >= 2) return;
    for (int64_t pair = pairs; pair < 16 * ScratchLayout::weight_tiles(piece.tokens); ++pair) {
      char* row = value_row(piece, pair);
      for (int tile = 0; tile < 2 * kDepth; ++tile, row += kTileBytes)
        __builtin_memcpy(row, kZeros, kTileRowBytes);
    }
  }

  /// Where two tokens lie in the first of the tiles that hold them.
  char* value_row(const Piece& piece, int64_t pair) const {
    return at<char>(layout_.values[piece.head_parity]) + pair / 16 * 2 * kDepth * kTileBytes +
           pair % 16 * kTileRowBytes;
  }

  /// A token of the sequence in Q (part 0), K (1) or V (2), at this head.
  const char* token(const Piece& piece, int part, int index) const {
    return static_cast<const char*>(args_.qkv) + (piece.first_row + index) * args_.qkv_stride +
           (part * args_.section) * int64_t{2} + piece.head * kHeadBytes;
  }

  template <class T>
  T* at(int64_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(args_.scratch) + offset);
  }

  const AttentionArgs& args_;
  ScratchLayout layout_;
};

inline size_t tile_attention_scratch(int longest, int head_dim) {
  return static_cast<size_t>(ScratchLayout(longest, head_dim).bytes);
}

/// For heads that tiles_suit_heads (tile_shapes.h).
template <class Tiles>
void tile_attention(const AttentionArgs& args) {
  int longest = 0;
  for (int i = 0; i < args.sequences; ++i) {
    const int tokens = args.offsets[i + 1] - args.offsets[i];
    if (tokens > longest) longest = tokens;
  }
  if (args.head_dim == 32) {
    TileAttention<Tiles, 1>(args, longest).run();
  } else {
    TileAttention<Tiles, 2>(args, longest).run();
  }
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
