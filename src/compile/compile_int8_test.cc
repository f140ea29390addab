// int8 artifacts: what the compiler writes, and what it decides with calibration rows.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "artifact/reader.h"
#include "artifact/schema.h"
#include "base/mapped_file.h"
#include "compile/compile.h"
#include "compile/synthetic_model.h"

namespace tilewise::compile {
namespace {

namespace fs = std::filesystem;
using artifact::Artifact;
using artifact::DataType;
using artifact::LinearPrecision;
using artifact::TensorView;
using model::Precision;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Calibration texts(int count) {
  constexpr const char* kWords[] = {"red", "blue", "teapot", "pots", "a", "title", "tea z", "q"};
  Calibration calibration{.task = "intent", .inputs = {}, .sha256 = std::string(64, 'b')};
  for (int i = 0; i < count; ++i) {
    calibration.inputs.push_back(model::TextInput{
        fmt::format("{} {} {}", kWords[i % 8], kWords[i / 8 % 8], kWords[3 * i % 7])});
  }
  return calibration;
}

Calibration pairs(int count) {
  Calibration calibration{.task = "duplicate", .inputs = {}};
  for (const model::Input& input : texts(count).inputs) {
    const auto& text = std::get<model::TextInput>(input).text;
    calibration.inputs.push_back(model::PairInput{text, "blue pot"});
  }
  return calibration;
}

class CompileInt8Test : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("compile_int8_test.") +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const char* name = "model.tw") const { return (folder_ / name).string(); }

  static Options int8(std::vector<Calibration> calibration = {}, double most_error = 0.02) {
    return {.precision = Precision::int8,
            .calibration = std::move(calibration),
            .most_error = most_error};
  }

  std::shared_ptr<const Artifact> compiled(model::Model model, const Options& options) const {
    const auto report = compile(std::move(model), options, path());
    EXPECT_TRUE(report.ok()) << report.status().message();
    auto artifact = Artifact::open(path());
    EXPECT_TRUE(artifact.ok()) << artifact.status().message();
    if (!artifact.ok() || !report.ok()) return nullptr;
    EXPECT_TRUE((*artifact)->verify().ok());
    EXPECT_EQ((*artifact)->metadata(), report->metadata);
    return *artifact;
  }

  Status failure(const Options& options) const {
    const auto report = compile(synthetic_model(), options, path());
    EXPECT_FALSE(report.ok());
    EXPECT_TRUE(fs::is_empty(folder_));
    return report.status();
  }

  fs::path folder_;
};

template <class T>
T element(const TensorView& tensor, size_t index) {
  T value;
  std::memcpy(&value, tensor.data.data() + index * sizeof value, sizeof value);
  return value;
}

/// Element (column c, depth i) of int8 panels, by the formula of FORMAT.md: four k a step.
int int8_element(const TensorView& tensor, int64_t c, int64_t i) {
  const int64_t padded = (tensor.shape[1] + 63) / 64 * 64;
  return element<int8_t>(
      tensor, static_cast<size_t>(((c / 32) * (padded / 4) + i / 4) * 128 + (c % 32) * 4 + i % 4));
}

/// The layer's tensors against the weights that they were made of.
void expect_layer(const Artifact& artifact, const std::string& name,
                  const model::LinearWeights& linear, float floor) {
  SCOPED_TRACE(name);
  const auto* weight = artifact.find(name + ".weight");
  const auto* scale = artifact.find(name + ".scale");
  const auto* sums = artifact.find(name + ".sums");
  const auto* bias = artifact.find(name + ".bias");
  ASSERT_TRUE(weight && scale && sums && bias);
  const int64_t outputs = linear.weight.shape[0];
  const int64_t inputs = linear.weight.shape[1];
  EXPECT_EQ(weight->shape, linear.weight.shape);
  for (int64_t c = 0; c < (outputs + 31) / 32 * 32; ++c) {
    const auto column = static_cast<size_t>(c);
    const float step = element<float>(*scale, column);
    double largest = 0;
    double folded = c < outputs ? double{linear.bias.values[column]} : 0;
    int sum = 0;
    for (int64_t i = 0; i < (inputs + 63) / 64 * 64; ++i) {
      const int found = int8_element(*weight, c, i);
      const bool is_padding = c >= outputs || i >= inputs;
      const double due = is_padding ? 0 : linear.weight.values[static_cast<size_t>(c * inputs + i)];
      largest = std::max(largest, std::abs(due));
      // Half a step; a clipped weight is off by the rest of it.
      const double most = std::abs(found) == 127 ? 0.2 * std::abs(due) + step : 0.5001 * step;
      ASSERT_LE(std::abs(found * double{step} - due), most) << c << ", " << i;
      sum += found;
      folded += floor * (found * double{step});
    }
    ASSERT_LE(step, 1.0001 * largest / 127) << c;
    ASSERT_GE(step, 0.7999 * largest / 127) << c;
    ASSERT_EQ(element<int32_t>(*sums, column), sum) << c;
    ASSERT_NEAR(element<float>(*bias, column), folded, 1e-5) << c;
  }
}

