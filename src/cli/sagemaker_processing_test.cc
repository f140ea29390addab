#include "cli/sagemaker_processing.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"

namespace tilewise::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A container's /opt/ml.
class SagemakerProcessingTest : public testing::Test {
 protected:
  void hosts(const std::string& current, const std::string& all) {
    root_.write("config/resourceconfig.json",
                R"({"current_host": ")" + current + R"(", "hosts": )" + all + "}");
  }

  /// processingjobconfig.json with these elements of ProcessingInputs.
  void inputs(const std::string& list) {
    root_.write("config/processingjobconfig.json",
                R"({"ProcessingJobName": "nightly", "ProcessingInputs": [)" + list +
                    R"(], "ProcessingResources": {"ClusterConfig": {"InstanceCount": 2}}})");
  }
  static std::string input(const std::string& path, const std::string& distribution,
                           const std::string& mode = "File") {
    return R"({"InputName": "a", "S3Input": {"LocalPath": ")" + path +
           R"(", "S3Uri": "s3://b/c", "S3InputMode": ")" + mode +
           R"(", "S3DataDistributionType": ")" + distribution + R"("}, "DatasetDefinition": null})";
  }

  /// A file with something in it below processing/input.
  void put(const std::string& name) { root_.write("processing/input/" + name, "x"); }
  std::string at(const std::string& name) const { return root_ / ("processing/" + name); }

  Result<SagemakerJob> read() const { return read_sagemaker_job(root_.path()); }
  std::string problem() const { return read().status().message(); }

  TemporaryFolder root_;
};

TEST_F(SagemakerProcessingTest, OneHost) {
  hosts("algo-1", R"(["algo-1"])");
  put("pairs/a.jsonl");
  put("more.csv");
  put("_manifest.json");
  put("catalog/c.jsonl");
  put("model/product-search.tw");
  put("model/README.md");
  const auto job = read();
  ASSERT_TRUE(job.ok()) << problem();
  EXPECT_THAT(job->inputs, ElementsAre(at("input/more.csv"), at("input/pairs")));
  EXPECT_EQ(job->catalog, at("input/catalog"));
  EXPECT_EQ(job->left_catalog, "");
  EXPECT_EQ(job->right_catalog, "");
  EXPECT_EQ(job->model, at("input/model/product-search.tw"));
  EXPECT_EQ(job->previous, "");
  EXPECT_EQ(job->output_directory, at("output"));
  EXPECT_EQ(job->shard.index, 0);
  EXPECT_EQ(job->shard.count, 1);
}

TEST_F(SagemakerProcessingTest, AHostMayGetNoRows) {
  hosts("algo-2", R"(["algo-1", "algo-2"])");
  inputs(input("/opt/ml/processing/input/pairs", "ShardedByS3Key"));
  put("model/m.tw");
  for (const bool has_directory : {false, true}) {
    if (has_directory) std::filesystem::create_directories(at("input/pairs"));
    const auto job = read();
    ASSERT_TRUE(job.ok()) << problem();
    EXPECT_THAT(job->inputs, IsEmpty());
    EXPECT_TRUE(job->has_no_share);
  }
  put("pairs/a.jsonl");
  EXPECT_FALSE(read()->has_no_share);
}

TEST_F(SagemakerProcessingTest, EachHostHasAShardAndADirectory) {
  put("pairs/a.jsonl");
  put("previous/shard-2-of-3/_manifest.json");
  hosts("algo-3", R"(["algo-3", "algo-1", "algo-2"])");  // in no order
  inputs(input("/opt/ml/processing/input/pairs", "FullyReplicated"));
  const auto job = read();
  ASSERT_TRUE(job.ok()) << problem();
  EXPECT_EQ(job->shard.index, 2);
  EXPECT_EQ(job->shard.count, 3);
  EXPECT_EQ(job->output_directory, at("output/shard-2-of-3"));
  EXPECT_EQ(job->previous, at("input/previous/shard-2-of-3"));
}

TEST_F(SagemakerProcessingTest, RowsThatSagemakerHasSharedOutAreNotSharedOutAgain) {
  put("pairs/a.jsonl");
  hosts("algo-2", R"(["algo-1", "algo-2"])");
  inputs(input("/opt/ml/processing/input/pairs", "ShardedByS3Key") + "," +
         input("/opt/ml/processing/input/catalog", "FullyReplicated") + "," +
         input("/opt/ml/processing/elsewhere", "FullyReplicated"));
  const auto job = read();
  ASSERT_TRUE(job.ok()) << problem();
  EXPECT_EQ(job->shard.index, 0);
  EXPECT_EQ(job->shard.count, 1);
  EXPECT_EQ(job->output_directory, at("output/shard-1-of-2"));
}

TEST_F(SagemakerProcessingTest, ADistributionThatWouldLoseRowsIsRefused) {
  hosts("algo-1", R"(["algo-1", "algo-2"])");
  inputs(input("/opt/ml/processing/input/catalog", "ShardedByS3Key"));
  EXPECT_THAT(problem(), AllOf(HasSubstr("every host needs the whole of catalog"),
                               HasSubstr("processingjobconfig.json")));
  inputs(input("/opt/ml/processing/input/pairs", "ShardedByS3Key") + "," +
         input("/opt/ml/processing/input/more", "FullyReplicated"));
  EXPECT_THAT(problem(), HasSubstr("all rows FullyReplicated, or all ShardedByS3Key"));
  inputs(input("/opt/ml/processing/input/pairs", "FullyReplicated", "Pipe"));
  EXPECT_THAT(problem(), HasSubstr("cannot be pipes"));
  inputs(
      R"({"InputName": "a", "DatasetDefinition": {"LocalPath": "/opt/ml/processing/input/previous", "DataDistributionType": "ShardedByS3Key"}})");
  EXPECT_THAT(problem(), HasSubstr("every host needs the whole of previous"));
}

