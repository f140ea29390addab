# `cmake --install`: libtilewise.so, its headers and the package that find_package(tilewise CONFIG) finds. The program
# installs itself in src/cli.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/tilewise)
install(TARGETS tilewise_shared EXPORT tilewise LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tilewise DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The header names no third-party type, so the package needs nothing but its one target.
install(EXPORT tilewise FILE tilewise-config.cmake NAMESPACE tilewise:: DESTINATION ${package})
# Before 1.0 a minor version may change the API.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tilewise-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tilewise-config-version.cmake DESTINATION ${package})
