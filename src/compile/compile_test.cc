#include "compile/compile.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <numbers>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "artifact/reader.h"
#include "base/mapped_file.h"
#include "compile/synthetic_model.h"
#include "text/tokenizer.h"

namespace tilewise::compile {
namespace {

namespace fs = std::filesystem;
using artifact::Artifact;
using artifact::DataType;
using artifact::Layout;
using artifact::TensorView;
using model::Precision;
using model::Tensor;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CompileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("compile_test.") +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const char* name = "model.tw") const { return (folder_ / name).string(); }

  std::shared_ptr<const Artifact> compiled(model::Model model, const Options& options) const {
    const auto report = compile(std::move(model), options, path());
    EXPECT_TRUE(report.ok()) << report.status().message();
    auto artifact = Artifact::open(path());
    EXPECT_TRUE(artifact.ok()) << artifact.status().message();
    return artifact.ok() ? *artifact : nullptr;
  }

  /// The failure of compiling the synthetic model after a change; nothing may be left behind.
  Status failure(const std::function<void(model::Model&)>& change,
                 const Options& options = {}) const {
    model::Model model = synthetic_model();
    change(model);
    const auto report = compile(std::move(model), options, path());
    EXPECT_FALSE(report.ok());
    EXPECT_TRUE(fs::is_empty(folder_));
    return report.status();
  }

  fs::path folder_;
};

float element(const TensorView& tensor, size_t index) {
  uint32_t bits = 0;
  if (tensor.type == DataType::bf16) {
    std::memcpy(reinterpret_cast<char*>(&bits) + 2, tensor.data.data() + 2 * index, 2);
  } else {
    std::memcpy(&bits, tensor.data.data() + 4 * index, 4);
  }
  return std::bit_cast<float>(bits);
}

/// Element (column c, depth i) of panels, by the formula of FORMAT.md.
float panel_element(const TensorView& tensor, int64_t c, int64_t i) {
  const int64_t e = tensor.type == DataType::bf16 ? 2 : 4;
  const int64_t p = 4 / e;
  const int64_t padded = (tensor.shape[1] + 64 / e - 1) / (64 / e) * (64 / e);
  return element(tensor, static_cast<size_t>(((c / 32) * (padded / p) + i / p) * 32 * p +
                                             (c % 32) * p + i % p));
}

/// To nearest, ties to even, on paper: the two neighbours with 8 bits, the nearer one, else the
/// even one.
float rounded(float value, Precision precision) {
  if (precision == Precision::fp32 || value == 0) return value;
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);  // 0.5 to 1
  return static_cast<float>(std::ldexp(std::nearbyint(std::ldexp(mantissa, 8)), exponent - 8));
}

class Expect {
 public:
  Expect(const Artifact& artifact, Precision precision)
      : artifact_(artifact), precision_(precision) {}

  void rows(const std::string& name, const Tensor& tensor, Precision precision) {
    SCOPED_TRACE(name);
    const TensorView* view = take(name, tensor.shape);
    if (view == nullptr) return;
    EXPECT_EQ(view->layout, Layout::rows);
    for (size_t i = 0; i < tensor.values.size(); ++i) {
      ASSERT_EQ(element(*view, i), rounded(tensor.values[i], precision)) << i;
    }
  }

  /// `shape`: of the packed weight; what the tensor does not fill is zero.
  void panels(const std::string& name, const Tensor& tensor, std::vector<int64_t> shape,
              Precision precision) {
    SCOPED_TRACE(name);
    const TensorView* view = take(name, shape);
    if (view == nullptr) return;
    EXPECT_EQ(view->layout, Layout::panels);
    const int64_t e = precision == Precision::bf16 ? 2 : 4;
    const int64_t depth = static_cast<int64_t>(view->data.size()) / e / ((shape[0] + 31) / 32 * 32);
    for (int64_t c = 0; c < (shape[0] + 31) / 32 * 32; ++c) {
      for (int64_t i = 0; i < depth; ++i) {
        const bool is_inside = c < tensor.shape[0] && i < tensor.shape[1];
        const float value =
            is_inside ? tensor.values[static_cast<size_t>(c * tensor.shape[1] + i)] : 0;
        ASSERT_EQ(panel_element(*view, c, i), rounded(value, precision)) << c << ", " << i;
      }
    }
  }

