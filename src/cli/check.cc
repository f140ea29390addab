// tilewise check FOLDER: what of a checkpoint is supported, what is not and why, before anything is
// compiled.
#include <memory>
#include <string>

#include <fmt/format.h>

#include "checkpoint/checkpoint.h"
#include "cli/verbs.h"
#include "text/tokenizer.h"

namespace tilewise::cli {
namespace {

using checkpoint::Finding;
using Level = Finding::Level;

std::string described(const model::TokenizerSpec& tokenizer) {
  const size_t tokens = tokenizer.vocabulary.size();
  switch (tokenizer.model) {
    case model::TokenizerModel::byte_bpe:
      return fmt::format("byte BPE, {} tokens", tokens);
    case model::TokenizerModel::unigram:
      return fmt::format("Unigram, {} tokens", tokens);
    case model::TokenizerModel::wordpiece:
      break;
  }
  return fmt::format("WordPiece, {} tokens, {}", tokens,
                     tokenizer.lower_case ? "lower-casing" : "case kept");
}

/// The tokenizer lies beside the tasks or, failing that, beside the backbone.
Finding check_tokenizer(const checkpoint::Source& source) {
  auto tokenizer = text::read_tokenizer(source.folder);
  if (tokenizer.status().code() == StatusCode::not_found && !source.backbone.empty()) {
    tokenizer = text::read_tokenizer(source.backbone);
  }
  if (!tokenizer.ok()) return {Level::unsupported, "tokenizer", tokenizer.status().message()};
  return {Level::supported, "tokenizer", described(*tokenizer)};
}

const char* name_of(Level level) {
  switch (level) {
    case Level::supported:
      return "supported";
    case Level::note:
      return "note";
    case Level::unsupported:
      return "UNSUPPORTED";
  }
  return "?";
}

Result<int> run_check(const checkpoint::Source& source, Session& session) {
  TILEWISE_ASSIGN_OR_RETURN(std::vector<Finding> findings, checkpoint::check(source));
  findings.push_back(check_tokenizer(source));
  findings.push_back({Level::supported, "precision",
                      "bf16, fp32, or int8 (--precision int8, best with --calibrate TASK=ROWS)"});
  size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.subject.size());
  std::string text;
  size_t unsupported_count = 0;
  for (const Finding& finding : findings) {
    text += fmt::format("{:<11}  {:<{}}  {}\n", name_of(finding.level), finding.subject, width,
                        finding.detail);
    unsupported_count += finding.level == Level::unsupported;
  }
  TILEWISE_RETURN_IF_ERROR(session.out.write(text));
  if (unsupported_count == 0) return 0;
  return unsupported({.what = "this checkpoint cannot be compiled",
                      .where = source.folder,
                      .found = fmt::format("{} unsupported", unsupported_count)});
}

}  // namespace

void add_check(CLI::App& app, Action& action) {
  CLI::App* verb =
      app.add_subcommand("check", "What of a checkpoint is supported, what is not and why");
  auto source = std::make_shared<checkpoint::Source>();
  verb->add_option("FOLDER", source->folder, "A Hugging Face folder, or one with tasks.json")
      ->required()
      ->type_name("");
  verb->add_option("--backbone", source->backbone,
                   "Folder of the backbone, where it lies elsewhere")
      ->type_name("DIR");
  verb->callback([&action, source] {
    action = [source](Session& session) { return run_check(*source, session); };
  });
}

}  // namespace tilewise::cli
