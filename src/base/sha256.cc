#include "base/sha256.h"

#include <array>

#include <openssl/evp.h>

namespace tilewise {
namespace {

using Digest = std::array<unsigned char, EVP_MAX_MD_SIZE>;

std::string hex_of(const Digest& digest, unsigned int size) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

}  // namespace

std::string sha256_hex(std::span<const std::byte> bytes) {
  Digest digest{};
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    return "";
  return hex_of(digest, size);
}

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  bool works = context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1;

  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  State& state = *state_;
  state.works = state.works && EVP_DigestUpdate(state.context, bytes.data(), bytes.size()) == 1;
}

std::string Sha256::hex() {
  State& state = *state_;
  Digest digest{};
  unsigned int size = 0;
  if (!state.works || EVP_DigestFinal_ex(state.context, digest.data(), &size) != 1) return "";
  return hex_of(digest, size);
}

}  // namespace tilewise
