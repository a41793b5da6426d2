/* What is shown to people, without a terminal: texts made harmless, cut and wrapped; the widths of
 * tables; the line of progress; words that were meant. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "admin/commands.h"
#include "admin/output.h"
#include "admin/progress.h"
#include "admin/terminal.h"
#include "base/suggest.h"

static struct error error;

static void set_up(void) {
    setenv("LC_ALL", "C.UTF-8", 1);
    cr_assert_eq(terminal_start("never", &error), STATUS_OK);
}

TestSuite(terminal, .init = set_up);

static const char *clean(const char *text) {
    static char out[128];
    snprintf(out, sizeof out, "%s", text);
    terminal_clean(out);
    return out;
}

Test(terminal, nothing_shown_drives_the_terminal) {
    cr_expect_str_eq(clean("plain \"text\" ~"), "plain \"text\" ~");
    cr_expect_str_eq(clean("a\x1b[2Jb\nc\td\x7f"), "a?[2Jb?c?d?");
    cr_expect_str_eq(clean("Gr\xc3\xbc\xc3\x9f\x65 \xe6\xbc\xa2 \xf0\x9f\x8e\x89"),
                     "Gr\xc3\xbc\xc3\x9f\x65 \xe6\xbc\xa2 \xf0\x9f\x8e\x89");
    cr_expect_str_eq(clean("a\xc2\x9b\x32Jb"), "a?2Jb", "CSI of C1");
    cr_expect_str_eq(clean("a\xe2\x80\xae\x62\xe2\x81\xa6 \xe2\x80\x8b"), "a?b? ?",
                     "direction, no width");
    cr_expect_str_eq(clean("\xff\xc3(\xc0\xaf\xed\xa0\x80"),
                     "?"
                     "?("
                     "?????",
                     "not UTF-8, byte by byte");
    cr_expect_str_eq(clean("cut \xe6\xbc"), "cut ??");
}

static const char *cut(const char *text, size_t columns) {
    static char out[128];
    snprintf(out, sizeof out, "%s", text);
    terminal_cut(out, sizeof out, columns);
    return out;
}

Test(terminal, texts_are_cut_by_columns) {
    cr_expect_eq(terminal_columns("abc"), 3);
    cr_expect_eq(terminal_columns("\xc3\xbc\xc3\x9f"), 2);
    cr_expect_eq(terminal_columns("\xe6\xbc\xa2"), 2, "wide");
    cr_expect_str_eq(cut("abcdef", 6), "abcdef");
    cr_expect_str_eq(cut("abcdef", 5), "abcd\xe2\x80\xa6");
    cr_expect_str_eq(cut("abcdef", 1), "\xe2\x80\xa6");
    cr_expect_str_eq(cut("\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2", 4), "\xe6\xbc\xa2\xe2\x80\xa6");
    cr_expect_str_eq(cut("\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2", 5),
                     "\xe6\xbc\xa2\xe6\xbc\xa2\xe2\x80\xa6");
}

static const char *wrap(const char *text, size_t indent, size_t width) {
    static char out[512];
    memset(out, 0, sizeof out);
    FILE *to = fmemopen(out, sizeof out - 1, "w");
    terminal_wrap(to, text, indent, width);
    fclose(to);
    return out;
}

Test(terminal, sentences_are_wrapped) {
    cr_expect_str_eq(wrap("one two three", 0, 0), "one two three");
    cr_expect_str_eq(wrap("one two three", 0, 7), "one two\nthree");
    cr_expect_str_eq(wrap("one two three", 2, 9), "one two\n  three");
    cr_expect_str_eq(wrap("one\ntwo\n\nthree", 0, 20), "one two\n\nthree");
    cr_expect_str_eq(wrap("so:\n  a  b\n  c\nand on", 0, 20), "so:\n  a  b\n  c\nand on");
    cr_expect_str_eq(wrap("overlongword x", 0, 4), "overlongword\nx", "a word is kept whole");
    cr_expect_str_eq(wrap("", 4, 20), "");
}

Test(terminal, tables_shrink_the_widest_first) {
    enum output_kind kinds[] = {OUTPUT_TEXT, OUTPUT_STATE, OUTPUT_TIME, OUTPUT_TEXT, OUTPUT_NUMBER};
    size_t widths[] = {10, 8, 20, 40, 6};
    output_fit(widths, kinds, 5, 0);
    cr_expect_eq(widths[3], 40, "no limit");
    output_fit(widths, kinds, 5, 92);
    cr_expect_eq(widths[3], 40, "it fits");
    output_fit(widths, kinds, 5, 80);
    cr_expect_eq(widths[3], 28);
    cr_expect_eq(widths[0], 10);
    output_fit(widths, kinds, 5, 60);
    cr_expect_eq(widths[0] + widths[3], 60 - 8 - 8 - 20 - 6);
    output_fit(widths, kinds, 5, 40);
    cr_expect_eq(widths[4], 6, "a number is never cut");
    size_t total = 8;
    for (size_t i = 0; i < 5; i++)
        total += widths[i];
    cr_expect_eq(total, 40);
    output_fit(widths, kinds, 5, 3);
    for (size_t i = 0; i < 4; i++)
        cr_expect_eq(widths[i], 1, "something of each stays");
}

Test(terminal, a_table_fits_while_ids_and_words_are_whole) {
    enum output_kind kinds[] = {OUTPUT_TEXT, OUTPUT_STATE, OUTPUT_TIME, OUTPUT_TEXT, OUTPUT_NUMBER};
    const size_t widths[] = {10, 8, 20, 40, 6}; /* with texts of 8: 50, and 8 between them */
    cr_expect(output_fits(widths, kinds, 5, 0), "no limit");
    cr_expect(output_fits(widths, kinds, 5, 92));
    cr_expect(output_fits(widths, kinds, 5, 58));
    cr_expect_not(output_fits(widths, kinds, 5, 57));
    cr_expect(output_fits(widths, kinds, 4, 50));
}

