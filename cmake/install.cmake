# Library, headers, command, models. The .pc file, CMake config, man pages and completions join here.
install(TARGETS willis LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS willis_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/willis DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
