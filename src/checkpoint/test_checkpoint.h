// For tests: a copy of a tiny checkpoint in a temporary folder, to be broken in one place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/report.h"

namespace tilewise::checkpoint {

/// A tensor with its bytes, to write safetensors files with.
struct RawTensor {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};

/// The bytes of a safetensors file that holds the tensors one after the other.
std::string safetensors_bytes(const std::vector<RawTensor>& tensors);
/// The same from a header and data written by hand.
std::string safetensors_bytes(const std::string& header, const std::string& data);
RawTensor f32_tensor(const std::string& name, std::vector<int64_t> shape,
                     const std::vector<float>& values);

std::string data_folder();  ///< tests/data/checkpoint

/// Removed with its folder at the end. Failures of its own calls abort the test with an exception.
class TestCheckpoint {
 public:
  TestCheckpoint();                                  ///< an empty folder
  explicit TestCheckpoint(const std::string& name);  ///< a copy of tests/data/checkpoint/NAME
  ~TestCheckpoint();
  TestCheckpoint(const TestCheckpoint&) = delete;
  TestCheckpoint& operator=(const TestCheckpoint&) = delete;

  std::string path() const { return folder_.string(); }
  std::string path(const std::string& file) const { return (folder_ / file).string(); }
  void copy(const std::string& name);  ///< the files of another tiny checkpoint on top
  std::string read(const std::string& file) const;
  void write(const std::string& file, const std::string& text);
  void remove(const std::string& file);
  /// Replaces the only occurrence of `from`.
  void edit(const std::string& file, const std::string& from, const std::string& to);

  std::vector<RawTensor> tensors(const std::string& file) const;
  void write_tensors(const std::string& file, const std::vector<RawTensor>& tensors);

 private:
  std::filesystem::path folder_;
};

/// All messages of problems, one a line: "SUBJECT: MESSAGE".
std::string problems(const std::vector<Finding>& findings);

}  // namespace tilewise::checkpoint
