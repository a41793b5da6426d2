# Turns policies/sandbox/<role>.policy into C: `awk -f sandbox_policy.awk keeper.policy ... > out`.
# The grammar is in policies/sandbox/README.md; a line that does not fit it stops the build.

function fail(why) {
    printf "%s:%d: %s: %s\n", FILENAME, FNR, why, $0 > "/dev/stderr"
    bad = 1
    exit 1
}

function condition(from,    argument, verb, constant) {
    if ($from !~ /^arg[0-5]$/) fail("expected arg0 to arg5, found \"" $from "\"")
    argument = substr($from, 4); verb = $(from + 1); constant = $(from + 2)
    if (constant !~ /^[A-Z0-9_]+$/) fail("expected a constant, found \"" constant "\"")
    if (verb == "is" && constant == "NULL") return sprintf("{%s, UINT64_MAX, 0}", argument)
    if (verb == "is") return sprintf("{%s, 0xffffffff, (uint32_t)(%s)}", argument, constant)
    if (verb == "has") return sprintf("{%s, %s, %s}", argument, constant, constant)
    if (verb == "lacks") return sprintf("{%s, %s, 0}", argument, constant)
    fail("expected is, has or lacks, found \"" verb "\"")
}

function finish() {
    if (role == "") return
    if (!count) fail("no rule in the policy of " role)
    printf "static const struct sandbox_rule %s_rules[] = {\n%s};\n", role, rules
    printf "static const char *const %s_folders[] = {%sNULL};\n", role, folders
    printf "static const unsigned %s_capabilities[] = {%s0xffffffff};\n", role, capabilities
    printf "static const struct limit %s_limits[] = {%s{0, 0}};\n\n", role, limits
}

FNR == 1 {
    finish()
    role = FILENAME; sub(/.*\//, "", role); sub(/\.policy$/, "", role)
    rules = folders = capabilities = limits = ""; count = 0
    split("", seen)
}

{
    at = index($0, "#")
    why = at ? substr($0, at + 1) : ""
    if (at) $0 = substr($0, 1, at - 1)
}
NF == 0 { next }
why !~ /[A-Za-z]/ { fail("a rule needs a comment that says why") }
seen[$0]++ { fail("the same rule stands here twice") }

$1 == "allow" || $1 == "errno" {
    name = $1 == "allow" ? $2 : $3
    next_field = $1 == "allow" ? 3 : 4
    if (name !~ /^[a-z0-9_]+$/) fail("expected the name of a system call")
    if ($1 == "errno" && $2 !~ /^(0|E[A-Z0-9]+)$/) fail("expected an error such as ENOSYS, or 0")
    conditions = ""; n = 0
    if (NF >= next_field) {
        if ($next_field != "where") fail("expected where")
        for (i = next_field + 1; i <= NF; i += 4) {
            conditions = conditions (n++ ? ", " : "") condition(i)
            if (i + 3 <= NF && $(i + 3) != "and") fail("expected and")
            if (i + 3 == NF) fail("a condition must follow and")
        }
        if (!n || n > 3) fail("expected one to three conditions")
    }
    rules = rules sprintf("    {\"%s\", %s, %s, %d, {%s}},\n", name, \
        $1 == "allow" ? "SANDBOX_ALLOW" : "SANDBOX_ERRNO", $1 == "allow" ? "0" : $2, n, \
        n ? conditions : "{0, 0, 0}")
    count++
    next
}
$1 == "write" && NF == 2 && $2 ~ /^[a-z]+$/ { folders = folders "\"" $2 "\", "; next }
$1 == "keep" && NF == 2 && $2 ~ /^CAP_[A-Z_]+$/ { capabilities = capabilities $2 ", "; next }
$1 == "limit" && NF == 3 && $2 ~ /^RLIMIT_[A-Z]+$/ && $3 ~ /^[0-9]+$/ {
    limits = limits "{" $2 ", " $3 "}, "; next
}
{ fail("expected allow, errno, write, keep or limit") }

END {
    if (bad) exit 1
    finish()
}