TEST_F(CompileInt8Test, EveryLayerIsTheNearestInt8) {
  const model::Model model = synthetic_model();
  const auto artifact = compiled(model, int8());
  ASSERT_NE(artifact, nullptr);
  EXPECT_EQ(artifact->find("embeddings.word")->type, DataType::bf16);
  EXPECT_EQ(artifact->find("heads.intent.output.weight")->type, DataType::f32);
  for (size_t i = 0; i < 2; ++i) {
    const std::string name = fmt::format("layers.{}.", i);
    const model::LayerWeights& layer = model.weights.layers[i];
    expect_layer(*artifact, name + "ffn_up", layer.ffn_up, 0);
    expect_layer(*artifact, name + "ffn_down", layer.ffn_down, -0.17f);
  }
  EXPECT_TRUE(artifact->metadata().calibration.empty());
  for (const LinearPrecision& linear : artifact->metadata().linears) {
    EXPECT_EQ(linear.precision, Precision::int8);
    EXPECT_FALSE(linear.is_smoothed);
    EXPECT_EQ(linear.input_floor.has_value(), linear.layer.ends_with("ffn_down"));
    EXPECT_EQ(linear.error, std::nullopt);
  }
}

TEST_F(CompileInt8Test, TheFloorIsThatOfTheActivation) {
  using model::Activation;
  const std::pair<Activation, std::optional<float>> cases[] = {{Activation::gelu_erf, -0.17f},
                                                               {Activation::gelu_tanh, -0.171f},
                                                               {Activation::relu, 0.0f},
                                                               {Activation::tanh, std::nullopt}};
  for (const auto& [activation, floor] : cases) {
    model::Model model = synthetic_model();
    model.spec.activation = activation;
    const auto artifact = compiled(std::move(model), int8());
    ASSERT_NE(artifact, nullptr);
    EXPECT_EQ(artifact->metadata().linears[3].input_floor, floor) << name_of(activation);
    EXPECT_EQ(artifact->metadata().linears[2].input_floor, std::nullopt);
  }
}

TEST_F(CompileInt8Test, AnIndependentReaderAgreesWithTheFormat) {
  for (const Options& options : {int8(), int8({texts(20)}), int8({texts(20)}, 0.006)}) {
    ASSERT_NE(compiled(synthetic_model(), options), nullptr);
    const std::string command = std::string(TILEWISE_PYTHON) +
                                " " TILEWISE_SOURCE_DIR "/tools/artifact_dump.py " + path() +
                                " > " + path("dump.json");
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
  }
}

TEST_F(CompileInt8Test, LayersThatAreTooLongStayInBf16) {
  model::Model model = synthetic_model();
  Numbers numbers;
  model.spec.intermediate = 65568;
  for (model::LayerWeights& layer : model.weights.layers) {
    layer.ffn_up = numbers.linear(65568, 40);
    layer.ffn_down = numbers.linear(40, 65568);
  }
  const auto artifact = compiled(std::move(model), int8());
  ASSERT_NE(artifact, nullptr);
  EXPECT_EQ(artifact->metadata().linears[2].precision, Precision::int8);
  EXPECT_EQ(artifact->metadata().linears[3].precision, Precision::bf16);
  EXPECT_EQ(artifact->find("layers.0.ffn_down.weight")->type, DataType::bf16);
}

