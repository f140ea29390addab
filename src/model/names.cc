#include <array>
#include <string_view>

#include "model/precision.h"
#include "model/task.h"

namespace tilewise::model {
namespace {

// One list of names per enum, in the order of its enumerators: both directions read it.
constexpr std::array kPrecisions = {"fp32", "bf16", "int8"};
constexpr std::array kTaskKinds = {"binary", "multiclass", "multilabel", "regression", "embedding"};
constexpr std::array kInputKinds = {"text", "pair"};
constexpr std::array kTruncations = {"longest_first", "only_first", "only_second"};
constexpr std::array kPoolings = {"mean", "cls"};
constexpr std::array kActivations = {"identity", "gelu_erf", "gelu_tanh", "relu", "tanh"};
constexpr std::array kNormPlacements = {"post", "pre"};
constexpr std::array kPositions = {"learned", "rotary"};

template <class Enum, size_t N>
std::optional<Enum> find_name(const std::array<const char*, N>& names, std::string_view name) {
  for (size_t i = 0; i < N; ++i) {
    if (name == names[i]) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

const char* name_of(TaskKind kind) { return kTaskKinds.at(static_cast<size_t>(kind)); }
const char* name_of(InputKind kind) { return kInputKinds.at(static_cast<size_t>(kind)); }
const char* name_of(Truncation truncation) {
  return kTruncations.at(static_cast<size_t>(truncation));
}
const char* name_of(Pooling pooling) { return kPoolings.at(static_cast<size_t>(pooling)); }
const char* name_of(Activation activation) {
  return kActivations.at(static_cast<size_t>(activation));
}
const char* name_of(NormPlacement placement) {
  return kNormPlacements.at(static_cast<size_t>(placement));
}
const char* name_of(Positions positions) { return kPositions.at(static_cast<size_t>(positions)); }

const char* name_of(Precision precision) { return kPrecisions.at(static_cast<size_t>(precision)); }

template <>
std::optional<Precision> parse_name(const std::string& name) {
  return find_name<Precision>(kPrecisions, name);
}
template <>
std::optional<TaskKind> parse_name(const std::string& name) {
  return find_name<TaskKind>(kTaskKinds, name);
}
template <>
std::optional<InputKind> parse_name(const std::string& name) {
  return find_name<InputKind>(kInputKinds, name);
}
template <>
std::optional<Truncation> parse_name(const std::string& name) {
  return find_name<Truncation>(kTruncations, name);
}
template <>
std::optional<Pooling> parse_name(const std::string& name) {
  return find_name<Pooling>(kPoolings, name);
}
template <>
std::optional<Activation> parse_name(const std::string& name) {
  return find_name<Activation>(kActivations, name);
}
template <>
std::optional<NormPlacement> parse_name(const std::string& name) {
  return find_name<NormPlacement>(kNormPlacements, name);
}
template <>
std::optional<Positions> parse_name(const std::string& name) {
  return find_name<Positions>(kPositions, name);
}

}  // namespace tilewise::model
