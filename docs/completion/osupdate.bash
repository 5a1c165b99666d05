# bash completion for osupdate; kept by hand, held to the parser by a test

_osupdate() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local verbs="status check diff log notes when blame patch restore apply revert
        auto why history verify hold unhold pin gc channel config doctor lock publish
        promote trust site help"
    local global="--root --config --json --color --no-pager --utc --offline --yes
        --quiet --verbose --help"
    local word verb="" own=""

    case $previous in
        --root | --repo) mapfile -t COMPREPLY < <(compgen -d -- "$current") && return ;;
        --config | --notes | --key | --provenance | --trust | --channel-key | --root-key | \
            --release-key | --token-file)
            mapfile -t COMPREPLY < <(compgen -f -- "$current") && return ;;
        --color) own="auto always never" global="" ;;
        --format) own="text md html json" global="" ;;
        --verdict) own="good failed unchanged" global="" ;;
        (lock) own="status log acquire release drain slots serve" global="" ;;
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
            own="--packages --files --patch --changelogs --unexplained --local --format
                --exit-code running staged previous offered available"
            if [[ $current == /* ]]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
            fi
            ;;
        log) own="--repo running staged previous" ;;
        notes) own="--repo running staged previous available" ;;
        when) own="--repo" ;;
        blame | patch)
            if [[ $current != -* ]]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
            fi
            ;;
        restore)
            own="--dry-run"
            if [[ $current != -* ]]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
            fi
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
        lock)
            own="--group --url --token-file --reason --wait --id --booted --verdict
                --off --listen --store -n"
            ;;
        publish)
            own="--repo --product --version --number --arch --notes --key --source
                --created --exclude --include --no-default-excludes --allow-secret
                --allow-id-change --changelogs --security-floor --unsigned --draft-notes
                --provenance --channel --channels --channel-key"
            if [[ $current != -* ]]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
            fi
            ;;
        site)
            own="--url --trust"
            if [[ $current != -* ]]; then
                mapfile -t COMPREPLY < <(compgen -d -- "$current")
                return
            fi
            ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$own $global" -- "$current")
}

complete -o filenames -F _osupdate osupdate
