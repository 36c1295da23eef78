# Hardening of optimised builds: checked copies, stack canaries, position-independent programs, all
# relocations done and write-protected before main, no executable stack, and marked targets for
# indirect calls. Level 3 of _FORTIFY_SOURCE also checks sizes known only at run time.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)
include(CheckCSourceCompiles)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C CXX)
set(optimised "$<CONFIG:Release,RelWithDebInfo,MinSizeRel>")

set(CMAKE_REQUIRED_FLAGS "-O2 -Werror")
set(CMAKE_REQUIRED_DEFINITIONS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
check_c_source_compiles("#include <string.h>\nint main(void) { return 0; }" WILLIS_FORTIFY_3)
unset(CMAKE_REQUIRED_FLAGS)
unset(CMAKE_REQUIRED_DEFINITIONS)
target_compile_options(willis_flags INTERFACE
  "$<${optimised}:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=$<IF:$<BOOL:${WILLIS_FORTIFY_3}>,3,2>>")

foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full)
  string(MAKE_C_IDENTIFIER "WILLIS${flag}" known)
  check_c_compiler_flag(${flag} ${known})
  if(${known})
    target_compile_options(willis_flags INTERFACE "$<${optimised}:${flag}>")
  endif()
endforeach()
foreach(flag -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
  string(MAKE_C_IDENTIFIER "WILLIS${flag}" known)
  check_linker_flag(C ${flag} ${known})
  if(${known})
    target_link_options(willis_flags INTERFACE "$<${optimised}:${flag}>")
  endif()
endforeach()
