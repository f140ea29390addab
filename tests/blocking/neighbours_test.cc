// Both searches for neighbours against a plain loop over all vectors.
#include "blocking/neighbours.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "tiny_engine.h"

namespace tilewise::blocking {
namespace {

constexpr int32_t kWidth = 40;  // no multiple of anything that a kernel likes

std::vector<float> random_vector(std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(kWidth);
  for (float& value : vector) value = normal(random);
  return vector;
}

/// Points around a few centres, as embeddings of products are; every tenth one is there twice.
Vectors clustered_vectors(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::vector<float>> centres;
  for (int i = 0; i < 30; ++i) centres.push_back(random_vector(random));
  Vectors vectors(kWidth);
  std::vector<float> last(kWidth, 1);
  for (size_t i = 0; i < count; ++i) {
    if (i % 10 != 9) {
      const std::vector<float>& centre = centres[random() % centres.size()];
      const std::vector<float> noise = random_vector(random);
      for (size_t k = 0; k < last.size(); ++k) last[k] = centre[k] + 0.5F * noise[k];
    }
    EXPECT_TRUE(vectors.append(last).ok());
  }
  return vectors;
}

double cosine(const Vectors& left, size_t i, const Vectors& right, size_t j) {
  double sum = 0;
  for (int32_t k = 0; k < kWidth; ++k) sum += double{left.row(i)[k]} * right.row(j)[k];
  return sum;
}

/// The similarities of the nearest, best first.
std::vector<double> nearest(const Vectors& left, size_t i, const Vectors& right, bool same,
                            size_t top) {
  std::vector<double> all;
  for (size_t j = 0; j < right.size(); ++j) {
    if (!same || j != i) all.push_back(cosine(left, i, right, j));
  }
  std::sort(all.begin(), all.end(), std::greater<>());
  all.resize(std::min(all.size(), top));
  return all;
}

// Sums of kWidth products of at most 1 in fp32.
constexpr double kRounding = kWidth * 1.2e-7;

struct Shape {
  size_t left, right;
  int32_t top;
};

class ExactSearch : public testing::TestWithParam<Shape> {};

TEST_P(ExactSearch, FindsWhatAPlainLoopFinds) {
  const auto engine = open_tiny_engine(2);
  const bool same = GetParam().right == 0;
  const Vectors left = clustered_vectors(GetParam().left, 1);
  const Vectors others = clustered_vectors(GetParam().right, 2);
  const Vectors& right = same ? left : others;
  const auto table = search_exact(*engine, left, right, {.top = GetParam().top, .same = same});
  ASSERT_TRUE(table.ok()) << table.status().message();
  ASSERT_EQ(table->size(), left.size());
  for (size_t i = 0; i < left.size(); ++i) {
    const auto expected = nearest(left, i, right, same, static_cast<size_t>(GetParam().top));
    const auto found = table->of(i);
    ASSERT_EQ(found.size(), expected.size()) << i;
    std::vector<uint32_t> seen;
    for (size_t n = 0; n < found.size(); ++n) {
      ASSERT_NEAR(found[n].similarity, expected[n], kRounding) << i << ", neighbour " << n;
      ASSERT_NEAR(cosine(left, i, right, found[n].index), expected[n], kRounding);
      ASSERT_TRUE(!same || found[n].index != i);
      ASSERT_TRUE(n == 0 || found[n - 1] < found[n]);
      seen.push_back(found[n].index);
    }
    std::sort(seen.begin(), seen.end());
    ASSERT_TRUE(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ExactSearch,
                         testing::Values(Shape{1, 1, 3}, Shape{1, 0, 3}, Shape{130, 0, 5},
                                         Shape{257, 519, 20}, Shape{3, 4099, 7},
                                         Shape{600, 31, 40}));

TEST(Neighbours, DoNotDependOnTheNumberOfReplicas) {
  const Vectors vectors = clustered_vectors(1500, 3);
  const auto one = open_tiny_engine(1), three = open_tiny_engine(3);
  for (const auto search : {search_exact, search_hnsw}) {
    const auto a = search(*one, vectors, vectors, {.top = 10, .same = true});
    const auto b = search(*three, vectors, vectors, {.top = 10, .same = true});
    ASSERT_TRUE(a.ok() && b.ok());
    for (size_t i = 0; i < vectors.size(); ++i) {
      ASSERT_TRUE(std::ranges::equal(a->of(i), b->of(i))) << i;
    }
  }
}

TEST(Neighbours, AreAsNearFromBothSides) {
  const auto engine = open_tiny_engine(2);
  const Vectors vectors = clustered_vectors(700, 4);
  const auto table = search_exact(*engine, vectors, vectors, {.top = 700, .same = true});
  ASSERT_TRUE(table.ok());
  std::vector<float> similarities(700 * 700);
  for (size_t i = 0; i < 700; ++i) {
    for (const Neighbour& neighbour : table->of(i))
      similarities[i * 700 + neighbour.index] = neighbour.similarity;
  }
  for (size_t i = 0; i < 700; ++i) {
    for (size_t j = 0; j < i; ++j)
      ASSERT_EQ(similarities[i * 700 + j], similarities[j * 700 + i]) << i << " and " << j;
  }
}

// Below this the graphs are broken or far too sparse; 0.99 and more is usual.
TEST(HnswSearch, FindsNearlyAllNeighbours) {
  const auto engine = open_tiny_engine(2);
  const Vectors vectors = clustered_vectors(3000, 5);
  const SearchOptions options{.top = 10, .same = true};
  const auto exact = search_exact(*engine, vectors, vectors, options);
  const auto found = search_hnsw(*engine, vectors, vectors, options);
  ASSERT_TRUE(exact.ok() && found.ok());
  size_t hits = 0;
  for (size_t i = 0; i < vectors.size(); ++i) {
    // Whether it is as near as the last of the true ones: equal vectors may stand for each other.
    const float bar = exact->of(i).back().similarity - 1e-6F;
    hits += static_cast<size_t>(std::ranges::count_if(
        found->of(i), [bar](const Neighbour& neighbour) { return neighbour.similarity >= bar; }));
    ASSERT_TRUE(std::ranges::none_of(
        found->of(i), [i](const Neighbour& neighbour) { return neighbour.index == i; }));
  }
  EXPECT_GE(hits, 3000 * 10 * 95 / 100);
}

TEST(HnswSearch, TakesCataloguesSmallerThanItsGraphs) {
  const auto engine = open_tiny_engine(1);
  const Vectors vectors = clustered_vectors(2, 6);
  const auto table = search_hnsw(*engine, vectors, vectors, {.top = 5, .same = true});
  ASSERT_TRUE(table.ok()) << table.status().message();
  ASSERT_EQ(table->of(0).size(), 1U);
  EXPECT_EQ(table->of(0)[0].index, 1U);
}

TEST(Neighbours, StopWhenAsked) {
  const auto engine = open_tiny_engine(2);
  const Vectors vectors = clustered_vectors(300, 7);
  for (const auto search : {search_exact, search_hnsw}) {
    const auto table = search(*engine, vectors, vectors,
                              {.top = 5, .same = true, .watch = {.stop = [] { return true; }}});
    EXPECT_EQ(table.status().code(), StatusCode::interrupted);
  }
}

TEST(Neighbours, AreSearchedExactlyWhileThatIsQuick) {
  EXPECT_TRUE(exact_is_better(0, 0));
  EXPECT_TRUE(exact_is_better(200'000, 200'000));
  EXPECT_TRUE(exact_is_better(1'000, 50'000'000));
  EXPECT_FALSE(exact_is_better(300'000, 300'000));
  EXPECT_FALSE(exact_is_better(1'000'000, 200'000));
}

TEST(Vectors, AreScaledAndPadded) {
  Vectors vectors(3);
  ASSERT_TRUE(vectors.append(std::vector<float>{3, 0, 4}).ok());
  ASSERT_TRUE(vectors.append(std::vector<float>{0, 0, 0}).ok());
  EXPECT_EQ(vectors.stride(), 16);
  EXPECT_FLOAT_EQ(vectors.row(0)[0], 0.6F);
  EXPECT_FLOAT_EQ(vectors.row(0)[2], 0.8F);
  EXPECT_EQ(vectors.row(0)[3], 0);
  EXPECT_EQ(vectors.row(1)[0], 0);
}

}  // namespace
}  // namespace tilewise::blocking
