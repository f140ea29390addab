// What KServe and Triton's extensions say about models, as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/repository.h"
#include "server/kserve/infer.h"
#include "server/metrics.h"

namespace tilewise::server::kserve {

/// GET /v2
std::string server_json(std::string_view version);

/// GET /v2/models/{model}
std::string metadata_json(const ModelDescription& model);

/// GET /v2/models/{model}/config: Triton's model configuration. The first dimension of every tensor
/// is the batch, which it leaves out.
std::string config_json(const ModelDescription& model, int32_t most_inputs, int32_t replicas);

/// A model's part of the statistics.
struct ModelTotals {
  std::string_view name;
  std::string_view version;
  Metrics::Totals totals;
};

/// What `target`, asked for as `name`, has done. A model's own name stands for all of its tasks.
Metrics::Totals totals_of(const Metrics& metrics, const engine::Target& target,
                          std::string_view name);

/// GET /v2/models/{model}/stats, /v2/models/stats
std::string statistics_json(const std::vector<ModelTotals>& models);

/// POST /v2/repository/index. `only_ready`: leaves the others out. Beside Triton's members each
/// model has its "tasks".
std::string index_json(const std::vector<engine::RepositoryEntry>& entries, bool only_ready);

/// Of an index request's body, which may be empty: its "ready". `body` is padded as
/// HttpRequest::body. Errors: invalid_argument.
Result<bool> parse_only_ready(std::string_view body);

/// Of a load or unload request's body, which may be empty: whether it asks for nothing that is not
/// there. Errors: invalid_argument for invalid JSON; unsupported for Triton's "config" and "file:"
/// parameters, since an artifact has no other configuration than its own.
Status check_repository_parameters(std::string_view body);

}  // namespace tilewise::server::kserve
