# The AMX level: the processor's tile unit on x86-64, its software model everywhere.
target_sources(tilewise_kernels PRIVATE linear_tile_model.cc)
set(tile_unit_tests linear_amx_test.cc tile_unit_model_test.cc)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set(amx_sources amx_pass.cc linear_amx.cc)
  set(amx_flags -mavx2 -mfma -mf16c -mbmi -mbmi2 -maes -mpclmul -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl
                -mavx512bf16 -mamx-tile -mamx-bf16)
  target_sources(tilewise_kernels PRIVATE amx_peak.cc ${amx_sources})
  set_source_files_properties(${amx_sources} PROPERTIES COMPILE_OPTIONS "${amx_flags}")
endif()

tilewise_test(tile_unit_test SOURCES ${tile_unit_tests} DEPS kernels)
