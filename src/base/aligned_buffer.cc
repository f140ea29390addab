#include "base/aligned_buffer.h"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <sys/mman.h>

namespace tilewise {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kPage = 4096;
constexpr size_t kHugePage = size_t{2} << 20;

// Two huge pages and more are mapped, so that untouched pages cost nothing; less comes from the
// heap.
constexpr size_t kMappedFrom = 2 * kHugePage;

size_t round_up(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }

std::byte* allocate_from_heap(size_t size) {
  const size_t rounded = round_up(size, kAlignment);
  void* memory = std::aligned_alloc(kAlignment, rounded);
  if (memory != nullptr) std::memset(memory, 0, rounded);
  return static_cast<std::byte*>(memory);
}

// Starts on a huge page; the tail that does not fill one stays on small pages.
std::byte* allocate_mapped(size_t size) {
  const size_t rounded = round_up(size, kPage);
  const size_t reserved = rounded + kHugePage;
  void* start =
      ::mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return nullptr;
  auto* const reserved_begin = static_cast<std::byte*>(start);
  const auto address = reinterpret_cast<uintptr_t>(start);
  const size_t before = round_up(address, kHugePage) - address;
  const size_t after = reserved - before - rounded;
  std::byte* const data = reserved_begin + before;
  if (before > 0) ::munmap(reserved_begin, before);
  if (after > 0) ::munmap(data + rounded, after);
  ::madvise(data, rounded, MADV_HUGEPAGE);  // a wish: without huge pages everything works the same
  return data;
}

}  // namespace

Result<AlignedBuffer> AlignedBuffer::allocate(size_t size) {
  AlignedBuffer buffer;
  if (size == 0) return buffer;
  if (size <= PTRDIFF_MAX - 2 * kHugePage) {
    buffer.data_ = size < kMappedFrom ? allocate_from_heap(size) : allocate_mapped(size);
  }
  if (buffer.data_ == nullptr) {
    return unavailable_machine(
        {.what = "out of memory",
         .where = "a buffer of " + std::to_string(size) + " bytes",
         .found = errno_text(ENOMEM),
         .remedy = "Use fewer replicas, or a machine or container with more memory"});
  }
  buffer.size_ = size;
  return buffer;
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  // The old memory goes away with `other`.
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

AlignedBuffer::~AlignedBuffer() {
  if (size_ >= kMappedFrom) {
    ::munmap(data_, round_up(size_, kPage));
  } else {
    std::free(data_);
  }
}

}  // namespace tilewise
