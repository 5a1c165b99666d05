# bash completion for osupdate; kept by hand, held to the parser by a test

_osupdate() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local verbs="status check diff apply revert history verify hold unhold pin gc
        config doctor lock publish help"
    local global="--root --config --json --color --no-pager --utc --offline --yes
        --quiet --verbose --help"
    local word verb="" own=""

    case $previous in
        --root) mapfile -t COMPREPLY < <(compgen -d -- "$current") && return ;;
        --config | --notes | --key | --token-file)
            mapfile -t COMPREPLY < <(compgen -f -- "$current") && return ;;
        --color) own="auto always never" global="" ;;
        --format) own="text json" global="" ;;
        --verdict) own="good failed unchanged" global="" ;;
        (lock) own="status log acquire release drain slots serve" global="" ;;
        help) own="exit-codes $verbs" global="" ;;
    esac
    if [[ $own ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$own" -- "$current")
        return
    fi

    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ " ${verbs//$'\n'/ } " == *" $word "* ]] && verb=$word && break
    done
    case $verb in
        "") own="$verbs --version" ;;
        status) own="--short --exit-code" ;;
        check) own="--exit-code" ;;
        diff)
            own="--packages --files --format --exit-code running staged previous
                available"
            ;;
        apply) own="--dry-run --download-only --no-arm --full --allow-downgrade" ;;
        revert) own="--reason --no-hold" ;;
        history) own="-n" ;;
        verify) own="--all --repair --exit-code running staged previous" ;;
        hold) own="--reason available" ;;
        pin) own="--off running" ;;
        gc) own="--dry-run" ;;
        config) own="--check" ;;
        lock)
            own="--group --url --token-file --reason --wait --id --booted --verdict
                --off --listen --store -n"
            ;;
        publish)
            own="--repo --product --version --number --arch --notes --key --source
                --created --exclude --include --no-default-excludes --allow-secret
                --allow-id-change --security-floor --unsigned"
            if [[ $current != -* ]]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
            fi
            ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$own $global" -- "$current")
}

complete -o filenames -F _osupdate osupdate
