// tilewise top URL: a live view of a running server.
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/top_report.h"
#include "cli/verbs.h"
#include "client/http_client.h"

namespace tilewise::cli {
namespace {

using Seconds = std::chrono::duration<double>;

struct TopFlags {
  std::string url;
  double interval = 1;
  bool once = false;
  bool json = false;
};

/// SIGINT and SIGTERM wait until wait() is called, so that none of them ends the process while the
/// terminal is not as it was; a change of the window's size ends the wait.
class Signals {
 public:
  Signals() {
    sigset_t held;
    sigemptyset(&held);
    for (const int signal : {SIGINT, SIGTERM, SIGWINCH}) sigaddset(&held, signal);
    pthread_sigmask(SIG_BLOCK, &held, &before_);
    catch_stop_signals();
    struct sigaction wake{};
    wake.sa_handler = [](int) {};
    sigaction(SIGWINCH, &wake, &window_before_);
  }
  ~Signals() {
    sigaction(SIGWINCH, &window_before_, nullptr);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// False where a signal came before the time was over.
  bool wait(Seconds time) const {
    const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
    const timespec limit{.tv_sec = nanoseconds / 1'000'000'000,
                         .tv_nsec = nanoseconds % 1'000'000'000};
    return stop_requested() || ppoll(nullptr, 0, &limit, &before_) == 0;
  }

 private:
  sigset_t before_;
  struct sigaction window_before_{};
};

/// Another page of the terminal, without a cursor, for as long as this lives.
class Screen {
 public:
  explicit Screen(StandardOutput& out) : out_(out) { write("\033[?1049h\033[?25l"); }
  ~Screen() { write("\033[?25h\033[?1049l"); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// Over what is there, so that nothing flickers; what is left of it goes.
  Status show(const std::string& lines) {
    std::string frame = "\033[H";
    for (size_t at = 0; at < lines.size();) {
      const size_t end = lines.find('\n', at);
      frame.append(lines, at, end - at).append("\033[K");
      at = end + 1;
      if (at < lines.size()) frame += "\r\n";
    }
    return out_.write(frame + "\033[J");
  }

 private:
  // The terminal is gone, then, and with it what was to be restored.
  void write(const char* text) { (void)out_.write(text).ok(); }

  StandardOutput& out_;
};

Canvas terminal_canvas() {
  winsize size{};
  Canvas canvas;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
    canvas.columns = size.ws_col;
    canvas.rows = size.ws_row;
  }
  return canvas;
}

Result<client::Url> metrics_url(const std::string& text) {
  TILEWISE_ASSIGN_OR_RETURN(
      client::Url url,
      client::parse_url(text.find("://") == std::string::npos ? "http://" + text : text));
  if (url.path == "/") url.path = "/metrics";
  return url;
}

/// A look at the server. Errors: io_error where it does not answer with metrics, unauthenticated.
Result<Sample> look(const client::Url& url) {
  const char* const key = std::getenv("TILEWISE_API_KEY");
  TILEWISE_ASSIGN_OR_RETURN(const client::Response response,
                            client::get(url, std::chrono::seconds(2), key == nullptr ? "" : key));
  const std::string where = "http://" + url.host + ":" + url.port + url.path;
  if (response.status == 401) {
    return unauthenticated({.what = "the server asks for an API key",
                            .where = where,
                            .remedy = "Set TILEWISE_API_KEY to one"});
  }
  if (response.status != 200) {
    return io_error({.what = "the server does not show its metrics",
                     .where = where,
                     .expected = "status 200",
                     .found = std::to_string(response.status)});
  }
  auto scrape = client::Scrape::parse(response.body);
  if (!scrape.ok() || scrape->series("tilewise_ready").empty()) {
    return io_error(
        {.what = "what answers is no tilewise server",
         .where = where,
         .found = scrape.ok() ? "metrics of something else" : scrape.status().problem().found});
  }
  const Seconds now = std::chrono::steady_clock::now().time_since_epoch();
  return Sample{.seconds = now.count(), .scrape = *std::move(scrape)};
}

/// Everything that differs between a terminal and a file.
class Top {
 public:
  Top(const TopFlags& flags, client::Url url, Session& session)
      : flags_(flags), url_(std::move(url)), session_(session) {}

  Result<int> run() {
    // Before the screen is taken, so that it is clear why nothing comes.
    TILEWISE_ASSIGN_OR_RETURN(Sample before, look(url_));
    const bool is_live = !flags_.once && !flags_.json && isatty(STDOUT_FILENO) == 1;
    const Signals signals;
    return is_live ? run_live(signals, std::move(before)) : run_lines(signals, std::move(before));
  }

 private:
  /// Text or JSON after each interval, until the reader has enough or the server goes.
  Result<int> run_lines(const Signals& signals, Sample before) {
    while (true) {
      signals.wait(Seconds(flags_.interval));
      if (stop_requested()) return 0;
      TILEWISE_ASSIGN_OR_RETURN(Sample now, look(url_));
      const TopReport report = compare(before, now);
      TILEWISE_RETURN_IF_ERROR(session_.out.write(
          flags_.json ? to_json(report)
                      : picture(report, flags_.url, {.columns = 120, .is_plain = true})));
      if (flags_.once) return 0;
      if (!flags_.json) TILEWISE_RETURN_IF_ERROR(session_.out.write("\n"));
      before = std::move(now);
    }
  }

  /// The server may go and come back.
  Result<int> run_live(const Signals& signals, Sample before) {
    Screen screen(session_.out);
    TopReport report = compare(before, before);
    std::string problem;
    while (true) {
      TILEWISE_RETURN_IF_ERROR(screen.show(frame(report, problem)));
      if (!signals.wait(Seconds(flags_.interval)) && !stop_requested()) continue;  // a new size
      if (stop_requested()) return 0;
      Result<Sample> now = look(url_);
      problem = now.ok() ? "" : now.status().message();
      if (!now.ok()) continue;
      report = compare(before, *now);
      before = *std::move(now);
    }
  }

  std::string frame(const TopReport& report, const std::string& problem) const {
    Canvas canvas = terminal_canvas();
    if (problem.empty()) return picture(report, flags_.url, canvas);
    const auto columns = static_cast<size_t>(canvas.columns);
    if (canvas.rows > 1) --canvas.rows;
    return "\033[7m" + problem.substr(0, columns) + "\033[0m\n" +
           picture(report, flags_.url, canvas);
  }

  const TopFlags& flags_;
  client::Url url_;
  Session& session_;
};

Result<int> run_top(const TopFlags& flags, Session& session) {
  TILEWISE_ASSIGN_OR_RETURN(client::Url url, metrics_url(flags.url));
  return Top(flags, std::move(url), session).run();
}

}  // namespace

void add_top(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("top", "A live view of a running server");
  auto flags = std::make_shared<TopFlags>();
  verb->add_option("URL", flags->url,
                   "Of the server: http://HOST:PORT. An API key is read from TILEWISE_API_KEY")
      ->required();
  verb->add_option("--interval", flags->interval, "Seconds between two looks (default 1)")
      ->type_name("S")
      ->check(CLI::Range(0.05, 3600.0));
  verb->add_flag("--once", flags->once, "One look at one interval, as text");
  verb->add_flag("--json", flags->json, "One JSON object a line after each interval");
  verb->callback([&action, flags] {
    action = [flags](Session& session) { return run_top(*flags, session); };
  });
}

}  // namespace tilewise::cli
