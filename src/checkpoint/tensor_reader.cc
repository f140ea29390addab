#include "checkpoint/tensor_reader.h"

#include <algorithm>
#include <utility>

namespace tilewise::checkpoint {
namespace {

constexpr int kMaxProblems =
    20;  // a wrong size makes every tensor wrong: the first ones say it all

}  // namespace

TensorReader::~TensorReader() {
  if (problems_ > kMaxProblems) {
    report_->note(subject_, std::to_string(problems_ - kMaxProblems) +
                                " more problems of this kind are not listed");
  }
}

void TensorReader::problem(Status status) {
  if (++problems_ <= kMaxProblems) report_->problem(subject_, std::move(status));
}

std::vector<int64_t> TensorReader::shape(const std::string& name) const {
  const TensorEntry* entry = files_->find(name).entry;
  return entry ? entry->shape : std::vector<int64_t>();
}

model::Tensor TensorReader::tensor(const std::string& name, const std::vector<int64_t>& shape) {
  used_.insert(name);
  const WeightFiles::Located found = files_->find(name);
  if (!found.entry) {
    problem(invalid_input({"A tensor is missing", files_->path() + ": " + name, shape_text(shape),
                           "nothing",
                           "The checkpoint is incomplete, or config.json belongs to another one"}));
    return {};
  }
  const std::string where = *found.file + ": " + name;
  if (found.entry->shape != shape) {
    problem(invalid_input({"A tensor has the wrong shape", where, shape_text(shape),
                           shape_text(found.entry->shape),
                           "config.json and the weights belong to different models"}));
    return {};
  }
  if (mode_ == Mode::check && is_float_type(found.entry->dtype)) return {shape, {}};
  Result<std::vector<float>> values = to_fp32(*found.entry, where);
  if (!values.ok()) {
    problem(values.status());
    return {};
  }
  return {shape, *std::move(values)};
}

model::Tensor TensorReader::bias_of(const std::string& name, int64_t size, Bias bias) {
  if (bias == Bias::stored) return tensor(name, {size});
  return {{size}, std::vector<float>(static_cast<size_t>(size))};
}

model::LinearWeights TensorReader::linear(const std::string& name, int64_t outputs, int64_t inputs,
                                          Bias bias) {
  model::LinearWeights linear;
  linear.weight = tensor(name + ".weight", {outputs, inputs});
  linear.bias = bias_of(name + ".bias", outputs, bias);
  return linear;
}

model::NormWeights TensorReader::norm(const std::string& name, int64_t size, Bias bias) {
  const bool old = has(name + ".gamma") && !has(name + ".weight");
  model::NormWeights norm;
  norm.gain = tensor(name + (old ? ".gamma" : ".weight"), {size});
  norm.bias = bias_of(name + (old ? ".beta" : ".bias"), size, bias);
  return norm;
}

std::vector<std::string> TensorReader::unused() const {
  std::vector<std::string> names = files_->names();
  std::erase_if(names, [&](const std::string& name) { return used_.contains(name); });
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace tilewise::checkpoint
