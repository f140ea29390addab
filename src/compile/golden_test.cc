// Every tiny checkpoint, compiled in every precision, on every instruction set of this machine,
// against what PyTorch computed from it (tests/data/checkpoint/make.py).
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>
#include <unistd.h>

#include "artifact/reader.h"
#include "artifact/schema.h"
#include "base/isa.h"
#include "compile/compile.h"
#include "runtime/kernel_choice.h"
#include "runtime/replica.h"
#include "runtime/weights.h"
#include "text/input.h"
#include "text/tokenizer.h"

namespace tilewise::compile {
namespace {

namespace dom = simdjson::dom;
namespace fs = std::filesystem;

using model::Precision;

const std::string kCheckpoints = TILEWISE_SOURCE_DIR "/tests/data/checkpoint";

std::string field(dom::element object, const char* key) {
  return std::string(object[key].get_string().value());
}

template <class T>
std::vector<T> numbers(dom::element array) {
  std::vector<T> values;
  const dom::array items = array.get_array();
  for (const dom::element value : items) values.push_back(static_cast<T>(double{value}));
  return values;
}

/// The sequences of a case and their outputs in PyTorch.
struct Rows {
  std::vector<int32_t> ids;
  std::vector<int32_t> types;
  std::vector<int32_t> offsets = {0};
  std::vector<float> outputs;

  explicit Rows(dom::array rows) {
    for (const dom::element row : rows) {
      append(ids, numbers<int32_t>(row["ids"]));
      append(types, numbers<int32_t>(row["types"]));
      offsets.push_back(static_cast<int32_t>(ids.size()));
      dom::element logits;
      const bool has_logits = row["logits"].get(logits) == simdjson::SUCCESS;
      append(outputs, numbers<float>(has_logits ? logits : row["embedding"].value()));
    }
  }
  runtime::Batch batch() const { return {.ids = ids, .types = types, .offsets = offsets}; }
  size_t count() const { return offsets.size() - 1; }

