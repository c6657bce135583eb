# Real pictures of many kinds, whole and damaged; tests that need them skip where they are not.
set(CONVOY_SHARED_DATA "${CMAKE_SOURCE_DIR}/../shared/data" CACHE PATH "Folder of the image data used by some tests")
convoy_add_test(png_test LABELS unit LINK convoy_io convoy_random PNG::PNG SOURCES png_test.cpp)
target_compile_definitions(png_test PRIVATE CONVOY_SHARED_DATA="${CONVOY_SHARED_DATA}")
