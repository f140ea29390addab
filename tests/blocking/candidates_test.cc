// Candidates through the API: what the command line cannot reach (memory limits, stopping).
#include "blocking/candidates.h"

#include <mutex>

#include <gmock/gmock.h>

#include "tiny_engine.h"

namespace tilewise::blocking {
namespace {

using testing::HasSubstr;

class CandidatesTest : public testing::Test {
 protected:
  CandidatesTest() {
    std::string lines;
    for (int i = 0; i < 600; ++i) {
      lines += R"({"id":")" + std::to_string(i) + R"(","title":"red shoes )" + std::to_string(i) +
               "\"}\n";
    }
    options_.catalogs = {folder_.write("records.jsonl", lines)};
    options_.view.task = "vector";
    options_.view.fields = {"title"};
  }

  Status run(const Options& options) {
    lines_.clear();
    const auto report = find_candidates(
        *open_tiny_engine(2), options,
        [&](std::string_view lines) {
          lines_ += lines;
          return Status();
        },
        [](const Status& rejected) { ADD_FAILURE() << rejected.message(); },
        [](const Progress&) {});
    return report.status();
  }

  TemporaryFolder folder_;
  Options options_;
  std::string lines_;
};

TEST_F(CandidatesTest, MemoryIsBounded) {
  options_.memory_bytes = 40'000;
  const Status reading = run(options_);
  EXPECT_EQ(reading.code(), StatusCode::unavailable_machine);
  EXPECT_THAT(reading.message(), HasSubstr("--memory"));
  options_.memory_bytes = 150'000;  // enough for the vectors, not for the search
  const Status searching = run(options_);
  EXPECT_EQ(searching.code(), StatusCode::unavailable_machine);
  EXPECT_THAT(searching.message(), HasSubstr("--top"));
  EXPECT_EQ(lines_, "");
  options_.memory_bytes = 10'000'000;
  EXPECT_TRUE(run(options_).ok());
}

TEST_F(CandidatesTest, StopsAtAnyMoment) {
  // Asked for the n-th time it says stop; sooner or later it is no longer asked.
  for (int moment = 1;; moment = moment * 3 / 2 + 1) {
    int asked = 0;
    std::mutex mutex;
    options_.stop = [&] {
      const std::lock_guard lock(mutex);
      return ++asked >= moment;
    };
    const Status status = run(options_);
    if (status.ok()) {
      EXPECT_LT(asked, moment);
      break;
    }
    EXPECT_EQ(status.code(), StatusCode::interrupted) << status.message();
  }
  EXPECT_NE(lines_, "");
}

TEST_F(CandidatesTest, OptionsMustFitTogether) {
  options_.both_ways = true;
  EXPECT_EQ(run(options_).code(), StatusCode::invalid_argument);
  options_.both_ways = false;
  options_.left = options_.catalogs;
  EXPECT_EQ(run(options_).code(), StatusCode::invalid_argument);
  options_.catalogs.clear();
  EXPECT_EQ(run(options_).code(), StatusCode::invalid_argument);
  options_.right = options_.left;
  EXPECT_TRUE(run(options_).ok());
  options_.view.task = "intent";
  EXPECT_THAT(run(options_).message(), HasSubstr("embedding"));
}

}  // namespace
}  // namespace tilewise::blocking
