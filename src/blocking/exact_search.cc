// Exact neighbours: the products of two sets of vectors are a linear layer whose weights are the
// one set, so the fp32 kernel of the heads does them; what it gives is sifted while it is in the
// cache.
#include <algorithm>
#include <cstring>

#include "blocking/neighbours.h"
#include "kernels/linear.h"
#include "kernels/pack.h"

namespace tilewise::blocking {
namespace {

using model::Precision;

constexpr size_t kQueries = 128;  // rows of one piece of work
constexpr size_t kColumns = 512;  // of one call: the products stay in the second-level cache

/// Vectors as the weights of linear layers, one a block.
class Panels {
 public:
  static Result<Panels> pack(engine::Engine& engine, const Vectors& vectors, const Watch& watch) {
    Panels panels(vectors);
    TILEWISE_RETURN_IF_ERROR(for_each_on_replicas(
        engine, vectors.blocks(), [&](size_t block) { return panels.pack_block(vectors, block); },
        {.stop = watch.stop}));
    return panels;
  }

  size_t blocks() const { return blocks_.size(); }
  /// From a column on that is a multiple of kernels::kPanelColumns.
  const std::byte* columns(size_t block, size_t first) const {
    return blocks_[block].data() + first * bytes_a_column_;
  }

 private:
  explicit Panels(const Vectors& vectors)
      : bytes_a_column_(vectors.bytes_a_row()), blocks_(vectors.blocks()) {}

  Status pack_block(const Vectors& vectors, size_t block) {
    const auto rows = static_cast<int64_t>(vectors.block_rows(block));
    const std::span values(vectors.row(block * Vectors::kBlockRows),
                           static_cast<size_t>(rows * vectors.stride()));
    const auto packed = kernels::pack_panels(values, rows, vectors.stride(), Precision::fp32);
    TILEWISE_ASSIGN_OR_RETURN(blocks_[block], AlignedBuffer::allocate(packed.size()));
    std::memcpy(blocks_[block].data(), packed.data(), packed.size());
    return {};
  }

  size_t bytes_a_column_;
  std::vector<AlignedBuffer> blocks_;
};

/// The neighbours of some rows of `left`, which lie in one block.
class ExactSearch {
 public:
  ExactSearch(engine::Engine& engine, const Vectors& left, const Vectors& right,
              const SearchOptions& options, const Panels& panels, NeighbourTable& table)
      : linear_(engine.kernels().linear_fp32),
        left_(left),
        right_(right),
        options_(options),
        panels_(panels),
        table_(table) {}

  Status run(size_t first, size_t last) const {
    TILEWISE_ASSIGN_OR_RETURN(const AlignedBuffer products,
                              AlignedBuffer::allocate(kQueries * kColumns * sizeof(float)));
    TILEWISE_ASSIGN_OR_RETURN(const AlignedBuffer bias,
                              AlignedBuffer::allocate(kColumns * sizeof(float)));
    kernels::LinearArgs args{.input = left_.row(first),
                             .input_stride = static_cast<int64_t>(left_.bytes_a_row()),
                             .bias = reinterpret_cast<const float*>(bias.data()),
                             .output = products.data(),
                             .output_stride = kColumns * sizeof(float),
                             .rows = static_cast<int32_t>(last - first),
                             .k = left_.stride(),
                             .output_type = kernels::OutputType::fp32};
    for (size_t block = 0; block < panels_.blocks(); ++block) {
      for (size_t column = 0; column < right_.block_rows(block); column += kColumns) {
        if (options_.watch.stop && options_.watch.stop()) return interrupted({.what = "stopped"});
        const size_t columns = std::min(kColumns, right_.block_rows(block) - column);
        args.weights = panels_.columns(block, column);
        args.n = static_cast<int32_t>(kernels::padded_n(static_cast<int64_t>(columns)));
        linear_(args);
        sift(reinterpret_cast<const float*>(products.data()), first, last,
             block * Vectors::kBlockRows + column, columns);
      }
    }
    for (size_t i = first; i < last; ++i) table_.finish(i);
    return {};
  }

 private:
  void sift(const float* products, size_t first, size_t last, size_t column, size_t columns) const {
    for (size_t i = first; i < last; ++i, products += kColumns) {
      float bar = table_.bar(i);
      for (size_t j = 0; j < columns; ++j) {
        if (!(products[j] > bar) || (options_.same && column + j == i)) continue;
        table_.offer(i, {static_cast<uint32_t>(column + j), products[j]});
        bar = table_.bar(i);
      }
    }
  }

  kernels::LinearFn linear_;
  const Vectors& left_;
  const Vectors& right_;
  const SearchOptions& options_;
  const Panels& panels_;
  NeighbourTable& table_;
};

}  // namespace

Result<NeighbourTable> search_exact(engine::Engine& engine, const Vectors& left,
                                    const Vectors& right, const SearchOptions& options) {
  TILEWISE_ASSIGN_OR_RETURN(const Panels panels, Panels::pack(engine, right, options.watch));
  NeighbourTable table(left.size(), options.top);
  const ExactSearch search(engine, left, right, options, panels, table);
  static_assert(Vectors::kBlockRows % kQueries == 0);
  const size_t pieces = (left.size() + kQueries - 1) / kQueries;
  const auto run = [&](size_t piece) {
    return search.run(piece * kQueries, std::min(left.size(), (piece + 1) * kQueries));
  };
  const Watch watch{.stop = options.watch.stop, .on_progress = [&](size_t done) {
                      if (options.watch.on_progress)
                        options.watch.on_progress(std::min(left.size(), done * kQueries));
                    }};
  TILEWISE_RETURN_IF_ERROR(for_each_on_replicas(engine, pieces, run, watch));
  return table;
}

}  // namespace tilewise::blocking
