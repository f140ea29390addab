// Every kernel set of kernels.inc that this CPU runs, on the shapes of MiniLM-L6-H384 and
// BERT-base.
//
//   kernel_bench [--benchmark_filter=REGEX] [other flags of Google Benchmark]
//
// Names are operation/precision_isa/shape, for example
// linear/bf16_avx512_bf16/384x1536/rows:192/gelu. Before anything is timed its result is compared
// with a plain fp64 loop. `share` is the part of the set's own peak (kernel_set.h, measure_peak)
// that was reached; the peak is measured just before and just after each run, and the larger of the
// two counts.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <time.h>

#include "base/isa.h"
#include "kernels/kernel_reference.h"
#include "kernels/kernel_set.h"
#include "kernels/pack.h"

namespace tilewise::kernels {
namespace {

using model::Precision;

/// What one thing to measure needs: its work, the FLOPs of it, and a check that returns the largest
/// error over its bound.
struct Case {
  std::string name;
  const KernelSet* set;
  double flops = 0;
  std::function<void()> work;
  std::function<double()> error_over_bound;
};

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void measure(benchmark::State& state, const Case& measured) {
  const KernelSet& set = *measured.set;
  set.begin_pass();
  measured.work();
  const double error = measured.error_over_bound();
  set.end_pass();
  if (!(error <= 1)) {
    const std::string message = "wrong result: error / bound = " + std::to_string(error);
    state.SkipWithError(message.c_str());
    return;
  }
  const double peak_before = measure_peak(set, 0.01);
  set.begin_pass();
  const double start = thread_seconds();
  for (auto _ : state) measured.work();
  const double seconds = thread_seconds() - start;
  set.end_pass();
  const double peak = std::max(peak_before, measure_peak(set, 0.01));
  if (measured.flops > 0) {
    const double rate = measured.flops * static_cast<double>(state.iterations()) / seconds;
    state.counters["GFLOP/s"] = rate / 1e9;
    state.counters["peak"] = peak / 1e9;
    state.counters["share_%"] = 100 * rate / peak;
  }
}

/// Enough for every operation: some roundings of the element type, some thousand of fp32.
double bound_of(const KernelSet& set, double magnitude) {
  return 4000 * 0x1p-24 * magnitude +
         (set.precision == Precision::bf16 ? 0x1p-7 * magnitude + 1e-4 : 1e-6);
}

/// Buffers of a linear layer of one shape.
struct LinearCase {
  LinearLayer layer;
  Matrix input, output;
  LinearArgs args;

  LinearCase(const KernelSet& set, int32_t rows, int32_t k, int32_t n, Fused fused,
             std::mt19937& random)
      : layer(k, n, set.precision, random),
        input(rows, k, set.precision),
        output(rows, layer.padded_n(), set.precision),
        args(layer.args()) {
    input.fill(random);
    args.input = input.data();
    args.input_stride = input.stride();
    args.output = output.data();
    args.output_stride = output.stride();
    args.rows = rows;
    args.fused = fused;
  }

  double error_over_bound(const KernelSet& set) const {
    double worst = 0;
    for (const int32_t i : {0, input.rows() / 2, input.rows() - 1}) {
      for (int32_t j = 0; j < layer.n(); j += 7) {
        const Reference reference = linear_reference(layer, input, i, j);
        const double expected =
            args.fused == Fused::gelu_erf ? gelu_reference(reference.value) : reference.value;
        const double error =
            std::abs(output.at(i, j) - expected) /
            bound_of(set, std::max(std::abs(expected), 1e-3 * reference.magnitude));
        worst = std::isnan(error) ? INFINITY : std::max(worst, error);
      }
    }
    return worst;
  }
};

Case linear_case(const KernelSet& set, const std::string& set_name, int32_t rows, int32_t k,
                 int32_t n, Fused fused) {
  // Built on first use: all of them together would take gigabytes.
  auto made = std::make_shared<std::unique_ptr<LinearCase>>();
  const auto get = [=, &set]() -> LinearCase& {
    if (!*made) {
      std::mt19937 random(1);
      *made = std::make_unique<LinearCase>(set, rows, k, n, fused, random);
    }
    return **made;
  };
  return {"linear/" + set_name + "/" + std::to_string(k) + "x" + std::to_string(n) +
              "/rows:" + std::to_string(rows) + (fused == Fused::gelu_erf ? "/gelu" : ""),
          &set, 2.0 * rows * k * n, [=, &set] { set.linear(get().args); },
          [=, &set] { return get().error_over_bound(set); }};
}

struct AttentionCase {
  std::vector<int32_t> offsets;
  Matrix qkv, context;
  AlignedBuffer scratch;
  AttentionArgs args;

