// Rows as requests of KServe v2 inference, and what should come back.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/send_once.h"
#include "model/row.h"
#include "model/task.h"

namespace tilewise::cli {

/// What every request of a run has in common.
struct RequestForm {
  client::Url url = {};
  std::string model = {};   ///< the name that is asked: a task
  std::string output = {};  ///< the one output that is asked for
  bool both_orders = false;
  bool full_depth = false;
  double deadline_ms = 0;  ///< sent as x-deadline-ms; 0: the server's own
};

/// "label" for classes, "scores" for one probability, else what the task gives raw.
std::string output_for(const model::Task& task);
/// The same where nothing is known of the task but what its rows look like.
std::string output_for(const model::Input& input);

/// POST /v2/models/MODEL/infer with one input: BYTES, a record as JSON. `truncate` allows that its
/// end is cut.
client::PreparedRequest make_request(const RequestForm& form, const model::Input& input,
                                     bool truncate);

/// What one output of an answer holds; the one or the other.
struct Answer {
  std::vector<float> numbers = {};
  std::vector<std::string> texts = {};
};

/// What the server should answer, by the engine's own prediction (all of its classes).
Answer expected_answer(const model::Task& task, const model::Prediction& prediction);

/// Errors: io_error, naming what is wrong, unless it is a 200 with this output.
Result<Answer> read_answer(const client::Response& response, const std::string& output);

/// Texts are equal and no number differs by more than `tolerance`.
bool agree(const Answer& one, const Answer& other, double tolerance);

/// "translate", or the first numbers: for messages.
std::string describe(const Answer& answer);

/// 0 to count - 1 in an order that the seed alone decides.
std::vector<size_t> shuffled(size_t count, uint64_t seed);

/// Reads rows of either kind without a model: texts, or pairs. Errors: those of reading;
/// invalid_input where a row is bad or the kinds are mixed.
Result<std::vector<model::Input>> read_inputs(const std::vector<std::string>& paths, int64_t limit);

}  // namespace tilewise::cli
