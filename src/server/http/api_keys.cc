#include "server/http/api_keys.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace tilewise::server {
namespace {

/// The token of "Bearer TOKEN"; the scheme in any case.
std::string_view bearer_token(std::string_view value) {
  constexpr std::string_view kScheme = "bearer ";
  if (value.size() < kScheme.size()) return {};
  for (size_t i = 0; i < kScheme.size(); ++i) {
    const char c = value[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c) != kScheme[i]) return {};
  }
  value.remove_prefix(kScheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

}  // namespace

bool equal_in_constant_time(std::string_view secret, std::string_view offered) {
  // Digests are of one length, and say nothing about where the texts differ.
  unsigned char of_secret[SHA256_DIGEST_LENGTH];
  unsigned char of_offered[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), of_secret);
  SHA256(reinterpret_cast<const unsigned char*>(offered.data()), offered.size(), of_offered);
  return CRYPTO_memcmp(of_secret, of_offered, sizeof of_secret) == 0;
}

bool is_allowed(const std::vector<std::string>& keys, const HttpRequest& request) {
  if (keys.empty()) return true;
  std::string_view offered = bearer_token(request.header("authorization"));
  if (offered.empty()) offered = request.header("x-api-key");
  if (offered.empty()) return false;
  bool found = false;
  for (const std::string& key : keys) found |= equal_in_constant_time(key, offered);
  return found;
}

}  // namespace tilewise::server
