#include "server/tei/call.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "server/tei/inputs.h"

namespace tilewise::server::tei {
namespace {

Status missing(std::string_view name) {
  return invalid_argument(
      {.what = "The request lacks a member", .expected = "\"" + std::string(name) + "\""});
}

Status read_direction(JsonValue& value, bool& left) {
  std::string_view text;
  TILEWISE_RETURN_IF_ERROR(read_string(value, "truncation_direction", text));
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c; });
  left = lower == "left";
  if (left || lower == "right") return {};
  return invalid_argument({.what = "The direction of truncation does not exist",
                           .where = "truncation_direction",
                           .expected = "\"Left\" or \"Right\"",
                           .found = "\"" + std::string(text) + "\""});
}

Status no_prompts(JsonValue& value) {
  std::string_view name;
  TILEWISE_RETURN_IF_ERROR(read_string(value, "prompt_name", name));
  return invalid_argument({.what = "The model has no prompts",
                           .where = "prompt_name",
                           .expected = "null",
                           .found = "\"" + std::string(name) + "\"",
                           .remedy = "Put the prompt before the text"});
}

/// Whether `name` is one of the options, which is read then.
Status read_option(std::string_view name, JsonValue& value, Options& options, bool& is_option) {
  is_option = true;
  if (name == "task") {
    std::string_view task;
    TILEWISE_RETURN_IF_ERROR(read_string(value, "task", task));
    options.task = task;
    return {};
  }
  if (name == "truncate") {
    bool truncate = false;
    TILEWISE_RETURN_IF_ERROR(read_boolean(value, "truncate", truncate));
    options.truncate = truncate;
    return {};
  }
  if (name == "truncation_direction") return read_direction(value, options.cut_left);
  if (name == "both_orders") return read_boolean(value, "both_orders", options.both_orders);
  if (name == "full_depth") {
    bool full_depth = false;
    TILEWISE_RETURN_IF_ERROR(read_boolean(value, "full_depth", full_depth));
    options.full_depth = full_depth;
    return {};
  }
  if (name == "prompt_name") return no_prompts(value);
  is_option = false;
  return {};
}

/// The options may stand in an object of their own too.
template <class OnOther>
Status read_option_or(std::string_view name, JsonValue& value, Options& options, OnOther&& other) {
  bool is_option = false;
  TILEWISE_RETURN_IF_ERROR(read_option(name, value, options, is_option));
  if (is_option) return {};
  if (name != "parameters") return other(name, value);
  return read_object(value, "parameters", [&](std::string_view inner, JsonValue& inner_value) {
    Status status = read_option(inner, inner_value, options, is_option);
    return !status.ok() || is_option ? status : other(inner, inner_value);
  });
}

Status wrong_length(const std::string& where, size_t length) {
  return invalid_argument(
      {.what = "An input is one text or a pair",
       .where = where,
       .expected = "one or two elements",
       .found = std::to_string(length),
       .remedy = "A batch is an array of arrays: [[\"text\"], [\"left\", \"right\"]]"});
}

Status to_input(std::vector<model::Content>& parts, const std::string& where, model::Input& input) {
  switch (parts.size()) {
    case 1:
      input = model::TextInput{std::move(parts[0])};
      return {};
    case 2:
      input = model::PairInput{std::move(parts[0]), std::move(parts[1])};
      return {};
    default:
      return wrong_length(where, parts.size());
  }
}

/// [S] | [S, S]
Status read_parts(JsonReader& reader, JsonValue& value, const std::string& where,
                  model::Input& input) {
  std::vector<model::Content> parts;
  const Status status = read_array(value, where, [&](size_t, JsonValue& part) {
    return reader.read_content(part, where, parts.emplace_back());
  });
  return status.ok() ? to_input(parts, where, input) : status;
}

