# Inference requests: JSON, binary and raw.
strongroom_fuzz(front_request SOURCES front_request.c front_json.c front_jansson.c
  LIBRARIES strongroom_front_codec LINK PkgConfig::JANSSON MAX_LEN 4096 DICT front_request.dict)
