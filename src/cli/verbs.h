// The verbs of the command line. Each adds its subcommand and flags to `app` and, when it is the
// one that was called, puts what is to be done into `action`. One file a verb.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/session.h"

namespace tilewise::cli {

void add_check(CLI::App& app, Action& action);
void add_compile(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_predict(CLI::App& app, Action& action);
void add_batch(CLI::App& app, Action& action);
void add_candidates(CLI::App& app, Action& action);
void add_clusters(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_serve(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_devices(CLI::App& app, Action& action);
void add_top(CLI::App& app, Action& action);

}  // namespace tilewise::cli
