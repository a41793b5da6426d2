#!/usr/bin/env python3
"""How `strongroom` behaves towards people and scripts: tables and colour on a terminal, progress,
questions, errors, help, man pages and completion from one table, upload.

Environment: STRONGROOM_BIN (folder with strongroomd and strongroom).
"""

import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import socket
import sqlite3
import ssl
import struct
import subprocess
import tempfile
import termios
import threading
import time
import unittest

from harness import BIN, ROOT, Server, tensor

STRONGROOM = str(BIN / "strongroom")
HERE = pathlib.Path(__file__).resolve().parent
BIG = 512 << 20  # takes more than a moment to seal on any machine
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def environment(more=None):
    plain = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "STRONGROOM_KEY")}
    return {**plain, "TERM": "xterm", "LC_ALL": "C.UTF-8", **(more or {})}


def command(*arguments, **more):
    return subprocess.run([STRONGROOM, *map(str, arguments)], capture_output=True, text=True,
                          timeout=120, stdin=subprocess.DEVNULL, env=environment(more))


def terminal(*arguments, columns=80, type="", **more):
    """Run on a pseudo-terminal; its exit status and everything that it showed."""
    words, variables = ["strongroom", *map(str, arguments)], environment(more)
    pid, fd = pty.fork()
    if pid == 0:
        try:  # the width has to be there before anything looks at it
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
            os.execve(STRONGROOM, words, variables)
        finally:
            os._exit(127)
    os.write(fd, type.encode())
    out = b""
    while True:
        try:
            part = os.read(fd, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        out += part
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode().replace("\r\n", "\n")


def table():
    return json.loads(command("help", "--json").stdout)


def plain(text):
    return ESCAPE.sub("", text)


class OneSource(unittest.TestCase):
    """Help, man pages and completion say the same, and it is what the table says."""

    @classmethod
    def setUpClass(cls):
        cls.table = table()
        cls.commands = cls.table["commands"]

    def test_there_is_a_table(self):
        names = [c["name"] for c in self.commands]
        self.assertGreater(len(names), 20)
        self.assertEqual(len(names), len(set(names)))
        for name in ("upload", "usage", "completion", "man", "tenant delete"):
            self.assertIn(name, names)
        for c in self.commands:
            options = [o["name"] for o in c["options"]]
            letters = [o["letter"] for o in c["options"] if "letter" in o]
            self.assertEqual(len(options), len(set(options)), c["name"])
            self.assertEqual(len(letters), len(set(letters)), c["name"])
            for o in c["options"]:
                self.assertRegex(o["name"], "^[a-z][a-z0-9-]*$")
                self.assertTrue(o["help"], (c["name"], o["name"]))
            self.assertNotIn("\n", c["summary"])

    def squeeze(self, text):
        return re.sub(r"\s+", " ", text)

    def test_help(self):
        overview = self.squeeze(command("--help").stdout)
        for c in self.commands:
            self.assertIn(f"{c['name']} {c['positional']}".strip() + " " + c["summary"], overview)
            for words in (["help", *c["name"].split()], [*c["name"].split(), "--help"]):
                done = command(*words)
                self.assertEqual((done.returncode, done.stderr), (0, ""), words)
                text = self.squeeze(done.stdout)
                self.assertIn(c["summary"], text)
                for o in c["options"]:
                    value = " " + o["value"] if "value" in o else ""
                    letter = f"-{o['letter']}, " if "letter" in o else ""
                    self.assertIn(f"{letter}--{o['name']}{value} {o['help']}", text)
        for line in self.table["exits"]:
            self.assertIn(f"{line['status']} {line['meaning']}", overview)
        self.assertEqual([e["status"] for e in self.table["exits"]],
                         list(range(len(self.table["exits"]))))

    def page_name(self, name):
        return "strongroom-" + name.replace(" ", "-") + ".1"

    def test_man_pages(self):
        def read(text):
            """Without the language of the pages."""
            text = re.sub(r"\\f.", "", text).replace("\\-", "-").replace("\\(aq", "'")
            return self.squeeze(re.sub(r"^\.(TP|B|I|BR|RI|PP|nf|fi|br)\b ?", "", text, flags=re.M))
        with tempfile.TemporaryDirectory() as folder:
            done = command("man", "--all", folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            pages = {p.name: p.read_text() for p in pathlib.Path(folder).iterdir()}
        self.assertEqual(set(pages), {"strongroom.1", "strongroomd.8"}
                         | {self.page_name(c["name"]) for c in self.commands})
        self.assertEqual(command("man").stdout, pages["strongroom.1"])
        self.assertEqual(command("man", "strongroomd").stdout, pages["strongroomd.8"])
        for c in self.commands:
            page = pages[self.page_name(c["name"])]
            self.assertEqual(command("man", *c["name"].split()).stdout, page)
            text = read(page)
            self.assertIn(c["summary"], text)
            for o in c["options"]:
                value = " " + o["value"] if "value" in o else ""
                self.assertIn(f"--{o['name']}{value} {o['help']}".replace("`", ""), text)
            for line in self.table["exits"]:
                self.assertIn(f" {line['status']} {line['meaning']}", text)
            self.assertIn(c["summary"], read(pages["strongroom.1"]))
        for option in ("--config FILE", "--check", "--version", "--help"):
            self.assertIn(option, read(pages["strongroomd.8"]))
        self.assertEqual(command("man", "nothing").returncode, 2)

    def test_the_built_pages_are_these(self):
        self.assertEqual((BIN / "made" / "man" / "strongroom.1").read_text(), command("man").stdout)
        self.assertEqual((BIN / "made" / "strongroom.bash").read_text(),
                         command("completion", "bash").stdout)

    def lint(self, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            command("man", "--all", folder)
            for page in sorted(pathlib.Path(folder).iterdir()):
                done = subprocess.run([*arguments, page], capture_output=True, text=True,
                                      env=environment(), timeout=60)
                self.assertEqual((done.stderr, done.returncode), ("", 0), page.name)
                if arguments[0] == "mandoc":
                    self.assertEqual(done.stdout, "", page.name)

    @unittest.skipUnless(shutil.which("groff"), "needs groff")
    def test_groff_has_no_warning(self):
        self.lint("groff", "-ww", "-man", "-Tutf8", "-z")

    @unittest.skipUnless(shutil.which("mandoc"), "needs mandoc")
    def test_mandoc_has_no_remark(self):
        self.lint("mandoc", "-T", "lint")

    def words_after(self, c):
        """What a shell has to offer after the command and two dashes."""
        return {"--" + o["name"] for o in c["options"]}

    def lines(self):
        """line to complete -> words that must be offered."""
        asked = {}
        for c in self.commands:
            words = c["name"].split()
            for i in range(len(words)):
                asked.setdefault(" ".join(["strongroom", *words[:i], ""]), set()).add(words[i])
            asked[f"strongroom {c['name']} --"] = self.words_after(c)
            for o in c["options"]:
                if "|" in o.get("value", "").replace("|UID", ""):
                    asked[f"strongroom {c['name']} --{o['name']} "] = set(o["value"].split("|"))
            for o in c["options"]:
                if o["name"] == "scopes":
                    first, *more = known = self.scopes(o)
                    ask = f"strongroom {c['name']} --scopes "
                    asked[ask] = set(known)
                    asked[ask + first + ","] = {f"{first},{m}" for m in more}
                    asked[ask + first[:-2]] = {first}
        asked["strongroom completion "] = {"bash", "zsh", "fish"}
        asked["strongroom --data elsewhere tenant li"] = {"list"}
        asked["strongroom help ten"] = {"tenant"}
        asked["strongroom seal mod"] = {"model.onnx"}
        asked["strongroom upload --key-file mod"] = {"model.onnx"}
        asked["strongroom tenant list --color=al"] = {"always"}
        return asked

    def scopes(self, option):
        """As the help of --scopes lists them."""
        return re.sub(r"^.*?: |; required$", "", option["help"]).split(", ")

    def check_shell(self, offered, asked):
        for line, wanted in asked.items():
            self.assertLessEqual(wanted, set(offered[line]), line)
            self.assertEqual(len(offered[line]), len(set(offered[line])), f"{line}: a word twice")
            if "--scopes " in line:
                self.assertEqual(wanted, set(offered[line]), line)
        only = {"strongroom tenant list --": "--yes", "strongroom key ": "remove",
                "strongroom --data elsewhere tenant li": "create"}
        for line, word in only.items():
            self.assertNotIn(word, offered[line], line)

    def in_folder(self, run):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "model.onnx").write_text("")
            return run(pathlib.Path(folder))

    @unittest.skipUnless(shutil.which("bash"), "needs bash")
    def test_bash_completes(self):
        asked = self.lines()
        tester = ('source ./script\noffer() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _strongroom; '
                  'printf "%s\\n" "== $*" "${COMPREPLY[@]}"; }\n')
        for line in asked:
            # bash hands over "=" and ":" as words of their own
            words = [w for w in re.split("([=:])| ", line) if w is not None]
            tester += "offer " + " ".join(f'"{w}"' for w in words) + "\n"

        def run(folder):
            (folder / "script").write_text(command("completion", "bash").stdout)
            return subprocess.run(["bash", "--norc", "-c", tester], cwd=folder, capture_output=True,
                                  text=True, timeout=60)
        done = self.in_folder(run)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        offered = {}
        for part in done.stdout.split("== ")[1:]:
            line, *words = part.rstrip("\n").split("\n")
            line = line.replace(" = ", "=").replace(" : ", ":")
            # Of a word with colons it replaces what follows the last.
            typed = line.rsplit(" ", 1)[1]
            kept = typed[:typed.rfind(":") + 1]
            offered[line] = [kept + w for w in words]
        self.check_shell(offered, asked)

    @unittest.skipUnless(shutil.which("zsh"), "needs zsh")
    def test_zsh_completes(self):
        asked = self.lines()
        asked.pop("strongroom help ten")  # offers no words after help

        def run(folder):
            (folder / "_strongroom").write_text(command("completion", "zsh").stdout)
            return subprocess.run(["zsh", "-f", HERE / "complete.zsh", folder / "_strongroom",
                                   *asked], cwd=folder, capture_output=True, text=True, timeout=100)
        done = self.in_folder(run)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        offered = {}
        for part in done.stdout.split("== ")[1:]:
            line, *words = part.rstrip("\n").split("\n")
            # zsh completes a list at its last comma.
            typed = line.rsplit(" ", 1)[1]
            kept = typed[:typed.rfind(",") + 1] if "--scopes" in line else ""
            # What has a description is told once for its width and once for itself, so only of plain
            # words is it clear how often they are offered.
            times = {words.count(w) for w in words}
            once = len(times) == 1 or line.endswith("--")
            offered[line] = [kept + w for w in (dict.fromkeys(words) if once else words)]
        self.check_shell(offered, asked)

    @unittest.skipUnless(shutil.which("fish"), "needs fish")
    def test_fish_completes(self):
        asked = self.lines()

        def run(folder):
            (folder / "script").write_text(command("completion", "fish").stdout)
            text = "source script\n" + "".join(
                f"echo '== {line}'\ncomplete -C '{line}'\n" for line in asked)
            return subprocess.run(["fish", "--no-config", "-c", text], cwd=folder,
                                  capture_output=True, text=True, timeout=100,
                                  env=environment({"HOME": str(folder)}))
        done = self.in_folder(run)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        offered = {}
        for part in done.stdout.split("== ")[1:]:
            line, *words = part.rstrip("\n").split("\n")
            offered[line] = [w.split("\t")[0].split("=")[-1] for w in words]
        self.check_shell(offered, asked)

    @unittest.skipUnless(shutil.which("cmake"), "needs cmake")
    def test_install_puts_them_in_place(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(["cmake", "-DCMAKE_INSTALL_PREFIX=" + folder, "-P",
                                   BIN / "admin" / "cmake_install.cmake"], capture_output=True,
                                  text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            for name in ("bin/strongroom", "share/man/man1/strongroom-tenant-create.1",
                         "share/man/man8/strongroomd.8",
                         "share/bash-completion/completions/strongroom",
                         "share/zsh/vendor-completions/_strongroom",
                         "share/fish/vendor_completions.d/strongroom.fish"):
                self.assertTrue((pathlib.Path(folder) / name).is_file(), name)
            self.assertFalse((pathlib.Path(folder) / "share/man/man1/strongroomd.8").exists())


class Words(unittest.TestCase):
    def fails(self, message, *arguments, exit_status=2):
        done = command(*arguments)
        self.assertEqual((done.returncode, done.stdout), (exit_status, ""), arguments)
        self.assertIn(message, done.stderr)
        return done

    def test_did_you_mean(self):
        for words, meant in ((["tenat", "list"], "tenant"), (["sael"], "seal"), (["docter"], "doctor"),
                             (["tenant", "creat", "x"], "tenant create"), (["key", "lst"], "key list"),
                             (["help", "uplaod"], "upload")):
            self.fails(f'did you mean "{meant}"?', *words)
        for words in (["xyzzy"], ["tenant", "xyzzy"], ["s"]):
            self.assertNotIn("did you mean", self.fails("is no command", *words).stderr)
        self.fails("--jsno is not an option here: did you mean --json?", "tenant", "list", "--jsno")
        self.fails("--scope is not an option here: did you mean --scopes?", "key", "create",
                   "--scope=infer")
        self.fails("--xyzzy is not an option here; there are --tenant, --data, --config, --json, "
                   "--color, --help", "model", "list", "--xyzzy")
        self.fails("usage: strongroom tenant show NAME [OPTIONS]", "tenant", "show")

    def test_version(self):
        self.assertRegex(command("--version").stdout, r"^strongroom \d+\.\d+\.\d+\n$")
        self.assertRegex(json.loads(command("--version", "--json").stdout)["version"], r"^\d+\.\d+")

    def test_errors_as_json(self):
        for words, exit_status, status in (
                (["tenant", "list", "--data", "/nowhere/at/all"], 4, "not_found"),
                (["tenant", "list", "--xyzzy"], 2, "invalid"), (["xyzzy"], 2, "invalid"),
                (["tenant", "show"], 2, "invalid"), (["seal", "/nowhere/at/all"], 4, "not_found"),
                (["tenant", "delete", "acme"], 2, "invalid"), (["usage", "--by", "week"], 2, "invalid"),
                (["help", "xyzzy"], 2, "invalid"), (["tenant"], 2, "invalid"), (["--color=red"], 2, "invalid")):
            for given in ([*words, "--json"], ["--json", *words]):
                done = command(*given)
                self.assertEqual((done.returncode, done.stdout), (exit_status, ""), given)
                line, = done.stderr.splitlines()
                error = json.loads(line)
                self.assertEqual((error["status"], error["exit"]), (status, exit_status))
                self.assertTrue(error["error"])

    def test_strongroomd(self):
        def run(*arguments):
            return subprocess.run([BIN / "strongroomd", *arguments], capture_output=True, text=True,
                                  timeout=60)
        for arguments, said in ((["--cofnig"], "--cofnig is not an option: did you mean --config?"),
                                (["--config"], "--config needs a value: FILE"),
                                (["--check=yes"], "--check takes no value"),
                                (["--xyzzy"], "--xyzzy is not an option; `strongroomd --help`"),
                                (["x"], 'found "x", expected options alone')):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertTrue(done.stderr.startswith("strongroomd: " + said), done.stderr)
        self.assertEqual(run("--version").stdout.split()[0], "strongroomd")
        for option in ("--config FILE", "--check", "--version", "--help"):
            self.assertIn(option, run("--help").stdout)


class Colour(unittest.TestCase):
    def test_where_there_is_colour(self):
        def shows(out):
            return "\x1b[" in out
        self.assertTrue(shows(terminal("--help")[1]))
        self.assertTrue(shows(terminal("--help", NO_COLOR="")[1]), "an empty NO_COLOR says nothing")
        self.assertFalse(shows(terminal("--help", NO_COLOR="1")[1]))
        self.assertFalse(shows(terminal("--help", TERM="dumb")[1]))
        self.assertFalse(shows(terminal("--color=never", "--help")[1]))
        self.assertTrue(shows(terminal("--color=always", "--help", NO_COLOR="1")[1]))
        self.assertFalse(shows(command("--help").stdout))
        self.assertTrue(shows(command("--help", "--color", "always").stdout))
        self.assertTrue(shows(terminal("xyzzy")[1]))
        self.assertFalse(shows(command("xyzzy").stderr))
        done = command("--color=red", "--help")
        self.assertEqual(done.returncode, 2)
        self.assertIn('--color: found "red", expected auto, always or never', done.stderr)

    def test_help_fits(self):
        for columns in (40, 60, 80, 132):
            for words in (["--help"], ["tenant", "--help"], ["seal", "--help"], ["upload", "--help"]):
                text = plain(terminal(*words, columns=columns)[1])
                longest = max(text.splitlines(), key=len)
                # A usage line is copied whole.
                if not longest.startswith(("usage:", "  strongroom ")):
                    self.assertLessEqual(len(longest), columns, longest)


class Running(unittest.TestCase):
    """With a server, and with things in it."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server("worker: {allow_unlocked_memory: true}").start()
        cls.data = {"STRONGROOM_DATA": str(cls.server.data)}
        cls.server.tenant("acme")
        cls.server.tenant("a-tenant.with-a-name-that-is-as-long-as-it-may-be.and-then-some")
        cls.key = cls.server.folder / "acme.key"
        cls.key.write_text(cls.server.keys["acme"] + "\n")
        cls.sealed = cls.server.folder / "digits.age"
        cls.sealed.write_bytes(cls.server.seal(
            "acme", (ROOT / "examples" / "digits" / "model.onnx").read_bytes()))

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def upload(self, version, *more, file=None, key=None, server=None):
        return ["upload", file or self.sealed, "--model", "digits", "--version", version,
                "--server", server or f"https://127.0.0.1:{self.server.port}",
                "--key-file", key or self.key, "--cacert", self.server.data / "tls" / "cert.pem",
                *more]

    # --- tables ---

    def test_what_is_to_be_typed_is_shown_whole(self):
        ids = [k["id"] for k in json.loads(command("key", "list", "--json", **self.data).stdout)["keys"]]
        self.assertTrue(ids)
        shown = plain(terminal("key", "list", columns=80, **self.data)[1])
        for key in ids:
            self.assertRegex(shown, rf"(?m)^{key}\b")

    def test_tables_fit_and_are_whole_elsewhere(self):
        whole = command("tenant", "list", **self.data).stdout
        for columns in (60, 80, 100, 200):
            status, shown = terminal("tenant", "list", columns=columns, **self.data)
            self.assertEqual(status, 0, shown)
            lines = plain(shown).splitlines()
            self.assertEqual(len(lines), len(whole.splitlines()), "no line is broken")
            self.assertLessEqual(max(map(len, lines)), columns)
            self.assertEqual("…" in shown, columns < 200)
        self.assertEqual(plain(terminal("tenant", "list", columns=260, **self.data)[1]), whole)
        self.assertNotIn("…", whole)
        self.assertNotIn("\x1b", whole)
        self.assertRegex(whole, r"\bage1[a-z0-9]{58}\b")
        self.assertRegex(whole, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
        narrow = plain(terminal("tenant", "list", columns=200, COLUMNS="70", **self.data)[1])
        self.assertLessEqual(max(map(len, narrow.splitlines())), 70, "$COLUMNS goes before")
        self.assertGreater(max(map(len, narrow.splitlines())), 60)
        self.assertIn("~", terminal("tenant", "list", columns=70, **dict(self.data, LC_ALL="C"))[1])
        for columns in (60, 80):
            for words in (["audit", "list"], ["key", "list"], ["usage"], ["model", "list"], ["doctor"]):
                shown = plain(terminal(*words, columns=columns, **self.data)[1])
                self.assertLessEqual(max(map(len, shown.splitlines())), columns, words)

    def test_what_is_too_narrow_for_a_table_is_shown_in_blocks(self):
        """Ids and words are not cut to pieces: less important columns go, then each row is a block."""
        self.server.infer("acme", "nobody", [])
        for words, titles in ((["audit", "list"], "seq time tenant key action target outcome units client"),
                              (["usage"], "tenant day key model requests errors compute in out"),
                              (["key", "list"], "id tenant scopes label created expires revoked maker certificate")):
            titles = titles.split()
            rows = [r for r in command(*words, **self.data).stdout.splitlines()[1:]]
            if words == ["usage"] and not rows:
                continue
            shown = plain(terminal(*words, columns=40, **self.data)[1])
            self.assertLessEqual(max(map(len, shown.splitlines())), 40)
            blocks = shown.rstrip("\n").split("\n\n")
            self.assertEqual([[line.split(" ")[0] for line in b.splitlines()] for b in blocks],
                             [titles] * len(blocks), words)
        audit = json.loads(command("audit", "list", "--json", **self.data).stdout)["records"]
        shown = plain(terminal("audit", "list", columns=60, **self.data)[1])
        for record in (row["record"] for row in audit):
            self.assertRegex(shown, rf"(?m)^action +{re.escape(record['action'])}$")
            self.assertRegex(shown, rf"(?m)^outcome +{record['outcome']}$")
        wider = plain(terminal("audit", "list", columns=92, **self.data)[1])
        self.assertNotIn("\n\n", wider)
        for record in (row["record"] for row in audit):
            self.assertIn(record["action"], wider)
            self.assertIn(record.get("key") or "-", wider)

    def test_a_table_says_what_it_left_out(self):
        shown = [plain(terminal("audit", "list", columns=c, **self.data)[1]) for c in range(64, 124, 4)]
        said = [s for s in shown if "(no room for " in s]
        self.assertTrue(said)
        for s in said:
            left = re.search(r"\(no room for (.+)\)\n$", s)[1].split(" and ")
            for title in left:
                self.assertNotIn(title, s.splitlines()[0].split())
        self.assertNotIn("no room", command("audit", "list", **self.data).stdout)

    def test_sentences_are_not_cut(self):
        """What doctor says goes on below itself."""
        def words(text):
            return re.sub(r"\s+", " ", plain(text))
        shown = terminal("doctor", columns=60, **self.data)[1]
        self.assertNotIn("…", shown)
        for check in json.loads(command("doctor", "--json", **self.data).stdout)["checks"]:
            self.assertIn(words(f"{check['verdict']} {check['check']} {check['reason']}"), words(shown))

    def test_facts_are_never_cut(self):
        shown = plain(terminal("tenant", "show", "acme", columns=40, **self.data)[1])
        self.assertRegex(shown, r"recipient  age1[a-z0-9]{58}\n")

    # --- what destroys ---

    def test_what_destroys_asks(self):
        destroying = [c for c in table()["commands"] if "destroys" in c]
        self.assertLessEqual({"tenant delete", "model remove"}, {c["name"] for c in destroying})
        needed = {"model remove": ["--tenant", "acme", "--version", "1"]}
        for c in destroying:
            done = command(*c["name"].split(), *(["x"] if c["positional"] else []),
                           *needed.get(c["name"], []), **self.data)
            self.assertEqual((done.returncode, done.stdout), (2, ""), c["name"])
            self.assertIn("add --yes, since there is no terminal to ask on", done.stderr)
            self.assertIn(c["destroys"], done.stderr)
        self.server.tenant("doomed")
        for answer in ("no\n", "\n", "yess\n", "\x04"):
            status, shown = terminal("tenant", "delete", "doomed", type=answer, **self.data)
            self.assertEqual(status, 9, shown)
            self.assertIn("tenant delete doomed", plain(shown))
            self.assertIn("nothing was done", shown)
        self.assertEqual(command("tenant", "show", "doomed", **self.data).returncode, 0)
        status, shown = terminal("tenant", "delete", "doomed", "--json", **self.data)
        self.assertEqual((status, json.loads(shown)["exit"]), (2, 2))
        status, shown = terminal("tenant", "delete", "doomed", type="yes\n", **self.data)
        self.assertEqual(status, 0, shown)
        self.assertEqual(command("tenant", "show", "doomed", **self.data).returncode, 4)
        self.server.tenant("doomed")
        self.assertEqual(command("tenant", "delete", "doomed", "-y", **self.data).returncode, 0)

    # --- upload ---

    def test_upload(self):
        done = command(*self.upload("1", "--json"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(json.loads(done.stdout), {
            "model": "digits", "version": "1", "state": "ready",
            "sealed_bytes": self.sealed.stat().st_size})
        question = json.loads((ROOT / "examples" / "digits" / "question.json").read_text())["inputs"]
        self.assertEqual(self.server.infer("acme", "digits", question).status, 200)

        def fails(exit_status, message, arguments, **more):
            done = command(*arguments, **more)
            self.assertEqual((done.returncode, done.stdout), (exit_status, ""), done.stderr)
            self.assertIn(message, done.stderr)
        fails(5, 'the server answered 409: model "digits" version "1" already exists',
              self.upload("1"))
        reader = self.server.folder / "reader.key"
        reader.write_text(self.server.key("acme", "models:read"))
        fails(3, "the server answered 403", self.upload("2", key=reader))
        reader.write_text(self.server.keys["acme"][:-1])
        fails(2, "that is not an API key", self.upload("2", key=reader))
        fails(2, "give --key-file FILE or set STRONGROOM_KEY", [
            w for w in self.upload("2") if w not in ("--key-file", self.key)])
        fails(4, "No such file", self.upload("2", file=self.server.folder / "none.age"))
        fails(2, "--version: found \"../2\"", self.upload("../2"))
        fails(2, "--model is required", ["upload", self.sealed])
        fails(2, "expected https://HOST:PORT", self.upload("2", server="http://127.0.0.1:1"))
        fails(8, "127.0.0.1", self.upload("2", server="https://127.0.0.1:1"))
        cut = self.server.folder / "cut.age"
        cut.write_bytes(self.sealed.read_bytes()[:-100])
        fails(2, "the server answered 400: sealed payload", self.upload("2", file=cut))
        self.assertEqual([m["version"] for m in json.loads(
            command("model", "list", "--json", **self.data).stdout)["models"]], ["1"])

    def test_a_model_that_is_not_sealed_stays_here(self):
        before = len(self.server.audit("acme"))
        for content in ((ROOT / "examples" / "digits" / "model.onnx").read_bytes(), b"",
                        b"age-encryption.org/v1\n"):
            naked = self.server.folder / "naked"
            naked.write_bytes(content)
            done = command(*self.upload("3", file=naked))
            self.assertEqual(done.returncode, 2)
            self.assertIn("only sealed models are sent", done.stderr)
        self.assertEqual(len(self.server.audit("acme")), before + 1, "only the look at it")

    def as_server(self, answer, run):
        """What run(url) gives, while answer(link, head) speaks for a server at that url."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.data / "tls" / "cert.pem",
                                self.server.data / "tls" / "key.pem")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(30)

            def serve():
                raw, _ = listener.accept()
                raw.settimeout(30)
                with context.wrap_socket(raw, server_side=True) as link:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += link.recv(65536)
                    answer(link, head)
            thread = threading.Thread(target=serve)
            thread.start()
            done = run(f"https://127.0.0.1:{listener.getsockname()[1]}")
            thread.join(60)
        return done

    def test_what_is_refused_is_not_sent(self):
        """A server that answers on the headers gets no body."""
        got = []

        def answer(link, head):
            body = b'{"error":"not today"}'
            link.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n"
                         b"Connection: close\r\n\r\n" % len(body) + body)
            got.append(head)
            while part := link.recv(65536):
                got.append(part)
        done = self.as_server(answer, lambda url: command(*self.upload("1", server=url)))
        self.assertEqual(done.returncode, 3)
        self.assertIn("the server answered 403: not today", done.stderr)
        self.assertIn(b"Expect: 100-continue", got[0])
        self.assertEqual(got[0].split(b"\r\n\r\n", 1)[1], b"")
        self.assertEqual(got[1:], [])

    # --- progress ---

    LINE = re.compile(r"\r(\w+)  \[#*\.*\]  +\d+%  [\d.]+ MiB of [\d.]+ MiB  [\d.]+ .iB/s  "
                      r"\d+:\d\d left")

    def in_memory(self):
        """A folder whose files cost no disk, where there is one."""
        shm = pathlib.Path("/dev/shm")
        return tempfile.TemporaryDirectory(dir=shm if os.access(shm, os.W_OK) else None)

    def test_progress_of_seal(self):
        with self.in_memory() as folder:
            big = pathlib.Path(folder) / "big"
            with open(big, "wb") as f:
                f.truncate(BIG)
            seal = ["seal", big, "--no-check", "--force", "-r", self.server.recipient("acme")]
            status, shown = terminal(*seal, columns=100)
            self.assertEqual(status, 0, shown)
            self.assertIn("sealing", self.LINE.findall(shown))
            self.assertRegex(shown, r"\r\x1b\[K(\x1b\[2m)?sealed", "gone before the result")
            self.assertNotIn("%", terminal(*seal, "--json")[1])
            self.assertNotIn("%", terminal(*seal, TERM="dumb")[1])
            done = command(*seal)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_progress_of_upload(self):
        """To a server that takes its time."""
        sealed = self.server.folder / "slow.age"
        sealed.write_bytes(self.sealed.read_bytes() + bytes(16 << 20))

        def answer(link, head):
            size = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
            link.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            while size > 0:
                size -= len(link.recv(65536))
                time.sleep(0.004)
            time.sleep(0.3)  # the worker opens it
            link.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        status, shown = self.as_server(answer, lambda url: terminal(
            *self.upload("4", file=sealed, server=url), columns=100))
        self.assertEqual(status, 0, shown)
        self.assertIn("uploading", self.LINE.findall(shown))
        self.assertIn("sent; the server opens the model", shown)
        self.assertNotIn(self.server.keys["acme"].split("_")[2], shown)
        for part in re.split(r"\r(?!\n)", shown)[1:]:
            self.assertLess(len(plain(part.split("\n")[0])), 100)

    # --- verify ---

    def big_model(self, server, tenant, folder):
        """A big sealed file, split into store and folder as an upload would be."""
        big = pathlib.Path(folder) / "big"
        with open(big, "wb") as f:
            f.truncate(BIG)
        server.cli("seal", str(big), "--no-check", "-r", server.recipient(tenant))
        big.unlink()
        with open(f"{big}.age", "rb") as sealed:
            header = b""
            while not header.endswith(b"\n") or b"\n---" not in header:
                header += sealed.readline()
            database = sqlite3.connect(server.data / "store.db")
            number = database.execute(
                "INSERT INTO models (tenant, name, version, state, payload_size, created, header) "
                "SELECT id, 'big', '1', 2, ?, created, ? FROM tenants WHERE name = ?",
                (os.path.getsize(f"{big}.age") - len(header), header, tenant)).lastrowid
            database.commit()
            database.close()
            with open(f"{big}.payload", "wb") as payload:
                shutil.copyfileobj(sealed, payload, 1 << 20)
            (server.data / "models" / str(number)).symlink_to(f"{big}.payload")
        os.unlink(f"{big}.age")

    def test_verify(self):
        server = Server("worker: {allow_unlocked_memory: true}").start()
        try:
            for name in ("one", "two"):
                server.tenant(name)
                for version in ("1", "2"):
                    model = (ROOT / "examples" / "digits" / "model.onnx").read_bytes()
                    self.assertEqual(server.upload(name, "digits", server.seal(name, model),
                                                   version=version).status // 100, 2)
            done = server.cli("verify", check=False)
            self.assertEqual(done.returncode, 5)
            self.assertIn("stop the server, or verify a backup", done.stderr)
            server.stop()
            result = json.loads(server.cli("verify", "--json").stdout)
            self.assertEqual((result["verified"], result["bad"]), (4, 0))
            self.assertEqual({m["verdict"] for m in result["models"]}, {"ok"})
            self.assertEqual(len(json.loads(
                server.cli("verify", "-t", "two", "--json").stdout)["models"]), 2)

            def bad(index, reason, *more, count=1):
                done = server.cli("verify", "--json", *more, check=False)
                self.assertEqual(done.returncode, 6, done.stderr)
                found = json.loads(done.stdout)
                self.assertEqual(found["bad"], count)
                self.assertEqual(found["models"][index]["verdict"], "bad")
                self.assertIn(reason, found["models"][index]["reason"])
                self.assertEqual(json.loads(done.stderr)["exit"], 6)
            files = [server.data / "models" / str(i) for i in (1, 2, 3, 4)]
            whole = [f.read_bytes() for f in files]
            files[0].write_bytes(whole[0][:-1] + bytes([whole[0][-1] ^ 1]))
            bad(0, "does not verify")
            files[0].write_bytes(whole[0][:-1])
            bad(0, "found")
            files[0].write_bytes(whole[1])  # whole, and another
            bad(0, "not the model that was recorded")
            files[0].unlink()
            bad(0, "No such file")
            files[0].write_bytes(whole[0])
            server.cli("verify")
            with self.in_memory() as folder:
                self.big_model(server, "one", folder)
                status, shown = terminal("verify", columns=100, STRONGROOM_DATA=str(server.data))
                self.assertEqual(status, 0, shown)
                self.assertIn("verifying", self.LINE.findall(shown))
            server.cli("model", "remove", "big", "-t", "one", "--version", "1", "--yes")
            # A backup has no root identity in it.
            root, aside = server.data / "keys" / "root.txt", server.folder / "root.txt"
            root.rename(aside)
            done = server.cli("verify", check=False)
            self.assertEqual(done.returncode, 4)
            self.assertIn("root identity", done.stderr)
            self.assertEqual(server.cli("verify", "--root", str(aside)).returncode, 0)
            other = server.folder / "other"
            command("init", other)
            bad(3, "the tenant's identity", "--root", str(other / "keys" / "root.txt"), count=4)
            self.assertEqual(server.cli("verify", "-t", "nobody", "--root", str(aside),
                                        check=False).returncode, 4)
        finally:
            server.close()

    # --- usage ---

    def test_usage(self):
        server = Server("worker: {allow_unlocked_memory: true}").start()
        try:
            server.tenant("user")
            server.upload("user", "digits", server.seal(
                "user", (ROOT / "examples" / "digits" / "model.onnx").read_bytes()))
            question = json.loads(
                (ROOT / "examples" / "digits" / "question.json").read_text())["inputs"]
            for _ in range(3):
                self.assertEqual(server.infer("user", "digits", question).status, 200)
            self.assertEqual(server.infer("user", "digits", []).status, 400)
            today = time.strftime("%Y-%m-%d", time.gmtime())

            def usage(*arguments):
                return server.cli("usage", *arguments).stdout
            running = usage("--json")
            row, = json.loads(running)["usage"]
            self.assertEqual({k: row[k] for k in ("tenant", "day", "key", "model", "requests", "errors")},
                             {"tenant": "user", "day": today, "key": server.keys["user"].split("_")[1],
                              "model": "digits/1", "requests": 4, "errors": 1})
            for count in ("compute_us", "bytes_in", "bytes_out"):
                self.assertGreater(row[count], 0)
            self.assertRegex(usage(), r"requests +errors +compute +in +out\nuser +" + today)
            self.assertEqual(server.stop(), 0)
            self.assertEqual(usage("--json"), running, "the same with the server stopped")
            head, line = usage("--csv").splitlines()
            self.assertEqual(dict(zip(head.split(","), line.split(","))),
                             {k: str(v) for k, v in row.items()})
            self.assertEqual(json.loads(usage("--by", "model", "--json"))["usage"],
                             [{k: v for k, v in row.items() if k not in ("tenant", "day", "key")}])
            self.assertEqual(usage("--to", "2026-01-31"), "no usage\n")
            self.assertEqual(usage("--from", today, "--to", today, "--tenant", "user", "--json"),
                             running)
            for arguments, message in (
                    (["--from", "31.1.2026"], '--from: found "31.1.2026", expected a day'),
                    (["--to", "2026-02-30"], "--to: found"),
                    (["--from", "2026-02-02", "--to", "2026-02-01"], "--from: is after --to"),
                    (["--by", "week"], "expected tenant, day, key or model"),
                    (["--csv", "--json"], "not both")):
                done = server.cli("usage", *arguments, check=False)
                self.assertEqual(done.returncode, 2, arguments)
                self.assertIn(message, done.stderr)
            self.assertEqual(server.cli("usage", "-t", "nobody", check=False).returncode, 4)
        finally:
            server.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
