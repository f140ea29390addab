#include "artifact/reader.h"

#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "artifact/format.h"
#include "artifact/golden.h"
#include "base/mapped_file.h"

namespace tilewise::artifact {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

// Offsets of fields, from FORMAT.md and not from the code.
constexpr size_t kVersionAt = 8;
constexpr size_t kTensorCountAt = 12;
constexpr size_t kFileBytesAt = 16;
constexpr size_t kDataOffsetAt = 24;
constexpr size_t kMetadataBytesAt = 32;
constexpr size_t kTableOffsetAt = 40;
constexpr size_t kNameBytesAt = 48;
constexpr size_t kChecksumAt = 56;
constexpr size_t kEntryBytes = 64;

class ReaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto file = MappedFile::open(kGoldenPath);
    ASSERT_TRUE(file.ok()) << file.status().message();
    golden_.assign(file->bytes().begin(), file->bytes().end());
  }

  Image image() const { return Image(golden_); }

  static Status open(Image& image) { return open(image, image.size()); }
  static Status open(Image& image, size_t size) {
    return Artifact::open(image.first(size), "m.tw").status();
  }

  /// Makes the header's checksum right again: what a hostile author would do.
  static void seal(Image& image) {
    image.put(kChecksumAt, format::front_checksum(image.first(image.get<uint64_t>(kDataOffsetAt))));
  }

  static void expect_golden(const std::string& path, const Metadata& metadata,
                            const std::vector<OutputTensor>& expected) {
    SCOPED_TRACE(path);
    const auto artifact = Artifact::open(path);
    ASSERT_TRUE(artifact.ok()) << artifact.status().message();
    EXPECT_EQ((*artifact)->metadata(), metadata);
    const auto tensors = (*artifact)->tensors();
    ASSERT_EQ(tensors.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      SCOPED_TRACE(expected[i].name);
      EXPECT_EQ(tensors[i].name, expected[i].name);
      EXPECT_EQ(tensors[i].type, expected[i].type);
      EXPECT_EQ(tensors[i].layout, expected[i].layout);
      EXPECT_EQ(tensors[i].shape, expected[i].shape);
      EXPECT_EQ(std::vector(tensors[i].data.begin(), tensors[i].data.end()), expected[i].data);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(tensors[i].data.data()) % 64, 0U);
      EXPECT_EQ((*artifact)->find(expected[i].name), &tensors[i]);
    }
    EXPECT_EQ((*artifact)->find("panel"), nullptr);
    EXPECT_EQ((*artifact)->find(""), nullptr);
    EXPECT_TRUE((*artifact)->verify().ok());
    EXPECT_EQ((*artifact)->name(), path);
  }

  std::vector<std::byte> golden_;
};

TEST_F(ReaderTest, ReadsWhatWasWrittenByHand) {
  expect_golden(kGoldenPath, golden_metadata(), golden_tensors());
  expect_golden(kGoldenInt8Path, golden_int8_metadata(), golden_int8_tensors());
  expect_golden(kGoldenExitsPath, golden_exits_metadata(), golden_tensors());
}

TEST_F(ReaderTest, TheVersionFitsThePrecision) {
  auto int8 = read_file(kGoldenInt8Path);
  ASSERT_TRUE(int8.ok());
  Image image(std::as_bytes(std::span(*int8)));
  EXPECT_EQ(image.get<uint32_t>(kVersionAt), 2U);
  EXPECT_EQ(this->image().get<uint32_t>(kVersionAt), 1U);
  image.put<uint32_t>(kVersionAt, 1);
  seal(image);
  const Status status = open(image);
  EXPECT_EQ(status.code(), StatusCode::invalid_input);
  EXPECT_THAT(status.message(), HasSubstr("expected 2 for a model in int8"));
}

