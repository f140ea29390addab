// An engine of the tests' multi-task checkpoint, whose task "vector" is an embedding of 32 values.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "compile/compile.h"
#include "engine/engine.h"

namespace tilewise::blocking {

inline std::shared_ptr<engine::Engine> open_tiny_engine(int32_t replicas) {
  static const TemporaryFolder folder;
  static const std::string path = [] {
    const std::string checkpoints = std::string(TILEWISE_SOURCE_DIR) + "/tests/data/checkpoint/";
    std::string compiled = folder / "tiny.tw";
    auto model = compile::load_model({checkpoints + "multi_task", checkpoints + "bert"});
    EXPECT_TRUE(model.ok()) << model.status().message();
    const auto report = compile::compile(*std::move(model), {}, compiled);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return compiled;
  }();
  auto engine = engine::Engine::open(path, {.replicas = replicas, .pin = false});
  EXPECT_TRUE(engine.ok()) << engine.status().message();
  return *engine;
}

}  // namespace tilewise::blocking
