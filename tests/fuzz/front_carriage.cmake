# Compressed bodies and the headers that name encodings and traces.
strongroom_fuzz(front_carriage SOURCES front_carriage.c LIBRARIES strongroom_front_codec LINK z
  MAX_LEN 4096)
