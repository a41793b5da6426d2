# What the front reads of HTTP before it decodes a body, and the split of an upload.
strongroom_fuzz(front_http SOURCES front_http.c ${PROJECT_SOURCE_DIR}/server/front/routes.c
  LIBRARIES strongroom_front_codec MAX_LEN 4096 DICT front_http.dict)
