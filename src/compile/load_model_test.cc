#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "artifact/reader.h"
#include "base/mapped_file.h"
#include "base/sha256.h"
#include "compile/compile.h"

namespace tilewise::compile {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

const fs::path kCheckpoints = fs::path(TILEWISE_SOURCE_DIR) / "tests" / "data" / "checkpoint";

class LoadModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("load_model_test.") +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// A copy of a tiny checkpoint that may be changed.
  std::string copy(const char* name) const {
    fs::copy(kCheckpoints / name, folder_ / name, fs::copy_options::recursive);
    return (folder_ / name).string();
  }

  /// Where the weights of a folder with tasks lie; empty: in it.
  static std::string backbone_of(const fs::path& folder) {
    if (fs::exists(folder / "config.json")) return {};
    const bool is_modernbert = folder.filename() == "modernbert_lora";
    return (kCheckpoints / (is_modernbert ? "modernbert_classifier" : "bert")).string();
  }

  static std::vector<std::string> source_files(const model::Model& model) {
    std::vector<std::string> files;
    for (const auto& source : model.provenance.sources) files.push_back(source.file);
    return files;
  }

  fs::path folder_;
};

TEST_F(LoadModelTest, EveryTinyCheckpointCompilesInBothPrecisions) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(kCheckpoints)) {
    if (!entry.is_directory()) continue;
    SCOPED_TRACE(entry.path().filename());
    const checkpoint::Source source{.folder = entry.path().string(),
                                    .backbone = backbone_of(entry.path())};
    auto model = load_model(source);
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_FALSE(model->tokenizer.vocabulary.empty());
    for (const auto precision : {model::Precision::fp32, model::Precision::bf16}) {
      const std::string path = (folder_ / "model.tw").string();
      const auto report = compile(*model, {.precision = precision, .disabled_passes = {}}, path);
      ASSERT_TRUE(report.ok()) << report.status().message();
      const auto artifact = artifact::Artifact::open(path);
      ASSERT_TRUE(artifact.ok()) << artifact.status().message();
      EXPECT_EQ((*artifact)->metadata().tasks.size(), model->tasks.size());
    }
    ++count;
  }
  EXPECT_GE(count, 15);
}

TEST_F(LoadModelTest, TheTokenizerLiesBesideTheBackbone) {
  const auto model =
      load_model({.folder = (kCheckpoints / "multi_task").string(), .backbone = copy("bert")});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_TRUE(model->tokenizer.lower_case);
  const auto file = MappedFile::open((folder_ / "bert" / "tokenizer.json").string());
  ASSERT_TRUE(file.ok());
  const model::Provenance::Source expected{"tokenizer.json", sha256_hex(file->bytes())};
  EXPECT_THAT(model->provenance.sources, Contains(expected).Times(1));
}

TEST_F(LoadModelTest, ATokenizerInTheMultiTaskFolderWins) {
  const std::string folder = copy("multi_task");
  fs::copy_file(kCheckpoints / "bert" / "vocab.txt", fs::path(folder) / "vocab.txt");
  std::ofstream(fs::path(folder) / "tokenizer_config.json") << R"({"do_lower_case": false})";
  const auto model = load_model({.folder = folder, .backbone = (kCheckpoints / "bert").string()});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_FALSE(model->tokenizer.lower_case);
  EXPECT_THAT(source_files(*model), AllOf(Contains("vocab.txt"), Contains("tokenizer_config.json"),
                                          ::testing::Not(Contains("tokenizer.json"))));
}

TEST_F(LoadModelTest, AFolderWithoutATokenizer) {
  const std::string folder = copy("bert");
  for (const char* name : {"tokenizer.json", "vocab.txt"}) fs::remove(fs::path(folder) / name);
  const Status status = load_model({.folder = folder, .backbone = ""}).status();
  EXPECT_EQ(status.code(), StatusCode::not_found);
  EXPECT_THAT(status.message(), HasSubstr(folder));
}

TEST_F(LoadModelTest, MoreTokensThanEmbeddings) {
  const std::string folder = copy("bert");
  fs::remove(fs::path(folder) / "tokenizer.json");
  std::ofstream(fs::path(folder) / "vocab.txt", std::ios::app) << "onetoomany\n";
  const Status status = load_model({.folder = folder, .backbone = ""}).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_input);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("largest id"), HasSubstr("word embeddings")));
}

// RoBERTa's frame takes four of them.
TEST_F(LoadModelTest, APairWithoutRoomForItsTexts) {
  const std::string folder = copy("camembert_pairs");
  const auto status_at = [&](int max_tokens) {
    std::ofstream(fs::path(folder) / "tasks.json")
        << R"({"tasks": [{"name": "same", "kind": "binary", "input": "pair", "labels": ["same"],)"
        << R"("max_tokens": )" << max_tokens << "}]}";
    return load_model({.folder = folder, .backbone = ""}).status();
  };
  EXPECT_EQ(status_at(4).code(), StatusCode::invalid_input);
  EXPECT_THAT(status_at(4).message(), AllOf(HasSubstr("no room"), HasSubstr("at least 5")));
  EXPECT_TRUE(status_at(5).ok()) << status_at(5).message();
}

TEST_F(LoadModelTest, TheTokenizersConfigIsASourceToo) {
  const auto model = load_model({.folder = copy("camembert_pairs"), .backbone = ""});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_THAT(source_files(*model),
              AllOf(Contains("tokenizer.json"), Contains("tokenizer_config.json")));
}

TEST_F(LoadModelTest, AFolderThatDoesNotExist) {
  const Status status = load_model({.folder = (folder_ / "no").string(), .backbone = ""}).status();
  EXPECT_EQ(status.code(), StatusCode::not_found);
}

}  // namespace
}  // namespace tilewise::compile
