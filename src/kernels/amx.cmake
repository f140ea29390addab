# The AMX level: the processor's tile unit on x86-64, its software model everywhere.
target_sources(tilewise_kernels PRIVATE attention_tile_model.cc linear_tile_model.cc tile_model_set.cc)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set(amx_sources amx_pass.cc attention_amx.cc int8_linear_amx.cc linear_amx.cc)
  target_sources(tilewise_kernels PRIVATE amx_peak.cc ${amx_sources})
  tilewise_kernel_flags("${avx512_flags};-mavx512bf16;-mamx-tile;-mamx-bf16;-mamx-int8" ${amx_sources})
endif()

tilewise_test(tile_unit_test
  SOURCES attention_amx_test.cc int8_linear_amx_test.cc linear_amx_test.cc tile_unit_model_test.cc
  DEPS kernels)
