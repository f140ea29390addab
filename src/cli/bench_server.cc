#include "cli/bench_server.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include <fmt/format.h>

#include "base/log.h"
#include "cli/bench_questions.h"
#include "cli/bench_scenarios.h"
#include "cli/bench_workload.h"
#include "cli/child_server.h"
#include "cli/cpu_list.h"
#include "client/http_client.h"
#include "client/rate_search.h"
#include "client/scrape.h"

namespace tilewise::cli {
namespace {

/// Whether answers are right does not depend on how busy the machine is.
constexpr double kCheckDeadlineMs = 60000;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// All that is known before a server runs.
struct Prepared {
  BenchReport common;
  Questions questions;
  std::optional<double> offline_rate;
};

Result<BenchQuestion> one_task(const engine::Engine& engine, const TaskFlags& flags) {
  BenchQuestion question;
  TILEWISE_ASSIGN_OR_RETURN(question.tasks, flags.resolve(engine));
  TILEWISE_ASSIGN_OR_RETURN(question.set, engine.find_tasks(question.tasks));
  if (question.set.size() > 1) {
    return invalid_argument({.what = "the scenario server asks for one task",
                             .where = "--task",
                             .expected = "a task",
                             .found = question.tasks});
  }
  TILEWISE_ASSIGN_OR_RETURN(question.predict, flags.predict_options(engine, question.tasks));
  return question;
}

/// Opens the model on the server's cores, makes the requests and, where the server will be our own,
/// measures the offline rate of these cores. The engine is gone when this returns.
Result<Prepared> prepare(const ServerBenchOptions& options, const std::vector<int32_t>& cpus) {
  const OnCpus there(cpus);
  Prepared prepared;
  TILEWISE_ASSIGN_OR_RETURN(const auto engine, options.model.open(options.url.empty() ? 0 : 1));
  TILEWISE_ASSIGN_OR_RETURN(const BenchQuestion question, one_task(*engine, options.task));
  TILEWISE_ASSIGN_OR_RETURN(const Workload workload,
                            load_workload(*engine, question, options.inputs, options.limit, true));
  TILEWISE_ASSIGN_OR_RETURN(prepared.questions,
                            ask_with_model(*engine, question, workload, options.seed));
  BenchReport& common = prepared.common;
  common.task = question.tasks;
  common.layers = engine->metadata().spec.layers;
  if (!options.url.empty()) return prepared;
  common.precision = name_of(engine->metadata().precision);
  common.isa = engine->isa();
  common.cpu = cpu_features().name;
  common.replicas = engine->replicas();
  common.cores_per_replica = engine->cores_per_replica();
  const Flops before = measure_peaks(*engine);
  const BenchTime time{std::min(options.seconds, 5.0), options.warmup_seconds};
  TILEWISE_ASSIGN_OR_RETURN(const Measurement offline,
                            run_offline(*engine, question, workload, time));
  common.peaks = before;
  common.peaks += measure_peaks(*engine);
  common.peaks = common.peaks * 0.5;
  prepared.offline_rate = static_cast<double>(offline.rows) / offline.seconds;
  return prepared;
}

std::vector<std::string> serve_arguments(const ServerBenchOptions& options, int32_t replicas) {
  std::vector<std::string> arguments = {options.model.path,
                                        "--address",
                                        "127.0.0.1",
                                        "--port",
                                        "0",
                                        "--grpc-port",
                                        "-1",
                                        "--deadline-ms",
                                        fmt::format("{}", options.deadline_ms),
                                        "--replicas",
                                        std::to_string(replicas),
                                        "--cores-per-replica",
                                        std::to_string(options.model.cores_per_replica)};
  if (!options.model.isa.name.empty()) {
    arguments.insert(arguments.end(), {"--isa", options.model.isa.name});
  }
  return arguments;
}

/// The sum over the replicas, from the server's metrics; NaN where they do not say.
double busy_seconds(const client::Url& server) {
  constexpr std::string_view kName = "tilewise_replica_busy_seconds_total";
  client::Url url = server;
  url.path = "/metrics";
  const auto answer = client::get(url);
  if (!answer.ok() || answer->status != 200) return kNone;
  const auto scrape = client::Scrape::parse(answer->body);
  return scrape.ok() && !scrape->series(kName).empty() ? scrape->sum(kName) : kNone;
}

/// Runs loads, and keeps what each of them cost.
class Windows {
 public:
  Windows(const ServerBenchOptions& options, const Questions& questions, int32_t client_cpu,
          const ChildServer* server)
      : questions_(questions), server_(server) {
    load_.url = questions.form.url;
    load_.seconds = options.seconds;
    load_.warmup_seconds = options.warmup_seconds;
    load_.deadline_ms = options.deadline_ms;
    load_.connections = options.connections;
    load_.seed = options.seed;
    load_.cpu = client_cpu;
  }

