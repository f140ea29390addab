#include "checkpoint/safetensors.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/test_checkpoint.h"

namespace tilewise::checkpoint {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::span<const std::byte> as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

Result<Safetensors> parse(const std::string& bytes) {
  return Safetensors::parse(as_bytes(bytes), "f.safetensors");
}

/// A file of 16 data bytes with these two entries.
std::string two(const std::string& a, const std::string& b) {
  return safetensors_bytes(R"({"a":)" + a + R"(,"b":)" + b + "}", std::string(16, '\0'));
}
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}
const std::string kGoodA = entry("F32", "[2]", "[0,8]");
const std::string kGoodB = entry("F32", "[1,2]", "[8,16]");

TEST(Safetensors, ReadsTensorsInOrderOfNames) {
  const std::string bytes = safetensors_bytes({f32_tensor("z", {2, 1}, {1.5f, -2}),
                                               {"i", "I64", {}, "12345678"},
                                               {"e", "F16", {0, 3}, ""}});
  const auto file = parse(bytes);
  ASSERT_TRUE(file.ok()) << file.status().message();
  ASSERT_EQ(file->tensors().size(), 3u);
  EXPECT_EQ(file->tensors()[0].name, "e");
  EXPECT_EQ(file->tensors()[1].dtype, "I64");
  const TensorEntry* z = file->find("z");
  ASSERT_NE(z, nullptr);
  EXPECT_THAT(z->shape, ElementsAre(2, 1));
  EXPECT_THAT(*to_fp32(*z, "z"), ElementsAre(1.5f, -2.0f));
  EXPECT_TRUE(to_fp32(*file->find("e"), "e")->empty());
  EXPECT_EQ(file->find("y"), nullptr);
}

TEST(Safetensors, IgnoresMetadataAndTrailingSpaces) {
  const auto file = parse(safetensors_bytes(
      R"({"__metadata__":{"format":"pt"},"a":)" + kGoodA + "}   ", std::string(8, '\0')));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->tensors().size(), 1u);
}

struct BadFile {
  const char* name;
  std::string bytes;
  const char* what;
  const char* detail;
};
void PrintTo(const BadFile& bad, std::ostream* out) { *out << bad.name; }

class BadSafetensors : public testing::TestWithParam<BadFile> {};

TEST_P(BadSafetensors, IsRefusedWithItsReason) {
  const auto file = parse(GetParam().bytes);
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(
      file.status().message(),
      AllOf(HasSubstr(GetParam().what), HasSubstr(GetParam().detail), HasSubstr("f.safetensors")));
}

std::string with_length(uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + "{}      ";
}

const BadFile kBadFiles[] = {
    {"empty", "", "too short", "0 bytes"},
    {"seven_bytes", "1234567", "too short", "7 bytes"},
    {"header_longer_than_file", with_length(9), "does not fit", "9 bytes"},
    {"header_of_2_to_63", with_length(uint64_t{1} << 63), "does not fit", "9223372036854775808"},
    {"header_of_2_to_64_less_1", with_length(~uint64_t{0}), "does not fit", "18446744073709551615"},
    {"no_brace", safetensors_bytes("[1]", ""), "not safetensors", ""},
    {"not_json", safetensors_bytes("{\"a\":", ""), "not a JSON object", ""},
    {"empty_header", safetensors_bytes("", ""), "not safetensors", ""},
    {"invalid_utf8", safetensors_bytes("{\"\xff\":1}", ""), "not a JSON object", ""},
    {"deep_json", safetensors_bytes("{\"a\":" + std::string(5000, '['), ""), "not a JSON object",
     ""},
    {"lfs_pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS",
     "git lfs pull"},
    {"entry_is_a_number", safetensors_bytes("{\"a\":1}", ""), "no dtype", ": a"},
    {"unknown_dtype", two(entry("F8_E9", "[8]", "[0,8]"), kGoodB), "type that is not known",
     "F8_E9"},
    {"dtype_is_a_number", two(R"({"dtype":3})", kGoodB), "no dtype", ": a"},
    {"no_shape", two(R"({"dtype":"F32"})", kGoodB), "no shape", ": a"},
    {"negative_size", two(entry("F32", "[-2]", "[0,8]"), kGoodB), "size that cannot be", "-2"},
    {"fractional_size", two(entry("F32", "[2.0]", "[0,8]"), kGoodB), "size that cannot be", "2.0"},
    {"size_times_size_overflows", two(entry("F32", "[4294967296,4294967296]", "[0,8]"), kGoodB),
     "larger than any file", ": a"},
    {"overflow_to_the_right_size", two(entry("F32", "[4611686018427387904,2]", "[0,8]"), kGoodB),
     "larger than any file", ": a"},
    {"size_over_int64", two(entry("U8", "[9223372036854775808]", "[0,8]"), kGoodB),
     "size that cannot be", "9223372036854775808"},
    {"one_offset", two(entry("F32", "[2]", "[0]"), kGoodB), "no data_offsets", ": a"},
    {"three_offsets", two(entry("F32", "[2]", "[0,8,16]"), kGoodB), "no data_offsets", ": a"},
    {"negative_offset", two(entry("F32", "[2]", "[-8,0]"), kGoodB), "no data_offsets", ": a"},
    {"end_before_begin", two(entry("F32", "[2]", "[8,0]"), kGoodB), "outside the file", "[8, 0]"},
    {"beyond_the_end", two(kGoodA, entry("F32", "[3]", "[8,20]")), "outside the file", "[8, 20]"},
    {"bytes_do_not_fit_shape", two(entry("F32", "[3]", "[0,8]"), kGoodB), "do not fit its shape",
     "12 bytes"},
    {"overlap", two(kGoodA, entry("F32", "[3]", "[4,16]")), "overlaps", ": b"},
    {"same_range_twice", two(entry("F32", "[4]", "[0,16]"), entry("F32", "[4]", "[0,16]")),
     "overlaps", ": b"},
    {"gap", two(entry("F32", "[1]", "[0,4]"), kGoodB), "gap", "begin at 4"},
    {"bytes_at_the_end", two(kGoodA, entry("F32", "[1]", "[8,12]")), "belong to no tensor",
     "12 bytes"},
    {"same_name_twice",
     safetensors_bytes(R"({"a":)" + kGoodA + R"(,"a":)" + kGoodB + "}", std::string(16, '\0')),
     "listed twice", ": a"},
};
INSTANTIATE_TEST_SUITE_P(, BadSafetensors, testing::ValuesIn(kBadFiles),
                         [](const auto& bad) { return std::string(bad.param.name); });

