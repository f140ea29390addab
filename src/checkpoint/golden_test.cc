// Every tiny checkpoint against what PyTorch computed from it (tests/data/checkpoint/make.py).
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <simdjson.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/plain_encoder.h"
#include "checkpoint/test_checkpoint.h"

namespace tilewise::checkpoint {
namespace {

namespace dom = simdjson::dom;

template <class T>
std::vector<T> numbers(dom::element array) {
  std::vector<T> values;
  const dom::array items = array.get_array();
  for (const dom::element value : items) values.push_back(static_cast<T>(double{value}));
  return values;
}

std::string text(dom::element object, const char* key) {
  return std::string(object[key].get_string().value());
}

void expect_row(const model::Model& model, const std::string& task, dom::element row) {
  const auto ids = numbers<int32_t>(row["ids"]);
  const auto types = numbers<int32_t>(row["types"]);
  dom::element expected;
  const bool is_logits = row["logits"].get(expected) == simdjson::SUCCESS;
  const auto wanted = numbers<double>(is_logits ? expected : row["embedding"].value());
  const std::vector<double> found = plain_forward(model, task, ids, types);
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    // PyTorch's fp32 against fp64: some ten sums of up to 72 terms of size 1, rounded at 6e-8 each.
    EXPECT_NEAR(found[i], wanted[i], 2e-5)
        << simdjson::minify(row["input"].value()) << " output " << i;
  }
}

TEST(Golden, EveryCheckpointComputesWhatPyTorchComputes) {
  dom::parser parser;
  const dom::element golden = parser.load(data_folder() + "/golden.json").value();
  int cases = 0;
  const dom::array items = golden["cases"];
  for (const dom::element item : items) {
    const std::string backbone = text(item, "backbone");
    const Source source{data_folder() + "/" + text(item, "folder"),
                        backbone.empty() ? "" : data_folder() + "/" + backbone};
    const std::string task = text(item, "task");
    SCOPED_TRACE(source.folder + " " + task);
    const auto model = load(source);
    ASSERT_TRUE(model.ok()) << model.status().message();
    const auto entry =
        std::find_if(model->tasks.begin(), model->tasks.end(),
                     [&](const model::TaskWithHead& t) { return t.task.name == task; });
    ASSERT_NE(entry, model->tasks.end());
    EXPECT_EQ(name_of(entry->task.kind), text(item, "kind"));
    EXPECT_EQ(entry->task.normalize, item["normalize"].get_bool().value());
    const dom::array rows = item["rows"];
    for (const dom::element row : rows) expect_row(*model, task, row);
    ++cases;
  }
  EXPECT_EQ(cases, 20);
}

}  // namespace
}  // namespace tilewise::checkpoint
