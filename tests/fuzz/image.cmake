# The decoders of image files: ours, and how we call the libraries'.
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
pkg_check_modules(IMAGES REQUIRED IMPORTED_TARGET libjpeg libpng libwebp libtiff-4 libopenjp2)
strongroom_fuzz(image SOURCES image.c LIBRARIES strongroom_engine MAX_LEN 2048)