TEST_F(ReaderTest, TheVersionIsTheLowestThatCanExpressTheModel) {
  auto exits = read_file(kGoldenExitsPath);
  ASSERT_TRUE(exits.ok());
  Image image(std::as_bytes(std::span(*exits)));
  EXPECT_EQ(image.get<uint32_t>(kVersionAt), 3U);
  image.put<uint32_t>(kVersionAt, 1);
  seal(image);
  EXPECT_THAT(open(image).message(), HasSubstr("expected 3 for a model in bf16"));

  Image older = this->image();
  older.put<uint32_t>(kVersionAt, 3);
  seal(older);
  EXPECT_EQ(open(older).code(), StatusCode::invalid_input);
  EXPECT_THAT(open(older).message(), HasSubstr("expected 1 for a model in bf16"));
}

TEST_F(ReaderTest, TheFingerprintIsTheHeadersChecksum) {
  Image image = this->image();
  const auto artifact = Artifact::open(image.bytes(), "m.tw");
  ASSERT_TRUE(artifact.ok());
  EXPECT_EQ((*artifact)->fingerprint(), "d0c0c5f1ffc315e6");  // as tools/artifact_dump.py prints it
}

TEST_F(ReaderTest, TellsWhatIsMissingOrDifferent) {
  const auto artifact = Artifact::open(kGoldenPath);
  ASSERT_TRUE(artifact.ok());
  EXPECT_TRUE((*artifact)->require("panels", DataType::bf16, Layout::panels, {33, 5}).ok());
  const auto message = [&](const char* name, DataType type, Layout layout,
                           const std::vector<int64_t>& shape) {
    const Status status = (*artifact)->require(name, type, layout, shape).status();
    EXPECT_EQ(status.code(), StatusCode::invalid_input);
    return status.message();
  };
  EXPECT_THAT(message("nothing", DataType::f32, Layout::rows, {5}),
              ::testing::AllOf(HasSubstr("lacks a tensor"), HasSubstr("nothing")));
  EXPECT_THAT(
      message("panels", DataType::bf16, Layout::panels, {5, 33}),
      ::testing::AllOf(HasSubstr("does not fit"), HasSubstr("[5, 33]"), HasSubstr("[33, 5]")));
  EXPECT_THAT(message("panels", DataType::f32, Layout::panels, {33, 5}), HasSubstr("f32"));
  EXPECT_THAT(message("panels", DataType::bf16, Layout::rows, {33, 5}), HasSubstr("rows"));
}

TEST_F(ReaderTest, EveryTruncationIsCalledOne) {
  Image image = this->image();
  for (size_t size = 1; size < image.size(); ++size) {
    const Status status = open(image, size);
    ASSERT_EQ(status.code(), StatusCode::invalid_input) << size;
    ASSERT_THAT(status.message(), HasSubstr("truncated")) << size;
    ASSERT_THAT(status.message(), HasSubstr(std::to_string(size) + " bytes")) << size;
  }
}

TEST_F(ReaderTest, EveryBitFlipOfTheFrontIsFound) {
  Image image = this->image();
  const size_t front = image.get<uint64_t>(kDataOffsetAt);
  for (size_t bit = 0; bit < front * 8; ++bit) {
    const auto mask = static_cast<std::byte>(1U << (bit % 8));
    image.data()[bit / 8] ^= mask;
    const Status status = open(image);
    image.data()[bit / 8] ^= mask;
    ASSERT_EQ(status.code(), StatusCode::invalid_input) << "bit " << bit;
    const char* expected = bit < 64 ? "not a tilewise artifact" : "corrupted";
    // A damaged version is no newer version, a damaged size no truncation: the checksum is looked
    // at first.
    ASSERT_THAT(status.message(), HasSubstr(expected)) << "bit " << bit;
  }
  EXPECT_TRUE(open(image).ok());
}

TEST_F(ReaderTest, EveryBitFlipOfTheDataIsFoundByVerify) {
  Image image = this->image();
  for (size_t byte = image.get<uint64_t>(kDataOffsetAt); byte < image.size(); ++byte) {
    image.data()[byte] ^= std::byte{0x10};
    const auto artifact = Artifact::open(image.bytes(), "m.tw");
    ASSERT_TRUE(artifact.ok());
    const Status status = (*artifact)->verify();
    image.data()[byte] ^= std::byte{0x10};
    ASSERT_EQ(status.code(), StatusCode::invalid_input) << byte;
    ASSERT_THAT(status.message(), HasSubstr("corrupted")) << byte;
  }
}

