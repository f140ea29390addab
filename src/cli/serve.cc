// tilewise serve MODEL.tw|DIR: answers over HTTP and gRPC until it is told to stop.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>

#include <signal.h>

#include "base/log.h"
#include "cli/flags.h"
#include "cli/verbs.h"
#include "server/access_log.h"
#include "server/server.h"

namespace tilewise::cli {
namespace {

using std::chrono::milliseconds;

struct ServeFlags {
  server::Settings settings;
  IsaFlag isa;
  int32_t replicas = 0;
  int32_t cores_per_replica = 1;
  double deadline_ms = 10;
  double bulk_deadline_ms = 30000;
  double longest_pass_ms = 2.5;
  double drain_seconds = 30;
  double poll_seconds = 1;
  double cache_mb = 0;
  int64_t header_timeout_ms = 10000;
  int64_t idle_timeout_ms = 75000;
  int64_t write_timeout_ms = 10000;
  std::string key_file;
};

milliseconds to_milliseconds(double value) {
  return milliseconds(static_cast<int64_t>(value + 0.5));
}

void add_keys(std::istream& lines, std::vector<std::string>& keys) {
  for (std::string line; std::getline(lines, line);) {
    line.erase(line.find_last_not_of(" \t\r") + 1);
    line.erase(0, line.find_first_not_of(" \t"));
    if (!line.empty() && !line.starts_with('#')) keys.push_back(line);
  }
}

/// From --api-key-file, and TILEWISE_API_KEY. A file without keys would let everybody in.
Result<std::vector<std::string>> read_keys(const std::string& path) {
  std::vector<std::string> keys;
  if (!path.empty()) {
    std::ifstream file(path);
    if (!file) {
      return not_found({.what = "the file of API keys cannot be read", .where = path});
    }
    add_keys(file, keys);
    if (keys.empty()) {
      return invalid_input({.what = "the file of API keys has none",
                            .where = path,
                            .expected = "one key a line; lines that begin with # are comments"});
    }
  }
  if (const char* key = std::getenv("TILEWISE_API_KEY"); key != nullptr && *key != '\0') {
    keys.emplace_back(key);
  }
  return keys;
}

Result<server::Settings> resolve(const ServeFlags& flags) {
  server::Settings settings = flags.settings;
  if (settings.tls.certificate.empty() != settings.tls.key.empty()) {
    return invalid_argument({.what = "TLS needs both files",
                             .expected = "--tls-cert FILE and --tls-key FILE",
                             .found = settings.tls.key.empty() ? "no --tls-key" : "no --tls-cert"});
  }
  TILEWISE_ASSIGN_OR_RETURN(settings.service.replicas.isa, flags.isa.forced());
  TILEWISE_ASSIGN_OR_RETURN(settings.api_keys, read_keys(flags.key_file));
  settings.service.replicas.replicas = flags.replicas;
  settings.service.replicas.cores_per_replica = flags.cores_per_replica;
  settings.service.cache_bytes = static_cast<int64_t>(flags.cache_mb * 1e6);
  settings.service.batcher.longest_pass = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double, std::milli>(flags.longest_pass_ms));
  settings.deadline = std::max(milliseconds(1), to_milliseconds(flags.deadline_ms));
  settings.bulk_deadline = std::max(milliseconds(1), to_milliseconds(flags.bulk_deadline_ms));
  settings.drain_time = to_milliseconds(flags.drain_seconds * 1e3);
  settings.repository.poll_interval = to_milliseconds(flags.poll_seconds * 1e3);
  settings.limits.header_time = milliseconds(flags.header_timeout_ms);
  settings.limits.idle_time = milliseconds(flags.idle_timeout_ms);
  settings.limits.write_time = milliseconds(flags.write_timeout_ms);
  return settings;
}

/// Only this thread gets SIGINT and SIGTERM; they wait until it looks. Threads that are started
/// while this lives get neither.
class StopSignals {
 public:
  StopSignals() {
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stops, &before_);
    catch_stop_signals();
  }
  ~StopSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  void wait() const {
    while (!stop_requested()) sigsuspend(&before_);
  }

