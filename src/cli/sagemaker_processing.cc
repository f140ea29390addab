#include "cli/sagemaker_processing.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/mapped_file.h"
#include "base/output_file.h"
#include "checkpoint/json_value.h"
#include "rows/repair.h"

namespace tilewise::cli {
namespace {

namespace fs = std::filesystem;
using checkpoint::JsonValue;

// Where inputs lie as the configuration names them, whatever the root is.
constexpr std::string_view kInputPath = "/opt/ml/processing/input";
constexpr size_t kMessageBytes = 1024;
constexpr const char* kRoles[] = {"catalog", "left-catalog", "right-catalog", "model", "previous"};

bool is_role(std::string_view name) {
  return std::find(std::begin(kRoles), std::end(kRoles), name) != std::end(kRoles);
}

std::string text_of(const JsonValue& object, const char* key) {
  const JsonValue* value = object.find(key);
  const std::string* text = value != nullptr ? value->as_string() : nullptr;
  return text != nullptr ? *text : "";
}

Result<JsonValue> read_json(const std::string& path) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string text, read_file(path, size_t{16} << 20));
  return checkpoint::parse_json(text, path);
}

// Entries of a directory in ascending order; none where it is not there. "." and "_" begin the
// names of what is no data.
std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename();
    if (!name.starts_with('.') && !name.starts_with('_')) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

struct Hosts {
  std::string current;
  std::vector<std::string> all;  // sorted
};

Result<Hosts> read_hosts(const std::string& root) {
  const std::string path = root + "/config/resourceconfig.json";
  Result<JsonValue> config = read_json(path);
  if (config.status().code() == StatusCode::not_found) {
    return not_found(
        {.what = "this is no container of a SageMaker Processing job",
         .where = path,
         .expected = "the file that SageMaker writes",
         .remedy = "Leave --sagemaker out, or name another root in TILEWISE_SAGEMAKER_ROOT"});
  }
  TILEWISE_RETURN_IF_ERROR(config.status());
  Hosts hosts{.current = text_of(*config, "current_host"), .all = {}};
  const JsonValue* list = config->find("hosts");
  const std::vector<JsonValue>* items = list != nullptr ? list->as_array() : nullptr;
  for (size_t i = 0; items != nullptr && i < items->size(); ++i) {
    const std::string* name = (*items)[i].as_string();
    hosts.all.push_back(name != nullptr ? *name : "");
  }
  std::sort(hosts.all.begin(), hosts.all.end());
  if (std::count(hosts.all.begin(), hosts.all.end(), hosts.current) == 1 && !hosts.current.empty())
    return hosts;
  return invalid_input({.what = "the configuration does not say which host this is",
                        .where = path,
                        .expected = R"("hosts", a list of names, and "current_host", one of them)",
                        .found = config->text()});
}

// How an input reached this host.
struct Channel {
  std::string name;  // of its directory in processing/input; empty: that directory itself
  bool is_shared_out = false;
};

// An input of CreateProcessingJob; nullopt for one that lies elsewhere.
Result<std::optional<Channel>> read_channel(const JsonValue& input, const std::string& where) {
  const JsonValue* source = input.find("S3Input");
  const bool is_s3 = source != nullptr;
  if (!is_s3) source = input.find("DatasetDefinition");
  if (source == nullptr) return std::optional<Channel>();
  const std::string path = text_of(*source, "LocalPath");
  if (path != kInputPath && !path.starts_with(std::string(kInputPath) + "/"))
    return std::optional<Channel>();
  if (text_of(*source, is_s3 ? "S3InputMode" : "InputMode") == "Pipe") {
    return invalid_input({.what = "inputs of a batch job cannot be pipes",
                          .where = where + ", input " + path,
                          .expected = "S3InputMode File",
                          .found = "Pipe"});
  }
  const std::string below = path.substr(std::min(path.size(), kInputPath.size() + 1));
  return std::optional<Channel>(
      {.name = below.substr(0, below.find('/')),
       .is_shared_out = text_of(*source, is_s3 ? "S3DataDistributionType"
                                               : "DataDistributionType") == "ShardedByS3Key"});
}

Result<std::vector<Channel>> read_channels(const std::string& path) {
  std::vector<Channel> channels;
  Result<JsonValue> config = read_json(path);
  if (config.status().code() == StatusCode::not_found) return channels;
  TILEWISE_RETURN_IF_ERROR(config.status());
  const JsonValue* inputs = config->find("ProcessingInputs");
  const std::vector<JsonValue>* items = inputs != nullptr ? inputs->as_array() : nullptr;
  for (size_t i = 0; items != nullptr && i < items->size(); ++i) {
    TILEWISE_ASSIGN_OR_RETURN(const std::optional<Channel> channel,
                              read_channel((*items)[i], path));
    if (channel) channels.push_back(*channel);
  }
  return channels;
}

// Whether each host has rows of its own. Where it has, no row may be left to another shard.
Result<bool> rows_are_shared_out(const std::vector<Channel>& channels, const std::string& where) {
  size_t rows = 0;
  size_t shared_out = 0;
  for (const Channel& channel : channels) {
    if (is_role(channel.name) && channel.is_shared_out) {
      return invalid_input({.what = "every host needs the whole of " + channel.name,
                            .where = where,
                            .expected = "FullyReplicated",
                            .found = "ShardedByS3Key"});
    }
    if (is_role(channel.name)) continue;
    ++rows;
    shared_out += channel.is_shared_out ? 1 : 0;
  }
  if (shared_out == 0 || shared_out == rows) return shared_out > 0;
  return invalid_input(
      {.what = "some inputs are whole on every host and others shared out between them",
       .where = where,
       .expected = "all rows FullyReplicated, or all ShardedByS3Key",
       .remedy = "Give them the same S3DataDistributionType"});
}

