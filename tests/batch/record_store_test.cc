// Catalogues against a tiny model: what is stored is what a pair that is written out becomes.
#include "batch/record_store.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "compile/compile.h"

namespace tilewise::batch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

const std::string kCheckpoints = std::string(TILEWISE_SOURCE_DIR) + "/tests/data/checkpoint/";

class RecordStoreTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    models_ = new TemporaryFolder;
    auto model = compile::load_model({kCheckpoints + "multi_task", kCheckpoints + "bert"});
    ASSERT_TRUE(model.ok()) << model.status().message();
    ASSERT_TRUE(compile::compile(*std::move(model), {}, *models_ / "model.tw").ok());
  }
  static void TearDownTestSuite() { delete models_; }

  static std::shared_ptr<engine::Engine> open(int32_t replicas) {
    return engine::Engine::open(*models_ / "model.tw", {.replicas = replicas, .pin = false})
        .value();
  }

  RecordStore::Options options(engine::Engine& engine, std::vector<std::string> paths) const {
    auto files = rows::list_inputs(paths);
    EXPECT_TRUE(files.ok()) << files.status().message();
    return {.files = *std::move(files),
            .tasks = engine.find_tasks("duplicate").value(),
            .temporary_directory = folder_.path()};
  }

  Result<RecordStore> build(engine::Engine& engine, const RecordStore::Options& options) {
    rejected_.clear();
    return RecordStore::build(engine, options,
                              [&](const Status& status) { rejected_.push_back(status.message()); });
  }
  RecordStore build(engine::Engine& engine, std::vector<std::string> paths) {
    auto store = build(engine, options(engine, std::move(paths)));
    EXPECT_TRUE(store.ok()) << store.status().message();
    return *std::move(store);
  }

  /// The token ids of a record by its text, with how many there are in all.
  static std::pair<std::vector<int32_t>, int64_t> encoded(engine::Engine& engine,
                                                          const std::string& text) {
    std::pair<std::vector<int32_t>, int64_t> side;
    const model::Task& task = engine.metadata().tasks[engine.find_tasks("duplicate")->front()].task;
    engine
        .submit([&](engine::Worker& worker) {
          side.second = worker.encode_side(task, model::Content(text), side.first).value();
        })
        .wait();
    return side;
  }
  static std::pair<std::vector<int32_t>, int64_t> found(const RecordStore& store,
                                                        const std::string& id) {
    std::vector<int32_t> memory;
    const auto side = store.find(id, memory);
    if (!side) return {{}, -1};
    return {{side->ids.begin(), side->ids.end()}, side->tokens};
  }

  inline static TemporaryFolder* models_ = nullptr;
  TemporaryFolder folder_;
  std::vector<std::string> rejected_;
};

/// `count` records with ids r0, r1... of different lengths.
std::string many_records(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    lines += "{\"id\":\"r" + std::to_string(i) + "\",\"title\":\"";
    for (int word = 0; word < i % 50; ++word) lines += "red shoes ";
    lines += std::to_string(i) + "\"}\n";
  }
  return lines;
}

TEST_F(RecordStoreTest, ARecordIsFoundAsItsTextIsEncoded) {
  const auto engine = open(2);
  const std::string json =
      folder_.write("a.jsonl",
                    "{\"id\":\"a\",\"title\":\"red shoes\",\"brand\":\"acme\"}\n"
                    "{\"price\":12,\"id\":17,\"color\":\"blue\"}\n");
  const std::string csv = folder_.write("b.csv", "id,title,price\nb,\"blue, shoes\",\nc,,3\n");
  const RecordStore store = build(*engine, {json, csv});
  EXPECT_THAT(rejected_, testing::IsEmpty());
  EXPECT_EQ(store.records(), 4);
  EXPECT_EQ(found(store, "a"), encoded(*engine, "COL title VAL red shoes COL brand VAL acme"));
  EXPECT_EQ(found(store, "17"), encoded(*engine, "COL price VAL 12"));
  EXPECT_EQ(found(store, "b"), encoded(*engine, "COL title VAL blue, shoes"));
  EXPECT_EQ(found(store, "c"), encoded(*engine, "COL price VAL 3"));
  EXPECT_EQ(found(store, "d").second, -1);
  EXPECT_EQ(found(store, "").second, -1);
  ASSERT_THAT(store.inputs(), SizeIs(2));
  EXPECT_EQ(store.inputs()[0].path, json);
  EXPECT_THAT(store.inputs()[1].sha256, SizeIs(64));
}

TEST_F(RecordStoreTest, OfALongRecordItsFirstTokensAndTheirNumberStay) {
  const auto engine = open(1);
  const RecordStore store = build(*engine, {folder_.write("a.jsonl", many_records(50))});
  std::string text = "COL title VAL ";
  for (int word = 0; word < 49; ++word) text += "red shoes ";
  const auto side = found(store, "r49");
  EXPECT_EQ(side, encoded(*engine, text + "49"));
  EXPECT_THAT(side.first, SizeIs(40)) << "the task's max_tokens";
  EXPECT_GT(side.second, 98);
}

