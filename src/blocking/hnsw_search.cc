// Approximate neighbours by hnswlib, the same whatever the number of threads: a graph depends on
// the order in which it grows, so each is grown by one thread, and there are always as many graphs.
#include <algorithm>
#include <memory>

#include <hnswlib/hnswlib.h>

#include "blocking/neighbours.h"

namespace tilewise::blocking {
namespace {

constexpr size_t kGraphs = 4;
constexpr size_t kLinks = 16;               // of a vector in each level
constexpr size_t kEffortOfBuilding = 200;   // candidates that are kept while a vector is put in
constexpr size_t kEffortOfSearching = 100;  // and while one is looked for, at least
constexpr size_t kQueries = 128;            // rows of one piece of work

/// The vectors i with i % kGraphs == remainder, by their number i.
class Graph {
 public:
  Graph(const Vectors& vectors, size_t effort)
      : space_(static_cast<size_t>(vectors.stride())),
        index_(&space_, std::max<size_t>(1, (vectors.size() + kGraphs - 1) / kGraphs), kLinks,
               kEffortOfBuilding) {
    index_.setEf(effort);
  }

  Status grow(const Vectors& vectors, size_t remainder, const std::function<bool()>& stop) {
    for (size_t i = remainder; i < vectors.size(); i += kGraphs) {
      if (stop && stop()) return interrupted({.what = "stopped"});
      index_.addPoint(vectors.row(i), i);
    }
    return {};
  }

  template <class Take>
  void search(const float* vector, size_t count, Take&& take) const {
    for (auto found = index_.searchKnn(vector, count); !found.empty(); found.pop()) {
      take(Neighbour{static_cast<uint32_t>(found.top().second), 1 - found.top().first});
    }
  }

 private:
  hnswlib::InnerProductSpace space_;
  hnswlib::HierarchicalNSW<float> index_;
};

}  // namespace

Result<NeighbourTable> search_hnsw(engine::Engine& engine, const Vectors& left,
                                   const Vectors& right, const SearchOptions& options) {
  const auto count = static_cast<size_t>(options.top) + (options.same ? 1 : 0);
  const size_t effort = std::max(kEffortOfSearching, 2 * count);
  std::vector<std::unique_ptr<Graph>> graphs(kGraphs);
  TILEWISE_RETURN_IF_ERROR(
      for_each_on_replicas(engine, kGraphs,
                           [&](size_t i) {
                             graphs[i] = std::make_unique<Graph>(right, effort);
                             return graphs[i]->grow(right, i, options.watch.stop);
                           },
                           {.stop = options.watch.stop}));

  NeighbourTable table(left.size(), options.top);
  const auto search = [&](size_t piece) {
    const size_t last = std::min(left.size(), (piece + 1) * kQueries);
    for (size_t i = piece * kQueries; i < last; ++i) {
      for (const auto& graph : graphs) {
        graph->search(left.row(i), count, [&](const Neighbour& neighbour) {
          if (!options.same || neighbour.index != i) table.offer(i, neighbour);
        });
      }
      table.finish(i);
    }
    return Status();
  };
  const Watch watch{.stop = options.watch.stop, .on_progress = [&](size_t done) {
                      if (options.watch.on_progress)
                        options.watch.on_progress(std::min(left.size(), done * kQueries));
                    }};
  TILEWISE_RETURN_IF_ERROR(
      for_each_on_replicas(engine, (left.size() + kQueries - 1) / kQueries, search, watch));
  return table;
}

}  // namespace tilewise::blocking
