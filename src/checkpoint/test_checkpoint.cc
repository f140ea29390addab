#include "checkpoint/test_checkpoint.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "checkpoint/safetensors.h"

namespace tilewise::checkpoint {
namespace fs = std::filesystem;

std::string safetensors_bytes(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  for (size_t i = 0; i < 8; ++i)
    bytes[i] = static_cast<char>((uint64_t{header.size()} >> (8 * i)) & 0xFF);
  return bytes + header + data;
}

std::string safetensors_bytes(const std::vector<RawTensor>& tensors) {
  std::string header = "{";
  std::string data;
  for (const RawTensor& t : tensors) {
    header += (header.size() > 1 ? ",\"" : "\"") + t.name + R"(":{"dtype":")" + t.dtype +
              R"(","shape":)" + shape_text(t.shape) + R"(,"data_offsets":[)" +
              std::to_string(data.size()) + "," + std::to_string(data.size() + t.bytes.size()) +
              "]}";
    data += t.bytes;
  }
  return safetensors_bytes(header + "}", data);
}

RawTensor f32_tensor(const std::string& name, std::vector<int64_t> shape,
                     const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return {name, "F32", std::move(shape), bytes};
}

std::string data_folder() { return TILEWISE_SOURCE_DIR "/tests/data/checkpoint"; }

TestCheckpoint::TestCheckpoint() {
  std::string pattern = (fs::temp_directory_path() / "tilewise-checkpoint-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  folder_ = pattern;
}

TestCheckpoint::TestCheckpoint(const std::string& name) : TestCheckpoint() { copy(name); }

TestCheckpoint::~TestCheckpoint() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void TestCheckpoint::copy(const std::string& name) {
  fs::copy(fs::path(data_folder()) / name, folder_,
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
}

std::string TestCheckpoint::read(const std::string& file) const {
  std::ifstream in(folder_ / file, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + file);
  return {std::istreambuf_iterator<char>(in), {}};
}

void TestCheckpoint::write(const std::string& file, const std::string& text) {
  fs::create_directories((folder_ / file).parent_path());
  std::ofstream(folder_ / file, std::ios::binary) << text;
}

void TestCheckpoint::remove(const std::string& file) {
  if (!fs::remove(folder_ / file)) throw std::runtime_error("no " + file);
}

void TestCheckpoint::edit(const std::string& file, const std::string& from, const std::string& to) {
  std::string text = read(file);
  const size_t at = text.find(from);
  if (at == std::string::npos || text.find(from, at + 1) != std::string::npos) {
    throw std::runtime_error(file + " does not have exactly one " + from);
  }
  write(file, text.replace(at, from.size(), to));
}

std::vector<RawTensor> TestCheckpoint::tensors(const std::string& file) const {
  const auto parsed = Safetensors::open(path(file), file);
  if (!parsed.ok()) throw std::runtime_error(parsed.status().message());
  std::vector<RawTensor> tensors;
  for (const TensorEntry& t : parsed->tensors()) {
    tensors.push_back(
        {t.name, t.dtype, t.shape, {reinterpret_cast<const char*>(t.data.data()), t.data.size()}});
  }
  return tensors;
}

void TestCheckpoint::write_tensors(const std::string& file, const std::vector<RawTensor>& tensors) {
  write(file, safetensors_bytes(tensors));
}

std::string problems(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    if (finding.level == Finding::Level::unsupported)
      text += finding.subject + ": " + finding.detail + "\n";
  }
  return text;
}

}  // namespace tilewise::checkpoint
