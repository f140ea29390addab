// Metadata from JSON that nobody vouches for (FORMAT.md, "Metadata").
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>

#include "artifact/json_text.h"
#include "artifact/metadata.h"

namespace tilewise::artifact {
namespace {

using model::Precision;
using model::Task;
using simdjson::dom::element;

/// The float32 whose canonical text reads as `value`, if there is one. Plain rounding finds it but
/// where `value` lies halfway between two: of all float32 values that is 7.038531e-26 alone.
float float_of(double value) {
  const auto nearest = static_cast<float>(value);
  const float beside[] = {nearest, std::nextafter(nearest, 0.0f),
                          std::nextafter(nearest, HUGE_VALF)};
  for (const float candidate : beside) {
    const std::string text = json_number(candidate);
    double read = 0;
    std::from_chars(text.data(), text.data() + text.size(), read);
    if (read == value) return candidate;
  }
  return nearest;
}

Status broken(std::string where, std::string expected, std::string found) {
  return invalid_input({.what = "The artifact's metadata are broken",
                        .where = std::move(where),
                        .expected = std::move(expected),
                        .found = std::move(found),
                        .remedy = ""});
}

/// Takes the values out of one JSON object. The first problem is kept in `error`, and values are
/// empty from then on, so that a parser reads like the list of its fields.
class ObjectReader {
 public:
  ObjectReader(const element& value, std::string where, Status& error)
      : where_(std::move(where)), error_(error) {
    is_object_ = value.get_object().get(object_) == simdjson::SUCCESS;
    if (!is_object_) fail(where_.empty() ? "metadata" : where_, "an object", value);
  }

  /// All keys that the object has must have been asked for.
  void finish() {
    if (error_.ok() && is_object_ && object_.size() != asked_) {
      fail(where_.empty() ? "metadata" : where_, fmt::format("{} keys", asked_),
           fmt::format("{}: some unknown or twice", object_.size()));
    }
  }

  std::string path(std::string_view key) const {
    return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
  }

  /// For keys that only some versions have: whether this one has it.
  bool has(std::string_view key) const {
    element found;
    return error_.ok() && object_.at_key(key).get(found) == simdjson::SUCCESS;
  }

  std::optional<element> value(std::string_view key) {
    ++asked_;
    element found;
    if (!error_.ok()) return std::nullopt;
    if (object_.at_key(key).get(found) == simdjson::SUCCESS) return found;
    fail(path(key), "a value", "none");
    return std::nullopt;
  }

  /// nullopt also for null.
  std::optional<element> optional_value(std::string_view key) {
    const auto found = value(key);
    return found && !found->is_null() ? found : std::nullopt;
  }

  std::string text(std::string_view key) { return text_of(value(key), path(key)); }
  float real(std::string_view key) { return real_of(value(key), path(key)); }

  std::optional<float> optional_real(std::string_view key) {
    const auto found = optional_value(key);
    return found ? std::optional(real_of(found, path(key))) : std::nullopt;
  }

  int32_t integer(std::string_view key) {
    int64_t number = 0;
    const auto found = value(key);
    if (!found) return 0;
    if (found->get_int64().get(number) != simdjson::SUCCESS ||
        number < std::numeric_limits<int32_t>::min() ||
        number > std::numeric_limits<int32_t>::max()) {
      fail(path(key), "an integer of 32 bits", *found);
      return 0;
    }
    return static_cast<int32_t>(number);
  }

  bool boolean(std::string_view key) {
    bool flag = false;
    const auto found = value(key);
    if (found && found->get_bool().get(flag) != simdjson::SUCCESS) {
      fail(path(key), "true or false", *found);
    }
    return flag;
  }

  template <class Enum>
  Enum name(std::string_view key) {
    return name_of_element<Enum>(value(key), path(key));
  }

  /// Calls read(element, path) for each element of the array.
  void each(std::string_view key, const std::function<void(const element&, std::string)>& read) {
    simdjson::dom::array items;
    const auto found = value(key);
    if (!found) return;
    if (found->get_array().get(items) != simdjson::SUCCESS) {
      return fail(path(key), "an array", *found);
    }
    size_t index = 0;
    for (const element item : items) {
      if (!error_.ok()) return;
      read(item, fmt::format("{}[{}]", path(key), index++));
    }
  }

  std::string text_of(const std::optional<element>& found, const std::string& at) {
    std::string_view text;
    if (found && found->get_string().get(text) != simdjson::SUCCESS) fail(at, "a string", *found);
    return std::string(text);
  }

  template <class Enum>
  Enum name_of_element(const std::optional<element>& found, const std::string& at) {
    const std::string text = text_of(found, at);
    const auto value = error_.ok() ? model::parse_name<Enum>(text) : std::nullopt;
    if (error_.ok() && !value) fail(at, "a name that this version knows", json_text(text));
    return value.value_or(Enum{});
  }

