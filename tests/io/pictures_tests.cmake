convoy_add_test(png_test LABELS unit LINK convoy_io convoy_random PNG::PNG SOURCES png_test.cpp)
target_compile_definitions(png_test PRIVATE CONVOY_SHARED_DATA="${CONVOY_SHARED_DATA}")
convoy_add_test(picture_test LABELS unit LINK convoy_io SOURCES picture_test.cpp report_pictures_test.cpp)
convoy_add_test(jpeg_test LABELS unit LINK convoy_io JPEG::JPEG SOURCES jpeg_test.cpp resample_test.cpp)