  void bias(const std::string& name, const Tensor& tensor, int64_t padded) {
    SCOPED_TRACE(name);
    const TensorView* view = take(name, {padded});
    if (view == nullptr) return;
    for (size_t i = 0; i < static_cast<size_t>(padded); ++i) {
      ASSERT_EQ(element(*view, i), i < tensor.values.size() ? tensor.values[i] : 0) << i;
    }
  }

  void linear(const std::string& name, const model::LinearWeights& weights) {
    panels(name + ".weight", weights.weight, weights.weight.shape, precision_);
    bias(name + ".bias", weights.bias, (weights.bias.shape[0] + 31) / 32 * 32);
  }

  void head(const std::string& name, const model::LinearWeights& weights) {
    panels(name + ".weight", weights.weight, weights.weight.shape, Precision::fp32);
    bias(name + ".bias", weights.bias, (weights.bias.shape[0] + 31) / 32 * 32);
  }

  void norm(const std::string& name, const model::NormWeights& weights) {
    rows(name + ".gain", weights.gain, Precision::fp32);
    rows(name + ".bias", weights.bias, Precision::fp32);
  }

  size_t taken() const { return taken_; }

 private:
  /// The next tensor of the file: their order is checked on the way.
  const TensorView* take(const std::string& name, const std::vector<int64_t>& shape) {
    const size_t index = ++taken_;  // the tokenizer is the first
    if (index >= artifact_.tensors().size()) {
      ADD_FAILURE() << "no such tensor";
      return nullptr;
    }
    const TensorView& view = artifact_.tensors()[index];
    EXPECT_EQ(view.name, name);
    EXPECT_EQ(view.shape, shape);
    return view.name == name && view.shape == shape ? &view : nullptr;
  }

  const Artifact& artifact_;
  Precision precision_;
  size_t taken_ = 0;
};

/// Query, key and value of width 40 in sections of 64, the query scaled.
model::LinearWeights fused(const model::LayerWeights& layer) {
  model::LinearWeights result;
  result.weight = {{192, 40}, std::vector<float>(size_t{192} * 40)};
  result.bias = {{192}, std::vector<float>(192)};
  const model::LinearWeights* parts[] = {&layer.query, &layer.key, &layer.value};
  for (size_t part = 0; part < 3; ++part) {
    const double factor = part == 0 ? std::numbers::log2e / std::sqrt(8.0) : 1.0;
    for (size_t row = 0; row < 40; ++row) {
      result.bias.values[64 * part + row] =
          static_cast<float>(parts[part]->bias.values[row] * factor);
      for (size_t i = 0; i < 40; ++i) {
        result.weight.values[(64 * part + row) * 40 + i] =
            static_cast<float>(parts[part]->weight.values[row * 40 + i] * factor);
      }
    }
  }
  return result;
}

class EveryTensorTest : public CompileTest, public ::testing::WithParamInterface<Precision> {};

TEST_P(EveryTensorTest, IsWhatPlainLoopsGive) {
  const Precision precision = GetParam();
  model::Model model = synthetic_model();
  add_exits(model);
  const auto artifact = compiled(model, {.precision = precision, .disabled_passes = {}});
  ASSERT_NE(artifact, nullptr);
  EXPECT_TRUE(artifact->verify().ok());
  EXPECT_EQ(artifact->tensors()[0].name, "tokenizer");

  Expect expect(*artifact, precision);
  const auto& weights = model.weights;
  expect.rows("embeddings.word", weights.word_embeddings, precision);
  expect.rows("embeddings.position", weights.position_embeddings, Precision::fp32);
  expect.rows("embeddings.type", weights.type_embeddings, Precision::fp32);
  expect.norm("embeddings.norm", weights.embedding_norm);
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    const auto& layer = weights.layers[i];
    const std::string name = "layers." + std::to_string(i) + ".";
    expect.linear(name + "qkv", fused(layer));
    expect.panels(name + "attention_output.weight", layer.attention_output.weight, {40, 64},
                  precision);
    expect.bias(name + "attention_output.bias", layer.attention_output.bias, 64);
    expect.norm(name + "attention_norm", layer.attention_norm);
    expect.linear(name + "ffn_up", layer.ffn_up);
    expect.linear(name + "ffn_down", layer.ffn_down);
    expect.norm(name + "ffn_norm", layer.ffn_norm);
  }
  expect.head("heads.duplicate.dense", model.tasks[0].head->dense->linear);
  expect.head("heads.duplicate.output", model.tasks[0].head->output);
  expect.head("heads.duplicate.exit1", model.tasks[0].exits[0]);
  expect.head("heads.intent.output", model.tasks[1].head->output);
  expect.head("heads.intent.exit1", model.tasks[1].exits[0]);
  EXPECT_EQ(expect.taken() + 1, artifact->tensors().size());
}