  Result<client::LoadResult> run(double rate, double seconds, double warmup, bool hopeless) {
    client::LoadOptions load = load_;
    load.rate = rate;
    load.seconds = seconds;
    load.warmup_seconds = warmup;
    load.stop_when_hopeless = hopeless;
    ++load_.seed;  // another schedule each time
    const double cpu = server_ == nullptr ? 0 : server_->cpu_seconds();
    const double memory = server_ == nullptr ? 0 : server_->memory_mb();
    const double busy = server_ == nullptr ? 0 : busy_seconds(load.url);
    TILEWISE_ASSIGN_OR_RETURN(client::LoadResult result,
                              client::run_load(load, questions_.requests));
    if (server_ != nullptr) {
      const auto sent = static_cast<double>(result.sent_in_all);
      cost_ = {.cpu_seconds = (server_->cpu_seconds() - cpu) / sent,
               .model_seconds = (busy_seconds(load.url) - busy) / sent,
               .memory_before_mb = memory,
               .memory_after_mb = server_->memory_mb()};
    }
    return result;
  }

  /// Whether all was accepted, and 99 % within the deadline.
  Result<bool> holds(double rate, double seconds, double warmup) {
    TILEWISE_ASSIGN_OR_RETURN(client::LoadResult result, run(rate, seconds, warmup, true));
    const double p99_ms = client::percentile(result.accepted, 0.99) * 1e3;
    const auto refused = std::ssize(result.refused);
    const bool held =
        !result.stopped_early && result.failures == 0 && refused == 0 && p99_ms < load_.deadline_ms;
    tried_.push_back({.rate = rate,
                      .seconds = seconds,
                      .p99_ms = p99_ms,
                      .refused = refused,
                      .failures = result.failures,
                      .held = held});
    log_debug(fmt::format("{:.0f}/s for {:.1f} s: P99 {:.2f} ms, {} refused, {} failed: {}", rate,
                          seconds, p99_ms, refused, result.failures, held ? "holds" : "does not"));
    if (held) last_held_ = std::move(result);
    return held;
  }

  std::optional<client::LoadResult> take_last_held() { return std::move(last_held_); }
  const ServerCost& cost() const { return cost_; }
  const std::vector<TriedRate>& tried() const { return tried_; }