TEST_F(RecordStoreTest, ReplicasDoNotChangeIt) {
  const std::string path = folder_.write("a.jsonl", many_records(3000));
  const auto one = open(1);
  const RecordStore expected = build(*one, {path});
  EXPECT_EQ(expected.records(), 3000);
  for (const int32_t replicas : {2, 3}) {
    const auto engine = open(replicas);
    const RecordStore store = build(*engine, {path});
    EXPECT_EQ(store.content_hash(), expected.content_hash());
    for (int i = 0; i < 3000; ++i) {
      const std::string id = "r" + std::to_string(i);
      ASSERT_EQ(found(store, id), found(expected, id));
    }
  }
}

TEST_F(RecordStoreTest, TheHashIsThatOfItsContent) {
  const auto engine = open(2);
  const auto hash = [&](const std::string& lines) {
    return build(*engine, {folder_.write("a.jsonl", lines)}).content_hash();
  };
  const std::string a = "{\"id\":\"a\",\"title\":\"red\"}\n";
  const std::string b = "{\"id\":\"b\",\"title\":\"red\"}\n";
  EXPECT_EQ(hash(a + b), hash(a + "\n" + b + "{\n"));
  EXPECT_EQ(hash(a), hash("{\"title\":\"Red\",\"color\":\"blue\",\"id\":\"a\"}\n"))
      << "same tokens";
  EXPECT_NE(hash(a), hash(b));
  EXPECT_NE(hash(a + b), hash(b + a));
  EXPECT_NE(hash(a), hash("{\"id\":\"a\",\"title\":\"blue\"}\n"));
  EXPECT_THAT(hash(""), SizeIs(32));
}

TEST_F(RecordStoreTest, WhatCannotBeUsedIsReportedInOrderAndLeftOut) {
  const auto engine = open(2);
  const std::string path = folder_.write("a.jsonl",
                                         "{\"id\":\"a\",\"title\":\"red\"}\n"
                                         "{\"title\":\"no id\"}\n"
                                         "{\"id\":\"b\",\"color\":\"no field of the template\"}\n"
                                         "{\"id\":\"a\",\"title\":\"blue\"}\n"
                                         "not json\n"
                                         "{\"id\":\"c\",\"title\":\"blue\"}\n");
  const RecordStore store = build(*engine, {path});
  EXPECT_EQ(store.records(), 2);
  ASSERT_THAT(rejected_, SizeIs(4));
  EXPECT_THAT(rejected_[0], HasSubstr(path + ":2"));
  EXPECT_THAT(rejected_[1], AllOf(HasSubstr(path + ":3"), HasSubstr("title, brand, price")));
  EXPECT_THAT(rejected_[2], AllOf(HasSubstr(path + ":4"), HasSubstr("\"a\"")));
  EXPECT_THAT(rejected_[3], HasSubstr(path + ":5"));
  EXPECT_EQ(found(store, "a"), encoded(*engine, "COL title VAL red")) << "the first counts";
  EXPECT_EQ(found(store, "b").second, -1);
  EXPECT_EQ(found(store, "c"), encoded(*engine, "COL title VAL blue"));
}

TEST_F(RecordStoreTest, LeavesNoFiles) {
  const auto engine = open(1);
  const TemporaryFolder temporary;
  RecordStore::Options job = options(*engine, {folder_.write("a.jsonl", many_records(10))});
  job.temporary_directory = temporary.path();
  const auto store = build(*engine, job);
  ASSERT_TRUE(store.ok());
  EXPECT_EQ(temporary.entries(), 0);
  EXPECT_GT(store->bytes(), 0U);
}

TEST_F(RecordStoreTest, WhatCannotBeBuiltSaysWhy) {
  const auto engine = open(1);
  const std::string path = folder_.write("a.jsonl", many_records(1000));
  RecordStore::Options job = options(*engine, {path});
  job.files.push_back({folder_ / "missing.jsonl", rows::Format::json_lines});
  EXPECT_EQ(build(*engine, job).status().code(), StatusCode::not_found);
  job = options(*engine, {path});
  job.temporary_directory = folder_ / "nowhere";
  EXPECT_EQ(build(*engine, job).status().code(), StatusCode::io_error);
  job = options(*engine, {path});
  job.stop = [] { return true; };
  EXPECT_EQ(build(*engine, job).status().code(), StatusCode::interrupted);
  job = options(*engine, {path});
  job.tasks = engine->find_tasks("intent").value();
  EXPECT_EQ(build(*engine, job).status().code(), StatusCode::invalid_argument);
}

}  // namespace
}  // namespace tilewise::batch