TEST_F(ReaderTest, VerifyNamesTheTensor) {
  Image image = this->image();
  image.data()[image.size() - 1] ^= std::byte{1};
  const auto artifact = Artifact::open(image.bytes(), "m.tw");
  ASSERT_TRUE(artifact.ok());
  EXPECT_THAT((*artifact)->verify().message(), HasSubstr("m.tw: tensor \"panels.f32\""));
}

TEST_F(ReaderTest, ForeignFilesAreNamed) {
  const auto message = [](std::string text) {
    Image image(std::as_bytes(std::span(text)));
    const Status status = open(image);
    EXPECT_EQ(status.code(), StatusCode::invalid_input);
    EXPECT_THAT(status.message(), HasSubstr("not a tilewise artifact"));
    return status.problem().found;
  };
  EXPECT_EQ(message(""), "an empty file");
  EXPECT_THAT(message("PK\x03\x04 and so on"), HasSubstr("ZIP"));
  EXPECT_THAT(message(std::string("\x10\0\0\0\0\0\0\0{\"a\":{}}", 16)), HasSubstr("safetensors"));
  EXPECT_THAT(message("{\"architectures\":[\"BertModel\"]}"), HasSubstr("JSON"));
  EXPECT_THAT(message("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("Git LFS"));
  EXPECT_THAT(message("\x89TWM\n\x1a\n changed by a transfer as text"), HasSubstr("line ends"));
  EXPECT_EQ(message(std::string(4096, 'x')), "another kind of file");
  EXPECT_EQ(message(std::string(4096, '\0')), "another kind of file");
}

TEST_F(ReaderTest, FilesThatCannotBeOpened) {
  EXPECT_EQ(Artifact::open("/no/such/file.tw").status().code(), StatusCode::not_found);
  EXPECT_FALSE(Artifact::open(TILEWISE_SOURCE_DIR).ok());
}

TEST_F(ReaderTest, MemoryMustBeAligned) {
  Image image = this->image();
  const Status status = Artifact::open(image.bytes().subspan(1), "m.tw").status();
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
}

TEST_F(ReaderTest, ANewerVersionIsNoDamage) {
  Image image = this->image();
  image.put<uint32_t>(kVersionAt, 4);
  seal(image);
  const Status status = open(image);
  EXPECT_EQ(status.code(), StatusCode::unsupported);
  EXPECT_THAT(status.message(),
              ::testing::AllOf(HasSubstr("newer tilewise"), HasSubstr("version 4"),
                               HasSubstr("version up to 3")));
  // Truncated before its data begin, it still cannot be told to be whole.
  EXPECT_THAT(open(image, 100).message(), HasSubstr("truncated"));
}

// What a hostile author would write: a file whose checksum is right and whose values are not.
struct Hostile {
  const char* name;
  std::function<void(Image&)> change;
  const char* message;
};

std::ostream& operator<<(std::ostream& out, const Hostile& hostile) { return out << hostile.name; }

class HostileTest : public ReaderTest, public ::testing::WithParamInterface<Hostile> {};

TEST_P(HostileTest, IsRefused) {
  Image image = this->image();
  GetParam().change(image);
  seal(image);
  const Status status = open(image);
  EXPECT_EQ(status.code(), StatusCode::invalid_input);
  EXPECT_THAT(status.message(), HasSubstr(GetParam().message));
  EXPECT_THAT(status.message(), AnyOf(HasSubstr("corrupted"), HasSubstr("truncated"),
                                      HasSubstr("metadata are broken"), HasSubstr("cannot be")));
}

template <class T>
std::function<void(Image&)> set(size_t offset, T value) {
  return [=](Image& image) { image.put(offset, value); };
}

/// Sets a field of entry `index` of the tensor table.
template <class T>
std::function<void(Image&)> set_entry(size_t index, size_t field, T value) {
  return [=](Image& image) {
    image.put(image.get<uint64_t>(kTableOffsetAt) + index * kEntryBytes + field, value);
  };
}

/// Replaces text in the front by other text of the same length.
std::function<void(Image&)> replace(const std::string& from, const std::string& to) {
  return [=](Image& image) {
    EXPECT_EQ(from.size(), to.size());
    const std::string_view all(reinterpret_cast<char*>(image.data()), image.size());
    const size_t at = all.find(from);
    ASSERT_NE(at, all.npos);
    std::memcpy(image.data() + at, to.data(), to.size());
  };
}

constexpr uint64_t kHuge = uint64_t{1} << 63;
constexpr uint64_t kWraps = ~uint64_t{0} - 63;  // rounding up or adding overflows

const Hostile kHeaders[] = {
    {"version_of_int8", set<uint32_t>(kVersionAt, 2), "1 for a model in bf16"},
    {"version_0", set<uint32_t>(kVersionAt, 0), "header, version"},
    {"no_tensors", set<uint32_t>(kTensorCountAt, 0), "tensor_count"},
    {"too_many_tensors", set<uint32_t>(kTensorCountAt, 0xffffffffU), "tensor_count"},
    {"one_tensor_more", set<uint32_t>(kTensorCountAt, 6), "end to end"},
    {"longer_file", set<uint64_t>(kFileBytesAt, 10241), "truncated"},
    {"shorter_file", set<uint64_t>(kFileBytesAt, 10239), "1 bytes more"},
    {"empty_file", set<uint64_t>(kFileBytesAt, 0), "end of the file"},
    {"huge_metadata", set<uint64_t>(kMetadataBytesAt, kHuge), "metadata_bytes"},
    {"wrapping_metadata", set<uint64_t>(kMetadataBytesAt, kWraps), "metadata_bytes"},
    {"no_metadata", set<uint64_t>(kMetadataBytesAt, 0), "end to end"},
    {"longer_metadata", set<uint64_t>(kMetadataBytesAt, 1329), "metadata"},
    {"shorter_metadata", set<uint64_t>(kMetadataBytesAt, 1327), "zeros"},
    {"table_elsewhere", set<uint64_t>(kTableOffsetAt, 1344), "end to end"},
    {"wrapping_table", set<uint64_t>(kTableOffsetAt, kWraps), "end to end"},
    {"huge_names", set<uint64_t>(kNameBytesAt, kHuge), "name_bytes"},
    {"longer_names", set<uint64_t>(kNameBytesAt, 43), "name_bytes"},
    {"shorter_names", set<uint64_t>(kNameBytesAt, 41), "zeros"},
    {"later_data", set<uint64_t>(kDataOffsetAt, 1856), "end to end"},
};

const Hostile kEntries[] = {
    {"data_too_early", set_entry<uint64_t>(1, 0, 1792), "data at 1920"},
    {"data_misaligned", set_entry<uint64_t>(1, 0, 1921), "data at 1920"},
    {"data_outside", set_entry<uint64_t>(1, 0, kHuge), "data at 1920"},
    {"more_bytes_than_shape", set_entry<uint64_t>(1, 8, 25), "24 bytes"},
    {"fewer_bytes_than_shape", set_entry<uint64_t>(1, 8, 23), "24 bytes"},
    {"wrapping_bytes", set_entry<uint64_t>(1, 8, kWraps), "24 bytes"},
    {"no_name", set_entry<uint32_t>(1, 24, 0), "a name"},
    {"long_name", set_entry<uint32_t>(4, 24, 11), "a name inside the table"},
    {"huge_name", set_entry<uint32_t>(1, 24, 0xffffffffU), "a name inside the table"},
    {"shorter_name", set_entry<uint32_t>(4, 24, 9), "name_bytes"},
    {"unknown_type", set_entry<uint32_t>(1, 28, 6), "type 6"},
    {"type_of_version_2", set_entry<uint32_t>(0, 28, 4), "type 4"},
    {"type_0", set_entry<uint32_t>(1, 28, 0), "type 0"},
    {"other_type", set_entry<uint32_t>(1, 28, 1), "48 bytes"},
    {"panels_of_bytes", set_entry<uint32_t>(0, 32, 2), "go together"},
    {"unknown_layout", set_entry<uint32_t>(1, 32, 3), "layout 3"},
    {"other_layout", set_entry<uint32_t>(1, 32, 2), "2048 bytes"},
    {"rank_0", set_entry<uint32_t>(1, 36, 0), "rank 0"},
    {"rank_3", set_entry<uint32_t>(1, 36, 3), "rank 3"},
    {"rank_too_low", set_entry<uint32_t>(1, 36, 1), "rank 1"},
    {"zero_dimension", set_entry<uint64_t>(1, 40, 0), "shape [0, 4]"},
    {"huge_dimension", set_entry<uint64_t>(1, 40, kHuge), "dimensions"},
    {"product_overflows",
     [](Image& image) {
       set_entry<uint64_t>(1, 40, uint64_t{1} << 40)(image);
       set_entry<uint64_t>(1, 48, uint64_t{1} << 40)(image);
     },
     "go together"},
    {"product_wraps_to_the_size",  // 2^32 * (2^32 + 6) * 2 = 12 * 2^32 modulo 2^64, an overflow
                                   // either way
     [](Image& image) {
       set_entry<uint64_t>(1, 40, uint64_t{1} << 32)(image);
       set_entry<uint64_t>(1, 48, (uint64_t{1} << 32) + 6)(image);
       set_entry<uint64_t>(1, 8, uint64_t{12} << 32)(image);
     },
     "go together"},
    {"larger_than_the_file",
     [](Image& image) {
       set_entry<uint64_t>(4, 40, 64)(image);
       set_entry<uint64_t>(4, 8, 8192)(image);
     },
     "inside the file"},
    {"smaller_than_the_file",
     [](Image& image) {
       set_entry<uint64_t>(4, 48, 16)(image);
       set_entry<uint64_t>(4, 8, 2048)(image);
     },
     "end of the file"},
    {"second_dimension_without_rank", set_entry<uint64_t>(2, 48, 1), "rank 1"},
    {"reserved", set_entry<uint64_t>(1, 56, 1), "zeros where nothing is said"},
};

const Hostile kTexts[] = {
    {"name_twice",
     [](Image& image) {
       replace("panelspanels.f32", "panels01panels01")(image);
       set_entry<uint32_t>(3, 24, 8)(image);
       set_entry<uint32_t>(4, 24, 8)(image);
     },
     "each name once"},
    {"name_not_utf8", replace("\u00e9", "\xc3\x28"), "UTF-8"},
    {"name_with_control", replace("tokenizer", "tok\nnizer"), "UTF-8"},
    {"not_json", replace("{\"compiler\"", "[\"compiler\""), "JSON"},
    {"unknown_key", replace("\"compiler\"", "\"compilex\""), "compiler"},
    {"key_twice", replace("\"layers\":1,", "\"hidden\":4,"), "encoder.layers"},
    {"wrong_type", replace("\"hidden\":4", "\"hidden\":t"), "JSON"},
    {"not_a_number", replace("\"max_tokens\":16", "\"max_tokens\":[]"), "max_tokens"},
    {"too_many_heads", replace("\"heads\":2", "\"heads\":3"), "encoder.hidden"},
    {"no_heads", replace("\"heads\":2", "\"heads\":0"), "encoder.heads"},
    {"name_leaves_its_folder", replace("\"duplicate\"", "\"../licate\""), "tasks[0].name"},
    {"overlong_max_tokens", replace("\"max_tokens\":16", "\"max_tokens\":17"),
     "tasks[0].max_tokens"},
    {"another_spelling", replace("1e-12", "1E-12"), "canonical"},
};

const auto name_of_case = [](const auto& info) { return std::string(info.param.name); };
INSTANTIATE_TEST_SUITE_P(Header, HostileTest, ::testing::ValuesIn(kHeaders), name_of_case);
INSTANTIATE_TEST_SUITE_P(Entry, HostileTest, ::testing::ValuesIn(kEntries), name_of_case);
INSTANTIATE_TEST_SUITE_P(Text, HostileTest, ::testing::ValuesIn(kTexts), name_of_case);

}  // namespace
}  // namespace tilewise::artifact