Test(terminal, progress_fits_and_adds_up) {
    char line[256];
    progress_line(line, sizeof line, 80, "sealing", 50 << 20, 100 << 20, 10 << 20);
    cr_expect_str_eq(line, "sealing  [########.........]   50%  50.0 MiB of 100.0 MiB  10.0 MiB/s"
                           "  0:05 left");
    progress_line(line, sizeof line, 40, "sealing", 50 << 20, 100 << 20, 10 << 20);
    cr_expect_str_eq(line, "sealing   50%  0:05 left");
    progress_line(line, sizeof line, 80, "sealing", 1024, 0, 0);
    cr_expect_str_eq(line, "sealing  1.0 KiB", "how much there is is not known");
    progress_line(line, sizeof line, 100, "sealing", 0, (uint64_t)1 << 40, 1 << 20);
    cr_expect(strstr(line, "  0%"));
    cr_expect(strstr(line, "100:00:00 left"), "%s", line);
    progress_line(line, sizeof line, 80, "sealing", 7, 5, 1);
    cr_expect(strstr(line, "100%"), "never more than all: %s", line);
    for (size_t width = 10; width < 100; width++) {
        progress_line(line, sizeof line, width, "uploading", 123456789, 987654321, 1234567);
        cr_expect_leq(strlen(line), width);
    }
}

static const char *meant(const char *word) {
    static const char *const words[] = {"tenant", "key", "model", "seal", "upload", "completion"};
    struct suggest suggest = suggest_begin(word);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        suggest_offer(&suggest, words[i]);
    return suggest.best ? suggest.best : "-";
}

Test(terminal, what_was_meant) {
    cr_expect_eq(suggest_distance("", "abc"), 3);
    cr_expect_eq(suggest_distance("abc", "abc"), 0);
    cr_expect_eq(suggest_distance("abc", "acb"), 1, "a swap is one change");
    cr_expect_eq(suggest_distance("kitten", "sitting"), 3);
    cr_expect_str_eq(meant("tenat"), "tenant");
    cr_expect_str_eq(meant("sael"), "seal");
    cr_expect_str_eq(meant("up"), "upload", "the beginning of it");
    cr_expect_str_eq(meant("compeltoin"), "completion");
    cr_expect_str_eq(meant("k"), "-");
    cr_expect_str_eq(meant("xyz"), "-");
    cr_expect_str_eq(meant(""), "-");
    char longest[300];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    cr_expect_str_eq(meant(longest), "-");
}

Test(terminal, every_status_has_its_exit_in_the_table) {
    for (int i = 0; i < CLI_EXITS; i++)
        cr_expect_eq((int)cli_exits[i].status, i);
    for (int s = 0; s < STATUS_COUNT; s++) {
        int found = status_exit((enum status)s);
        cr_expect(found >= 0 && found < CLI_EXIT_DECLINED, "%s", status_name((enum status)s));
    }
    cr_expect_eq(status_exit(STATUS_NOT_FOUND), CLI_EXIT_NOT_FOUND);
    cr_expect_eq(status_exit(STATUS_CONFLICT), CLI_EXIT_CONFLICT);
    cr_expect_eq(status_exit(STATUS_FORBIDDEN), CLI_EXIT_FORBIDDEN);
    cr_expect_eq(status_exit(STATUS_INVALID), CLI_EXIT_USAGE);
    cr_expect_eq(status_exit(STATUS_UNAVAILABLE), CLI_EXIT_UNAVAILABLE);
    cr_expect_eq(status_exit(STATUS_UNSERVABLE), CLI_EXIT_UNSERVABLE);
    cr_expect_eq(status_exit(STATUS_RATE), CLI_EXIT_RATE);
    cr_expect_eq(status_exit(STATUS_INTERNAL), CLI_EXIT_INTERNAL);
}

Test(terminal, the_table_is_whole) {
    const struct commands *all = commands_all();
    cr_assert_lt(all->count, COMMANDS_MAX, "there is room, so none was dropped");
    for (size_t i = 0; i < all->count; i++) {
        const struct cli_command *row = all->rows[i];
        char *words[4], name[64];
        size_t count = 0, used = 0, options = 0;
        snprintf(name, sizeof name, "%s", row->name);
        for (char *rest = name, *word; count < 4 && (word = strsep(&rest, " "));)
            words[count++] = word;
        cr_expect_eq(commands_find(words, count, &used), row, "%s", row->name);
        cr_expect_eq(used, count);
        cr_expect_not_null(row->run);
        cr_expect_leq(row->least, row->most);
        cr_expect_eq(row->most > 0, row->positional[0] != '\0', "%s", row->name);
        cr_expect_leq(strlen(row->summary), 80, "%s", row->name);
        (void)commands_options(row, &options);
        cr_expect_eq(options, row->row_count + (row->destroys ? 1 : 0) + commands_common_count);
    }
}