  /// A second one ends the process at once.
  void let_through() const { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

/// As logrotate asks for it: SIGHUP, which would end the process otherwise.
void reopen_access_log_on_hangup() {
  struct sigaction action{};
  action.sa_handler = [](int) { server::reopen_access_logs(); };
  action.sa_flags = SA_RESTART;
  sigaction(SIGHUP, &action, nullptr);
}

Result<int> run_serve(const ServeFlags& flags) {
  TILEWISE_ASSIGN_OR_RETURN(const server::Settings settings, resolve(flags));
  if (!settings.access_log.empty()) reopen_access_log_on_hangup();
  const StopSignals signals;
  TILEWISE_ASSIGN_OR_RETURN(const auto server, server::Server::start(settings));
  log_info(server->describe());
  signals.wait();
  signals.let_through();
  log_info("stopping: no new connections, what was accepted is answered");
  if (!server->drain()) {
    log_warn("the time to drain was over before everything was answered (--drain-seconds)");
  }
  return 0;
}

void add_limits(CLI::App& verb, ServeFlags& flags) {
  server::Limits& limits = flags.settings.limits;
  verb.add_option("--max-body-bytes", limits.body_bytes, "Largest body (default 2097152)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  verb.add_option("--max-header-bytes", limits.header_bytes,
                  "Largest request line and headers together (default 16384)")
      ->type_name("N")
      ->check(CLI::Range(256, 1 << 20));
  verb.add_option("--max-batch", limits.batch_inputs, "Most inputs of a request (default 256)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  verb.add_option("--max-connections", limits.connections,
                  "Most HTTP connections at a time (default 4096)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  verb.add_option("--header-timeout-ms", flags.header_timeout_ms,
                  "From the first byte of a request to its last (default 10000)")
      ->type_name("MS")
      ->check(CLI::PositiveNumber);
  verb.add_option("--idle-timeout-ms", flags.idle_timeout_ms,
                  "How long a connection may stay open between requests (default 75000)")
      ->type_name("MS")
      ->check(CLI::PositiveNumber);
  verb.add_option("--write-timeout-ms", flags.write_timeout_ms,
                  "How long a client may take to read its response (default 10000)")
      ->type_name("MS")
      ->check(CLI::PositiveNumber);
}

void add_replicas(CLI::App& verb, ServeFlags& flags) {
  flags.isa.add_to(verb);
  verb.add_option("--replicas", flags.replicas,
                  "Running copies (default: as many as there are cores for)")
      ->type_name("N")
      ->check(CLI::Range(1, 4096));
  verb.add_option("--cores-per-replica", flags.cores_per_replica,
                  "Cores that share each pass: shorter answers to single requests, less throughput "
                  "in total (default 1)")
      ->type_name("N")
      ->check(CLI::Range(1, 4096));
  verb.add_option("--longest-pass-ms", flags.longest_pass_ms,
                  "How long what arrives may have to wait for a pass that runs (default 2.5)")
      ->type_name("MS")
      ->check(CLI::PositiveNumber);
  verb.add_option("--cache-mb", flags.cache_mb,
                  "Memory for answers to token sequences seen before (default 0: no cache)")
      ->type_name("MB")
      ->check(CLI::NonNegativeNumber);
}

void add_requests(CLI::App& verb, ServeFlags& flags) {
  server::Settings& settings = flags.settings;
  verb.add_option("--deadline-ms", flags.deadline_ms,
                  "Of interactive requests that name none (default 10)")
      ->type_name("MS")
      ->check(CLI::PositiveNumber);
  verb.add_option("--bulk-deadline-ms", flags.bulk_deadline_ms,
                  "Of bulk requests that name none (default 30000)")
      ->type_name("MS")
      ->check(CLI::PositiveNumber);
  verb.add_option("--default-task", settings.default_task,
                  "For TEI, OpenAI and SageMaker requests that name none (default: the only one "
                  "that fits)")
      ->type_name("T");
  verb.add_flag("--auto-truncate", settings.auto_truncate,
                "Cut text that is too long where the request does not say whether to; the reply "
                "says so");
  verb.add_flag("--full-depth", settings.full_depth,
                "All layers for every input where the request does not say: the tasks' exits are "
                "not used");
}

void add_network(CLI::App& verb, ServeFlags& flags) {
  server::Settings& settings = flags.settings;
  verb.add_option("--address", settings.address, "Where to listen (default 0.0.0.0)")
      ->type_name("IP");
  verb.add_option("--port", settings.port, "HTTP (default 8080; 0: any free one)")
      ->type_name("N")
      ->check(CLI::Range(0, 65535));
  verb.add_option("--grpc-port", settings.grpc_port,
                  "gRPC (default 8081; 0: any free one; -1: no gRPC)")
      ->type_name("N")
      ->check(CLI::Range(-1, 65535));
  verb.add_option("--io-threads", settings.io_threads,
                  "Threads that read, tokenize and write (default 1)")
      ->type_name("N")
      ->check(CLI::Range(1, 256));
  verb.add_option("--tls-cert", settings.tls.certificate, "Certificate (chain), PEM: TLS for both")
      ->type_name("FILE");
  verb.add_option("--tls-key", settings.tls.key, "Its private key, PEM")->type_name("FILE");
  verb.add_option("--api-key-file", flags.key_file,
                  "Who asks must show one of these keys, one a line; TILEWISE_API_KEY is one more")
      ->type_name("FILE");
}

}  // namespace

void add_serve(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("serve", "Answer over HTTP and gRPC, in time");
  auto flags = std::make_shared<ServeFlags>();
  verb->add_option("MODEL", flags->settings.models,
                   "A compiled model, *.tw, or a directory of them: DIR/NAME/VERSION.tw")
      ->required()
      ->type_name("");
  add_network(*verb, *flags);
  add_requests(*verb, *flags);
  add_replicas(*verb, *flags);
  add_limits(*verb, *flags);
  verb->add_option("--poll-seconds", flags->poll_seconds,
                   "How often the directory is looked at for new models (default 1; 0: never)")
      ->type_name("S")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--access-log", flags->settings.access_log,
                   "A line of JSON for each request; - is standard error")
      ->type_name("FILE");
  verb->add_option("--drain-seconds", flags->drain_seconds,
                   "How long a stop waits for what was accepted (default 30)")
      ->type_name("S")
      ->check(CLI::NonNegativeNumber);
  verb->callback([&action, flags] { action = [flags](Session&) { return run_serve(*flags); }; });
}

}  // namespace tilewise::cli
