// Attention over equal sequences.
#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "cli/bench_cases.h"
#include "kernels/kernel_reference.h"
#include "kernels/pack.h"

namespace tilewise::cli {
namespace {

using kernels::Matrix;
using model::Precision;

constexpr int32_t kSequenceTokens[] = {12, 60, 128, 512};
constexpr int32_t kTokens = 192;  // of a case, or one sequence where that is longer

constexpr double kFp32Rounding = 0x1p-24, kBf16Rounding = 0x1p-8;  // half a unit in the last place

std::vector<int32_t> equal_sequences(int32_t count, int32_t tokens) {
  std::vector<int32_t> offsets;
  for (int32_t s = 0; s <= count; ++s) offsets.push_back(s * tokens);
  return offsets;
}

struct AttentionOperands {
  std::vector<int32_t> offsets;
  Matrix qkv, context;
  AlignedBuffer scratch;
  kernels::AttentionArgs args;

  AttentionOperands(const model::EncoderSpec& spec, const kernels::KernelSet& set, int32_t count,
                    int32_t tokens, AlignedBuffer memory)
      : offsets(equal_sequences(count, tokens)),
        qkv(count * tokens, static_cast<int32_t>(3 * kernels::padded_n(spec.hidden)),
            set.precision),
        context(count * tokens, static_cast<int32_t>(kernels::padded_n(spec.hidden)),
                set.precision),
        scratch(std::move(memory)) {
    std::mt19937 random(1);
    qkv.fill(random);
    const auto section = static_cast<int32_t>(kernels::padded_n(spec.hidden));
    args = {.qkv = qkv.data(),
            .qkv_stride = qkv.stride(),
            .section = section,
            .context = context.data(),
            .context_stride = context.stride(),
            .offsets = offsets.data(),
            .sequences = count,
            .heads = spec.heads,
            .head_dim = spec.head_dim(),
            .scratch = scratch.data()};
  }

  /// A score errs by head_dim roundings of its products' sizes, a weight by ln 2 times that, by the
  /// error of exp2 and, in bf16, by one rounding; both the weighted sum and the sum of the weights
  /// carry it. The sums and the output round too.
  double tolerance(const kernels::Reference& reference, double score_magnitude) const {
    const bool is_bf16 = context.precision() == Precision::bf16;
    const double score = 2 * (args.head_dim + 1) * kFp32Rounding * score_magnitude;
    const double weight = std::expm1(score * std::log(2)) +
                          (is_bf16 ? kBf16Rounding + 3e-6 : 2e-7) +
                          (offsets[1] + 4) * kFp32Rounding;
    return 2.1 * weight * reference.magnitude +
           1.01 * (is_bf16 ? kBf16Rounding : kFp32Rounding) * std::abs(reference.value);
  }

  std::optional<WrongValue> compare() const {
    const int32_t sequence = args.sequences - 1;
    for (const int32_t token : {0, offsets[1] - 1}) {
      for (const int32_t head : {0, args.heads - 1}) {
        double score_magnitude = 0;
        const auto expected = kernels::attention_reference(args, context.precision(), sequence,
                                                           token, head, &score_magnitude);
        for (int32_t i = 0; i < args.head_dim; ++i) {
          const double found = context.at(offsets[sequence] + token, head * args.head_dim + i);
          const double allowed = tolerance(expected[i], score_magnitude);
          if (std::abs(found - expected[i].value) <= allowed) continue;
          return WrongValue{
              fmt::format("sequence {}, token {}, head {}, value {}", sequence, token, head, i),
              expected[i].value, found, allowed};
        }
      }
    }
    return std::nullopt;
  }
};

CaseInfo attention_info(const model::EncoderSpec& spec, const kernels::KernelSet& set,
                        int32_t tokens) {
  const int32_t count = std::max(1, kTokens / tokens);
  return {.kernel = "attention",
          .precision = set.precision,
          .isa = kernels::attention_isa(set, spec.head_dim()),
          .sizes = {{"sequences", count},
                    {"tokens", tokens},
                    {"heads", spec.heads},
                    {"head_dim", spec.head_dim()}},
          .flops = 4.0 * count * tokens * tokens * spec.hidden,
          .rows = int64_t{count} * tokens,
          .check = "first and last token of the last sequence, first and last head"};
}

KernelCase attention_case(const CaseInfo& info, const model::EncoderSpec& spec,
                          const kernels::KernelSet& set) {
  const auto count = static_cast<int32_t>(info.sizes[0].value);
  const auto tokens = static_cast<int32_t>(info.sizes[1].value);
  auto scratch = AlignedBuffer::allocate(set.attention_scratch(tokens, spec.head_dim()));
  if (!scratch.ok()) throw std::bad_alloc();
  const auto operands =
      std::make_shared<AttentionOperands>(spec, set, count, tokens, std::move(*scratch));
  return {.info = info,
          .begin_pass = set.begin_pass,
          .end_pass = set.end_pass,
          .run = [&set, operands] { set.attention(operands->args); },
          .compare = [operands] { return operands->compare(); }};
}

}  // namespace

CaseGroup attention_cases(const model::EncoderSpec& spec, const kernels::KernelSet& set) {
  CaseGroup group;
  for (const int32_t tokens : kSequenceTokens) {
    if (tokens <= spec.max_positions) group.infos.push_back(attention_info(spec, set, tokens));
  }
  if (group.infos.empty()) group.infos.push_back(attention_info(spec, set, spec.max_positions));
  group.make = [&set, spec, infos = group.infos] {
    std::vector<KernelCase> cases;
    for (const CaseInfo& info : infos) cases.push_back(attention_case(info, spec, set));
    return cases;
  };
  return group;
}

}  // namespace tilewise::cli
