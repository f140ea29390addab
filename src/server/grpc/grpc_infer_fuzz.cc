// Any bytes as a ModelInferRequest, up to what the engine would be given.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/clock.h"
#include "base/temporary_folder.h"
#include "compile/compile.h"
#include "engine/repository.h"
#include "engine/service.h"
#include "server/grpc/translate.h"

namespace tilewise::server {
namespace {

/// A repository of the tests' tiny model: "model" with five tasks, one of each kind.
struct Models {
  TemporaryFolder folder;
  SteadyClock clock;
  std::unique_ptr<engine::Service> service;
  std::unique_ptr<engine::Repository> repository;
  Settings settings;

  Models() {
    const std::string checkpoints = TILEWISE_SOURCE_DIR "/tests/data/checkpoint/";
    auto model = compile::load_model({checkpoints + "multi_task", checkpoints + "bert"});
    const std::string path = folder / "model.tw";
    if (!model.ok() || !compile::compile(*std::move(model), {}, path).ok()) std::abort();
    auto started = engine::Service::start({.replicas = {.replicas = 1, .pin = false}}, clock);
    if (!started.ok()) std::abort();
    service = *std::move(started);
    auto opened = engine::Repository::open(*service, path);
    if (!opened.ok()) std::abort();
    repository = *std::move(opened);
  }
};

/// Each input that was accepted must be one that the model can read.
void check(const engine::Request& request) {
  const auto& spec = request.model->metadata().spec;
  if (request.size() == 0 || request.tasks.empty()) std::abort();
  if (!request.inputs.empty() && !request.token_inputs.empty()) std::abort();
  for (const engine::TokenInput& input : request.token_inputs) {
    if (input.ids.empty()) std::abort();
    if (!input.types.empty() && input.types.size() != input.ids.size()) std::abort();
    for (const int32_t id : input.ids) {
      if (id < 0 || id >= spec.vocab_size) std::abort();
    }
  }
}

}  // namespace
}  // namespace tilewise::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tilewise;
  using namespace tilewise::server;
  static Models models;
  static kserve::InferCall call;  // reused, as a server does
  static engine::Request request;
  inference::ModelInferRequest message;
  if (!message.ParseFromArray(data, static_cast<int>(size))) return 0;
  if (!decode(message, call).ok()) return 0;
  request.clear();
  engine::Target target;
  if (kserve::prepare(call, *models.repository, models.settings, request, target).ok()) {
    check(request);
  }
  return 0;
}
