// How long a pass takes, from the tokens in it: measured before the first request, corrected while
// running.
#pragma once

#include <cstdint>
#include <span>

namespace tilewise::runtime {

/// What the time of a pass depends on.
struct PassShape {
  int32_t sequences = 0;
  int64_t tokens = 0;
  int64_t squares = 0;  ///< the sum of the squared lengths: attention

  void add(int32_t length) {
    ++sequences;
    tokens += length;
    squares += int64_t{length} * length;
  }
};

/// A pass that was measured.
struct PassSample {
  PassShape shape;
  double seconds = 0;
};

/// seconds = fixed + depth * (per_token * tokens + per_square * squares), times a factor that
/// follows what passes really take. `depth`, of the layers, follows what passes go through where
/// sequences may leave early: their mean and, as the easy ones cannot be told before, what passes
/// differ from it on average. Not thread-safe.
class PassTime {
 public:
  /// Nothing is known: every pass takes no time, until correct() says otherwise.
  PassTime() = default;

  /// Least squares of the relative error, with no coefficient under zero. Without samples: as the
  /// default.
  static PassTime fit(std::span<const PassSample> samples);

  double seconds(const PassShape& shape) const;

  /// What one more sequence of this length adds to a pass.
  double of_sequence(int32_t length) const;

  /// What a pass costs beside its sequences.
  double fixed() const;

  /// A pass of this shape took so long, and its tokens went through such a part of the layers on
  /// average. One interrupted pass moves the factor little.
  void correct(const PassShape& shape, double seconds, double depth = 1);

  /// The part of the layers that is counted on: 1 until passes have shown less.
  double depth() const;

 private:
  double fixed_ = 0;
  double per_token_ = 0;
  double per_square_ = 0;
  double factor_ = 1;
  double depth_mean_ = 1;
  double depth_deviation_ = 0;

  double sequences_seconds(const PassShape& shape, double depth) const;
  void learn_depth(double depth);
};

}  // namespace tilewise::runtime
