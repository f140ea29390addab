// The page at "/": one file, embedded in the program, which loads nothing from elsewhere.
#pragma once

#include <string>
#include <string_view>

namespace tilewise::server::operation {

extern const std::string_view kPage;     ///< page.html
extern const std::string_view kOpenApi;  ///< openapi.json

/// The page's Content-Security-Policy: its own style and script, by their hashes, and requests to
/// where it came from. Nothing else.
const std::string& page_policy();

/// The same for any page. Its only <style> and only <script> must have no attributes.
std::string policy_of(std::string_view html);

}  // namespace tilewise::server::operation
