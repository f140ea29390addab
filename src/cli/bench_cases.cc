#include "cli/bench_cases.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

namespace tilewise::cli {
namespace {

const std::vector<std::string> kParts = {"qkv", "attention_output", "ffn_up", "ffn_down"};

void add_once(std::vector<std::string>& list, std::string_view value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.emplace_back(value);
}

model::EncoderSpec bert(int32_t hidden, int32_t layers, int32_t intermediate) {
  return {.family = "bert",
          .vocab_size = 30522,
          .hidden = hidden,
          .layers = layers,
          .heads = 12,
          .intermediate = intermediate,
          .max_positions = 512,
          .token_types = 2};
}

}  // namespace

std::string CaseInfo::name() const {
  std::string text = kernel;
  if (!layer.empty()) text += " " + layer;
  text += fmt::format(" {} on {}", name_of(precision), name_of(isa));
  for (const Size& size : sizes) text += fmt::format(", {} {}", size.name, size.value);
  return text;
}

Status check(const KernelCase& one) {
  one.begin_pass();
  one.run();
  one.end_pass();
  const std::optional<WrongValue> wrong = one.compare();
  if (!wrong) return {};
  return internal_error(
      {.what = "a kernel gives a wrong result: " + one.info.name(),
       .where = wrong->where,
       .expected = fmt::format("{:.7g}, give or take {:.2g}", wrong->expected, wrong->allowed),
       .found = fmt::format("{:.7g}", wrong->found),
       .remedy = "Force another instruction set with --isa, and report this"});
}

EncoderShape shape_of(const artifact::Metadata& metadata, std::string name) {
  EncoderShape shape{.name = std::move(name), .spec = metadata.spec};
  if (metadata.precision != model::Precision::int8) shape.plain_parts = kParts;
  for (const artifact::LinearPrecision& linear : metadata.linears) {
    const bool is_int8 = linear.precision == model::Precision::int8;
    const auto part = std::string_view(linear.layer).substr(linear.layer.rfind('.') + 1);
    add_once(is_int8 ? shape.int8_parts : shape.plain_parts, part);
  }
  return shape;
}

std::vector<EncoderShape> well_known_shapes() {
  std::vector<EncoderShape> shapes = {
      {.name = "MiniLM-L6-H384", .spec = bert(384, 6, 1536)},
      {.name = "BERT-base", .spec = bert(768, 12, 3072)},
  };
  for (EncoderShape& shape : shapes) shape.plain_parts = shape.int8_parts = kParts;
  return shapes;
}

std::vector<CaseGroup> kernel_cases(const EncoderShape& shape, const kernels::KernelSet& set,
                                    const kernels::Int8KernelSet* int8_set) {
  std::vector<CaseGroup> groups;
  for (const std::string& part : shape.plain_parts) {
    groups.push_back(linear_cases(part, shape.spec, set));
  }
  for (const std::string& part : shape.int8_parts) {
    groups.push_back(int8_linear_cases(part, shape.spec, *int8_set));
  }
  groups.push_back(attention_cases(shape.spec, set));
  groups.push_back(row_cases(shape.spec, set));
  if (!shape.int8_parts.empty()) groups.push_back(quantize_cases(shape.spec, *int8_set));
  return groups;
}

}  // namespace tilewise::cli
