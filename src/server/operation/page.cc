#include "server/operation/page.h"

#include <array>

#include <openssl/evp.h>

namespace tilewise::server::operation {
namespace {

/// What stands between <tag> and </tag>.
std::string_view content_of(std::string_view html, const std::string& tag) {
  const std::string open = "<" + tag + ">", close = "</" + tag + ">";
  const size_t begin = html.find(open);
  if (begin == std::string_view::npos) return {};
  html.remove_prefix(begin + open.size());
  return html.substr(0, html.find(close));
}

/// "'sha256-BASE64='", or "'none'" should libcrypto refuse SHA-256.
std::string source_of(std::string_view content) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (EVP_Digest(content.data(), content.size(), digest.data(), &size, EVP_sha256(), nullptr) !=
      1) {
    return "'none'";
  }
  std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> text;
  const int length = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(size));
  std::string source = "'sha256-";
  for (int i = 0; i < length; ++i) source += static_cast<char>(text[static_cast<size_t>(i)]);
  return source + "'";
}

}  // namespace

std::string policy_of(std::string_view html) {
  return "default-src 'none'; style-src " + source_of(content_of(html, "style")) + "; script-src " +
         source_of(content_of(html, "script")) +
         "; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
         "frame-ancestors 'none'";
}

const std::string& page_policy() {
  static const std::string policy = policy_of(kPage);
  return policy;
}

}  // namespace tilewise::server::operation
