# willis_room(NAME SOURCES files… NEEDS rooms… LIBRARIES external…): one folder of the house as a
# static library. Rooms link only to the rooms named in NEEDS, so a door in the wrong place does not
# link; tools/check-layers says so before.
set(WILLIS_WARNINGS -Wall -Wextra -Wshadow -Wpointer-arith -Wvla -Wundef -Wwrite-strings
    -Wno-unknown-pragmas)
set(WILLIS_C_WARNINGS -Wstrict-prototypes -Wmissing-prototypes)

add_library(willis_flags INTERFACE)
target_compile_options(willis_flags INTERFACE
  ${WILLIS_WARNINGS} "$<$<COMPILE_LANGUAGE:C>:${WILLIS_C_WARNINGS}>"
  $<$<BOOL:${WILLIS_WERROR}>:-Werror> -fno-math-errno -ffp-contract=off)
if(WILLIS_SANITIZE)
  target_compile_options(willis_flags INTERFACE -fsanitize=${WILLIS_SANITIZE}
                         -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(willis_flags INTERFACE -fsanitize=${WILLIS_SANITIZE})
endif()
if(WILLIS_FUZZ)
  target_compile_options(willis_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(willis_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(WILLIS_COVERAGE)
  target_compile_options(willis_flags INTERFACE --coverage -Og)
  target_link_options(willis_flags INTERFACE --coverage)
endif()
# What is shipped is hardened; tools/check-hardening looks at what came out. Sanitizers replace it.
if(NOT WILLIS_SANITIZE AND NOT WILLIS_COVERAGE)
  include(${CMAKE_CURRENT_LIST_DIR}/harden.cmake)
endif()
target_include_directories(willis_flags INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)
find_package(OpenMP REQUIRED)
target_link_libraries(willis_flags INTERFACE OpenMP::OpenMP_C m)

function(willis_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;NEEDS;LIBRARIES;AVX2;AVX512" ${ARGN})
  add_library(willis_${name} STATIC ${ROOM_SOURCES})
  target_link_libraries(willis_${name} PUBLIC willis_flags ${ROOM_LIBRARIES})
  foreach(need ${ROOM_NEEDS})
    target_link_libraries(willis_${name} PUBLIC willis_${need})
  endforeach()
  # Variants for one instruction set: their own files with their own flags, chosen at run time.
  if(ROOM_AVX2 AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT WILLIS_SCALAR)
    target_sources(willis_${name} PRIVATE ${ROOM_AVX2} ${ROOM_AVX512})
    # Their lines are not counted: that would cost training ten times its time.
    set(uncounted "$<$<BOOL:${WILLIS_COVERAGE}>:-fno-profile-arcs;-fno-test-coverage>")
    set_source_files_properties(${ROOM_AVX2} PROPERTIES COMPILE_OPTIONS
                                "-mavx2;-mfma;-mf16c;-O3;${uncounted}")
    if(ROOM_AVX512)
      set_source_files_properties(
        ${ROOM_AVX512} PROPERTIES
        COMPILE_OPTIONS "-mavx2;-mfma;-mf16c;-mavx512f;-mavx512dq;-mavx512vl;-O3;${uncounted}")
    endif()
    target_compile_definitions(willis_${name} PRIVATE WILLIS_HAVE_AVX2=1)
  endif()
endfunction()

# Limits are against tests that hang. Under sanitizers, gcov or plain loops, and on a machine that does
# other work, a test is slow and means nothing by it.
set(WILLIS_TEST_SECONDS 600)
if(WILLIS_SANITIZE OR WILLIS_COVERAGE OR WILLIS_SCALAR)
  set(WILLIS_TEST_SECONDS 1500)
endif()

# willis_test(NAME NEEDS rooms…): tests/<folder>/<name>.c as the cmocka program and ctest <name>.
find_package(PkgConfig REQUIRED)
function(willis_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;NEEDS;LIBRARIES;ARGUMENTS;LABELS" ${ARGN})
  if(NOT TEST_SOURCES)
    set(TEST_SOURCES ${name}.c)
  endif()
  add_executable(${name} ${TEST_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE willis_flags ${TEST_LIBRARIES} cmocka)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  foreach(need ${TEST_NEEDS})
    target_link_libraries(${name} PRIVATE willis_${need})
  endforeach()
  add_test(NAME ${name} COMMAND ${name} ${TEST_ARGUMENTS}
           WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  # Tests ask for more threads than there are cores: they must sleep, not spin, while they wait.
  set_tests_properties(${name} PROPERTIES TIMEOUT ${WILLIS_TEST_SECONDS} LABELS "${TEST_LABELS}"
                       ENVIRONMENT OMP_WAIT_POLICY=PASSIVE)
endfunction()
