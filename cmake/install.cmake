# What `cmake --install` brings: command, library, headers, .pc, CMake package, models, man pages
# and completions. The latter two are printed by the command itself, from its tables.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/willis)

install(TARGETS willis EXPORT willis-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS willis_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/willis DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
install(DIRECTORY models DESTINATION ${CMAKE_INSTALL_DATADIR}/willis OPTIONAL)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(EXPORT willis-targets NAMESPACE willis:: FILE willis-config.cmake DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/willis-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/willis-config-version.cmake DESTINATION ${package_dir})

# Relative, so that the installed tree may be moved.
file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/willis.pc.in ${CMAKE_BINARY_DIR}/willis.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/willis.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(manual_dir ${CMAKE_BINARY_DIR}/manual)
add_custom_command(OUTPUT ${manual_dir}/made
  COMMAND ${CMAKE_COMMAND} -DCOMMAND=$<TARGET_FILE:willis_command> -DFOLDER=${manual_dir}
          -P ${PROJECT_SOURCE_DIR}/cmake/manual.cmake
  DEPENDS willis_command cmake/manual.cmake
  COMMENT "Writing man pages and completions")
add_custom_target(manual ALL DEPENDS ${manual_dir}/made)
install(DIRECTORY ${manual_dir}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${manual_dir}/willis.bash RENAME willis
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${manual_dir}/_willis DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
