#!/bin/sh
# The tour: every command is the real one, and so is its output. It works on a copy of the quickstart, in a state
# directory of its own, and stops everything that it started. `make demo` runs it.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
client=
export RECONCILE_STATE="$work/state"

finish() {
  [ -z "$client" ] || kill "$client" 2>/dev/null || true
  reconcile runtime stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '\n# %s\n' "$*"; }

# run EXPECTED-EXIT COMMAND…: show the command, run it, and stop the tour when it exits otherwise.
run() {
  expected=$1
  shift
  printf '$'
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:=@%+,-]* | '') printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
  printf '\n'
  status=0
  "$@" || status=$?
  if [ "$status" -ne "$expected" ]; then
    printf 'the tour expected exit %s and got %s\n' "$expected" "$status" >&2
    exit 1
  fi
  [ "$status" -eq 0 ] || printf '(exit %s)\n' "$status"
}

cp -R "$here/quickstart" "$work/estate"
cp "$here/mail.py" "$work/mail.py"
cd "$work"

say "An estate is a directory of YAML: one server, its certificate, its settings, two mailboxes."
run 0 reconcile validate estate

say "A runtime with nothing in it. The plan says what would be created, and which services would start."
run 0 reconcile runtime start
run 2 reconcile plan estate

say "Apply it."
run 0 reconcile apply estate --yes
run 0 reconcile status

say "Mail flows: alice sends over SMTP, bob reads over IMAP and then over POP3. TLS is verified each time."
ca=state/servers/ex01/certificates/development.crt
run 0 python mail.py send --ca $ca --user alice@contoso.example --password-file estate/secrets/alice \
  --to bob@contoso.example --subject "It works"
run 0 python mail.py imap --ca $ca --user bob@contoso.example --password-file estate/secrets/bob
run 0 python mail.py pop --ca $ca --user bob@contoso.example --password-file estate/secrets/bob

say "A client is connected, and somebody raises a limit."
python mail.py hold --ca $ca --user bob@contoso.example --password-file estate/secrets/bob >held.txt 2>&1 &
client=$!
tries=0
until grep -q connected held.txt; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { cat held.txt; exit 1; }
  sleep 0.1
done
cat held.txt
run 0 sed -i.before 's/maxConnectionsPerUser: 16/maxConnectionsPerUser: 32/' estate/client-access.yaml
rm estate/client-access.yaml.before

say "One field changes; two services restart; one session is touched. Nothing has been written yet."
run 2 reconcile plan estate
run 0 reconcile apply estate --yes

say "The connected client was told before it was let go; new ones were never refused."
wait "$client" || true
client=
cat held.txt

say "Somebody changes a live value by hand. Drift finds it, apply heals it."
run 0 reconcile live set ImapSettings/ex01 maxConnectionsPerUser=5
run 2 reconcile drift estate
run 0 reconcile apply estate --yes
run 0 reconcile plan estate

say "Everything is stopped."
run 0 reconcile runtime stop
