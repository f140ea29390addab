# tilewise_embed(TARGET SYMBOL FILE): the bytes of FILE as `extern const std::string_view SYMBOL`, compiled into TARGET.
# SYMBOL may be qualified ("tilewise::server::kPage"); the user declares it: `namespace ... { extern const std::string_view kPage; }`.
# It is there before any code runs. A changed FILE is embedded anew.
function(tilewise_embed target symbol file)
  get_filename_component(path ${file} ABSOLUTE)
  string(MAKE_C_IDENTIFIER ${symbol} name)
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/embedded/${name}.cc)
  add_custom_command(
    OUTPUT ${generated}
    COMMAND ${CMAKE_COMMAND} -DSYMBOL=${symbol} -DFILE=${path} -DOUTPUT=${generated}
            -P ${PROJECT_SOURCE_DIR}/cmake/TilewiseEmbedFile.cmake
    DEPENDS ${path} ${PROJECT_SOURCE_DIR}/cmake/TilewiseEmbedFile.cmake
    VERBATIM)
  # The target may belong to a folder above, which sees neither the command nor that the file will be there.
  add_custom_target(embed_${name} DEPENDS ${generated})
  add_dependencies(${target} embed_${name})
  set_source_files_properties(${generated} TARGET_DIRECTORY ${target} PROPERTIES GENERATED TRUE)
  target_sources(${target} PRIVATE ${generated})
endfunction()