 private:
  template <class T>
  static void append(std::vector<T>& to, const std::vector<T>& values) {
    to.insert(to.end(), values.begin(), values.end());
  }
};

/// The input of a row, unless it has records.
std::optional<model::Input> input_of(dom::element row) {
  std::string_view one, other;
  if (row["text"].get(one) == simdjson::SUCCESS) return model::TextInput{std::string(one)};
  if (row["left"].get(one) != simdjson::SUCCESS || row["right"].get(other) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  return model::PairInput{std::string(one), std::string(other)};
}

void normalize(std::span<float> vector) {
  double squares = 0;
  for (const float v : vector) squares += double{v} * v;
  for (float& v : vector) v = static_cast<float>(v / std::sqrt(squares));
}

/// Every choice of kernels that this machine runs.
std::vector<runtime::KernelChoice> kernels_here(Precision precision) {
  std::vector<runtime::KernelChoice> choices;
  for (const Isa isa : supported_isas(cpu_features())) {
    const auto choice = runtime::choose_kernels(cpu_features(), precision, isa);
    if (!choice.ok()) continue;
    const bool is_known = std::ranges::any_of(choices, [&](const runtime::KernelChoice& known) {
      return known.backbone == choice->backbone && known.int8 == choice->int8;
    });
    if (!is_known) choices.push_back(*choice);
  }
  return choices;
}

/// Of the largest output: fp32 2^-24 of each of some dozen
/// sums of at most 88 products; bf16 2^-9 of each of 12 roundings a layer and 2 more; int8 besides
/// half of 1/127 in each of its 4 linear layers, which add as squares.
double tolerance_of(Precision precision, int32_t layers) {
  const double bf16 = (12 * layers + 2) * 0x1p-9;
  if (precision == Precision::fp32) return 2e-5;
  return precision == Precision::bf16 ? bf16 : bf16 + std::sqrt(4 * layers) * 3 * 0x1p-8;
}

class GoldenTest : public testing::Test {
 protected:
  /// Texts become the tokens that Hugging Face's tokenizer makes of them.
  void expect_tokens(const artifact::Artifact& artifact, const std::string& task, dom::array rows) {
    const artifact::TensorView* tables = artifact.find(artifact::kTokenizerTensor);
    ASSERT_NE(tables, nullptr);
    auto tokenizer = text::Tokenizer::open(tables->data);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    text::InputEncoder encoder(*std::move(tokenizer));
    const auto entry = std::ranges::find(artifact.metadata().tasks, task,
                                         [](const auto& e) { return e.task.name; });
    for (const dom::element row : rows) {
      const auto input = input_of(row["input"]);
      if (!input) continue;
      text::PackedTokens packed;
      const Status status = encoder.append(entry->task, *input, packed);
      ASSERT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(packed.ids, numbers<int32_t>(row["ids"])) << simdjson::minify(row["input"].value());
      if (artifact.metadata().spec.token_types > 0) {
        EXPECT_EQ(packed.types, numbers<int32_t>(row["types"]));
      }
    }
  }

  void expect_outputs(const artifact::Artifact& artifact, const std::string& task,
                      const Rows& rows) {
    const auto weights = runtime::bind(artifact);
    ASSERT_TRUE(weights.ok()) << weights.status().message();
    const artifact::Metadata& metadata = artifact.metadata();
    std::vector<model::Pooling> poolings;
    int32_t index = -1;
    for (size_t i = 0; i < metadata.tasks.size(); ++i) {
      poolings.push_back(metadata.tasks[i].task.pooling);
      if (metadata.tasks[i].task.name == task) index = static_cast<int32_t>(i);
    }
    ASSERT_GE(index, 0);
    double largest = metadata.tasks[static_cast<size_t>(index)].task.outputs() > 0 ? 1 : 0;
    for (const float value : rows.outputs) largest = std::max(largest, std::abs(double{value}));
    const double tolerance = largest * tolerance_of(metadata.precision, metadata.spec.layers);

    for (const runtime::KernelChoice& kernels : kernels_here(metadata.precision)) {
      SCOPED_TRACE(kernels.isa());
      auto replica = runtime::Replica::create(*weights, kernels, poolings);
      ASSERT_TRUE(replica.ok()) << replica.status().message();
      std::vector<float> outputs(rows.outputs.size());
      const runtime::TaskOutput output{.task = index, .values = outputs};
      replica->run(rows.batch(), std::span(&output, 1), {.full_depth = true});
      if (metadata.tasks[static_cast<size_t>(index)].task.normalize) {
        const size_t width = outputs.size() / rows.count();
        for (size_t s = 0; s < rows.count(); ++s) {
          normalize(std::span(outputs).subspan(s * width, width));
        }
      }
      for (size_t i = 0; i < outputs.size(); ++i) {
        ASSERT_NEAR(outputs[i], rows.outputs[i], tolerance) << "number " << i;
      }
    }
  }
};

TEST_F(GoldenTest, EveryCheckpointComputesWhatPyTorchComputes) {
  const std::string path =
      (fs::temp_directory_path() / ("tilewise-golden-" + std::to_string(::getpid()) + ".tw"))
          .string();
  dom::parser parser;
  const dom::element golden = parser.load(kCheckpoints + "/golden.json").value();
  const dom::array cases = golden["cases"];
  for (const dom::element item : cases) {
    const std::string backbone = field(item, "backbone");
    const checkpoint::Source source{kCheckpoints + "/" + field(item, "folder"),
                                    backbone.empty() ? "" : kCheckpoints + "/" + backbone};
    SCOPED_TRACE(field(item, "folder") + " " + field(item, "task"));
    const auto model = load_model(source);
    ASSERT_TRUE(model.ok()) << model.status().message();
    for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::int8}) {
      SCOPED_TRACE(name_of(precision));
      const auto report = compile(*model, {.precision = precision}, path);
      ASSERT_TRUE(report.ok()) << report.status().message();
      const auto artifact = artifact::Artifact::open(path);
      ASSERT_TRUE(artifact.ok()) << artifact.status().message();
      if (precision == Precision::fp32) {
        expect_tokens(**artifact, field(item, "task"), item["rows"]);
      }
      expect_outputs(**artifact, field(item, "task"), Rows(item["rows"]));
    }
  }
  fs::remove(path);
}

}  // namespace
}  // namespace tilewise::compile