/// S | [S] | [S, S] | [[S], [S, S], ...], where S is a string or a record.
Status read_inputs(JsonReader& reader, JsonValue& value, PredictCall& call) {
  call.inputs.clear();
  call.is_batch = false;
  json_type type{};
  TILEWISE_RETURN_IF_MALFORMED(value.type().get(type));
  if (type == json_type::string || type == json_type::object) {
    return reader.read_content(value, "inputs",
                               std::get<model::TextInput>(call.inputs.emplace_back()).text);
  }
  std::vector<model::Content> parts;  // of a flat array, which is one input
  const Status status =
      read_array(value, "inputs", [&](size_t index, JsonValue& element) -> Status {
        json_type kind{};
        TILEWISE_RETURN_IF_MALFORMED(element.type().get(kind));
        if (index == 0) call.is_batch = kind == json_type::array;
        const std::string where = place("inputs", index);
        return call.is_batch ? read_parts(reader, element, where, call.inputs.emplace_back())
                             : reader.read_content(element, where, parts.emplace_back());
      });
  if (!status.ok() || call.is_batch || parts.empty()) return status;
  return to_input(parts, "inputs", call.inputs.emplace_back());
}

/// What the Inference API's clients call raw_scores and a softmax.
Status read_function(JsonValue& value, PredictCall& call) {
  std::string_view name;
  TILEWISE_RETURN_IF_ERROR(read_string(value, "function_to_apply", name));
  call.raw_scores = name == "none";
  if (call.raw_scores || name == "default") return {};
  return invalid_argument(
      {.what = "Scores cannot be made that way",
       .where = "function_to_apply",
       .expected = "\"none\" for raw scores, or \"default\" for the task's probabilities",
       .found = "\"" + std::string(name) + "\""});
}

Status read_texts(JsonReader& reader, JsonValue& value, const std::string& where,
                  std::vector<model::Content>& texts) {
  texts.clear();
  return read_array(value, where, [&](size_t index, JsonValue& text) {
    return reader.read_content(text, place(where, index), texts.emplace_back());
  });
}

int64_t characters_of(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

int64_t characters_of(const model::Content& content) {
  if (const auto* text = std::get_if<std::string>(&content))
    return characters_of(std::string_view(*text));
  int64_t count = 0;
  for (const model::Record::Field& field : std::get<model::Record>(content).fields)
    count += characters_of(std::string_view(field.value));
  return count;
}

}  // namespace

Status parse(std::string_view body, JsonReader& reader, PredictCall& call) {
  call = {};
  bool found = false;
  const auto on_member = [&](std::string_view name, JsonValue& value) -> Status {
    if (name == "inputs") {
      found = true;
      return read_inputs(reader, value, call);
    }
    if (name == "raw_scores") return read_boolean(value, "raw_scores", call.raw_scores);
    if (name == "function_to_apply") return read_function(value, call);
    if (name == "top_k") {
      return read_integer(value, "top_k", 1, std::numeric_limits<int32_t>::max(), call.top);
    }
    return skip(value);
  };
  TILEWISE_RETURN_IF_ERROR(reader.read(body, [&](std::string_view name, JsonValue& value) {
    return read_option_or(name, value, call.options, on_member);
  }));
  return found ? Status() : missing("inputs");
}

Status parse(std::string_view body, JsonReader& reader, RerankCall& call) {
  call = {};
  std::optional<model::Content> query;
  std::optional<std::vector<model::Content>> texts;
  TILEWISE_RETURN_IF_ERROR(reader.read(body, [&](std::string_view name, JsonValue& value) {
    return read_option_or(name, value, call.options,
                          [&](std::string_view other, JsonValue& member) -> Status {
                            if (other == "query")
                              return reader.read_content(member, "query", query.emplace());
                            if (other == "texts")
                              return read_texts(reader, member, "texts", texts.emplace());
                            if (other == "raw_scores")
                              return read_boolean(member, "raw_scores", call.raw_scores);
                            if (other == "return_text") {
                              return read_boolean(member, "return_text", call.return_text);
                            }
                            return skip(member);
                          });
  }));
  if (!query) return missing("query");
  if (!texts) return missing("texts");
  for (model::Content& text : *texts) {
    call.inputs.emplace_back(model::PairInput{*query, std::move(text)});
  }
  return {};
}

Status parse(std::string_view body, JsonReader& reader, EmbedCall& call) {
  call = {};
  bool found = false;
  TILEWISE_RETURN_IF_ERROR(reader.read(body, [&](std::string_view name, JsonValue& value) {
    return read_option_or(
        name, value, call.options, [&](std::string_view other, JsonValue& member) -> Status {
          if (other == "inputs") {
            found = true;
            return read_texts_or_ids(reader, member, "inputs", call.inputs, call.token_inputs);
          }
          if (other == "normalize") return read_boolean(member, "normalize", call.normalize);
          if (other == "dimensions") {
            return read_integer(member, "dimensions", 1, std::numeric_limits<int32_t>::max(),
                                call.dimensions);
          }
          return skip(member);
        });
  }));
  return found ? Status() : missing("inputs");
}