  AttentionCase(const KernelSet& set, int32_t sequences, int32_t tokens, int32_t heads,
                int32_t head_dim)
      : qkv(sequences * tokens, 3 * heads * head_dim, set.precision),
        context(sequences * tokens, heads * head_dim, set.precision),
        scratch(AlignedBuffer::allocate(set.attention_scratch(tokens, head_dim)).value()) {
    std::mt19937 random(1);
    qkv.fill(random);
    for (int32_t s = 0; s <= sequences; ++s) offsets.push_back(s * tokens);
    args = {.qkv = qkv.data(),
            .qkv_stride = qkv.stride(),
            .section = heads * head_dim,
            .context = context.data(),
            .context_stride = context.stride(),
            .offsets = offsets.data(),
            .sequences = sequences,
            .heads = heads,
            .head_dim = head_dim,
            .scratch = scratch.data()};
  }

  double error_over_bound(const KernelSet& set) const {
    double worst = 0;
    for (const int32_t token : {0, offsets[1] - 1}) {
      const int32_t sequence = args.sequences - 1, head = args.heads - 1;
      const auto expected = attention_reference(args, set.precision, sequence, token, head);
      for (int32_t i = 0; i < args.head_dim; ++i) {
        const double error =
            std::abs(context.at(offsets[sequence] + token, head * args.head_dim + i) -
                     expected[i].value) /
            (2 * bound_of(set, expected[i].magnitude));
        worst = std::isnan(error) ? INFINITY : std::max(worst, error);
      }
    }
    return worst;
  }
};

Case attention_case(const KernelSet& set, const std::string& set_name, int32_t sequences,
                    int32_t tokens, int32_t heads, int32_t head_dim) {
  auto made = std::make_shared<std::unique_ptr<AttentionCase>>();
  const auto get = [=, &set]() -> AttentionCase& {
    if (!*made) *made = std::make_unique<AttentionCase>(set, sequences, tokens, heads, head_dim);
    return **made;
  };
  return {
      "attention/" + set_name + "/heads:" + std::to_string(heads) + "x" + std::to_string(head_dim) +
          "/" + std::to_string(sequences) + "x" + std::to_string(tokens),
      &set, 4.0 * sequences * tokens * tokens * heads * head_dim,
      [=, &set] { set.attention(get().args); }, [=, &set] { return get().error_over_bound(set); }};
}

/// The layers of an encoder with random weights, run as the runtime runs them.
class Encoder {
 public:
  Encoder(const KernelSet& set, int32_t hidden, int32_t heads, int32_t intermediate, int32_t layers,
          int32_t sequences, int32_t tokens)
      : set_(set),
        rows_(sequences * tokens),
        hidden_(rows_, hidden, set.precision),
        branch_(rows_, hidden, set.precision),
        projected_(rows_, hidden, set.precision),
        wide_(rows_, std::max(3 * hidden, intermediate), set.precision),
        gain_(hidden),
        zeros_(hidden),
        scratch_(AlignedBuffer::allocate(set.attention_scratch(tokens, hidden / heads)).value()) {
    std::mt19937 random(1);
    for (int32_t i = 0; i < layers; ++i) {
      layers_.push_back({LinearLayer(hidden, 3 * hidden, set.precision, random),
                         LinearLayer(hidden, hidden, set.precision, random),
                         LinearLayer(hidden, intermediate, set.precision, random),
                         LinearLayer(intermediate, hidden, set.precision, random)});
    }
    for (int32_t i = 0; i < hidden; ++i) gain_[i] = 1;
    for (int32_t s = 0; s <= sequences; ++s) offsets_.push_back(s * tokens);
    input_ = std::make_unique<Matrix>(rows_, hidden, set.precision);
    input_->fill(random);
    attention_ = {.qkv = wide_.data(),
                  .qkv_stride = wide_.stride(),
                  .section = hidden,
                  .context = branch_.data(),
                  .context_stride = branch_.stride(),
                  .offsets = offsets_.data(),
                  .sequences = sequences,
                  .heads = heads,
                  .head_dim = hidden / heads,
                  .scratch = scratch_.data()};
  }

