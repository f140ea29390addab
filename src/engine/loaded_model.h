// An artifact that is open and bound to the kernels of this machine: what replicas are made from.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "artifact/reader.h"
#include "base/isa.h"
#include "base/status.h"
#include "runtime/kernel_choice.h"
#include "runtime/team.h"
#include "runtime/weights.h"
#include "text/tokenizer.h"

namespace tilewise::engine {

class Worker;

/// Indices into Metadata::tasks: the heads of one pass. All tasks of a set read their input alike.
using TaskSet = std::vector<int32_t>;

/// Whether one token sequence serves all of the tasks. Errors: invalid_argument where their kind of
/// input, template, max_tokens or truncation differ.
Status check_alike(const artifact::Metadata& metadata, const TaskSet& tasks);

/// "a,b": the inverse of LoadedModel::find_tasks. Overwrites `names`, whose memory is reused.
void join_names(const artifact::Metadata& metadata, const TaskSet& tasks, std::string& names);

/// The floats of one sequence's answer: the head's outputs, or hidden for an embedding. A task with
/// exits has one more, the layers that the answer took.
int32_t raw_width(const artifact::Metadata& metadata, int32_t task);

/// Immutable and thread-safe.
class LoadedModel {
 public:
  /// `relatives`: models that are open already; a tensor that one of them has byte for byte is
  /// taken from there, so that models of one backbone have its weights once in memory. `verify`:
  /// read all of it and compare the checksums first. Errors: those of Artifact::open, runtime::bind
  /// and runtime::choose_kernels; invalid_input where there is no tokenizer that fits.
  static Result<std::shared_ptr<const LoadedModel>> open(
      const std::string& path, const std::optional<Isa>& isa,
      std::span<const std::shared_ptr<const LoadedModel>> relatives = {}, bool verify = false);

  const artifact::Artifact& artifact() const { return *artifact_; }
  const artifact::Metadata& metadata() const { return artifact_->metadata(); }
  const runtime::KernelChoice& kernels() const { return kernels_; }
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }

  /// "a,b" -> a set. Errors: not_found naming the tasks that there are; invalid_argument when their
  /// inputs differ in kind or in how they are encoded (template, max_tokens, truncation), since one
  /// pass has one input.
  Result<TaskSet> find_tasks(const std::string& names) const;

  int32_t output_width(int32_t task) const { return raw_width(metadata(), task); }

  /// A replica of this model, which must outlive it. `team`: who shares a pass; null: the calling
  /// thread alone. Errors: unavailable_machine when there is no memory.
  Result<Worker> create_worker(std::shared_ptr<runtime::Team> team = nullptr) const;

  /// Bytes of tensors that were taken from relatives.
  int64_t shared_bytes() const { return shared_bytes_; }

 private:
  LoadedModel() = default;
  Status open_tokenizer(const std::string& path, runtime::TensorSource& source);

  std::shared_ptr<const artifact::Artifact> artifact_;
  std::vector<std::shared_ptr<const artifact::Artifact>> lenders_;  // whose tensors this one uses
  runtime::Weights weights_;
  runtime::KernelChoice kernels_;
  std::optional<text::Tokenizer> tokenizer_;
  int64_t shared_bytes_ = 0;
};

}  // namespace tilewise::engine
