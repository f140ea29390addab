#include "runtime/pass_time.h"

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include <gtest/gtest.h>

namespace tilewise::runtime {
namespace {

PassShape shape_of(std::initializer_list<int32_t> lengths) {
  PassShape shape;
  for (const int32_t length : lengths) shape.add(length);
  return shape;
}

/// Passes of 1 to 32 sequences, of 4 to 256 tokens each, that take as long as `seconds` says.
template <class Seconds>
std::vector<PassSample> samples_of(Seconds seconds) {
  std::vector<PassSample> samples;
  for (const int count : {1, 2, 5, 16, 32}) {
    for (const int length : {4, 12, 33, 100, 256}) {
      PassShape shape;
      for (int i = 0; i < count; ++i) shape.add(length + i % 3);
      samples.push_back({shape, seconds(shape)});
    }
  }
  return samples;
}

double tokens_of(const PassShape& shape) { return static_cast<double>(shape.tokens); }
double squares_of(const PassShape& shape) { return static_cast<double>(shape.squares); }

TEST(PassShape, AddsUp) {
  const PassShape shape = shape_of({3, 100000});
  EXPECT_EQ(shape.sequences, 2);
  EXPECT_EQ(shape.tokens, 100003);
  EXPECT_EQ(shape.squares, 9 + 10'000'000'000);
}

TEST(PassTime, FitFindsTheTimesThatItWasGiven) {
  const PassTime time = PassTime::fit(samples_of([](const PassShape& shape) {
    return 300e-6 + 8e-6 * tokens_of(shape) + 2e-9 * squares_of(shape);
  }));
  // Exact data: only rounding is left, of sums over 25 samples of condition about 1e4.
  EXPECT_NEAR(time.fixed(), 300e-6, 300e-6 * 1e-9);
  EXPECT_NEAR(time.of_sequence(12), 12 * 8e-6 + 144 * 2e-9, 1e-13);
  const PassShape shape = shape_of({7, 80, 500});
  const double expected = 300e-6 + 587 * 8e-6 + (49 + 6400 + 250000) * 2e-9;
  EXPECT_NEAR(time.seconds(shape), expected, expected * 1e-9);
}

TEST(PassTime, FitCountsEveryPassByItsRelativeError) {
  // One long pass is off by as much as all the short ones take together. Counted by absolute
  // errors it would decide alone.
  std::vector<PassSample> samples;
  for (int i = 0; i < 9; ++i) samples.push_back({shape_of({10}), 100e-6});
  samples.push_back({shape_of({10000}), 200e-3});  // 20 us a token, not 10
  for (PassSample& sample : samples) sample.shape.squares = 0;
  // Least squares of (10 a / 100e-6 - 1) nine times and (10000 a / 200e-3 - 1) once, where the
  // fixed time is pulled to zero: a = (9 / 10e-6 + 1 / 20e-6) / (9 / 10e-6^2 + 1 / 20e-6^2).
  const PassTime time = PassTime::fit(samples);
  const double a = (9 / 10e-6 + 1 / 20e-6) / (9 / (10e-6 * 10e-6) + 1 / (20e-6 * 20e-6));
  EXPECT_NEAR(time.of_sequence(10), 10 * a, 1e-10);
}

TEST(PassTime, FitHasNoNegativeCoefficients) {
  // Concave data: free least squares would make the squares negative, and long passes so, too.
  const PassTime time = PassTime::fit(
      samples_of([](const PassShape& shape) { return 1e-4 * std::sqrt(tokens_of(shape)); }));
  EXPECT_GT(time.fixed(), 0);
  EXPECT_GT(time.of_sequence(1), 0);
  EXPECT_GE(time.of_sequence(10000), 10000 * time.of_sequence(1) * (1 - 1e-12));
  // And data through a point under zero at no tokens.
  const PassTime other = PassTime::fit(
      samples_of([](const PassShape& shape) { return 1e-5 * (tokens_of(shape) - 2); }));
  EXPECT_EQ(other.fixed(), 0);
}

TEST(PassTime, FitIsNoWorseThanAnyNearbySolution) {
  const auto samples = samples_of([](const PassShape& shape) {
    return 2e-4 + 5e-6 * tokens_of(shape) * (1 + 0.2 * std::sin(tokens_of(shape)));
  });
  const auto error = [&](double a, double b, double c) {
    double sum = 0;
    for (const PassSample& sample : samples) {
      const double predicted = a + b * tokens_of(sample.shape) + c * squares_of(sample.shape);
      sum += std::pow(predicted / sample.seconds - 1, 2);
    }
    return sum;
  };
  const PassTime time = PassTime::fit(samples);
  const double a = time.fixed();
  const double c = (time.of_sequence(2) - 2 * time.of_sequence(1)) / 2;
  const double b = time.of_sequence(1) - c;
  const double best = error(a, b, c);
  for (const double sign : {-1.0, 1.0}) {
    // Rounding of the sums is some 1e-14 of them; the steps change the error by more than 1e-8.
    EXPECT_LE(best, error(std::max(0.0, a + sign * 2e-6), b, c) + 1e-12);
    EXPECT_LE(best, error(a, b + sign * 5e-8, c) + 1e-12);
    EXPECT_LE(best, error(a, b, std::max(0.0, c + sign * 1e-10)) + 1e-12);
  }
}

TEST(PassTime, FitOfLittleOrBadData) {
  EXPECT_EQ(PassTime::fit({}).seconds(shape_of({10})), 0);
  const PassSample one[] = {{shape_of({10, 10}), 1e-3}};
  EXPECT_NEAR(PassTime::fit(one).seconds(shape_of({10, 10})), 1e-3, 1e-12);
  const PassSample bad[] = {{shape_of({10}), 0},
                            {shape_of({10}), -1},
                            {shape_of({10}), std::nan("")},
                            {shape_of({10}), INFINITY},
                            {shape_of({20}), 1e-3}};
  EXPECT_NEAR(PassTime::fit(bad).seconds(shape_of({20})), 1e-3, 1e-12);
}

PassTime some_time() {
  return PassTime::fit(samples_of([](const PassShape& shape) {
    return 300e-6 + 8e-6 * tokens_of(shape) + 2e-9 * squares_of(shape);
  }));
}

TEST(PassTime, OneInterruptedPassMovesItLittle) {
  PassTime time = some_time();
  const PassShape shape = shape_of({12, 12, 12});
  const double before = time.seconds(shape);
  time.correct(shape, before * 1000);
  EXPECT_GT(time.seconds(shape), before);
  EXPECT_LT(time.seconds(shape), before * 1.05);
}

TEST(PassTime, ALastingChangeIsFollowedWithinTwentyPasses) {
  for (const double change : {2.0, 0.5, 1.1}) {
    PassTime time = some_time();
    const PassShape shape = shape_of({12, 12, 12});
    const double before = time.seconds(shape);
    const double fixed = time.fixed();
    const double sequence = time.of_sequence(40);
    for (int i = 0; i < 20; ++i) time.correct(shape, before * change);
    EXPECT_NEAR(time.seconds(shape), before * change, before * change * 0.05);
    EXPECT_NEAR(time.fixed() / fixed, time.seconds(shape) / before, 1e-9);
    EXPECT_NEAR(time.of_sequence(40) / sequence, time.seconds(shape) / before, 1e-9);
  }
}

TEST(PassTime, NothingKnownLearnsFromTheFirstPass) {
  PassTime time;
  EXPECT_EQ(time.seconds(shape_of({100})), 0);
  EXPECT_EQ(time.fixed(), 0);
  time.correct(shape_of({100}), 1e-3);
  EXPECT_NEAR(time.seconds(shape_of({100})), 1e-3, 1e-12);
  EXPECT_NEAR(time.of_sequence(50), 0.5e-3, 1e-12);
}

TEST(PassTime, PassesThatAreLeftEarlyAreCountedOnByWhatTheyShow) {
  PassTime time = some_time();
  const PassShape shape = shape_of({12, 12, 12});
  const double whole = time.seconds(shape), fixed = time.fixed(), one = time.of_sequence(40);
  EXPECT_EQ(time.depth(), 1);
  // Half of the layers, exactly, in a machine as fast as it was.
  for (int i = 0; i < 60; ++i) time.correct(shape, fixed + (whole - fixed) / 2, 0.5);
  EXPECT_NEAR(time.depth(), 0.5, 0.02);  // 0.9^60 of the way back to 1, and its mean deviation
  EXPECT_GE(time.depth(), 0.5);
  EXPECT_NEAR(time.fixed(), fixed, fixed * 1e-9);  // leaving early makes nothing else faster
  EXPECT_NEAR(time.of_sequence(40), one / 2, one * 0.02);
  EXPECT_NEAR(time.seconds(shape), fixed + (whole - fixed) / 2, whole * 0.02);

  // Passes that differ: 0.3 and 0.7 in turn. The mean is 0.5, the deviation 0.2.
  for (int i = 0; i < 100; ++i) {
    const double depth = i % 2 == 0 ? 0.3 : 0.7;
    time.correct(shape, fixed + (whole - fixed) * depth, depth);
  }
  EXPECT_NEAR(time.depth(), 0.7, 0.04);
  EXPECT_NEAR(time.fixed(), fixed, fixed * 1e-9);
  // And all of it again.
  for (int i = 0; i < 100; ++i) time.correct(shape, whole, 1);
  EXPECT_NEAR(time.depth(), 1, 0.01);
}

TEST(PassTime, WhatIsNoTimeIsIgnored) {
  PassTime time = some_time();
  const PassShape shape = shape_of({12});
  const double before = time.seconds(shape);
  for (const double seconds : {0.0, -1.0, static_cast<double>(NAN), HUGE_VAL}) {
    time.correct(shape, seconds);
  }
  time.correct(PassShape{}, 1);
  for (const double depth : {0.0, -0.5, 1.1, static_cast<double>(NAN)}) {
    time.correct(shape, before, depth);
  }
  EXPECT_EQ(time.seconds(shape), before);
}

}  // namespace
}  // namespace tilewise::runtime
