# The text of a recipient note.
strongroom_fuzz(recipient_text SOURCES recipient_text.c LIBRARIES strongroom_base MAX_LEN 512)
