# The front's codecs: JSON in and out, requests and responses.
strongroom_test(unit-front-json SOURCES front_json.c DEPS strongroom_front_codec)
strongroom_test(unit-front-oip SOURCES front_oip.c DEPS strongroom_front_codec)