  double flops() const {
    double sum = 0;
    for (const Layer& layer : layers_) {
      for (const LinearLayer* linear : {&layer.qkv, &layer.output, &layer.up, &layer.down}) {
        sum += 2.0 * rows_ * linear->k() * linear->n();
      }
      sum += 4.0 * rows_ * (offsets_[1] - offsets_[0]) * attention_.heads * attention_.head_dim;
    }
    return sum;
  }

  void run() {
    // The same input each time: what the layers make of it must not drift into denormal or infinite
    // numbers.
    __builtin_memcpy(hidden_.data(), input_->data(), static_cast<size_t>(rows_ * hidden_.stride()));
    for (size_t i = 0; i < layers_.size(); ++i) {
      const Layer& layer = layers_[i];
      const Layer& next = layers_[(i + 1) % layers_.size()];
      linear(layer.qkv, hidden_, wide_, layer.output);
      set_.attention(attention_);
      linear(layer.output, branch_, projected_, layer.up);
      add_norm(projected_);
      linear(layer.up, hidden_, wide_, layer.down, Fused::gelu_erf);
      linear(layer.down, wide_, branch_, next.qkv);
      add_norm(branch_);
    }
  }

  /// The kernels have been checked one by one; here the result must be a layer norm's: mean 0,
  /// variance 1.
  double error_over_bound() const {
    double worst = 0;
    for (int32_t i = 0; i < rows_; ++i) {
      double mean = 0, square = 0;
      for (int32_t j = 0; j < hidden_.columns(); ++j) {
        mean += hidden_.at(i, j) / hidden_.columns();
        square += hidden_.at(i, j) * hidden_.at(i, j) / hidden_.columns();
      }
      const double error = std::max(std::abs(mean), std::abs(square - 1)) / 0.02;
      worst = std::isnan(error) ? INFINITY : std::max(worst, error);
    }
    return worst;
  }

 private:
  struct Layer {
    LinearLayer qkv, output, up, down;
  };

  void linear(const LinearLayer& layer, Matrix& input, Matrix& output, const LinearLayer& next,
              Fused fused = Fused::none) const {
    LinearArgs args = layer.args();
    args.input = input.data();
    args.input_stride = input.stride();
    args.output = output.data();
    args.output_stride = output.stride();
    args.rows = rows_;
    args.fused = fused;
    args.next_weights = next.args().weights;
    set_.linear(args);
  }

  void add_norm(Matrix& branch) {
    set_.add_norm({.input = branch.data(),
                   .input_stride = branch.stride(),
                   .residual = hidden_.data(),
                   .residual_stride = hidden_.stride(),
                   .gain = gain_.data(),
                   .bias = zeros_.data(),
                   .epsilon = 1e-12f,
                   .output = hidden_.data(),
                   .output_stride = hidden_.stride(),
                   .rows = rows_,
                   .columns = hidden_.columns()});
  }

