# bash completion for tallyd(8)

# Fills `words` with the words of the line up to the cursor. COMP_WORDS is cut at = and : too, which
# stand within options, URLs and names.
_tallyd_words() {
    local rest=$COMP_LINE word i
    words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ ${#words[@]} -eq 0 || $rest == [[:blank:]]* ]]; then
            words+=("$word")
            rest=${rest#"${rest%%[![:blank:]]*}"}
        else
            words[-1]+=$word
        fi
        rest=${rest#"$word"}
    done
}

# The names of the sites of the configuration that the line names, one a line.
_tallyd_sites() {
    local i file=
    for ((i = 1; i < ${#words[@]}; i++)); do
        case ${words[i]} in
        -c | --config) file=${words[i + 1]-} ;;
        --config=*) file=${words[i]#*=} ;;
        esac
    done
    file=${file/#\~\//$HOME/}
    [[ -n $file ]] && "${words[0]/#\~\//$HOME/}" check --names -c "${file//\\/}" 2>/dev/null
}

# Adds those of the lines of stdin that begin with `value`.
_tallyd_add() {
    local line
    while IFS= read -r line; do
        [[ $line == "$value"* ]] && COMPREPLY+=("$line")
    done
}

_tallyd_files() {
    compopt -o filenames 2>/dev/null
    _tallyd_add < <(compgen -f -- "$value")
}

_tallyd_value() { # OPTION: completes its value; 1: it has none
    case $1 in
    -c | --config | -f | --file | --cacert | --cert | --key) _tallyd_files ;;
    -d | --data | --data-binary)
        if [[ $value == @* ]]; then
            value=${value#@}
            _tallyd_files
            COMPREPLY=("${COMPREPLY[@]/#/@}")
        fi
        ;;
    --site)
        value=${value//\\/}
        _tallyd_add < <(_tallyd_sites)
        local i
        for i in "${!COMPREPLY[@]}"; do
            printf -v "COMPREPLY[i]" %q "${COMPREPLY[i]}"
        done
        ;;
    --format) _tallyd_add < <(printf '%s\n' text line json full) ;;
    --addresses) _tallyd_add < <(printf '%s\n' rotate first each) ;;
    -X | --request) _tallyd_add < <(printf '%s\n' GET HEAD POST PUT PATCH DELETE OPTIONS) ;;
    -n | --samples | --num-times | -j | --concurrency | -m | --timeout | --max-time | \
        --max-in-flight | --backend-header | -H | --header | --data-raw | -A | --user-agent | \
        --max-redirs | -x | --proxy | --connect-to | --expect-status | --expect-body | \
        --expect-body-contains | -s | --seconds) ;;
    *) return 1 ;;
    esac
}

_tallyd() {
    local words value=${COMP_WORDS[COMP_CWORD]} before i
    local -A options=(
        [sample]="-n --samples --num-times -j --concurrency -m --timeout --max-time
            --max-in-flight -f --file --addresses -4 --ipv4 -6 --ipv6 --site -c --config -v
            --verbose --format --backend-header -X --request -H --header -d --data --data-raw
            --data-binary -A --user-agent --compressed -L --location --max-redirs -x --proxy
            --connect-to --cacert --cert --key -k --insecure --expect-status --expect-body
            --expect-body-contains -h --help"
        [run]="-c --config -h --help"
        [status]="-c --config --json -h --help"
        [check]="-c --config --names -h --help"
        [demo]="-s --seconds -h --help"
    )
    COMPREPLY=()
    _tallyd_words
    value=${words[-1]}
    before=${value%"${COMP_WORDS[COMP_CWORD]}"} # what bash takes for words of their own
    if [[ ${COMP_WORDS[COMP_CWORD]} == [=:] ]]; then
        before=$value
    fi
    if ((${#words[@]} == 2)); then
        _tallyd_add < <(printf '%s\n' sample run status check demo --help --version)
        return
    fi
    if [[ $value == --*=* ]]; then
        i=${value%%=*}
        value=${value#*=}
        before=${before#*=}
        _tallyd_value "$i"
    elif ! _tallyd_value "${words[-2]}"; then
        if [[ $value == -* ]]; then
            # shellcheck disable=SC2086 # they are words
            _tallyd_add < <(printf '%s\n' ${options[${words[1]}]-})
        elif [[ ${words[1]} == status ]]; then
            _tallyd_value --site # its argument is a name
        fi
    fi
    for i in "${!COMPREPLY[@]}"; do
        COMPREPLY[i]=${COMPREPLY[i]#"$before"}
    done
}

complete -F _tallyd tallyd
