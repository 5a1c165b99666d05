# bash completion for osupdate; kept by hand, held to the parser by a test

_osupdate() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local verbs="status check diff apply revert history verify hold unhold pin gc
        channel config doctor publish promote trust help"
    local global="--root --config --json --color --no-pager --utc --offline --yes
        --quiet --verbose --help"
    local word verb="" own=""

    case $previous in
        --root) mapfile -t COMPREPLY < <(compgen -d -- "$current") && return ;;
        --config | --notes | --key | --channel-key | --root-key | --release-key)
            mapfile -t COMPREPLY < <(compgen -f -- "$current") && return ;;
        --color) own="auto always never" global="" ;;
        --format) own="text json" global="" ;;
        help) own="exit-codes $verbs" global="" ;;
        add | rotate) own="root release channel" global="" ;;
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
        apply) own="--dry-run --download-only --no-arm --full --allow-downgrade --reason" ;;
        revert) own="--reason --no-hold" ;;
        history) own="-n" ;;
        verify) own="--all --repair --exit-code running staged previous" ;;
        hold) own="--reason available" ;;
        pin) own="--off running" ;;
        gc) own="--dry-run" ;;
        channel) own="--allow-downgrade" ;;
        config) own="--check" ;;
        promote)
            own="--repo --channels --to --key --rollout --expires --barrier --dead-end
                --pause --resume --withdraw --refresh --reason"
            ;;
        trust)
            own="--repo --key --root-key --release-key --channel-key --threshold
                --until show init add revoke rotate"
            if [[ $current != -* && $previous != trust ]]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
            fi
            ;;
        publish)
            own="--repo --product --version --number --arch --notes --key --source
                --created --exclude --include --no-default-excludes --allow-secret
                --allow-id-change --changelogs --security-floor --unsigned --channel
                --channels --channel-key"
            if [[ $current != -* ]]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
            fi
            ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$own $global" -- "$current")
}

complete -o filenames -F _osupdate osupdate
