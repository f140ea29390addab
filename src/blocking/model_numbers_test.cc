#include "blocking/model_numbers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tilewise::blocking {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::vector<std::string> numbers(std::string_view text) {
  std::vector<std::string> found;
  append_model_numbers(text, found);
  return found;
}

TEST(ModelNumbers, AreWordsOfLettersAndDigits) {
  EXPECT_THAT(numbers("Kestrin X200 Wireless Mouse, Graphite"), ElementsAre("x200"));
  EXPECT_THAT(numbers("D-Link DCS2332L camera"), ElementsAre("dcs2332l"));
  EXPECT_THAT(numbers("adobe photoshop cs3"), IsEmpty()) << "too short to tell anything";
}

TEST(ModelNumbers, AreWrittenWithAndWithoutJoints) {
  EXPECT_THAT(numbers("DCS-2332L"), ElementsAre("2332l", "dcs2332l"));
  EXPECT_THAT(numbers("637414-B21 HP Xeon E5607"), ElementsAre("637414", "637414b21", "e5607"));
  EXPECT_THAT(numbers("(637414 b21)"), ElementsAre("637414"));
  EXPECT_THAT(numbers("-abc-123-"), ElementsAre("abc123"));
}

TEST(ModelNumbers, AreLongNumbersToo) {
  EXPECT_THAT(numbers("0123456789012"), ElementsAre("0123456789012"));
  EXPECT_THAT(numbers("431943-003"), ElementsAre("431943", "431943003"));
  EXPECT_THAT(numbers("office 2007, 12345 clip arts"), IsEmpty());
  EXPECT_THAT(numbers("12999.95"), IsEmpty()) << "an amount";
}

TEST(ModelNumbers, AreNotFoundInOtherThings) {
  EXPECT_THAT(numbers(""), IsEmpty());
  EXPECT_THAT(numbers("Nocturna Visi\xC3\xB3n - ... / -"), IsEmpty());
  EXPECT_THAT(numbers(std::string(39, 'a') + "12"), IsEmpty()) << "longer than any";
}

TEST(ModelNumbers, NormalizedTextIsItsLettersAndDigits) {
  EXPECT_EQ(normalized(" Hewlett-Packard\xC2\xAE "), "hewlettpackard\xC2\xAE");
  EXPECT_EQ(normalized("3M"), "3m");
  EXPECT_EQ(normalized(" - "), "");
}

}  // namespace
}  // namespace tilewise::blocking
