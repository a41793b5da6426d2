# The ONNX reader, and the engine behind it: a model is opened, planned and run.
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
pkg_check_modules(IMAGES REQUIRED IMPORTED_TARGET libjpeg libpng libwebp libtiff-4 libopenjp2)
strongroom_fuzz(onnx_reader SOURCES onnx_reader.c LIBRARIES strongroom_engine MAX_LEN 8192)