Status parse(std::string_view body, JsonReader& reader, SimilarityCall& call) {
  call = {};
  std::optional<model::Content> source;
  std::optional<std::vector<model::Content>> sentences;
  TILEWISE_RETURN_IF_ERROR(reader.read(body, [&](std::string_view name, JsonValue& value) {
    return read_option_or(
        name, value, call.options, [&](std::string_view other, JsonValue& member) -> Status {
          if (other != "inputs") return skip(member);
          return read_object(member, "inputs", [&](std::string_view part, JsonValue& text) {
            if (part == "source_sentence") {
              return reader.read_content(text, "inputs.source_sentence", source.emplace());
            }
            if (part == "sentences") {
              return read_texts(reader, text, "inputs.sentences", sentences.emplace());
            }
            return skip(text);
          });
        });
  }));
  if (!source) return missing("inputs.source_sentence");
  if (!sentences) return missing("inputs.sentences");
  if (sentences->empty()) return {};
  call.inputs.emplace_back(model::TextInput{std::move(*source)});
  for (model::Content& text : *sentences) {
    call.inputs.emplace_back(model::TextInput{std::move(text)});
  }
  return {};
}

Status parse(std::string_view body, JsonReader& reader, TokenizeCall& call) {
  call = {};
  bool found = false;
  Options options;
  const auto read_inputs = [&](JsonValue& value) -> Status {
    found = true;
    call.inputs.clear();
    json_type type{};
    std::string_view text;
    TILEWISE_RETURN_IF_MALFORMED(value.type().get(type));
    if (type == json_type::string) {
      TILEWISE_RETURN_IF_ERROR(read_string(value, "inputs", text));
      call.inputs.emplace_back(text);
      return {};
    }
    return read_array(value, "inputs", [&](size_t index, JsonValue& element) -> Status {
      TILEWISE_RETURN_IF_ERROR(read_string(element, place("inputs", index), text));
      call.inputs.emplace_back(text);
      return {};
    });
  };
  TILEWISE_RETURN_IF_ERROR(reader.read(body, [&](std::string_view name, JsonValue& value) {
    return read_option_or(
        name, value, options, [&](std::string_view other, JsonValue& member) -> Status {
          if (other == "inputs") return read_inputs(member);
          if (other == "add_special_tokens") {
            return read_boolean(member, "add_special_tokens", call.add_special_tokens);
          }
          return skip(member);
        });
  }));
  call.task = std::move(options.task);
  return found ? Status() : missing("inputs");
}

Status parse(std::string_view body, JsonReader& reader, DecodeCall& call) {
  call = {};
  bool found = false;
  Options options;
  std::vector<model::Input> texts;
  std::vector<engine::TokenInput> ids;
  TILEWISE_RETURN_IF_ERROR(reader.read(body, [&](std::string_view name, JsonValue& value) {
    return read_option_or(
        name, value, options, [&](std::string_view other, JsonValue& member) -> Status {
          if (other == "ids") {
            found = true;
            return read_texts_or_ids(reader, member, "ids", texts, ids);
          }
          if (other == "skip_special_tokens") {
            return read_boolean(member, "skip_special_tokens", call.skip_special_tokens);
          }
          return skip(member);
        });
  }));
  if (!found) return missing("ids");
  if (!texts.empty()) return wrong_type("ids", "token ids", json_type::string);
  for (engine::TokenInput& input : ids) call.ids.push_back(std::move(input.ids));
  call.task = std::move(options.task);
  return {};
}

int64_t count_characters(const std::vector<model::Input>& inputs) {
  int64_t count = 0;
  for (const model::Input& input : inputs) {
    if (const auto* text = std::get_if<model::TextInput>(&input)) {
      count += characters_of(text->text);
    } else {
      const auto& pair = std::get<model::PairInput>(input);
      count += characters_of(pair.left) + characters_of(pair.right);
    }
  }
  return count;
}

}  // namespace tilewise::server::tei