TEST_F(CompileInt8Test, EqualInputGivesEqualBytes) {
  for (const char* name : {"a.tw", "b.tw"}) {
    model::Model model = synthetic_model();
    add_adapter(model);
    ASSERT_TRUE(compile(std::move(model), int8({texts(30), pairs(10)}, 0.01), path(name)).ok());
  }
  const auto a = read_file(path("a.tw"));
  const auto b = read_file(path("b.tw"));
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_TRUE(*a == *b);
}

TEST_F(CompileInt8Test, CalibrationIsRecorded) {
  const auto artifact = compiled(synthetic_model(), int8({texts(30), pairs(10)}, 1));
  ASSERT_NE(artifact, nullptr);
  const auto& calibration = artifact->metadata().calibration;
  ASSERT_EQ(calibration.size(), 2U);
  EXPECT_EQ(calibration[0].task, "intent");
  EXPECT_EQ(calibration[0].rows, 30);
  EXPECT_EQ(calibration[0].sha256, std::string(64, 'b'));
  EXPECT_EQ(calibration[1].task, "duplicate");
  EXPECT_EQ(calibration[1].rows, 10);
  EXPECT_EQ(calibration[1].sha256, std::nullopt);
  // About 1 % a layer is what 8 bits leave of well-behaved numbers; in any case more than nothing.
  for (const auto& rows : calibration) {
    EXPECT_TRUE(rows.error > 1e-4f && rows.error < 0.1f) << rows.error;
  }
  for (const LinearPrecision& linear : artifact->metadata().linears) {
    EXPECT_EQ(linear.precision, Precision::int8);
    ASSERT_TRUE(linear.error.has_value()) << linear.layer;
    EXPECT_TRUE(*linear.error > 1e-3f && *linear.error < 0.05f) << *linear.error;
  }
}

TEST_F(CompileInt8Test, ExitsChangeNothingThatCalibrationDecides) {
  const auto full = compiled(synthetic_model(), int8({texts(30), pairs(10)}, 0.005));
  model::Model model = synthetic_model();
  add_exits(model);
  // Every answer is certain enough to leave.
  for (auto& entry : model.tasks) {
    for (model::Exit& exit : entry.task.exits) exit.confidence = 0.501f;
  }
  model.tasks[1].task.exits[0].confidence = 0.334f;
  model.tasks[1].task.exits[0].below = -100.0f;
  const auto adaptive = compiled(model, int8({texts(30), pairs(10)}, 0.005));
  ASSERT_TRUE(full != nullptr && adaptive != nullptr);
  EXPECT_EQ(adaptive->metadata().linears, full->metadata().linears);
  EXPECT_EQ(adaptive->metadata().calibration, full->metadata().calibration);
}

TEST_F(CompileInt8Test, AnInputOfAnotherSizeIsSmoothed) {
  model::Model model = synthetic_model();
  // Then the 39 others have few steps left.
  model.weights.layers[0].attention_norm.gain.values[7] = 100;
  const auto artifact = compiled(std::move(model), int8({texts(30)}, 1));
  ASSERT_NE(artifact, nullptr);
  const LinearPrecision& linear = artifact->metadata().linears[2];
  EXPECT_EQ(linear.layer, "layers.0.ffn_up");
  EXPECT_TRUE(linear.is_smoothed);
  const auto* smooth = artifact->find("layers.0.ffn_up.smooth");
  ASSERT_NE(smooth, nullptr);
  for (size_t i = 0; i < 64; ++i) {
    const auto factor = element<float>(*smooth, i);
    int exponent = 0;
    EXPECT_EQ(std::frexp(factor, &exponent), 0.5f) << i;  // a power of two
    if (i >= 40) {
      EXPECT_EQ(factor, 1) << i;
    } else if (i != 7) {
      EXPECT_GT(factor, element<float>(*smooth, 7)) << i;
    }
  }
}

