// tilewise devices: the processor as tilewise sees it, and what it would choose.
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/isa.h"
#include "base/topology.h"
#include "cli/flags.h"
#include "cli/verbs.h"
#include "rows/json_writer.h"
#include "runtime/kernel_choice.h"

namespace tilewise::cli {
namespace {

struct DevicesFlags {
  IsaFlag isa;
  bool json = false;
};

/// What runs for a precision; why nothing does.
struct Choice {
  model::Precision precision;
  std::string isa;
  std::string problem;
};

struct Report {
  const CpuFeatures& cpu;
  Topology topology;
  std::vector<std::string> levels;
  std::vector<Choice> choices;
};

std::vector<std::string> numbers(const Topology& topology) {
  std::vector<std::string> cpus;
  for (const Core& core : topology.cores) cpus.push_back(std::to_string(core.cpu));
  return cpus;
}

std::string size(int64_t bytes) {
  if (bytes <= 0) return "unknown";
  return bytes >= (1 << 20) ? fmt::format("{:.4g} MiB", static_cast<double>(bytes) / (1 << 20))
                            : fmt::format("{:.4g} KiB", static_cast<double>(bytes) / (1 << 10));
}

std::string describe(const Report& report) {
  const Topology& topology = report.topology;
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("{:<16}{}\n", name, value);
  };
  line("processor", report.cpu.name);
  line("cores", fmt::format("{} of {} may be used: {}", topology.cores.size(),
                            topology.machine_cores, fmt::join(numbers(topology), ", ")));
  line("threads", fmt::format("{} a core{}", topology.threads_per_core,
                              topology.threads_per_core > 1 ? ", one of them used" : ""));
  line("NUMA nodes", std::to_string(topology.numa_nodes));
  line("caches", fmt::format("L1d {}, L2 {}, L3 {}", size(topology.l1d_bytes),
                             size(topology.l2_bytes), size(topology.l3_bytes)));
  line("cgroup CPUs",
       topology.cgroup_cpus > 0 ? fmt::format("{:.4g}", topology.cgroup_cpus) : "no limit");
  line("cgroup memory",
       topology.cgroup_memory_bytes > 0 ? size(topology.cgroup_memory_bytes) : "no limit");
  line("levels", fmt::format("{}", fmt::join(report.levels, ", ")));
  for (const Choice& choice : report.choices) {
    line(fmt::format("{} runs with", name_of(choice.precision)).c_str(),
         choice.isa.empty() ? choice.problem : choice.isa);
  }
  line("replicas", std::to_string(topology.default_replicas()));
  return text;
}

std::string to_json(const Report& report) {
  const Topology& topology = report.topology;
  rows::JsonWriter json;
  json.begin_object().key("cpu").string(report.cpu.name).key("cores").begin_array();
  for (const Core& core : topology.cores) {
    json.begin_object().key("cpu").integer(core.cpu).key("siblings").begin_array();
    for (const int32_t sibling : core.siblings) json.integer(sibling);
    json.end_array().key("numa_node").integer(core.numa_node);
    json.key("l3").integer(core.l3).end_object();
  }
  json.end_array().key("machine_cores").integer(topology.machine_cores);
  json.key("threads_per_core")
      .integer(topology.threads_per_core)
      .key("numa_nodes")
      .integer(topology.numa_nodes);
  json.key("l1d_bytes").integer(topology.l1d_bytes).key("l2_bytes").integer(topology.l2_bytes);
  json.key("l3_bytes").integer(topology.l3_bytes).key("cgroup_cpus");
  topology.cgroup_cpus > 0 ? json.number(topology.cgroup_cpus) : json.null();
  json.key("cgroup_memory_bytes");
  topology.cgroup_memory_bytes > 0 ? json.integer(topology.cgroup_memory_bytes) : json.null();
  json.key("isas").begin_array();
  for (const std::string& level : report.levels) json.string(level);
  json.end_array().key("auto").begin_object();
  for (const Choice& choice : report.choices) {
    json.key(name_of(choice.precision));
    choice.isa.empty() ? json.null() : json.string(choice.isa);
  }
  json.end_object().key("default_replicas").integer(topology.default_replicas()).end_object();
  return json.text() + "\n";
}

Result<int> run_devices(const DevicesFlags& flags, Session& session) {
  TILEWISE_ASSIGN_OR_RETURN(const std::optional<Isa> forced, flags.isa.forced());
  Report report{.cpu = cpu_features(), .topology = {}, .levels = {}, .choices = {}};
  TILEWISE_ASSIGN_OR_RETURN(report.topology, read_topology());
  for (const Isa isa : supported_isas(report.cpu)) report.levels.emplace_back(name_of(isa));
  for (const model::Precision precision :
       {model::Precision::fp32, model::Precision::bf16, model::Precision::int8}) {
    const auto kernels = runtime::choose_kernels(report.cpu, precision, forced);
    report.choices.push_back(
        {precision, kernels.ok() ? kernels->isa() : "", kernels.status().message()});
    if (kernels.status().code() == StatusCode::unavailable_machine) return kernels.status();
  }
  TILEWISE_RETURN_IF_ERROR(session.out.write(flags.json ? to_json(report) : describe(report)));
  return 0;
}

}  // namespace

void add_devices(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand(
      "devices", "Cores, caches, instruction sets and limits, and what would be chosen");
  auto flags = std::make_shared<DevicesFlags>();
  flags->isa.add_to(*verb);
  verb->add_flag("--json", flags->json, "One JSON object");
  verb->callback([&action, flags] {
    action = [flags](Session& session) { return run_devices(*flags, session); };
  });
}

}  // namespace tilewise::cli
