#include "base/status.h"

#include <cerrno>
#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace tilewise {
namespace {

TEST(Status, SaysAllFiveThings) {
  const Status status =
      invalid_input({.what = "tensor has the wrong shape",
                     .where = "model.safetensors, pooler.dense.weight",
                     .expected = "384 x 384",
                     .found = "384 x 768",
                     .remedy = "Check that config.json belongs to these weights"});
  EXPECT_EQ(status.message(),
            "tensor has the wrong shape (at model.safetensors, pooler.dense.weight; expected 384 x "
            "384; found 384 x 768)"
            ". Check that config.json belongs to these weights.");
}

TEST(Status, LeavesOutWhatIsEmpty) {
  EXPECT_EQ(internal_error({.what = "broken promise"}).message(), "broken promise.");
  EXPECT_EQ(not_found({.what = "no such task", .found = "intents"}).message(),
            "no such task (found intents).");
  EXPECT_EQ(
      not_found({.what = "no such task", .where = "--task", .remedy = "Choose another"}).message(),
      "no such task (at --task). Choose another.");
  EXPECT_EQ(Status().message(), "ok");
}

TEST(Status, ExitCodesAreThoseOfTheCommandLine) {
  EXPECT_EQ(exit_code(Status()), 0);
  EXPECT_EQ(exit_code(io_error({})), 1);
  EXPECT_EQ(exit_code(internal_error({})), 1);
  EXPECT_EQ(exit_code(invalid_argument({})), 2);
  EXPECT_EQ(exit_code(invalid_input({})), 3);
  EXPECT_EQ(exit_code(unsupported({})), 3);
  EXPECT_EQ(exit_code(not_found({})), 3);
  EXPECT_EQ(exit_code(unavailable_machine({})), 4);
  EXPECT_EQ(exit_code(interrupted({})), 5);
}

TEST(Status, ErrnoText) { EXPECT_EQ(errno_text(ENOSPC), "No space left on device"); }

Result<int> half_of(int number) {
  if (number % 2 != 0) return invalid_argument({.what = "odd", .found = std::to_string(number)});
  return number / 2;
}

Result<std::unique_ptr<int>> quarter_of(int number) {
  TILEWISE_ASSIGN_OR_RETURN(const int half, half_of(number));
  TILEWISE_ASSIGN_OR_RETURN(const int quarter, half_of(half));
  return std::make_unique<int>(quarter);
}

Status check_even(int number) {
  TILEWISE_RETURN_IF_ERROR(half_of(number).status());
  return {};
}

TEST(Result, HoldsAValueOrAReason) {
  ASSERT_TRUE(half_of(8).ok());
  EXPECT_EQ(*half_of(8), 4);
  EXPECT_TRUE(half_of(8).status().ok());
  EXPECT_FALSE(half_of(7).ok());
  EXPECT_EQ(half_of(7).status().problem().found, "7");
  EXPECT_THROW((void)half_of(7).value(), std::bad_variant_access);
}

TEST(Result, MacrosPassOnTheFirstFailure) {
  Result<std::unique_ptr<int>> quarter = quarter_of(12);
  ASSERT_TRUE(quarter.ok());
  EXPECT_EQ(**quarter, 3);
  EXPECT_EQ(quarter_of(7).status().problem().found, "7");
  EXPECT_EQ(quarter_of(6).status().problem().found, "3");
  EXPECT_TRUE(check_even(2).ok());
  EXPECT_EQ(check_even(3).code(), StatusCode::invalid_argument);
}

TEST(Result, ValueMovesOut) {
  const std::unique_ptr<int> moved = *quarter_of(8);
  EXPECT_EQ(*moved, 2);
}

}  // namespace
}  // namespace tilewise
