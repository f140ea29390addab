// Takes weights out of a checkpoint's files: each by name, with the shape that the model needs, as
// fp32.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/report.h"
#include "checkpoint/weight_files.h"
#include "model/model.h"

namespace tilewise::checkpoint {

/// load converts the values; check looks at names, types and shapes only and returns tensors
/// without values.
enum class Mode { load, check };

/// Whether a layer's bias is a tensor of the checkpoint, or zeros that it leaves out.
enum class Bias { stored, none };

/// What is missing or does not fit goes to the report, which names the tensor; an empty tensor is
/// returned then. Not thread-safe; `files` and `report` must outlive it.
class TensorReader {
 public:
  TensorReader(const WeightFiles& files, Mode mode, Report& report, std::string subject)
      : files_(&files), mode_(mode), report_(&report), subject_(std::move(subject)) {}
  /// Reports how many problems were left out of the report for brevity.
  ~TensorReader();
  TensorReader(const TensorReader&) = delete;
  TensorReader& operator=(const TensorReader&) = delete;

  bool has(const std::string& name) const { return files_->find(name).entry != nullptr; }
  /// The shape in the file; empty where there is no such tensor.
  std::vector<int64_t> shape(const std::string& name) const;

  model::Tensor tensor(const std::string& name, const std::vector<int64_t>& shape);
  /// NAME.weight [outputs, inputs] and NAME.bias [outputs].
  model::LinearWeights linear(const std::string& name, int64_t outputs, int64_t inputs,
                              Bias bias = Bias::stored);
  /// NAME.weight and NAME.bias [size]; or gamma and beta, as checkpoints converted from TensorFlow
  /// spell them.
  model::NormWeights norm(const std::string& name, int64_t size, Bias bias = Bias::stored);

  /// Tensors that no call has asked for, in ascending order.
  std::vector<std::string> unused() const;
  const WeightFiles& files() const { return *files_; }
  void problem(Status status);

 private:
  model::Tensor bias_of(const std::string& name, int64_t size, Bias bias);

  const WeightFiles* files_;
  Mode mode_;
  Report* report_;
  std::string subject_;
  std::set<std::string> used_;
  int problems_ = 0;
};

}  // namespace tilewise::checkpoint
