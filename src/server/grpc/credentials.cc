#include "server/grpc/credentials.h"

#include <fstream>
#include <sstream>

#include "server/http/transport.h"

namespace tilewise::server {
namespace {

Result<std::string> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (file && !text.str().empty()) return text.str();
  return invalid_input({.what = "a TLS file cannot be read", .where = path});
}

}  // namespace

Result<std::shared_ptr<grpc::ServerCredentials>> make_credentials(const TlsFiles& files) {
  if (files.certificate.empty() && files.key.empty()) return grpc::InsecureServerCredentials();
  // gRPC says only that it cannot listen. HTTP, which takes the same files, says what is wrong.
  TILEWISE_RETURN_IF_ERROR(TlsContext::open(files).status());
  grpc::SslServerCredentialsOptions options(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  TILEWISE_ASSIGN_OR_RETURN(std::string key, read(files.key));
  TILEWISE_ASSIGN_OR_RETURN(std::string certificate, read(files.certificate));
  options.pem_key_cert_pairs.push_back({std::move(key), std::move(certificate)});
  return grpc::SslServerCredentials(options);
}

}  // namespace tilewise::server
