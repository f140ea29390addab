# cmake -DSYMBOL=a::b::kName -DFILE=... -DOUTPUT=... -P TilewiseEmbedFile.cmake: writes a source file with the bytes of FILE.
file(READ ${FILE} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
# Lines of 32 bytes: a single long one is a burden for some tools.
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
string(REPEAT "'.x..'," 32 line)
string(REGEX REPLACE "(${line})" "\\1\n" bytes "${bytes}")

string(REGEX REPLACE "^.*::" "" name ${SYMBOL})
string(REGEX REPLACE "(::)?${name}$" "" namespace ${SYMBOL})
set(open "")
set(close "")
if(namespace)
  set(open "namespace ${namespace} {\n")
  set(close "}  // namespace ${namespace}\n")
endif()
get_filename_component(base ${FILE} NAME)
# The last 0 is no part of the text: an empty file is allowed too.
file(WRITE ${OUTPUT}
"// Made from ${base} when it was built.
#include <string_view>

${open}namespace {
constexpr char kBytes[] = {
${bytes}0};
}  // namespace
extern const std::string_view ${name};
constinit const std::string_view ${name}(kBytes, ${size});
${close}")
