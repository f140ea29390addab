// Grapheme clusters: what a reader takes for one character (Unicode, annex 29).
#pragma once

#include <cstdint>

namespace tilewise::text {

/// What decides where a cluster ends: Grapheme_Cluster_Break, and of Indic_Conjunct_Break what
/// takes part in it. Regional indicators count as `other`: a flag has eight bytes, and nobody asks
/// for clusters that long.
enum class GraphemeClass : uint8_t {
  other,
  carriage_return,
  line_feed,
  control,
  extend,
  joiner,      ///< U+200D
  non_joiner,  ///< extends, but binds no consonants
  linker,      ///< extends, and binds the consonants around it
  spacing_mark,
  prepend,
  leading,          ///< Hangul L
  vowel,            ///< Hangul V
  trailing,         ///< Hangul T
  syllable,         ///< Hangul LV
  closed_syllable,  ///< Hangul LVT
  pictographic,
  consonant,  ///< of a script with linkers
};
inline constexpr uint32_t kGraphemeClasses = 17;

/// As Hugging Face `tokenizers` has it: utf8proc's, but for the ranges in grapheme_differences.h.
/// Slow: used to build tables, never to read text.
GraphemeClass grapheme_class(uint32_t code_point);

/// One cluster, from its first character on.
class GraphemeCluster {
 public:
  explicit GraphemeCluster(GraphemeClass first) { take(first); }

  /// Whether a character of this class belongs to the cluster too; it does from then on.
  bool extends(GraphemeClass next) {
    if (!joins(next)) return false;
    take(next);
    return true;
  }

 private:
  bool joins(GraphemeClass next) const;
  void take(GraphemeClass next);

  GraphemeClass last_ = GraphemeClass::other;
  bool is_emoji_ = false;         ///< the cluster ends with a pictograph and what extends it...
  bool is_joined_emoji_ = false;  ///< ...and then a joiner
  enum class Conjunct { none, consonant, linked } conjunct_ = Conjunct::none;
};

}  // namespace tilewise::text
