# How every target of the tree is made: one place for warnings, sanitizers and the layer rule.

function(lw_compile_options target)
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  # gcc 12 reports a mismatched new/delete in Asio's awaitable frames that is not there.
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wno-missing-field-initializers
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-mismatched-new-delete -Wno-maybe-uninitialized>
    $<$<BOOL:${LONGWIRE_WERROR}>:-Werror>)
  if(LONGWIRE_FUZZERS)
    # Coverage in the rooms, too: without it a fuzzer is blind in the code it tests.
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  if(LONGWIRE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${LONGWIRE_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${LONGWIRE_SANITIZE})
    if(LONGWIRE_SANITIZE STREQUAL "thread")
      # The thread sanitizer does not understand Asio's fences; the locks of its scheduler order the same things.
      target_compile_definitions(${target} PRIVATE BOOST_ASIO_DISABLE_FENCED_BLOCK)
    endif()
  endif()
endfunction()

# lw_room(LAYER ROOM SOURCES ... [LINKS ...]): one folder of a layer. Tests link rooms, programs link layers.
function(lw_room layer room)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(lw_${layer}_${room} STATIC ${ARG_SOURCES})
  lw_compile_options(lw_${layer}_${room})
  target_link_libraries(lw_${layer}_${room} PUBLIC ${ARG_LINKS})
  set_property(GLOBAL APPEND PROPERTY LW_ROOMS_${layer} lw_${layer}_${room})
endfunction()

# lw_layer(LAYER [BELOW]): one static library of all rooms of a layer, on top of the layer below. Called when the last
# room is known. The rooms behind it on a link line bring their outside libraries and headers; none of their members is
# taken any more.
function(lw_layer layer)
  get_property(rooms GLOBAL PROPERTY LW_ROOMS_${layer})
  set(objects)
  foreach(room ${rooms})
    list(APPEND objects $<TARGET_OBJECTS:${room}>)
  endforeach()
  add_library(longwire_${layer} STATIC ${objects})
  set_target_properties(longwire_${layer} PROPERTIES LINKER_LANGUAGE CXX)
  foreach(below ${ARGN})
    target_link_libraries(longwire_${layer} INTERFACE longwire_${below})
  endforeach()
  target_link_libraries(longwire_${layer} INTERFACE ${rooms})
endfunction()

# lw_program(NAME SOURCES ... LINKS ...): a program of the suite, into build/PRESET/bin.
function(lw_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  lw_compile_options(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS})
endfunction()

# lw_test(NAME LABEL unit|contract|e2e|long [threads] SOURCES ... LINKS ...): a GoogleTest program, one ctest entry. What
# runs threads of ours says so: those tests run under the thread sanitizer too, which builds only the target
# threaded_tests.
function(lw_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABEL;SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  lw_compile_options(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} GTest::gmock GTest::gtest_main)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT})
  if("threads" IN_LIST ARG_LABEL)
    if(NOT TARGET threaded_tests)
      add_custom_target(threaded_tests)
    endif()
    add_dependencies(threaded_tests ${name})
  endif()
endfunction()

# lw_fuzzer(NAME SOURCES ... LINKS ...): tests/fuzz/NAME.cc with its corpus in tests/fuzz/corpus/NAME.
function(lw_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  if(NOT LONGWIRE_FUZZERS)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  lw_compile_options(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS})
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
  add_test(NAME ${name} COMMAND ${CMAKE_SOURCE_DIR}/scripts/fuzz_one $<TARGET_FILE:${name}> ${corpus})
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 600)
endfunction()