Result<std::string> find_model(const std::string& directory) {
  std::string model;
  for (const std::string& name : names_in(directory)) {
    if (!name.ends_with(".tw")) continue;
    if (!model.empty()) {
      return invalid_input({.what = "there is more than one model",
                            .where = directory,
                            .expected = "one file *.tw",
                            .found = model + " and " + name,
                            .remedy = "Name one on the command line"});
    }
    model = name;
  }
  return model.empty() ? model : directory + "/" + model;
}

std::string shard_name(size_t index, size_t count) {
  return "shard-" + std::to_string(index) + "-of-" + std::to_string(count);
}

// The output of an earlier job, of which this host needs its own shard. Nothing there: this is the
// first job.
Result<std::string> find_previous(const std::string& directory, const std::string& shard) {
  const std::vector<std::string> names = names_in(directory);
  if (!shard.empty() && std::binary_search(names.begin(), names.end(), shard))
    return directory + "/" + shard;
  for (const std::string& name : names) {
    if (!name.starts_with("shard-")) continue;
    return invalid_input(
        {.what = "the previous job had another number of hosts",
         .where = directory,
         .expected = shard.empty() ? "the output of one host" : shard,
         .found = name,
         .remedy = "Run with as many hosts as before, or once without the previous output"});
  }
  return names.empty() ? std::string() : directory;
}

std::string where_it_is(const std::string& directory) {
  return names_in(directory).empty() ? "" : directory;
}

}  // namespace

std::string sagemaker_root() {
  const char* root = std::getenv("TILEWISE_SAGEMAKER_ROOT");
  return root != nullptr && *root != '\0' ? root : "/opt/ml";
}

Result<SagemakerJob> read_sagemaker_job(const std::string& root) {
  TILEWISE_ASSIGN_OR_RETURN(const Hosts hosts, read_hosts(root));
  const std::string config = root + "/config/processingjobconfig.json";
  TILEWISE_ASSIGN_OR_RETURN(const std::vector<Channel> channels, read_channels(config));
  TILEWISE_ASSIGN_OR_RETURN(const bool shared_out, rows_are_shared_out(channels, config));

  const size_t count = hosts.all.size();
  const auto current = std::find(hosts.all.begin(), hosts.all.end(), hosts.current);
  const auto index = static_cast<size_t>(current - hosts.all.begin());
  const std::string shard = count > 1 ? shard_name(index, count) : "";
  const std::string input = root + "/processing/input";

  SagemakerJob job;
  for (const std::string& name : names_in(input)) {
    const std::string path = input + "/" + name;
    const bool is_empty = shared_out && fs::is_directory(path) && names_in(path).empty();
    if (!is_role(name) && !is_empty) job.inputs.push_back(path);
  }
  job.has_no_share = shared_out && job.inputs.empty();
  job.catalog = where_it_is(input + "/catalog");
  job.left_catalog = where_it_is(input + "/left-catalog");
  job.right_catalog = where_it_is(input + "/right-catalog");
  TILEWISE_ASSIGN_OR_RETURN(job.model, find_model(input + "/model"));
  TILEWISE_ASSIGN_OR_RETURN(job.previous, find_previous(input + "/previous", shard));
  job.output_directory = root + "/processing/output" + (shard.empty() ? "" : "/" + shard);
  if (!shared_out) job.shard = {static_cast<int32_t>(index), static_cast<int32_t>(count)};
  return job;
}

void apply(const SagemakerJob& job, std::string& model, batch::Options& options) {
  const auto fill = [](std::vector<std::string>& paths, const std::string& path) {
    if (paths.empty() && !path.empty()) paths.push_back(path);
  };
  if (model.empty()) model = job.model;
  if (options.inputs.empty()) options.inputs = job.inputs;
  if (options.catalogs.empty() && options.left_catalogs.empty() && options.right_catalogs.empty()) {
    fill(options.catalogs, job.catalog);
    fill(options.left_catalogs, job.left_catalog);
    fill(options.right_catalogs, job.right_catalog);
  }
  if (options.since.empty()) options.since = job.previous;
  if (options.output_directory.empty()) options.output_directory = job.output_directory;
  if (options.shard.count == 1) options.shard = job.shard;
}

void leave_sagemaker_message(const std::string& root, const std::string& text) {
  const Result<Hosts> hosts = read_hosts(root);
  std::string message =
      rows::replace_invalid_utf8((hosts.ok() ? hosts->current + ": " : "") + text);
  if (message.size() > kMessageBytes) {
    size_t end = kMessageBytes;  // or before the character that it would cut
    while ((static_cast<unsigned char>(message[end]) & 0xC0U) == 0x80U) --end;
    message.resize(end);
  }
  std::error_code ignored;
  fs::create_directories(root + "/output", ignored);
  Result<OutputFile> file = OutputFile::create(root + "/output/message");
  if (file.ok() && file->write(message).ok()) (void)file->commit();
}

}  // namespace tilewise::cli
