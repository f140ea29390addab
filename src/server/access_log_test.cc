#include "server/access_log.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/temporary_folder.h"

namespace tilewise::server {
namespace {

AccessEntry entry(std::string_view request_id) {
  return {.time = std::chrono::system_clock::from_time_t(1700000000) + std::chrono::milliseconds(7),
          .request_id = request_id,
          .trace_id = "0af7651916cd43dd8448eb211c80319c",
          .peer = "192.0.2.7:51234",
          .method = "POST",
          .path = "/v2/models/intent/infer",
          .protocol = "kserve",
          .model = "m",
          .task = "intent",
          .status = 200,
          .bytes_in = 120,
          .bytes_out = 90,
          .inputs = 2,
          .tokens = 23,
          .times = {.tokenize = 0.00001, .queue = 0.0005, .compute = 0.0021},
          .total_seconds = 0.003};
}

class AccessLogTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_ / name; }

  static std::vector<std::string> lines(const std::string& file) {
    std::ifstream stream(file);
    std::vector<std::string> all;
    for (std::string line; std::getline(stream, line);) all.push_back(line);
    return all;
  }

  static std::string text_of(const std::string& line, const char* key) {
    simdjson::dom::parser parser;
    std::string_view value;
    if (parser.parse(line)[key].get(value) != simdjson::SUCCESS) return "(no " + line + ")";
    return std::string(value);
  }

  static double number_of(const std::string& line, const char* key) {
    simdjson::dom::parser parser;
    double value = -1;
    if (parser.parse(line)[key].get(value) != simdjson::SUCCESS) return -1;
    return value;
  }

  TemporaryFolder folder_;
};

TEST_F(AccessLogTest, OneObjectALine) {
  auto log = AccessLog::open(path("log"));
  ASSERT_TRUE(log.ok()) << log.status().message();
  (*log)->write(entry("first"));
  (*log)->write(entry("second"));
  (*log)->flush();
  const auto all = lines(path("log"));
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(text_of(all[0], "time"), "2023-11-14T22:13:20.007Z");  // date -u -d @1700000000
  EXPECT_EQ(text_of(all[0], "request_id"), "first");
  EXPECT_EQ(text_of(all[1], "request_id"), "second");
  for (const auto& [key, value] : {std::pair{"peer", "192.0.2.7:51234"},
                                   {"method", "POST"},
                                   {"path", "/v2/models/intent/infer"},
                                   {"protocol", "kserve"},
                                   {"model", "m"},
                                   {"task", "intent"},
                                   {"trace_id", "0af7651916cd43dd8448eb211c80319c"}}) {
    EXPECT_EQ(text_of(all[0], key), value) << key;
  }
  for (const auto& [key, value] : {std::pair{"status", 200.0},
                                   {"bytes_in", 120},
                                   {"bytes_out", 90},
                                   {"inputs", 2},
                                   {"tokens", 23},
                                   {"tokenize_ms", 0.01},
                                   {"queue_ms", 0.5},
                                   {"compute_ms", 2.1},
                                   {"total_ms", 3}}) {
    EXPECT_EQ(number_of(all[0], key), value) << key;
  }
}

TEST_F(AccessLogTest, IsJsonWhateverAClientSends) {
  auto log = AccessLog::open(path("log"));
  ASSERT_TRUE(log.ok());
  AccessEntry strange = entry("a\"b\\c\n\x01");
  strange.path = "/\xff\xc3\"\n";
  (*log)->write(strange);
  (*log)->flush();
  const auto all = lines(path("log"));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(text_of(all[0], "request_id"), "a\"b\\c\n\x01");
  EXPECT_EQ(text_of(all[0], "path"), "/\u00ff\u00c3\"\n");
}

TEST_F(AccessLogTest, AppendsAndEndsComplete) {
  for (const char* id : {"before", "after"}) {
    auto log = AccessLog::open(path("log"));
    ASSERT_TRUE(log.ok());
    (*log)->write(entry(id));
  }
  const auto all = lines(path("log"));
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(text_of(all[1], "request_id"), "after");
}

TEST_F(AccessLogTest, FollowsItsNameWhenItWasMovedAway) {
  auto log = AccessLog::open(path("log"));
  ASSERT_TRUE(log.ok());
  (*log)->write(entry("old"));
  (*log)->flush();
  std::filesystem::rename(path("log"), path("log.1"));
  (*log)->write(entry("new"));
  (*log)->flush();
  ASSERT_EQ(lines(path("log.1")).size(), 1u);
  ASSERT_EQ(lines(path("log")).size(), 1u);
  EXPECT_EQ(text_of(lines(path("log"))[0], "request_id"), "new");
}

TEST_F(AccessLogTest, LosesNothingWhenASignalAsksForANewFile) {
  auto log = AccessLog::open(path("log"));
  ASSERT_TRUE(log.ok());
  (*log)->write(entry("old"));
  (*log)->flush();
  const auto previous = std::signal(SIGHUP, [](int) { reopen_access_logs(); });
  std::raise(SIGHUP);
  std::signal(SIGHUP, previous);
  (*log)->write(entry("new"));
  (*log)->flush();
  EXPECT_EQ(lines(path("log")).size(), 2u);
}

TEST_F(AccessLogTest, SaysWhyItCannotBeOpened) {
  const auto log = AccessLog::open(path("no/such/folder/log"));
  ASSERT_FALSE(log.ok());
  EXPECT_EQ(log.status().code(), StatusCode::io_error);
  EXPECT_NE(log.status().message().find("no/such/folder/log"), std::string::npos);
}

TEST_F(AccessLogTest, DropsAndSaysSoRatherThanWait) {
  // Nobody reads this pipe: what does not fit into it and into memory must be dropped.
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  const int reader = ::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  constexpr int kLines = 60000;  // about 20 MB, more than twice what may wait
  std::string text;
  {
    auto log = AccessLog::open(path("pipe"));
    ASSERT_TRUE(log.ok());
    for (int i = 0; i < kLines; ++i) (*log)->write(entry(std::to_string(i)));
    // Now somebody reads to the end.
    std::thread drain([&] {
      fcntl(reader, F_SETFL, 0);
      std::vector<char> buffer(1 << 16);
      for (ssize_t size; (size = ::read(reader, buffer.data(), buffer.size())) > 0;) {
        text.append(buffer.data(), static_cast<size_t>(size));
      }
    });
    (*log)->flush();
    (*log).reset();
    drain.join();
  }
  ::close(reader);
  int64_t written = 0, dropped = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    ASSERT_NE(end, std::string::npos) << "a line is cut";
    const std::string line = text.substr(at, end - at);
    const double lost = number_of(line, "dropped");
    lost >= 0 ? dropped += static_cast<int64_t>(lost) : ++written;
    at = end + 1;
  }
  EXPECT_GT(dropped, 0);
  EXPECT_EQ(written + dropped, kLines);
}

TEST_F(AccessLogTest, ManyThreads) {
  auto log = AccessLog::open(path("log"));
  ASSERT_TRUE(log.ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) (*log)->write(entry("x"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  (*log)->flush();
  const auto all = lines(path("log"));
  EXPECT_EQ(all.size(), 2000u);
  for (const std::string& line : all) EXPECT_EQ(text_of(line, "request_id"), "x");
}

}  // namespace
}  // namespace tilewise::server
