# What crosses the ring: headers of requests and answers, and the encoding of answers.
strongroom_fuzz(ring SOURCES ring.c LIBRARIES strongroom_front_codec MAX_LEN 2048)
