#include "blocking/candidate_pairs.h"

#include <algorithm>
#include <tuple>

namespace tilewise::blocking {
namespace {

bool comes_before(const CandidatePair& a, const CandidatePair& b) {
  return std::tie(a.left, a.right) < std::tie(b.left, b.right);
}

}  // namespace

void CandidatePairs::merge() {
  std::sort(pairs_.begin(), pairs_.end(), comes_before);
  size_t kept = 0;
  for (const CandidatePair& pair : pairs_) {
    if (kept > 0 && !comes_before(pairs_[kept - 1], pair)) {
      CandidatePair& same = pairs_[kept - 1];
      same.similarity = std::max(same.similarity, pair.similarity);
      same.key = std::min(same.key, pair.key);
    } else {
      pairs_[kept++] = pair;
    }
  }
  pairs_.resize(kept);
}

bool CandidatePairs::has(uint32_t left, uint32_t right) const {
  return std::binary_search(pairs_.begin(), pairs_.end(), CandidatePair{left, right, 0, 0},
                            comes_before);
}

}  // namespace tilewise::blocking
