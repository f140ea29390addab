// Pairs as they are found, in whatever order, each possibly several times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tilewise::blocking {

struct CandidatePair {
  static constexpr float kNoSimilarity = -2;
  static constexpr uint32_t kNoKey = UINT32_MAX;

  uint32_t left;
  uint32_t right;
  float similarity;  ///< cosine
  uint32_t key;      ///< that they share

  bool has_similarity() const { return similarity != kNoSimilarity; }
  bool has_key() const { return key != kNoKey; }
};

/// 16 bytes a pair. Throws std::bad_alloc.
class CandidatePairs {
 public:
  /// Room for so many more, so that growing takes no memory beyond them.
  void reserve(size_t more) { pairs_.reserve(pairs_.size() + more); }

  void add(const CandidatePair& pair) { pairs_.push_back(pair); }

  /// Sorts by left and right and makes one pair of equal ones: with a similarity if any has one,
  /// and with the first of its keys.
  void merge();

  /// After merge().
  std::span<const CandidatePair> all() const { return pairs_; }
  bool has(uint32_t left, uint32_t right) const;

 private:
  std::vector<CandidatePair> pairs_;
};

}  // namespace tilewise::blocking
