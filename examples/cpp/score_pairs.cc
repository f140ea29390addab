// Are these two records the same product? The task "duplicate" of a compiled model answers for each
// pair.
//
//   tilewise compile examples/product-search/model --backbone BACKBONE -o product-search.tw
//   score_pairs product-search.tw
//
// prints, with the example model in bf16 (BACKBONE is the MiniLM that `./dev demo` fetches):
//
//   0.99  duplicate
//   0.00  different
//   -     The record has none of the fields that the task reads (expected at least one of title,
//         brand, price, description; found colour).
#include <cstdio>
#include <string>
#include <vector>

#include <tilewise/tilewise.h>

using tilewise::Pair;
using tilewise::Record;

int fail(const tilewise::Status& status) {
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: score_pairs MODEL.tw\n");
    return 2;
  }
  const auto model = tilewise::Model::open(argv[1]);
  if (!model.ok()) return fail(model.status());

  const Record keyboard = {{"title", "Kestrin K78 Mechanical Keyboard, Brown Switches, US Layout"},
                           {"brand", "Kestrin"}};
  const std::vector<Pair> pairs = {
      {keyboard, Record{{"title", "kestrin k78 75% mechanical keyboard tactile brown us"},
                        {"brand", "kestrin"}}},
      {keyboard, Record{{"title", "kestrin x200 wireless mouse graphite"}, {"price", "47.50"}}},
      {keyboard, Record{{"colour", "brown"}}}};

  const auto answers = model->score("duplicate", pairs);
  if (!answers.ok()) return fail(answers.status());
  for (const auto& answer : *answers) {
    if (!answer.ok()) {  // one bad pair does not spoil the others
      std::printf("-     %s\n", answer.status().message().c_str());
      continue;
    }
    std::printf("%.2f  %s\n", answer->score, answer->label.value_or("different").c_str());
  }
  return 0;
}
