# What `cmake --install` puts where: program, both libraries, headers, thalweg.pc and the CMake package.
# Nothing installed names an absolute path, so the prefix may be chosen at install time and moved afterwards.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/thalweg)
set_target_properties(thalweg PROPERTIES EXPORT_NAME static)
install(TARGETS thalweg EXPORT thalweg-static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT thalweg-static NAMESPACE thalweg:: FILE thalweg-static.cmake DESTINATION ${package_dir})
if(TW_SHARED)
  set_target_properties(thalweg_shared PROPERTIES EXPORT_NAME thalweg)
  install(TARGETS thalweg_shared EXPORT thalweg-shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT thalweg-shared NAMESPACE thalweg:: FILE thalweg-shared.cmake DESTINATION ${package_dir})
endif()
if(TARGET thalweg-cli)
  install(TARGETS thalweg-cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY include/thalweg DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY reproduce DESTINATION ${CMAKE_INSTALL_DATADIR}/thalweg FILES_MATCHING PATTERN "*.yaml")
install(DIRECTORY data DESTINATION ${CMAKE_INSTALL_DATADIR}/thalweg FILES_MATCHING PATTERN "*.csv.gz" PATTERN "README.md")
install(FILES examples/hello.c DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

# pkg-config: flags a static link needs besides the packages that have a .pc file of their own
set(TW_PC_LIBS "-lm -pthread")
foreach(name ${TW_PLAIN_NAMES})
  string(PREPEND TW_PC_LIBS "-l${name} ")
endforeach()
file(RELATIVE_PATH TW_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" TW_PC_PREFIX "${TW_PC_PREFIX}")
configure_file(cmake/thalweg.pc.in thalweg.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/thalweg.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

configure_package_config_file(cmake/thalweg-config.cmake.in thalweg-config.cmake INSTALL_DESTINATION ${package_dir})
# before 1.0 a minor version may break programs
write_basic_package_version_file(thalweg-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/thalweg-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/thalweg-config-version.cmake
        DESTINATION ${package_dir})
