// Two looks at a server's metrics -> what it does now.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/scrape.h"

namespace tilewise::cli {

/// The metrics at one moment.
struct Sample {
  double seconds = 0;  ///< of a steady clock
  client::Scrape scrape;
};

/// Times in seconds, NaN where nothing was answered.
struct TaskReport {
  std::string model, task;  ///< both empty: requests for what is not served
  double rate = 0;          ///< answered well, a second
  double failed_rate = 0;
  double tokens = 0;  ///< a request
  double depth = 0;   ///< layers an answer; NaN also where the task has no exits
  double p50 = 0, p99 = 0;
  double queue_p99 = 0, compute_p99 = 0;
};

struct TopReport {
  bool is_ready = false;
  std::string version, isa;
  double up_seconds = 0;  ///< since the process began; 0 where that is not known
  double seconds = 0;     ///< between the two looks

  double rate = 0, failed_rate = 0;
  double p50 = 0, p99 = 0;
  std::vector<std::pair<std::string, double>> rejections;  ///< reason, a second; none that are 0
  std::vector<double> utilization;                         ///< one a replica, 0 to 1
  double backlog_ms = 0, waiting_sequences = 0;
  double pass_rate = 0, pass_sequences = 0, pass_tokens = 0;  ///< a second, a pass
  double prediction_ratio = 0;  ///< real to predicted time of passes; NaN: no pass
  double cache_share = 0;       ///< of lookups; NaN: none
  double cache_entries = 0, cache_bytes = 0;
  double connections = 0, memory_bytes = 0;
  std::vector<TaskReport> tasks;  ///< by model and task
};

TopReport compare(const Sample& before, const Sample& now);

/// One line, with its line end.
std::string to_json(const TopReport& report);

/// How a picture is drawn.
struct Canvas {
  int columns = 80;
  int rows = 0;           ///< 0: as many as it takes
  bool is_plain = false;  ///< without bold and dim
};

/// Lines for people, each with its line end and none longer than the canvas. `address` is the
/// server's.
std::string picture(const TopReport& report, const std::string& address, const Canvas& canvas);

}  // namespace tilewise::cli
