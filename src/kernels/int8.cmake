# The int8 kernels on vector instruction sets, one a file.
target_sources(tilewise_kernels PRIVATE int8_portable.cc int8_reference.cc)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  target_sources(tilewise_kernels PRIVATE int8_avx2.cc int8_avx_vnni.cc int8_avx512_vnni.cc)
  tilewise_kernel_flags("${avx2_flags}" int8_avx2.cc)
  tilewise_kernel_flags("${avx2_flags};-mavxvnni" int8_avx_vnni.cc)
  tilewise_kernel_flags("${avx512_flags};-mavx512vnni" int8_avx512_vnni.cc)
  set_source_files_properties(int8_portable.cc PROPERTIES COMPILE_DEFINITIONS HWY_BROKEN_EMU128=0) # as for kernels_portable.cc
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  target_sources(tilewise_kernels PRIVATE int8_neon_dot.cc)
  set_source_files_properties(int8_neon_dot.cc PROPERTIES COMPILE_OPTIONS -march=armv8.2-a+crypto+dotprod)
  set_source_files_properties(int8_portable.cc PROPERTIES COMPILE_OPTIONS -march=armv8-a+crypto) # as for kernels_portable.cc
endif()

tilewise_test(int8_test SOURCES int8_test.cc DEPS kernels)
