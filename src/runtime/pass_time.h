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

/// seconds = fixed + per_token * tokens + per_square * squares, times a factor that follows what
/// passes really take. Not thread-safe.
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

  /// A pass of this shape took so long. One interrupted pass moves the factor little.
  void correct(const PassShape& shape, double seconds);

 private:
  double fixed_ = 0;
  double per_token_ = 0;
  double per_square_ = 0;
  double factor_ = 1;
};

}  // namespace tilewise::runtime
