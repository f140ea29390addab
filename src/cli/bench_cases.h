// The kernels of a model on the shapes that it has: operands, what a result should be, and how much
// arithmetic or memory it takes. Only built where something is measured: operands are random.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "artifact/metadata.h"
#include "base/status.h"
#include "kernels/int8_kernel_set.h"
#include "kernels/kernel_set.h"

namespace tilewise::cli {

/// A number of a shape: {"rows", 16}.
struct Size {
  const char* name;
  int64_t value;
};

/// What a case is and costs.
struct CaseInfo {
  std::string kernel = {};  ///< "linear", "attention", "add_norm", "embed", "pool", "quantize"
  std::string layer = {};   ///< which of the encoder's: "qkv", "ffn_up"...; else empty
  model::Precision precision = model::Precision::fp32;
  Isa isa = Isa::portable;
  std::vector<Size> sizes = {};
  double flops = 0;        ///< 2 a multiply-add; 0 for operations on rows, which memory bounds
  double bytes = 0;        ///< of those: read and written
  int64_t rows = 0;        ///< tokens or sequences that one call serves
  std::string check = {};  ///< what is compared before it is timed: "rows 0, 8 and 15"

  /// "linear ffn_up bf16 on amx, rows 16, k 384, n 1536"
  std::string name() const;
};

/// A result that a kernel should not have given.
struct WrongValue {
  std::string where = {};  ///< "row 3, column 17"
  double expected;
  double found;
  double allowed;  ///< the most by which they may differ
};

/// One kernel on one shape. `run` and `compare` share their operands with the other cases of a
/// group, so cases run one after the other.
struct KernelCase {
  CaseInfo info = {};
  void (*begin_pass)() = nullptr;
  void (*end_pass)() = nullptr;
  std::function<void()> run = {};  ///< within a pass
  /// The first wrong value of the last run, against plain loops in fp64.
  std::function<std::optional<WrongValue>()> compare = {};
};

/// Runs the case once and compares. Errors: internal, naming kernel, shape, expected and found.
Status check(const KernelCase& one);

/// Cases that share large operands, built when their turn comes: all together would take gigabytes.
struct CaseGroup {
  std::vector<CaseInfo> infos = {};                    ///< of the cases, in order
  std::function<std::vector<KernelCase>()> make = {};  ///< throws std::bad_alloc
};

/// The shapes of an encoder, and which of its linear layers are int8.
struct EncoderShape {
  std::string name = {};  ///< "MiniLM-L6-H384"
  model::EncoderSpec spec;
  /// The parts of a layer ("qkv", "attention_output", "ffn_up", "ffn_down") that some layer keeps
  /// in the precision of the activations, and those that some layer has in int8.
  std::vector<std::string> plain_parts = {}, int8_parts = {};
};

EncoderShape shape_of(const artifact::Metadata& metadata, std::string name);
/// MiniLM-L6-H384 and BERT-base, where no model is given: all layers both plain and in int8.
std::vector<EncoderShape> well_known_shapes();

/// All that the encoder runs on `set` and, where it has int8 layers, on `int8_set` (may be null
/// where it has none). The sets must outlive the cases.
std::vector<CaseGroup> kernel_cases(const EncoderShape& shape, const kernels::KernelSet& set,
                                    const kernels::Int8KernelSet* int8_set);

// The parts of kernel_cases().
CaseGroup linear_cases(const std::string& part, const model::EncoderSpec& spec,
                       const kernels::KernelSet& set);
CaseGroup int8_linear_cases(const std::string& part, const model::EncoderSpec& spec,
                            const kernels::Int8KernelSet& set);
CaseGroup quantize_cases(const model::EncoderSpec& spec, const kernels::Int8KernelSet& set);
CaseGroup attention_cases(const model::EncoderSpec& spec, const kernels::KernelSet& set);
CaseGroup row_cases(const model::EncoderSpec& spec, const kernels::KernelSet& set);

}  // namespace tilewise::cli
