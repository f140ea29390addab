// tilewise VERB ...: reads the command line, runs the verb and turns its result into an exit code.
#include <exception>
#include <new>
#include <string>

#include "base/log.h"
#include "cli/session.h"
#include "cli/verbs.h"

namespace tilewise::cli {
namespace {

constexpr const char* kDescription =
    "BERT-class inference on the matrix and vector units of server processors";
constexpr const char* kFooter =
    "Exit codes: 0 done, 1 the work failed, 2 the command line is wrong, 3 the input or the model "
    "is bad,\n"
    "4 this machine cannot run it, 5 interrupted. 'tilewise VERB --help' explains a verb.\n";

Status wrong_command_line(const CLI::App& app, const std::string& what) {
  std::string help = "tilewise";
  for (const CLI::App* verb : app.get_subcommands()) help += " " + verb->get_name();
  return invalid_argument(
      {.what = what, .remedy = "Run '" + help + " --help' to see what there is"});
}

/// CLI11 says only that something was not expected.
Status check_verb(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || *argv[1] == '-') return {};
  std::string verbs;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (verb->get_name() == argv[1]) return {};
    verbs += (verbs.empty() ? "" : ", ") + verb->get_name();
  }
  return invalid_argument({.what = "there is no such verb", .expected = verbs, .found = argv[1]});
}

/// Fills `action`, or returns the exit code of a run that ends here (--help, --version).
Result<int> parse(CLI::App& app, int argc, char** argv, Session& session) {
  TILEWISE_RETURN_IF_ERROR(check_verb(app, argc, argv));
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::CallForHelp&) {
    TILEWISE_RETURN_IF_ERROR(session.out.write(app.help()));
  } catch (const CLI::CallForAllHelp&) {
    TILEWISE_RETURN_IF_ERROR(session.out.write(app.help("", CLI::AppFormatMode::All)));
  } catch (const CLI::CallForVersion&) {
    TILEWISE_RETURN_IF_ERROR(session.out.write("tilewise " TILEWISE_VERSION "\n"));
  } catch (const CLI::ParseError& error) {
    return wrong_command_line(app, error.what());
  }
  return 0;
}

Result<int> run(int argc, char** argv, Session& session) {
  CLI::App app(kDescription, "tilewise");
  Action action;
  std::string log_level = "info";
  app.fallthrough();  // before the verbs, which inherit it: common flags may follow a verb
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", TILEWISE_VERSION);
  app.add_option("--log-level", log_level, "debug, info, warn, error or off (default info)")
      ->type_name("LEVEL");
  for (const auto add :
       {add_check, add_compile, add_inspect, add_predict, add_batch, add_candidates, add_clusters,
        add_eval, add_serve, add_bench, add_devices, add_top}) {
    add(app, action);
  }
  app.footer(kFooter);  // after the verbs, which would inherit it
  TILEWISE_ASSIGN_OR_RETURN(const int code, parse(app, argc, argv, session));
  TILEWISE_RETURN_IF_ERROR(set_log_level(log_level));
  session.informs = log_level == "debug" || log_level == "info";
  if (action) return action(session);
  if (argc > 1) return code;
  return wrong_command_line(app, "there is no verb");
}

}  // namespace
}  // namespace tilewise::cli

// Before the initialisers of the libraries, of which one opens a file: it would get the number of a
// standard stream that the caller has closed.
__attribute__((section(".preinit_array"), used)) static void (*const reserve_standard_streams)() =
    tilewise::cli::reserve_standard_streams;

int main(int argc, char** argv) {
  using namespace tilewise;
  cli::ignore_write_signals();
  cli::Session session;
  try {
    return cli::finish(session, cli::run(argc, argv, session));
  } catch (const std::bad_alloc&) {
    return cli::finish(session, unavailable_machine({.what = "there is not enough memory"}));
  } catch (const std::exception& error) {
    return cli::finish(session,
                       internal_error({.what = "unexpected failure", .found = error.what()}));
  }
}
