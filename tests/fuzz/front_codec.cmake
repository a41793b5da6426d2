# Tensor data as JSON, and numbers in both directions.
strongroom_fuzz(front_codec SOURCES front_codec.c front_json.c front_jansson.c
  LIBRARIES strongroom_front_codec LINK PkgConfig::JANSSON MAX_LEN 512 DICT front_codec.dict)