  void fail(std::string at, std::string expected, std::string found) {
    if (error_.ok()) error_ = broken(std::move(at), std::move(expected), std::move(found));
  }

  void fail(std::string at, std::string expected, const element& found) {
    constexpr size_t kShown = 40;
    std::string spelled = simdjson::to_string(found);
    if (spelled.size() > kShown) spelled = "a long value";
    fail(std::move(at), std::move(expected), std::move(spelled));
  }

 private:
  float real_of(const std::optional<element>& found, const std::string& at) {
    double number = 0;
    if (!found) return 0;
    constexpr double kRoundsToInfinity = 0x1.ffffffp127;
    if (found->get_double().get(number) != simdjson::SUCCESS ||
        std::abs(number) >= kRoundsToInfinity) {
      fail(at, "a number that a float32 can hold", *found);
      return 0;
    }
    return float_of(number);
  }

  simdjson::dom::object object_;
  std::string where_;
  Status& error_;
  bool is_object_ = false;
  size_t asked_ = 0;
};

void read_version_3(ObjectReader& in, model::EncoderSpec& spec) {
  spec.embedding_size = in.integer("embedding_size");
  spec.norm_placement = in.name<model::NormPlacement>("norm_placement");
  spec.is_gated = in.boolean("gated");
  spec.positions = in.name<model::Positions>("positions");
  spec.rotary_base = in.real("rotary_base");
  spec.rotary_base_local = in.real("rotary_base_local");
  spec.window = in.integer("window");
  spec.global_every = in.integer("global_every");
  spec.relative_buckets = in.integer("relative_buckets");
  spec.relative_distance = in.integer("relative_distance");
}

model::EncoderSpec read_encoder(const element& value, std::string where, Status& error) {
  ObjectReader in(value, std::move(where), error);
  model::EncoderSpec spec;
  spec.family = in.text("family");
  spec.vocab_size = in.integer("vocab_size");
  spec.hidden = in.integer("hidden");
  spec.layers = in.integer("layers");
  spec.heads = in.integer("heads");
  spec.intermediate = in.integer("intermediate");
  spec.max_positions = in.integer("max_positions");
  spec.token_types = in.integer("token_types");
  spec.activation = in.name<model::Activation>("activation");
  spec.norm_epsilon = in.real("norm_epsilon");
  if (in.has("embedding_size")) read_version_3(in, spec);
  in.finish();
  return spec;
}

model::InputTemplate read_template(const element& value, std::string where, Status& error) {
  ObjectReader in(value, std::move(where), error);
  model::InputTemplate record_template;
  in.each("fields", [&](const element& item, const std::string& at) {
    std::vector<std::string> parts;
    simdjson::dom::array pair;
    if (item.get_array().get(pair) != simdjson::SUCCESS || pair.size() != 2) {
      return in.fail(at, "a name and a prefix", item);
    }
    for (const element part : pair) parts.push_back(in.text_of(part, at));
    record_template.fields.push_back({.name = parts[0], .prefix = parts[1]});
  });
  record_template.separator = in.text("separator");
  in.finish();
  return record_template;
}

model::OutOfScope read_out_of_scope(const element& value, std::string where, Status& error) {
  ObjectReader in(value, std::move(where), error);
  model::OutOfScope out_of_scope;
  if (const std::string score = in.text("score"); error.ok() && score != "logsumexp") {
    in.fail(in.path("score"), "\"logsumexp\"", json_text(score));
  }
  out_of_scope.below = in.real("below");
  in.finish();
  return out_of_scope;
}

model::Exit read_exit(const element& value, std::string where, Status& error) {
  ObjectReader in(value, std::move(where), error);
  model::Exit exit;
  exit.after_layer = in.integer("after_layer");
  exit.confidence = in.real("confidence");
  exit.temperature = in.real("temperature");
  exit.below = in.optional_real("below");
  in.finish();
  return exit;
}

TaskEntry read_task(const element& value, std::string where, Status& error) {
  ObjectReader in(value, std::move(where), error);
  TaskEntry entry;
  Task& task = entry.task;
  task.name = in.text("name");
  task.kind = in.name<model::TaskKind>("kind");
  task.input = in.name<model::InputKind>("input");
  task.pooling = in.name<model::Pooling>("pooling");
  in.each("labels", [&](const element& label, const std::string& at) {
    task.labels.push_back(in.text_of(label, at));
  });
  task.max_tokens = in.integer("max_tokens");
  task.truncation = in.name<model::Truncation>("truncation");
  if (const auto found = in.value("template")) {
    task.record_template = read_template(*found, in.path("template"), error);
  }
  task.threshold = in.optional_real("threshold");
  task.temperature = in.real("temperature");
  if (const auto found = in.optional_value("out_of_scope")) {
    task.out_of_scope = read_out_of_scope(*found, in.path("out_of_scope"), error);
  }
  task.normalize = in.boolean("normalize");
  if (const auto found = in.optional_value("dense")) {
    entry.has_dense = true;
    entry.dense_activation = in.name_of_element<model::Activation>(found, in.path("dense"));
  }
  if (in.has("exits")) {
    entry.dense_norm = in.boolean("dense_norm");
    in.each("exits", [&](const element& item, std::string at) {
      task.exits.push_back(read_exit(item, std::move(at), error));
    });
  }
  in.finish();
  return entry;
}

model::Provenance read_provenance(const element& value, std::string where, Status& error) {
  ObjectReader in(value, std::move(where), error);
  model::Provenance provenance;
  provenance.architecture = in.text("architecture");
  in.each("sources", [&](const element& item, std::string at) {
    ObjectReader source(item, std::move(at), error);
    provenance.sources.push_back({.file = source.text("file"), .sha256 = source.text("sha256")});
    source.finish();
  });
  in.finish();
  return provenance;
}

Precision read_precision(ObjectReader& in) {
  const std::string name = in.text("precision");
  if (const auto precision = model::parse_name<Precision>(name)) return *precision;
  in.fail(in.path("precision"), "\"fp32\", \"bf16\" or \"int8\"", json_text(name));
  return Precision::fp32;
}

LinearPrecision read_linear(const element& value, std::string where, Status& error) {
  ObjectReader in(value, std::move(where), error);
  LinearPrecision linear;
  linear.layer = in.text("layer");
  linear.precision = read_precision(in);
  linear.is_smoothed = in.boolean("smoothed");
  linear.input_floor = in.optional_real("input_floor");
  linear.error = in.optional_real("error");
  in.finish();
  return linear;
}

CalibrationRows read_calibration(const element& value, std::string where, Status& error) {
  ObjectReader in(value, std::move(where), error);
  CalibrationRows calibration;
  calibration.task = in.text("task");
  calibration.rows = in.integer("rows");
  if (const auto found = in.optional_value("sha256")) {
    calibration.sha256 = in.text_of(found, in.path("sha256"));
  }
  calibration.error = in.real("error");
  in.finish();
  return calibration;
}

Metadata read_metadata(const element& value, Status& error) {
  ObjectReader in(value, "", error);
  Metadata metadata;
  metadata.compiler = in.text("compiler");
  metadata.precision = read_precision(in);
  if (const auto found = in.value("encoder")) {
    metadata.spec = read_encoder(*found, "encoder", error);
  }
  in.each("tasks", [&](const element& item, std::string at) {
    metadata.tasks.push_back(read_task(item, std::move(at), error));
  });
  in.each("numerics", [&](const element& item, std::string at) {
    ObjectReader line(item, std::move(at), error);
    metadata.numerics.push_back(
        {.operators = line.text("operators"), .stored_as = line.text("stored_as")});
    line.finish();
  });
  if (metadata.precision == Precision::int8) {
    in.each("linears", [&](const element& item, std::string at) {
      metadata.linears.push_back(read_linear(item, std::move(at), error));
    });
    in.each("calibration", [&](const element& item, std::string at) {
      metadata.calibration.push_back(read_calibration(item, std::move(at), error));
    });
  }
  if (const auto found = in.value("provenance")) {
    metadata.provenance = read_provenance(*found, "provenance", error);
  }
  in.finish();
  return metadata;
}

/// Where two texts part, for messages.
size_t first_difference(std::string_view a, std::string_view b) {
  size_t i = 0;
  while (i < a.size() && i < b.size() && a[i] == b[i]) ++i;
  return i;
}

}  // namespace

Result<Metadata> parse_metadata(std::string_view json) {
  simdjson::dom::parser parser;
  element root;
  const auto code = parser.parse(json.data(), json.size()).get(root);
  if (code != simdjson::SUCCESS) {
    return broken("metadata", "JSON", simdjson::error_message(code));
  }
  Status error;
  Metadata metadata = read_metadata(root, error);
  TILEWISE_RETURN_IF_ERROR(error);
  TILEWISE_RETURN_IF_ERROR(validate(metadata));
  const std::string canonical = to_json(metadata);
  if (canonical != json) {
    return broken(fmt::format("metadata, byte {}", first_difference(canonical, json)),
                  "JSON in canonical form, with the keys of its version",
                  "another spelling of the same values");
  }
  return metadata;
}

}  // namespace tilewise::artifact