TEST(Safetensors, EveryTruncationIsRefused) {
  const TestCheckpoint checkpoint("multi_task");
  const std::string whole = checkpoint.read("heads.safetensors");
  ASSERT_TRUE(parse(whole).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_FALSE(parse(whole.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(parse(whole + "x").ok());
}

TEST(Safetensors, NoBitFlipOfTheHeaderLeadsOutsideTheFile) {
  const TestCheckpoint checkpoint("multi_task");
  const std::string whole = checkpoint.read("heads.safetensors");
  int refused = 0;
  constexpr size_t kBits = size_t{8} * (8 + 560);  // the length and the header
  for (size_t bit = 0; bit < kBits; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto file = parse(flipped);
    refused += !file.ok();
    if (!file.ok()) continue;
    for (const TensorEntry& tensor :
         file->tensors()) {  // a flip in a name is no error; the data must still lie inside
      ASSERT_GE(reinterpret_cast<const char*>(tensor.data.data()), flipped.data());
      ASSERT_LE(reinterpret_cast<const char*>(tensor.data.data() + tensor.data.size()),
                flipped.data() + flipped.size());
    }
  }
  EXPECT_GT(refused, 100);
}

TEST(Safetensors, MissingFileIsNotFound) {
  const auto file = Safetensors::open("/nonexistent/f.safetensors", "f.safetensors");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), StatusCode::not_found);
}

/// The value of a binary floating-point pattern by the definition of IEEE 754, in double.
double value_of(uint32_t bits, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const auto fraction =
      static_cast<double>(bits & ((1u << fraction_bits) - 1)) / (1 << fraction_bits);
  const int exponent = static_cast<int>((bits >> fraction_bits) & ((1u << exponent_bits) - 1));
  const double sign = (bits >> (exponent_bits + fraction_bits)) & 1 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1)
    return std::numeric_limits<double>::infinity();  // or NaN: not finite
  return sign * (exponent == 0 ? std::ldexp(fraction, 1 - bias)
                               : std::ldexp(1 + fraction, exponent - bias));
}

void check_all_16_bit_patterns(const std::string& dtype, int exponent_bits, int fraction_bits) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const std::byte bytes[2] = {static_cast<std::byte>(bits & 0xFF),
                                static_cast<std::byte>(bits >> 8)};
    const TensorEntry tensor{"t", dtype, {1}, bytes};
    const auto values = to_fp32(tensor, "t");
    const double expected = value_of(bits, exponent_bits, fraction_bits);
    ASSERT_EQ(values.ok(), std::isfinite(expected)) << bits;
    if (!values.ok()) continue;
    ASSERT_EQ(static_cast<double>(values->front()), expected)
        << bits;  // exact: both formats lie within fp32
    ASSERT_EQ(std::signbit(values->front()), bits >= 0x8000) << bits;
  }
}

TEST(Widening, EveryHalf) { check_all_16_bit_patterns("F16", 5, 10); }
TEST(Widening, EveryBf16) { check_all_16_bit_patterns("BF16", 8, 7); }

TEST(Widening, NotFiniteIsRefusedAtItsIndex) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    const RawTensor raw = f32_tensor("t", {3}, {1, 2, bad});
    const TensorEntry tensor{"t", "F32", {3}, as_bytes(raw.bytes)};
    const auto values = to_fp32(tensor, "f.safetensors: t");
    ASSERT_FALSE(values.ok());
    EXPECT_THAT(values.status().message(),
                AllOf(HasSubstr("f.safetensors: t"), HasSubstr("index 2")));
  }
}

TEST(Widening, IntegersAreNoWeights) {
  const std::string bytes(8, '\0');
  const auto values = to_fp32({"t", "I64", {1}, as_bytes(bytes)}, "t");
  ASSERT_FALSE(values.ok());
  EXPECT_EQ(values.status().code(), StatusCode::unsupported);
  EXPECT_THAT(values.status().message(), HasSubstr("I64"));
}

}  // namespace
}  // namespace tilewise::checkpoint
