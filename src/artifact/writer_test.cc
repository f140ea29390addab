#include "artifact/writer.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "artifact/format.h"
#include "artifact/golden.h"
#include "base/mapped_file.h"

namespace tilewise::artifact {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class WriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("writer_test.") +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path() const { return (folder_ / "model.tw").string(); }

  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }

  static std::string bytes_of(const std::string& path) {
    const auto text = read_file(path);
    EXPECT_TRUE(text.ok()) << text.status().message();
    return text.ok() ? *text : std::string();
  }

  fs::path folder_;
};

TEST_F(WriterTest, WritesTheBytesThatWereMadeByHand) {
  ASSERT_TRUE(write(path(), golden_metadata(), golden_tensors()).ok());
  EXPECT_TRUE(bytes_of(path()) == bytes_of(kGoldenPath));  // no dump of 10 KB when they differ
  EXPECT_EQ(files(), 1U);
}

TEST_F(WriterTest, Int8AsItWasMadeByHand) {
  ASSERT_TRUE(write(path(), golden_int8_metadata(), golden_int8_tensors()).ok());
  EXPECT_TRUE(bytes_of(path()) == bytes_of(kGoldenInt8Path));
}

TEST_F(WriterTest, ExitsAsTheyWereMadeByHand) {
  ASSERT_TRUE(write(path(), golden_exits_metadata(), golden_tensors()).ok());
  EXPECT_TRUE(bytes_of(path()) == bytes_of(kGoldenExitsPath));
}

TEST_F(WriterTest, TheSameBytesInMemory) {
  const auto compare = [&](const Metadata& metadata, const std::vector<OutputTensor>& tensors,
                           const std::string& golden) {
    const auto written = write_to_memory(metadata, tensors);
    ASSERT_TRUE(written.ok()) << written.status().message();
    const std::string expected = bytes_of(golden);
    ASSERT_EQ(written->size(), expected.size());
    EXPECT_EQ(std::memcmp(written->data(), expected.data(), expected.size()), 0);
  };
  compare(golden_metadata(), golden_tensors(), kGoldenPath);
  compare(golden_int8_metadata(), golden_int8_tensors(), kGoldenInt8Path);
}

TEST_F(WriterTest, ReplacesAnOlderFileAsAWhole) {
  std::ofstream(path()) << "an older artifact";
  ASSERT_TRUE(write(path(), golden_metadata(), golden_tensors()).ok());
  EXPECT_TRUE(bytes_of(path()) == bytes_of(kGoldenPath));
  EXPECT_EQ(files(), 1U);
}

TEST_F(WriterTest, RefusesWhatItsReaderWouldRefuse) {
  std::ofstream(path()) << "an older artifact";
  Metadata metadata = golden_metadata();
  metadata.spec.heads = 3;
  EXPECT_EQ(write(path(), metadata, golden_tensors()).code(), StatusCode::invalid_input);

  const auto message = [&](const std::function<void(std::vector<OutputTensor>&)>& change) {
    auto tensors = golden_tensors();
    change(tensors);
    return write(path(), golden_metadata(), tensors).message();
  };
  EXPECT_THAT(message([](auto& t) { t[1].data.pop_back(); }), HasSubstr("23 bytes"));
  EXPECT_THAT(message([](auto& t) { t[1].name = "tokenizer"; }), HasSubstr("each name once"));
  EXPECT_THAT(message([](auto& t) { t[1].name = "\xff"; }), HasSubstr("UTF-8"));
  EXPECT_THAT(message([](auto& t) { t[1].name = std::string(256, 'a'); }), HasSubstr("255"));
  EXPECT_THAT(message([](auto& t) { t[1].shape = {}; }), HasSubstr("[]"));
  EXPECT_THAT(message([](auto& t) { t[1].shape = {-3, -4}; }), HasSubstr("[-3, -4]"));
  EXPECT_THAT(message([](auto& t) { t.clear(); }), HasSubstr("too few"));
  EXPECT_THAT(message([](auto& t) { t[0].type = DataType::s8; }), HasSubstr("s8"));  // version 1
  EXPECT_EQ(bytes_of(path()), "an older artifact");
  EXPECT_EQ(files(), 1U);
}

TEST_F(WriterTest, AFolderThatDoesNotExist) {
  const Status status =
      write((folder_ / "no" / "model.tw").string(), golden_metadata(), golden_tensors());
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr("no/model.tw"));
}

TEST(FormatTest, DataBytes) {
  const auto bytes = [](DataType type, Layout layout, std::vector<int64_t> shape) {
    return format::data_bytes(type, layout, shape).value_or(0);
  };
  EXPECT_EQ(bytes(DataType::f32, Layout::rows, {3}), 12U);
  EXPECT_EQ(bytes(DataType::bf16, Layout::rows, {3, 5}), 30U);
  EXPECT_EQ(bytes(DataType::bytes, Layout::rows, {7}), 7U);
  EXPECT_EQ(bytes(DataType::f32, Layout::panels, {32, 16}), 32U * 64);
  EXPECT_EQ(bytes(DataType::f32, Layout::panels, {33, 17}), 64U * 128);
  EXPECT_EQ(bytes(DataType::bf16, Layout::panels, {1, 1}), 32U * 64);
  EXPECT_EQ(bytes(DataType::bf16, Layout::panels, {1152, 384}), 1152U * 384 * 2);
  EXPECT_EQ(bytes(DataType::s8, Layout::panels, {1, 1}), 32U * 64);
  EXPECT_EQ(bytes(DataType::s8, Layout::panels, {33, 65}), 64U * 128);
  EXPECT_EQ(bytes(DataType::s8, Layout::rows, {3, 5}), 15U);
  EXPECT_EQ(bytes(DataType::s32, Layout::rows, {7}), 28U);
  EXPECT_EQ(bytes(DataType::s32, Layout::panels, {1, 1}), 0U);
  EXPECT_EQ(bytes(DataType::bytes, Layout::rows, {7, 1}), 0U);
  EXPECT_EQ(bytes(DataType::f32, Layout::panels, {32}), 0U);
  EXPECT_EQ(bytes(DataType::f32, Layout::rows, {1, 2, 3}), 0U);
  EXPECT_EQ(bytes(DataType::f32, Layout::rows, {0}), 0U);
  EXPECT_EQ(bytes(DataType::f32, Layout::rows, {int64_t{1} << 41}), 0U);
  EXPECT_EQ(bytes(static_cast<DataType>(0), Layout::rows, {1}), 0U);
  EXPECT_EQ(bytes(DataType::f32, static_cast<Layout>(3), {1, 1}), 0U);
}

}  // namespace
}  // namespace tilewise::artifact
