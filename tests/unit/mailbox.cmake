strongroom_test(unit-mailbox SOURCES mailbox.c DEPS strongroom_base)
