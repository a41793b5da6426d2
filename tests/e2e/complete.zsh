# What zsh offers at the end of each line: `zsh -f complete.zsh SCRIPT LINE...` prints "== LINE", then
# a word a line. A second zsh on a pseudo-terminal does it as for a person, with its matches told.
script=$1
shift
zmodload zsh/zpty
zpty z zsh -f -i
wait_for() { # everything up to the marker
    local part
    seen=
    while zpty -r z part; do
        seen+=$part
        [[ $seen != *"$1"* ]] || return 0
    done
    return 1
}
zpty -w z "PS1=; stty rows 500 columns 200 -echo; autoload -U compinit; compinit -u -D; source ${(q)script}"
zpty -w z 'compadd() { local -a matches; builtin compadd -O matches "$@"; print -l -- "M:"${^matches}; builtin compadd "$@"; }'
# The marker comes from the widget: keys that follow too soon would cut the completion off.
zpty -w z 'offer() { zle complete-word; print; print -r -- "all-""told"; BUFFER=; }; zle -N offer'
zpty -w z 'LISTMAX=0; bindkey "^I" offer; echo rea""dy'
wait_for ready || exit 1
for line; do
    zpty -w -n z "$line"$'\t'
    wait_for "all-told" || exit 1
    print -r -- "== $line"
    print -r -- "$seen" | tr -d '\r' | sed -n 's/^.*M:\([^ ]*\)$/\1/p'
done
