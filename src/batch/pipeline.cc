#include "batch/pipeline.h"

namespace tilewise::batch {

Pipeline::Pipeline(engine::Engine& engine, const Question& question) : engine_(engine) {
  for (int i = 0; i < chunks_of(engine.replicas()); ++i) {
    chunks_.push_back(std::make_unique<Chunk>(question));
    free_.push_back(chunks_.back().get());
  }
}

Pipeline::~Pipeline() {
  for (const Running& running : on_the_way_) running.done.wait();
}

Chunk& Pipeline::next() { return *free_.back(); }

void Pipeline::submit() {
  Chunk* chunk = free_.back();
  free_.pop_back();
  on_the_way_.push_back(
      {chunk, engine_.submit([chunk](engine::Worker& worker) { chunk->answer(worker); })});
}

Chunk& Pipeline::take() {
  Running oldest = std::move(on_the_way_.front());
  on_the_way_.pop_front();
  oldest.done.wait();
  free_.insert(free_.begin(), oldest.chunk);  // the last to be filled again
  return *oldest.chunk;
}

}  // namespace tilewise::batch
