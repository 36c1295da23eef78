# cmake -DCOMMAND=willis -DFOLDER=folder -P manual.cmake: a man page a command, and completions.
function(print_into file)
  execute_process(COMMAND ${COMMAND} ${ARGN} OUTPUT_FILE ${FOLDER}/${file}
                  COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER}/man1)
print_into(man1/willis.1 --print-man)
print_into(willis.bash --print-completion bash)
print_into(_willis --print-completion zsh)
execute_process(COMMAND ${COMMAND} --print-commands OUTPUT_VARIABLE names
                COMMAND_ERROR_IS_FATAL ANY OUTPUT_STRIP_TRAILING_WHITESPACE)
string(REPLACE "\n" ";" names "${names}")
foreach(name ${names})
  print_into(man1/willis-${name}.1 --print-man ${name})
endforeach()
file(TOUCH ${FOLDER}/made)