// The smaller the error that is allowed, the fewer layers are int8, to none.
TEST_F(CompileInt8Test, LayersStayInBf16UntilTheErrorIsSmall) {
  std::vector<int64_t> counts;
  for (const double most : {1.0, 0.01, 0.005, 1e-9}) {
    const auto artifact = compiled(synthetic_model(), int8({texts(30), pairs(10)}, most));
    ASSERT_NE(artifact, nullptr);
    const artifact::Metadata& metadata = artifact->metadata();
    for (const auto& rows : metadata.calibration) {
      EXPECT_LE(rows.error, 1.005 * most);  // it has three digits
    }
    for (const LinearPrecision& linear : metadata.linears) {
      EXPECT_TRUE(linear.error.has_value());
      const DataType type = linear.precision == Precision::int8 ? DataType::s8 : DataType::bf16;
      EXPECT_EQ(artifact->find(linear.layer + ".weight")->type, type);
    }
    counts.push_back(
        std::ranges::count(metadata.linears, Precision::int8, &LinearPrecision::precision));
  }
  EXPECT_EQ(counts.front(), 8);
  EXPECT_EQ(counts.back(), 0);
  EXPECT_TRUE(std::ranges::is_sorted(counts, std::greater())) << ::testing::PrintToString(counts);
}

TEST_F(CompileInt8Test, RowsThatDoNotFitAreCounted) {
  Calibration calibration = texts(4);
  calibration.inputs.push_back(model::PairInput{"red", "blue"});
  calibration.inputs.push_back(model::TextInput{model::Record{{{"title", "red"}}}});
  const auto report = compile(synthetic_model(), int8({calibration}), path());
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->metadata.calibration[0].rows, 4);
  ASSERT_EQ(report->rejected.size(), 1U);
  EXPECT_EQ(report->rejected[0].task, "intent");
  EXPECT_EQ(report->rejected[0].count, 2);
  EXPECT_THAT(report->rejected[0].first.message(), HasSubstr("shape"));
}

TEST_F(CompileInt8Test, LongFilesAreSampledEvenly) {
  const auto artifact = compiled(synthetic_model(), int8({texts(5000)}));
  ASSERT_NE(artifact, nullptr);
  const int32_t rows = artifact->metadata().calibration[0].rows;
  EXPECT_TRUE(rows > 300 && rows < 2000) << rows;  // 4,096 tokens, 5 to 9 a row
}

TEST_F(CompileInt8Test, CalibrationsThatCannotBe) {
  const auto message = [&](const Options& options, StatusCode code) {
    const Status status = failure(options);
    EXPECT_EQ(status.code(), code) << status.message();
    return status.message();
  };
  Calibration unknown = texts(2);
  unknown.task = "intents";
  EXPECT_THAT(message(int8({unknown}), StatusCode::invalid_argument),
              AllOf(HasSubstr("no such task"), HasSubstr("duplicate, intent, vector")));
  EXPECT_THAT(message(int8({texts(2), texts(3)}), StatusCode::invalid_argument),
              HasSubstr("intent again"));
  EXPECT_THAT(message(int8({texts(0)}), StatusCode::invalid_input), HasSubstr("found none"));
  Calibration wrong = pairs(3);
  wrong.task = "intent";
  EXPECT_THAT(message(int8({wrong}), StatusCode::invalid_input),
              AllOf(HasSubstr("task intent"), HasSubstr("shape")));
  EXPECT_THAT(message({.precision = Precision::bf16, .calibration = {texts(2)}},
                      StatusCode::invalid_argument),
              HasSubstr("Only int8 is calibrated"));
}

TEST_F(CompileInt8Test, AModelThatOverflowsCannotBeCalibrated) {
  model::Model model = synthetic_model();
  for (model::LayerWeights& layer : model.weights.layers) {
    for (float& weight : layer.ffn_up.weight.values) weight *= 1e30f;
    for (float& weight : layer.ffn_down.weight.values) weight *= 1e30f;
  }
  const auto report = compile(std::move(model), int8({texts(4)}), path());
  ASSERT_FALSE(report.ok());
  EXPECT_THAT(report.status().message(),
              AllOf(HasSubstr("not a number"), HasSubstr("task intent")));
}

TEST_F(CompileInt8Test, PassesAreReportedInOrder) {
  const auto report = compile(synthetic_model(), int8({texts(4)}), path());
  ASSERT_TRUE(report.ok());
  std::vector<std::string> names;
  for (const PassReport& pass : report->passes) names.push_back(pass.name);
  EXPECT_THAT(names, ElementsAre("merge_adapter", "fold_scales", "fuse_qkv", "build_tokenizer",
                                 "calibrate", "quantize", "cast", "pack", "write"));
}

}  // namespace
}  // namespace tilewise::compile
