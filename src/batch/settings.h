// What the output of a job depends on, beside its input: equal settings and equal input give equal
// bytes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "batch/job.h"
#include "engine/engine.h"

namespace tilewise::batch {

struct Setting {
  std::string name;
  std::string value;  ///< JSON text of a scalar in canonical form: "\"bf16\"", "17", "null"

  bool operator==(const Setting&) const = default;
};

/// In the order of the manifest; names are unique.
class Settings {
 public:
  Settings() = default;
  explicit Settings(std::vector<Setting> values) : values_(std::move(values)) {}

  /// `records`: hash of the catalogues' contents; empty where the rows hold their records.
  static Settings of(const engine::Engine& engine, const Options& options,
                     const std::string& records);

  std::span<const Setting> values() const { return values_; }

  /// Empty where there is no such setting.
  std::string_view find(std::string_view name) const;

  /// The instruction set of this job is added to those of an earlier one ("avx2+avx512"): their
  /// output stands side by side.
  void add_isa_of(const Settings& earlier);

  /// Names of the settings that are not the same in both, or are only in one.
  std::vector<std::string> differences(const Settings& other) const;

  /// "top 5, limit 100", for messages.
  std::string describe(std::span<const std::string> names) const;

  bool operator==(const Settings&) const = default;

 private:
  std::vector<Setting> values_;
};

/// What scores depend on: where one of these differs, none of a previous run can be taken.
inline constexpr std::string_view kScoreSettings[] = {"model", "tasks", "both_orders",
                                                      "full_depth"};

}  // namespace tilewise::batch
