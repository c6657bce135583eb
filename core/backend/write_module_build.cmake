# Writes the header OUT with what tells one build from another where a module and the binary meet: the headers' content,
# the compiler and its flags. HEADERS: files, separated by '|'.
string(REPLACE "|" ";" headers "${HEADERS}")
set(text "${COMPILER}\n")
foreach(header IN LISTS headers)
  file(SHA256 ${header} hash)
  string(APPEND text "${hash}\n")
endforeach()
string(SHA256 hash "${text}")
string(SUBSTRING ${hash} 0 16 hash)
file(WRITE ${OUT} "#pragma once\n#define CONVOY_MODULE_BUILD \"${VERSION}-${hash}\"\n")