TEST_F(SagemakerProcessingTest, ThePreviousJob) {
  hosts("algo-1", R"(["algo-1"])");
  std::filesystem::create_directories(at("input/previous"));
  EXPECT_EQ(read()->previous, "") << "the first job has none";
  put("previous/part-00000.jsonl");
  EXPECT_EQ(read()->previous, at("input/previous"));
  hosts("algo-1", R"(["algo-1", "algo-2"])");
  EXPECT_EQ(read()->previous, at("input/previous")) << "it has the pairs of all hosts";
  put("previous/shard-0-of-3/part-00000.jsonl");
  EXPECT_THAT(problem(), AllOf(HasSubstr("another number of hosts"), HasSubstr("shard-0-of-2"),
                               HasSubstr("shard-0-of-3")));
}

TEST_F(SagemakerProcessingTest, AConfigurationThatIsNotSagemakers) {
  EXPECT_EQ(read().status().code(), StatusCode::not_found);
  EXPECT_THAT(problem(), HasSubstr("TILEWISE_SAGEMAKER_ROOT"));
  for (const char* broken :
       {"", "[", "[]", R"({"current_host": "algo-1"})",
        R"({"current_host": "algo-1", "hosts": "algo-1"})",
        R"({"current_host": "algo-3", "hosts": ["algo-1", "algo-2"]})",
        R"({"current_host": "algo-1", "hosts": ["algo-1", "algo-1"]})",
        R"({"current_host": "", "hosts": [""]})", R"({"current_host": 1, "hosts": [1]})"}) {
    root_.write("config/resourceconfig.json", broken);
    EXPECT_EQ(read().status().code(), StatusCode::invalid_input) << broken;
    EXPECT_THAT(problem(), HasSubstr("resourceconfig.json")) << broken;
  }
  hosts("algo-1", R"(["algo-1"])");
  root_.write("config/processingjobconfig.json", "{");
  EXPECT_EQ(read().status().code(), StatusCode::invalid_input);
}

TEST_F(SagemakerProcessingTest, TwoModels) {
  hosts("algo-1", R"(["algo-1"])");
  put("model/a.tw");
  put("model/b.tw");
  EXPECT_THAT(problem(), AllOf(HasSubstr("more than one model"), HasSubstr("a.tw and b.tw")));
}

TEST_F(SagemakerProcessingTest, TheCommandLineCountsBeforeTheContainer) {
  SagemakerJob job;
  job.model = "m.tw";
  job.inputs = {"a", "b"};
  job.catalog = "c";
  job.previous = "p";
  job.output_directory = "o";
  job.shard = {.index = 1, .count = 2};

  std::string model;
  batch::Options options;
  apply(job, model, options);
  EXPECT_EQ(model, "m.tw");
  EXPECT_THAT(options.inputs, ElementsAre("a", "b"));
  EXPECT_THAT(options.catalogs, ElementsAre("c"));
  EXPECT_THAT(options.left_catalogs, IsEmpty());
  EXPECT_EQ(options.since, "p");
  EXPECT_EQ(options.output_directory, "o");
  EXPECT_EQ(options.shard.index, 1);
  EXPECT_EQ(options.shard.count, 2);

  model = "mine.tw";
  batch::Options mine;
  mine.inputs = {"i"};
  mine.left_catalogs = {"l"};
  mine.right_catalogs = {"r"};
  mine.since = "s";
  mine.output_directory = "d";
  apply(job, model, mine);
  EXPECT_EQ(model, "mine.tw");
  EXPECT_THAT(mine.inputs, ElementsAre("i"));
  EXPECT_THAT(mine.catalogs, IsEmpty()) << "catalogues of the sides, or one of both";
  EXPECT_EQ(mine.since, "s");
  EXPECT_EQ(mine.output_directory, "d");
}

TEST_F(SagemakerProcessingTest, TheMessageIsShortAndValid) {
  leave_sagemaker_message(root_.path(), "a\xFFz");
  EXPECT_EQ(root_.read("output/message"), "a\xEF\xBF\xBDz");
  hosts("algo-2", R"(["algo-1", "algo-2"])");
  leave_sagemaker_message(root_.path(), "the disk is full");
  EXPECT_EQ(root_.read("output/message"), "algo-2: the disk is full");
  std::string euros;
  for (int i = 0; i < 400; ++i) euros += "\xE2\x82\xAC";  // three bytes each
  leave_sagemaker_message(root_.path(), euros);  // 8 + 3 * 338 = 1022: another one has no room
  EXPECT_EQ(root_.read("output/message"), "algo-2: " + euros.substr(0, 3 * 338));
  leave_sagemaker_message("/proc/nowhere", "lost, but no crash");
}

}  // namespace
}  // namespace tilewise::cli
