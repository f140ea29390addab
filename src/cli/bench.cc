// tilewise bench MODEL.tw: how fast it is here, and how near to what the processor can do.
#include <memory>

#include "base/clock.h"
#include "cli/bench_kernels.h"
#include "cli/bench_report.h"
#include "cli/bench_scenarios.h"
#include "cli/bench_server.h"
#include "cli/bench_workload.h"
#include "cli/flags.h"
#include "cli/process.h"
#include "cli/verbs.h"

namespace tilewise::cli {
namespace {

struct BenchFlags {
  ModelFlags model;
  TaskFlags task;
  std::string scenario = "offline";
  std::vector<std::string> inputs;
  int64_t limit = 0;
  int32_t tokens = 0;
  int32_t sequences = 1;
  std::optional<double> seconds;
  double warmup_seconds = 1;
  bool kernels = false;
  std::string only;
  bool json = false;
  ServerBenchOptions server;  ///< its own flags; the shared ones are put in when it runs

  BenchTime time() const { return {seconds.value_or(5), warmup_seconds}; }
  bool is_forward() const { return tokens > 0; }
};

Status check(const BenchFlags& flags) {
  if (!flags.only.empty()) {
    return invalid_argument({.what = "--only has a meaning only with --kernels",
                             .expected = "--kernels --only TEXT",
                             .found = "--only " + flags.only});
  }
  if (flags.model.path.empty()) {
    return invalid_argument({.what = "a benchmark needs a model",
                             .where = "tilewise bench",
                             .expected = "MODEL.tw, or --kernels for the processor alone",
                             .found = "neither"});
  }
  if (flags.scenario != "single" && flags.scenario != "offline") {
    return invalid_argument({.what = "unknown scenario",
                             .where = "--scenario",
                             .expected = "single, offline or server",
                             .found = flags.scenario});
  }
  if (flags.is_forward() == !flags.inputs.empty()) {
    return invalid_argument({.what = "a benchmark needs either rows or a size",
                             .expected = "--input PATH, or --tokens N for random tokens",
                             .found = flags.inputs.empty() ? "neither" : "both"});
  }
  return {};
}

Result<BenchQuestion> resolve(const engine::Engine& engine, const TaskFlags& flags) {
  BenchQuestion question;
  TILEWISE_ASSIGN_OR_RETURN(question.tasks, flags.resolve(engine));
  TILEWISE_ASSIGN_OR_RETURN(question.set, engine.find_tasks(question.tasks));
  TILEWISE_ASSIGN_OR_RETURN(question.predict, flags.predict_options(engine, question.tasks));
  return question;
}

/// The timed part, between two looks at what the cores can do now.
Result<Measurement> measure(engine::Engine& engine, const BenchQuestion& question,
                            const BenchFlags& flags, Flops& peaks) {
  std::optional<Workload> workload;
  if (!flags.is_forward()) {
    TILEWISE_ASSIGN_OR_RETURN(
        Workload loaded,
        load_workload(engine, question, flags.inputs, flags.limit, flags.scenario == "single"));
    workload.emplace(std::move(loaded));
  }
  const Flops before = measure_peaks(engine);
  auto measured = flags.is_forward()
                      ? run_forward(engine, question, flags.tokens, flags.sequences, flags.time())
                  : flags.scenario == "offline"
                      ? run_offline(engine, question, *workload, flags.time())
                      : run_single(engine, question, *workload, flags.time());
  const Flops after = measure_peaks(engine);
  peaks = before;
  peaks += after;
  peaks = peaks * 0.5;
  return measured;
}

constexpr std::initializer_list<const char*> kServerFlags = {
    "--url", "--rate", "--deadline-ms", "--server-cpus", "--client-cpu", "--connections", "--seed"};

/// The first of the flags that was given; null where none was.
const char* first_given(const CLI::App& verb, std::initializer_list<const char*> flags) {
  for (const char* flag : flags) {
    const CLI::Option* option = verb.get_option_no_throw(flag);
    if (option != nullptr && option->count() > 0) return flag;
  }
  return nullptr;
}

/// Flags of the other scenarios have no meaning beside --kernels.
Status check_kernels(const CLI::App& verb) {
  const char* flag =
      first_given(verb, {"--input", "--scenario", "--limit", "--tokens", "--sequences", "--warmup",
                         "--replicas", "--cores-per-replica", "--top", "--threshold",
                         "--both-orders", "--full-depth", "--logits"});
  if (flag == nullptr) flag = first_given(verb, kServerFlags);
  if (flag == nullptr) return {};
  return invalid_argument(
      {.what = std::string(flag) + " has no meaning beside --kernels",
       .expected = "MODEL.tw, --task, --isa, --only, --seconds, --verify or --json",
       .found = flag});
}

/// Nor have those of the server beside another scenario, and the other way round.
Status check_scenario(const CLI::App& verb, const BenchFlags& flags) {
  const bool is_server = flags.scenario == "server";
  const char* flag = is_server ? first_given(verb, {"--tokens", "--sequences", "--only"})
                               : first_given(verb, kServerFlags);
  if (flag == nullptr) return {};
  return invalid_argument({.what = std::string(flag) + " has no meaning in this scenario",
                           .expected = is_server ? "--input PATH" : "--scenario server",
                           .found = "--scenario " + flags.scenario});
}

Result<int> run_server(const BenchFlags& flags, Session& session) {
  ServerBenchOptions options = flags.server;
  options.model = flags.model;
  options.task = flags.task;
  options.inputs = flags.inputs;
  options.limit = flags.limit;
  options.seconds = flags.seconds.value_or(10);
  options.warmup_seconds = flags.warmup_seconds;
  options.json = flags.json;
  return run_server_bench(options, session);
}

Result<int> run_bench(const BenchFlags& flags, Session& session) {
  TILEWISE_RETURN_IF_ERROR(check(flags));
  const SteadyClock clock;
  const Time start = clock.now();
  const bool one_replica = flags.is_forward() || flags.scenario == "single";
  TILEWISE_ASSIGN_OR_RETURN(const auto engine, flags.model.open(one_replica ? 1 : 0));
  BenchReport report;
  report.load_ms = seconds_between(start, clock.now()) * 1e3;
  TILEWISE_ASSIGN_OR_RETURN(const BenchQuestion question, resolve(*engine, flags.task));
  TILEWISE_ASSIGN_OR_RETURN(report.measured, measure(*engine, question, flags, report.peaks));
  report.scenario = flags.is_forward() ? "forward" : flags.scenario;
  report.task = question.tasks;
  report.precision = name_of(engine->metadata().precision);
  report.isa = engine->isa();
  report.cpu = cpu_features().name;
  report.replicas = one_replica ? 1 : engine->replicas();
  report.cores_per_replica = engine->cores_per_replica();
  report.layers = engine->metadata().spec.layers;
  report.rss_mb = peak_memory_mb();
  TILEWISE_RETURN_IF_ERROR(session.out.write(flags.json ? to_json(report) : describe(report)));
  return 0;
}

void add_server_flags(CLI::App& verb, ServerBenchOptions& server) {
  verb.add_option("--url", server.url,
                  "server: one that runs already (KServe v2), instead of one of its own; MODEL may "
                  "be left out")
      ->type_name("URL");
  verb.add_option("--rate", server.rate,
                  "server: so many requests a second, instead of a search for the highest rate")
      ->type_name("R")
      ->check(CLI::PositiveNumber);
  verb.add_option("--deadline-ms", server.deadline_ms,
                  "server: what 99 % of the answers must keep (default 10)")
      ->type_name("MS")
      ->check(CLI::PositiveNumber);
  verb.add_option("--server-cpus", server.server_cpus,
                  "server: processors of its own server, as in 0-3,8 (default: all but the last)")
      ->type_name("LIST");
  verb.add_option("--client-cpu", server.client_cpu,
                  "server: processor of the load generator (default: the last)")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--connections", server.connections,
                  "server: kept open; a request waits while none is free (default 256)")
      ->type_name("N")
      ->check(CLI::Range(1, 20000));
  verb.add_option("--seed", server.seed,
                  "server: of the moments and of the rows' order (default 1)")
      ->type_name("N");
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("bench", "Speed, latency and share of the processor's peak");
  auto flags = std::make_shared<BenchFlags>();
  flags->model.add_to(*verb);
  verb->get_option("MODEL")->required(false);
  flags->task.add_to(*verb);
  verb->add_option("--input", flags->inputs, "Files of JSON lines")->type_name("PATH...");
  verb->add_option("--scenario", flags->scenario,
                   "offline: text in, results out, arrival order, all replicas (default); single: "
                   "one input at a "
                   "time on one replica; server: requests over HTTP at random moments, at the "
                   "highest rate that keeps the deadline")
      ->type_name("S");
  verb->add_option("--limit", flags->limit, "Only so many rows of the input")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  verb->add_option("--tokens", flags->tokens,
                   "Instead of rows: passes over sequences of N random tokens, by stages")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  verb->add_option("--sequences", flags->sequences,
                   "With --tokens: sequences in a pass (default 1)")
      ->type_name("M")
      ->check(CLI::Range(1, 1 << 20));
  verb->add_option(
          "--seconds", flags->seconds,
          "How long to measure: at least one pass over the rows (default 5); with "
          "--kernels all of the run, about (default 30); server: the window that is reported "
          "(default 10)")
      ->type_name("S")
      ->check(CLI::PositiveNumber);
  verb->add_option("--warmup", flags->warmup_seconds,
                   "Seconds before that, not counted (default 1)")
      ->type_name("S")
      ->check(CLI::NonNegativeNumber);
  verb->add_flag("--kernels", flags->kernels,
                 "The peaks and bandwidths of one core, then every kernel on the model's shapes "
                 "(without MODEL: MiniLM-L6-H384 and BERT-base), checked, as a share of the peak; "
                 "with MODEL whole passes, too");
  verb->add_option("--only", flags->only,
                   "With --kernels: only those with this in their name, as in error messages: "
                   "\"ffn_up int8\", \"attention\", \"rows 16\"")
      ->type_name("TEXT");
  add_server_flags(*verb, flags->server);
  verb->add_flag("--json", flags->json, "One JSON object, described in docs/BENCH.md");
  verb->callback([&action, flags, verb] {
    action = [flags, verb](Session& session) -> Result<int> {
      if (!flags->kernels) {
        TILEWISE_RETURN_IF_ERROR(check_scenario(*verb, *flags));
        return flags->scenario == "server" ? run_server(*flags, session)
                                           : run_bench(*flags, session);
      }
      TILEWISE_RETURN_IF_ERROR(check_kernels(*verb));
      return run_kernel_bench({.model = flags->model,
                               .task = flags->task.names,
                               .seconds = flags->seconds.value_or(30),
                               .only = flags->only,
                               .json = flags->json},
                              session);
    };
  });
}

}  // namespace tilewise::cli