 private:
  client::LoadOptions load_;
  const Questions& questions_;
  const ChildServer* server_;
  ServerCost cost_;
  std::vector<TriedRate> tried_;
  std::optional<client::LoadResult> last_held_;
};

/// Enough requests for a P99, and time for a queue to grow.
double short_window(double rate, const ServerBenchOptions& options) {
  return std::min(options.seconds, std::max({1.5, 1000 / rate, 20e-3 * options.deadline_ms}));
}

Result<std::optional<client::LoadResult>> search(const ServerBenchOptions& options,
                                                 std::optional<double> offline_rate,
                                                 Windows& windows) {
  constexpr double kFirstGuess = 0.7;  // of the offline rate
  client::RateSearch search;
  search.start = offline_rate ? *offline_rate * kFirstGuess : 200;
  if (offline_rate) search.step = 1.2;
  const double warmup = std::min(options.warmup_seconds, 0.3);
  const client::Holds shortly = [&](double rate) {
    return windows.holds(rate, short_window(rate, options), warmup);
  };
  const client::Holds finally = [&](double rate) {
    return windows.holds(rate, options.seconds, options.warmup_seconds);
  };
  TILEWISE_ASSIGN_OR_RETURN(const double rate, find_highest_rate(search, shortly, finally));
  if (rate == 0) return std::optional<client::LoadResult>();
  return windows.take_last_held();
}

Result<std::optional<client::LoadResult>> measure(const ServerBenchOptions& options,
                                                  std::optional<double> offline_rate,
                                                  Windows& windows) {
  if (options.rate == 0) return search(options, offline_rate, windows);
  // What memory the load needs it has after this, so that growth is growth.
  TILEWISE_RETURN_IF_ERROR(
      windows.run(options.rate, std::max(0.5, options.warmup_seconds), 0, false).status());
  TILEWISE_ASSIGN_OR_RETURN(client::LoadResult result, windows.run(options.rate, options.seconds,
                                                                   options.warmup_seconds, false));
  return std::optional(std::move(result));
}

void fill_common(const ServerBenchReport& report, const Questions& questions, BenchReport& common) {
  common.scenario = "server";
  Measurement& measured = common.measured;
  measured.seconds = report.load ? report.load->seconds : 1;
  if (!report.load) return;
  measured.rows = std::ssize(report.load->accepted);
  measured.latencies = report.load->accepted;
  double layers = 0;
  for (size_t i = 0; i < questions.flops.size(); ++i) {
    const int64_t times = report.load->accepted_of[i];
    measured.tokens += times * questions.tokens[i];
    measured.flops += questions.flops[i] * static_cast<double>(times);
    if (!questions.depths.empty()) layers += questions.depths[i] * static_cast<double>(times);
  }
  if (!questions.depths.empty() && measured.rows > 0) {
    measured.depth = layers / static_cast<double>(measured.rows);
  }
}

/// Which processors the two sides have.
Status place(const ServerBenchOptions& options, ServerBenchReport& report) {
  const std::vector<int32_t> allowed = allowed_cpus();
  report.client_cpu = options.client_cpu;
  if (options.client_cpu < 0) {
    report.client_cpu = allowed.back();
  } else {
    TILEWISE_RETURN_IF_ERROR(
        parse_cpus(std::to_string(options.client_cpu), "--client-cpu").status());
  }
  if (!options.server_cpus.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(report.server_cpus, parse_cpus(options.server_cpus, "--server-cpus"));
  } else {
    for (const int32_t cpu : allowed) {
      if (cpu != report.client_cpu) report.server_cpus.push_back(cpu);
    }
    if (report.server_cpus.empty()) report.server_cpus = allowed;
  }
  const auto& servers = report.server_cpus;
  if (options.url.empty() &&
      std::find(servers.begin(), servers.end(), report.client_cpu) != servers.end()) {
    log_warn(fmt::format("server and load generator share processor {}: each slows the other",
                         report.client_cpu));
  }
  return {};
}

Status check_flags(const ServerBenchOptions& options) {
  if (options.model.path.empty() && options.url.empty()) {
    return invalid_argument({.what = "there is no server to measure",
                             .where = "--scenario server",
                             .expected = "MODEL.tw, or --url of a running server"});
  }
  if (options.inputs.empty()) {
    return invalid_argument({.what = "the scenario server needs rows", .expected = "--input PATH"});
  }
  if (options.model.path.empty() && options.task.names.empty()) {
    return invalid_argument(
        {.what = "a running server must be told the task", .expected = "--task T"});
  }
  if (!options.url.empty() && !options.server_cpus.empty()) {
    return invalid_argument({.what = "--server-cpus has no meaning for a server that runs already",
                             .expected = "--url or --server-cpus",
                             .found = "both"});
  }
  if (options.task.top || options.task.threshold || options.task.logits) {
    return invalid_argument({.what = "--top, --threshold and --logits have no meaning for a server",
                             .where = "--scenario server"});
  }
  return {};
}

}  // namespace

bool ServerBenchReport::is_worthless() const {
  constexpr double kMostLag = 0.1;  // of the deadline, in one request of a hundred
  return load && load->send_lag_p99 * 1e3 > kMostLag * deadline_ms;
}

Result<int> run_server_bench(const ServerBenchOptions& options, Session& session) {
  TILEWISE_RETURN_IF_ERROR(check_flags(options));
  ServerBenchReport report{.deadline_ms = options.deadline_ms,
                           .asked_rate = options.rate,
                           .connections = options.connections,
                           .url = options.url};
  TILEWISE_RETURN_IF_ERROR(place(options, report));
  Prepared prepared;
  if (options.model.path.empty()) {
    prepared.common.task = options.task.names;
    TILEWISE_ASSIGN_OR_RETURN(prepared.questions,
                              ask_without_model(options.inputs, options.limit,
                                                {.model = options.task.names,
                                                 .both_orders = options.task.both_orders,
                                                 .full_depth = options.task.full_depth},
                                                options.seed));
  } else {
    TILEWISE_ASSIGN_OR_RETURN(prepared, prepare(options, report.server_cpus));
  }
  std::unique_ptr<ChildServer> server;
  if (options.url.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(
        server,
        ChildServer::start(serve_arguments(options, prepared.common.replicas), report.server_cpus));
  }
  TILEWISE_ASSIGN_OR_RETURN(const client::Url url, server != nullptr
                                                       ? Result<client::Url>(server->url())
                                                       : client::parse_url(options.url));
  Questions& questions = prepared.questions;
  questions.address(url, kCheckDeadlineMs);
  TILEWISE_ASSIGN_OR_RETURN(report.checked, check_answers(questions, server != nullptr));
  questions.address(url, server != nullptr ? 0 : options.deadline_ms);
  Windows windows(options, questions, report.client_cpu, server.get());
  TILEWISE_ASSIGN_OR_RETURN(report.load, measure(options, prepared.offline_rate, windows));
  report.tried = windows.tried();
  report.offline_rate = prepared.offline_rate;
  report.common = std::move(prepared.common);
  fill_common(report, questions, report.common);
  if (server != nullptr) {
    report.cost = windows.cost();
    report.common.load_ms = server->seconds_to_ready() * 1e3;
    report.common.rss_mb = server->peak_memory_mb();
    TILEWISE_ASSIGN_OR_RETURN(const int end, server->stop());
    report.cost->end = describe_end(end);
  }
  if (report.is_worthless()) {
    log_warn(
        fmt::format("the load generator fell {:.2f} ms behind its own schedule in one request "
                    "of a hundred: it measured itself, not the server. Give it a processor "
                    "of its own (--client-cpu)",
                    report.load->send_lag_p99 * 1e3));
  }
  TILEWISE_RETURN_IF_ERROR(session.out.write(options.json ? to_json(report) : describe(report)));
  return 0;
}

}  // namespace tilewise::cli