  const KernelSet& set_;
  int32_t rows_;
  Matrix hidden_, branch_, projected_, wide_;
  FloatArray gain_, zeros_;
  AlignedBuffer scratch_;
  std::vector<int32_t> offsets_;
  std::unique_ptr<Matrix> input_;
  AttentionArgs attention_;
  std::vector<Layer> layers_;
};

Case encoder_case(const KernelSet& set, const std::string& set_name, bool base, int32_t sequences,
                  int32_t tokens) {
  auto made = std::make_shared<std::unique_ptr<Encoder>>();
  const auto get = [=, &set]() -> Encoder& {
    if (!*made) {
      *made = base ? std::make_unique<Encoder>(set, 768, 12, 3072, 12, sequences, tokens)
                   : std::make_unique<Encoder>(set, 384, 12, 1536, 6, sequences, tokens);
    }
    return **made;
  };
  const double hidden = base ? 768 : 384, layers = base ? 12 : 6, rows = sequences * tokens;
  return {std::string("encoder/") + set_name + "/" + (base ? "bert-base" : "minilm") + "/" +
              std::to_string(sequences) + "x" + std::to_string(tokens),
          &set, layers * rows * (24 * hidden * hidden + 4 * tokens * hidden), [=] { get().run(); },
          [=] { return get().error_over_bound(); }};
}

Case add_norm_case(const KernelSet& set, const std::string& set_name, int32_t rows,
                   int32_t columns) {
  struct Buffers {
    Matrix input, residual, output;
    FloatArray gain, bias;
  };
  auto made = std::make_shared<std::unique_ptr<Buffers>>();
  const auto get = [=, &set]() -> Buffers& {
    if (!*made) {
      *made = std::make_unique<Buffers>(
          Buffers{Matrix(rows, columns, set.precision), Matrix(rows, columns, set.precision),
                  Matrix(rows, columns, set.precision), FloatArray(columns), FloatArray(columns)});
      std::mt19937 random(1);
      (*made)->input.fill(random);
      (*made)->residual.fill(random);
      (*made)->gain.fill(random, 1, 0.3, columns);
      (*made)->bias.fill(random, 0, 1, columns);
    }
    return **made;
  };
  return {"add_norm/" + set_name + "/" + std::to_string(rows) + "x" + std::to_string(columns), &set,
          0,
          [=, &set] {
            Buffers& b = get();
            set.add_norm({.input = b.input.data(),
                          .input_stride = b.input.stride(),
                          .residual = b.residual.data(),
                          .residual_stride = b.residual.stride(),
                          .gain = b.gain.data(),
                          .bias = b.bias.data(),
                          .epsilon = 1e-12f,
                          .output = b.output.data(),
                          .output_stride = b.output.stride(),
                          .rows = rows,
                          .columns = columns});
          },
          [=, &set] {
            Buffers& b = get();
            double worst = 0;
            std::vector<double> sums(static_cast<size_t>(columns));
            for (int32_t j = 0; j < columns; ++j) sums[j] = b.input.at(0, j) + b.residual.at(0, j);
            const auto expected = norm_reference(sums, b.gain.data(), b.bias.data(), 1e-12);
            for (int32_t j = 0; j < columns; ++j) {
              worst = std::max(worst, std::abs(b.output.at(0, j) - expected[j]) /
                                          bound_of(set, 4 + std::abs(expected[j])));
            }
            return worst;
          }};
}

std::vector<Case> all_cases(const KernelSet& set) {
  const std::string name = std::string(name_of(set.precision)) + "_" + name_of(set.isa);
  std::vector<Case> cases;
  const int32_t shapes[][2] = {{384, 1152}, {384, 384}, {384, 1536}, {1536, 384},
                               {768, 2304}, {768, 768}, {768, 3072}, {3072, 768}};
  for (const auto& [k, n] : shapes) {
    for (const int32_t rows : {1, 8, 12, 16, 64, 192, 256}) {
      cases.push_back(linear_case(set, name, rows, k, n, Fused::none));
      cases.push_back(linear_case(set, name, rows, k, n, Fused::gelu_erf));
    }
  }
  const int32_t sequences[][2] = {{1, 8}, {16, 12}, {16, 60}, {4, 128}, {1, 512}};
  for (const auto& [count, tokens] : sequences) {
    cases.push_back(attention_case(set, name, count, tokens, 12, 32));
    cases.push_back(attention_case(set, name, count, tokens, 12, 64));
  }
  for (const int32_t columns : {384, 768}) cases.push_back(add_norm_case(set, name, 192, columns));
  const int32_t batches[][2] = {{1, 8},  {1, 12},  {16, 12}, {64, 12},
                                {1, 60}, {16, 60}, {1, 128}, {16, 128}};
  for (const bool base : {false, true}) {
    for (const auto& [count, tokens] : batches)
      cases.push_back(encoder_case(set, name, base, count, tokens));
  }
  return cases;
}

void register_all() {
  for (const KernelSet& set : all_kernel_sets()) {
    if (!supports(cpu_features(), set.isa)) {
      std::fprintf(stderr, "this CPU does not run %s %s: skipped\n", name_of(set.precision),
                   name_of(set.isa));
      continue;
    }
    for (Case& made : all_cases(set)) {
      const std::string name = made.name;
      benchmark::RegisterBenchmark(name.c_str(), [made = std::move(made)](benchmark::State& state) {
        measure(state, made);
      })->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace
}  // namespace tilewise::kernels

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("cpu", tilewise::cpu_features().name);
  tilewise::kernels::register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