TEST_P(EveryTensorTest, AnIndependentReaderAgreesWithTheFormat) {
  model::Model model = synthetic_model();
  add_exits(model);
  ASSERT_NE(compiled(model, {.precision = GetParam(), .disabled_passes = {}}), nullptr);
  const std::string command = std::string(TILEWISE_PYTHON) +
                              " " TILEWISE_SOURCE_DIR "/tools/artifact_dump.py " + path() + " > " +
                              path("dump.json");
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

const auto name_of_case = [](const auto& info) { return std::string(name_of(info.param)); };
INSTANTIATE_TEST_SUITE_P(Precision, EveryTensorTest,
                         ::testing::Values(Precision::fp32, Precision::bf16), name_of_case);

TEST_F(CompileTest, TheDescriptionIsTheModels) {
  const model::Model model = synthetic_model();
  const auto artifact = compiled(model, {});
  ASSERT_NE(artifact, nullptr);
  const artifact::Metadata& metadata = artifact->metadata();
  EXPECT_EQ(metadata.spec, model.spec);
  EXPECT_EQ(metadata.precision, Precision::bf16);
  EXPECT_EQ(metadata.provenance, model.provenance);
  EXPECT_THAT(metadata.compiler, ::testing::StartsWith("tilewise "));
  ASSERT_EQ(metadata.tasks.size(), 3U);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(metadata.tasks[i].task, model.tasks[i].task);
  EXPECT_TRUE(metadata.tasks[0].has_dense);
  EXPECT_EQ(metadata.tasks[0].dense_activation, model::Activation::relu);
  EXPECT_FALSE(metadata.tasks[1].has_dense);
  EXPECT_FALSE(metadata.tasks[2].has_dense);
}

TEST_F(CompileTest, ExitsThatDoNotFitTheirTaskAreNamed) {
  EXPECT_THAT(failure([](model::Model& model) {
                add_exits(model);
                model.tasks[1].exits.clear();
              }).message(),
              AllOf(HasSubstr("task \"intent\", exits"), HasSubstr("1 heads")));
  EXPECT_THAT(failure([](model::Model& model) {
                add_exits(model);
                model.tasks[1].exits[0].weight.shape = {2, 40};
              }).message(),
              AllOf(HasSubstr("heads.intent.exit1.weight"), HasSubstr("[3, 40]")));
  EXPECT_THAT(failure([](model::Model& model) {
                add_exits(model);
                model.tasks[1].task.exits[0].after_layer = 2;
              }).message(),
              HasSubstr("tasks[1].exits[0].after_layer"));
}

TEST_F(CompileTest, TheTokenizerRunsWhereItLies) {
  const auto artifact = compiled(synthetic_model(), {});
  ASSERT_NE(artifact, nullptr);
  const auto tokenizer = text::Tokenizer::open(artifact->tensors()[0].data);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  std::vector<int32_t> ids;
  tokenizer->encode("red teapots", ids);
  EXPECT_THAT(ids, ElementsAre(11, 7, 9, 10));  // red tea ##pot ##s
}

TEST_F(CompileTest, EqualInputGivesEqualBytes) {
  for (const char* name : {"a.tw", "b.tw"}) {
    model::Model model = synthetic_model();
    add_adapter(model);
    ASSERT_TRUE(compile(std::move(model), {}, path(name)).ok());
  }
  const auto a = read_file(path("a.tw"));
  const auto b = read_file(path("b.tw"));
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_TRUE(*a == *b);
}

/// FNV-1a over the names and checksums of some tensors.
std::string hash_of(const Artifact& artifact, const std::function<bool(std::string_view)>& wanted) {
  uint64_t hash = 0xcbf29ce484222325U;
  const auto add = [&](uint64_t byte) { hash = (hash ^ byte) * 0x100000001b3U; };
  for (const TensorView& tensor : artifact.tensors()) {
    if (!wanted(tensor.name)) continue;
    for (const char c : tensor.name) add(static_cast<unsigned char>(c));
    for (int shift = 0; shift < 64; shift += 8) add(tensor.checksum >> shift & 0xff);
  }
  return fmt::format("{:016x}", hash);
}

// These come from one machine (GCC 12, x86-64) so that any other compiler or machine that gives
// other bytes is noticed. They change with the layout of a tensor, which is a new format version,
// and with nothing else.
TEST_F(CompileTest, EveryMachineGivesTheseBytes) {
  const auto is_tokenizer = [](std::string_view name) { return name == "tokenizer"; };
  const auto is_weight = [](std::string_view name) { return name != "tokenizer"; };
  model::Model model = synthetic_model();
  add_adapter(model);
  const auto fp32 = compiled(model, {.precision = Precision::fp32, .disabled_passes = {}});
  ASSERT_NE(fp32, nullptr);
  EXPECT_EQ(hash_of(*fp32, is_weight), "dfae272788c79936");
  EXPECT_EQ(hash_of(*fp32, is_tokenizer), "31c3bf5a1a44f201");
  const auto bf16 = compiled(model, {.precision = Precision::bf16, .disabled_passes = {}});
  ASSERT_NE(bf16, nullptr);
  EXPECT_EQ(hash_of(*bf16, is_weight), "f65a12f6b561a325");
}

TEST_F(CompileTest, PassesAreReportedInOrder) {
  model::Model model = synthetic_model();
  add_adapter(model);
  const auto report = compile(std::move(model), {}, path());
  ASSERT_TRUE(report.ok());
  std::vector<std::string> names;
  for (const PassReport& pass : report->passes) {
    names.push_back(pass.name);
    EXPECT_NE(pass.detail, "") << pass.name;
    EXPECT_GE(pass.seconds, 0) << pass.name;
  }
  EXPECT_THAT(names, ElementsAre("merge_adapter", "fold_scales", "fuse_qkv", "build_tokenizer",
                                 "cast", "pack", "write"));
  EXPECT_EQ(report->artifact_bytes, fs::file_size(path()));
}

TEST_F(CompileTest, ADisabledPassIsLeftOutAndRecorded) {
  const Options options{.precision = Precision::fp32, .disabled_passes = {"merge_adapter"}};
  model::Model with_adapter = synthetic_model();
  add_adapter(with_adapter);
  const auto artifact = compiled(std::move(with_adapter), options);
  ASSERT_NE(artifact, nullptr);
  Expect expect(*artifact, Precision::fp32);
  expect.rows("embeddings.word", synthetic_model().weights.word_embeddings, Precision::fp32);
  const TensorView* up = artifact->find("layers.1.ffn_up.weight");
  ASSERT_NE(up, nullptr);
  EXPECT_EQ(panel_element(*up, 3, 5),
            synthetic_model().weights.layers[1].ffn_up.weight.values[125]);
  EXPECT_THAT(artifact->metadata().numerics,
              ::testing::Contains(artifact::OperatorPrecision{"pass merge_adapter", "disabled"}));
}

TEST_F(CompileTest, OnlyKnownOptionalPassesCanBeDisabled) {
  for (const char* name :
       {"fold_scales", "fuse_qkv", "cast", "build_tokenizer", "pack", "write", "", "merge"}) {
    const Status status =
        failure([](model::Model&) {}, {.precision = Precision::fp32, .disabled_passes = {name}});
    EXPECT_EQ(status.code(), StatusCode::invalid_argument) << name;
    EXPECT_THAT(status.message(), HasSubstr("merge_adapter")) << name;
  }
}

TEST_F(CompileTest, AWeightThatIsNotFiniteIsNamed) {
  const auto message = [&](const std::function<void(model::Model&)>& change) {
    const Status status = failure(change);
    EXPECT_EQ(status.code(), StatusCode::invalid_input);
    return status.message();
  };
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kMax = std::numeric_limits<float>::max();
  EXPECT_THAT(message([](model::Model& m) { m.weights.layers[1].key.weight.values[7] = kNan; }),
              AllOf(HasSubstr("given to the compiler"), HasSubstr("layers.1.key.weight")));
  EXPECT_THAT(message([](model::Model& m) { m.tasks[1].head->output.bias.values[0] = -kInfinity; }),
              HasSubstr("heads.intent.output.bias"));
  EXPECT_THAT(message([](model::Model& m) {
                add_adapter(m);
                m.adapter[1].a.values[0] = kNan;
              }),
              HasSubstr("adapter, update 1"));
  // Finite in the checkpoint, but not after a pass: the message says which one.
  EXPECT_THAT(message([](model::Model& m) {
                add_adapter(m);
                for (float& value : m.adapter[1].a.values) value = kMax;
                m.adapter[1].scale = kMax;
              }),
              AllOf(HasSubstr("after pass merge_adapter"), HasSubstr("layers.1.ffn_up.weight")));
  EXPECT_THAT(message([](model::Model& m) { m.weights.word_embeddings.values[3] = kMax; }),
              AllOf(HasSubstr("after pass cast"), HasSubstr("embeddings.word")));
}

TEST_F(CompileTest, AModelThatDoesNotFitTogether) {
  const auto message = [&](const std::function<void(model::Model&)>& change) {
    const Status status = failure(change);
    EXPECT_EQ(status.code(), StatusCode::invalid_input);
    return status.message();
  };
  EXPECT_THAT(
      message([](model::Model& m) { m.weights.layers[0].ffn_down.weight.shape = {72, 40}; }),
      AllOf(HasSubstr("layers.0.ffn_down.weight"), HasSubstr("[40, 72]"), HasSubstr("[72, 40]")));
  EXPECT_THAT(message([](model::Model& m) { m.weights.word_embeddings.values.pop_back(); }),
              HasSubstr("embeddings.word"));
  EXPECT_THAT(message([](model::Model& m) { m.weights.type_embeddings = {}; }),
              HasSubstr("embeddings.type"));
  EXPECT_THAT(message([](model::Model& m) { m.weights.layers.pop_back(); }), HasSubstr("layers"));
  EXPECT_THAT(message([](model::Model& m) { m.tasks[1].head.reset(); }),
              AllOf(HasSubstr("task \"intent\""), HasSubstr("a head")));
  EXPECT_THAT(message([](model::Model& m) { m.tasks[2].head = m.tasks[1].head; }),
              HasSubstr("task \"vector\""));
  EXPECT_THAT(message([](model::Model& m) { m.tasks[1].task.labels.push_back("one more"); }),
              AllOf(HasSubstr("heads.intent.output.weight"), HasSubstr("[4, 40]")));
  EXPECT_THAT(message([](model::Model& m) { m.tasks[1].task.max_tokens = 25; }),
              HasSubstr("tasks[1].max_tokens"));
  EXPECT_THAT(message([](model::Model& m) { m.tasks[1].task.name = "duplicate"; }),
              HasSubstr("tasks[1].name"));
}

TEST_F(CompileTest, AnAdapterThatDoesNotFit) {
  const auto message = [&](const std::function<void(model::LoraUpdate&)>& change) {
    const Status status = failure([&](model::Model& m) {
      add_adapter(m);
      change(m.adapter[1]);
    });
    EXPECT_EQ(status.code(), StatusCode::invalid_input);
    return status.message();
  };
  EXPECT_THAT(message([](auto& update) { update.layer = 2; }), HasSubstr("a layer of 0 to 1"));
  EXPECT_THAT(message([](auto& update) { update.layer = -1; }), HasSubstr("a layer of 0 to 1"));
  EXPECT_THAT(message([](auto& update) { update.role = model::LinearRole::ffn_down; }),
              HasSubstr("[40, rank]"));
  EXPECT_THAT(message([](auto& update) { update.a = {}; }), HasSubstr("A [rank, 40]"));
  EXPECT_THAT(message([](auto& update) {
                update.layer = 0;
                update.role = model::LinearRole::query;
                update.b = {{40, 3}, std::vector<float>(120)};
              }),
              HasSubstr("one update a linear layer"));
}

TEST_F(CompileTest, ATokenizerThatDoesNotFit) {
  const auto message = [&](const std::function<void(model::TokenizerSpec&)>& change) {
    const Status status = failure([&](model::Model& m) { change(m.tokenizer); });
    EXPECT_EQ(status.code(), StatusCode::invalid_input);
    return status.message();
  };
  EXPECT_THAT(message([](auto& t) { t.vocabulary.resize(46, "more"); }),
              AllOf(HasSubstr("largest id"), HasSubstr("45")));
  EXPECT_THAT(message([](auto& t) { t.added_tokens.push_back({.id = 45, .content = "[NEW]"}); }),
              HasSubstr("largest id"));
  EXPECT_THAT(message([](auto& t) { t.cls_id = 45; }), HasSubstr("[CLS]"));
  EXPECT_THAT(message([](auto& t) { t.sep_id = -1; }), HasSubstr("[SEP]"));
}

TEST_F(CompileTest, AnUnwritablePath) {
  const auto report = compile(synthetic_model(), {}, (folder_ / "no" / "model.tw").string());
  EXPECT_FALSE(report.ok());
  EXPECT_THAT(report.status().message(), HasSubstr("no/model.tw"));
}

}  // namespace
}  // namespace tilewise::compile
