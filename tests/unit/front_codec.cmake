# The front's codecs and screens: JSON, requests and responses, paths, headers, uploads.
strongroom_test(unit-front-data SOURCES front_data.c DEPS strongroom_front_codec)
strongroom_test(unit-front-decimal SOURCES front_decimal.c DEPS strongroom_front_codec m)
strongroom_test(unit-front-json SOURCES front_json.c DEPS strongroom_front_codec)
strongroom_test(unit-front-oip SOURCES front_oip.c DEPS strongroom_front_codec)
strongroom_test(unit-front-keys SOURCES front_keys.c DEPS strongroom_base)
strongroom_test(unit-front-screens SOURCES front_router.c DEPS strongroom_front_codec)
strongroom_test(unit-front-carriage SOURCES front_carriage.c DEPS strongroom_front_codec z)
strongroom_test(unit-front-classes SOURCES front_classes.c DEPS strongroom_front_codec)
