#include "cli/top_report.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include <gtest/gtest.h>

namespace tilewise::cli {
namespace {

Sample sample(double seconds, const std::string& text) {
  auto scrape = client::Scrape::parse(text);
  EXPECT_TRUE(scrape.ok()) << scrape.status().message();
  return {.seconds = seconds, .scrape = scrape.ok() ? *scrape : client::Scrape()};
}

std::string histogram(const std::string& name, const std::string& labels, double fast, double all) {
  std::ostringstream text;
  text << name << "_bucket{" << labels << ",le=\"0.001\"} " << fast << '\n'
       << name << "_bucket{" << labels << ",le=\"0.002\"} " << all << '\n'
       << name << "_bucket{" << labels << ",le=\"+Inf\"} " << all << '\n'
       << name << "_sum{" << labels << "} 1\n"
       << name << "_count{" << labels << "} " << all << '\n';
  return text.str();
}

/// A server that has answered `n` requests over two protocols, and refused `refused`.
std::string metrics(double n, double refused, double busy) {
  std::ostringstream text;
  for (const char* protocol : {"tei", "grpc"}) {
    const std::string labels = std::string("model=\"m\",protocol=\"") + protocol + "\",task=\"t\"";
    text << "tilewise_requests_total{code=\"ok\"," << labels << "} " << n / 2 << '\n';
    text << histogram("tilewise_request_duration_seconds", labels, n / 4, n / 2);
  }
  text << "tilewise_requests_total{code=\"overloaded\",model=\"m\",protocol=\"tei\",task=\"t\"} "
       << refused << '\n'
       << "tilewise_rejections_total{reason=\"overloaded\"} " << refused << '\n'
       << "tilewise_rejections_total{reason=\"deadline\"} 0\n"
       << "tilewise_replica_busy_seconds_total{replica=\"0\"} " << busy << '\n'
       << "tilewise_replica_busy_seconds_total{replica=\"1\"} 0\n"
       << "tilewise_pass_sequences_sum " << n << "\ntilewise_pass_sequences_count " << n / 10
       << "\ntilewise_backlog_milliseconds 1.5\ntilewise_ready 1\n"
       << "tilewise_build_info{version=\"9.8\",isa=\"amx\"} 1\n";
  return text.str();
}

TEST(TopReport, IsWhatHappenedBetweenTwoLooks) {
  const TopReport report =
      compare(sample(10, metrics(1000, 5, 3)), sample(12, metrics(1800, 25, 4)));
  EXPECT_TRUE(report.is_ready);
  EXPECT_EQ(report.version, "9.8");
  EXPECT_EQ(report.isa, "amx");
  EXPECT_DOUBLE_EQ(report.rate, 400);
  EXPECT_DOUBLE_EQ(report.failed_rate, 10);
  // Half of 800 under 1 ms, the rest evenly up to 2 ms.
  EXPECT_NEAR(report.p50, 0.001, 1e-9);
  EXPECT_NEAR(report.p99, 0.00198, 1e-9);
  EXPECT_EQ(report.rejections, (std::vector<std::pair<std::string, double>>{{"overloaded", 10.0}}));
  EXPECT_EQ(report.utilization, (std::vector<double>{0.5, 0}));
  EXPECT_DOUBLE_EQ(report.pass_rate, 40);
  EXPECT_DOUBLE_EQ(report.pass_sequences, 10);
  EXPECT_DOUBLE_EQ(report.backlog_ms, 1.5);
  EXPECT_TRUE(std::isnan(report.cache_share));
  ASSERT_EQ(report.tasks.size(), 1u) << "protocols are one task";
  EXPECT_EQ(report.tasks[0].task, "t");
  EXPECT_DOUBLE_EQ(report.tasks[0].rate, 400);
  EXPECT_DOUBLE_EQ(report.tasks[0].failed_rate, 10);
}

TEST(TopReport, TheDepthIsShownWhereTasksHaveExits) {
  const auto with = [](double layers, double answers) {
    std::ostringstream text;
    const char* labels = "{model=\"m\",protocol=\"tei\",task=\"t\"} ";
    text << metrics(1000, 0, 1) << "tilewise_depth_layers_total" << labels << layers
         << "\ntilewise_depth_answers_total" << labels << answers << '\n';
    return text.str();
  };
  const TopReport report = compare(sample(1, with(10, 5)), sample(2, with(85, 25)));
  EXPECT_DOUBLE_EQ(report.tasks[0].depth, 3.75);
  EXPECT_NE(picture(report, "x", {}).find("layers"), std::string::npos);
  EXPECT_NE(to_json(report).find("\"depth\":3.75"), std::string::npos);
  const TopReport without = compare(sample(1, metrics(1, 0, 1)), sample(2, metrics(9, 0, 1)));
  EXPECT_EQ(picture(without, "x", {}).find("layers"), std::string::npos);
  EXPECT_NE(to_json(without).find("\"depth\":null"), std::string::npos);
}

TEST(TopReport, AServerThatWasStartedAnew) {
  const TopReport report =
      compare(sample(10, metrics(1000, 5, 3)), sample(11, metrics(100, 0, 0.25)));
  EXPECT_DOUBLE_EQ(report.rate, 100);
  EXPECT_DOUBLE_EQ(report.failed_rate, 0);
  EXPECT_EQ(report.utilization, (std::vector<double>{0.25, 0}));
}

TEST(TopReport, ThePictureKeepsToItsCanvas) {
  TopReport report = compare(sample(10, metrics(1000, 5, 3)), sample(12, metrics(1800, 25, 4)));
  TaskReport task = report.tasks[0];
  for (int i = 0; i < 30; ++i) {
    task.model = "modèle-" + std::to_string(i);
    report.tasks.push_back(task);
  }
  for (const auto& [columns, rows] : {std::pair{80, 24}, {40, 24}, {200, 60}, {10, 5}, {1, 1}}) {
    std::istringstream lines(picture(report, "http://localhost:8080",
                                     {.columns = columns, .rows = rows, .is_plain = true}));
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
      const auto characters = std::count_if(line.begin(), line.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
      });
      EXPECT_LE(characters, columns) << line;
    }
    EXPECT_LE(count, rows);
  }
  const std::string text = picture(report, "http://localhost:8080", {.columns = 80, .rows = 24});
  EXPECT_NE(text.find("... "), std::string::npos) << "says that there are more";
  EXPECT_NE(text.find("overloaded 10.0/s"), std::string::npos) << text;
  EXPECT_NE(text.find("replica 0   [=========         ]  50 %"), std::string::npos) << text;
}

TEST(TopReport, JsonHasNullForWhatIsNotKnown) {
  const std::string json =
      to_json(compare(sample(1, "tilewise_ready 1\n"), sample(2, "tilewise_ready 1\n")));
  EXPECT_NE(json.find("\"p99_ms\":null"), std::string::npos) << json;
  EXPECT_TRUE(json.ends_with("}\n"));
}

}  // namespace
}  // namespace tilewise::cli
