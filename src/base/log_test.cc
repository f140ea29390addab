#include "base/log.h"

#include <array>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tilewise {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

class Log : public testing::Test {
 protected:
  ~Log() override { EXPECT_TRUE(set_log_level("info").ok()); }

  static std::string printed_by(const std::function<void()>& body) {
    testing::internal::CaptureStderr();
    body();
    return testing::internal::GetCapturedStderr();
  }

  static void log_all() {
    log_debug("d-message");
    log_info("i-message");
    log_warn("w-message");
    log_error("e-message");
  }
};

TEST_F(Log, OneLineWithTimeAndLevel) {
  const std::string text = printed_by([] { log_warn("the disk is nearly full"); });
  EXPECT_THAT(text,
              MatchesRegex("[0-9][0-9]:[0-9][0-9]:[0-9][0-9] warning: the disk is nearly full\n"));
}

TEST_F(Log, TextIsNotAFormat) {
  EXPECT_THAT(printed_by([] { log_info("{} %s {0:x} }{"); }), HasSubstr("{} %s {0:x} }{\n"));
}

TEST_F(Log, StartsAtInfo) {
  const std::string text = printed_by(log_all);
  EXPECT_THAT(text, Not(HasSubstr("d-message")));
  EXPECT_THAT(text, HasSubstr("i-message"));
}

TEST_F(Log, EachLevelHidesThoseBelow) {
  const std::vector<std::string> levels = {"debug", "info", "warn", "error", "off"};
  const std::vector<std::string> messages = {"d-message", "i-message", "w-message", "e-message"};
  for (size_t level = 0; level < levels.size(); ++level) {
    ASSERT_TRUE(set_log_level(levels[level]).ok());
    const std::string text = printed_by(log_all);
    for (size_t i = 0; i < messages.size(); ++i) {
      EXPECT_EQ(text.find(messages[i]) != std::string::npos, i >= level)
          << levels[level] << " " << messages[i];
    }
  }
}

TEST_F(Log, RefusesAnUnknownLevel) {
  for (const char* name : {"", "verbose", "INFO", "warning"}) {
    const Status status = set_log_level(name);
    EXPECT_EQ(status.code(), StatusCode::invalid_argument);
    EXPECT_EQ(status.problem().found, name);
    EXPECT_THAT(status.problem().expected, HasSubstr("debug"));
  }
  EXPECT_THAT(printed_by(log_all), HasSubstr("i-message"));  // and the level stays
}

TEST_F(Log, LinesOfManyThreadsStayWhole) {
  const std::string text = printed_by([] {
    std::array<std::thread, 4> threads;
    for (std::thread& thread : threads) {
      thread = std::thread([] {
        for (int line = 0; line < 100; ++line) log_info("a line that is written whole");
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  size_t lines = 0;
  for (size_t start = 0; start < text.size(); ++lines) {
    const size_t end = text.find('\n', start);
    ASSERT_NE(end, std::string::npos);
    EXPECT_EQ(text.substr(start + 8, end - start - 8), " info: a line that is written whole");
    start = end + 1;
  }
  EXPECT_EQ(lines, 400u);
}

}  // namespace
}  // namespace tilewise
