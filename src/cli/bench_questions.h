// The rows of a benchmark as questions to a server: what is asked, in which order, and what should
// come back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/bench_requests.h"
#include "cli/bench_workload.h"
#include "engine/engine.h"

namespace tilewise::cli {

/// What is asked, and what should come back.
struct Questions {
  RequestForm form;
  std::vector<model::Input> inputs;               ///< in the order in which they leave
  std::vector<bool> truncated;                    ///< which of them may be cut; empty: none
  std::vector<client::PreparedRequest> requests;  ///< one an input, once there is an address
  std::vector<Answer> expected;                   ///< of the first of them; may be empty
  std::vector<Flops> flops;                       ///< of each of them; may be empty
  std::vector<int32_t> tokens;                    ///< likewise
  std::vector<float> depths;                      ///< likewise; empty where the task has no exits

  /// Makes the requests. `deadline_ms` 0: that of the server.
  void address(const client::Url& url, double deadline_ms);
};

/// The workload's inputs, shuffled by the seed, with the engine's own answers to the first of them.
/// Errors: an input that the engine cannot answer.
Result<Questions> ask_with_model(engine::Engine& engine, const BenchQuestion& question,
                                 const Workload& workload, uint64_t seed);

/// Rows of files, of which nothing is known but their form. `form`: all but the output. Errors:
/// those of read_inputs.
Result<Questions> ask_without_model(const std::vector<std::string>& paths, int64_t limit,
                                    RequestForm form, uint64_t seed);

/// Asks the first questions and compares. A server of our own gives the same numbers as the engine
/// to the last bit; another may be of another precision. Returns what was compared, in words.
/// Errors: io_error.
Result<std::string> check_answers(const Questions& questions, bool is_ours);

}  // namespace tilewise::cli
