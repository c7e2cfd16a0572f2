"""The texts that a new repository begins with; `scaffold` fills in what stands between @ signs."""

from __future__ import annotations

SCHEMA_HEADER = "# yaml-language-server: $schema="

BASE = {
    "server.yaml": """\
# One server with its mailbox database and a certificate for development.
apiVersion: reconciler/v1
kind: Server
metadata: {name: ex01}
spec:
  fqdn: ex01.contoso.example
  services:
    # As with Exchange, POP3 and IMAP4 are off until their startup type is Automatic.
    imap4: {startupType: Automatic}
    imap4-backend: {startupType: Automatic}
    pop3: {startupType: Automatic}
    pop3-backend: {startupType: Automatic}
---
apiVersion: reconciler/v1
kind: MailboxDatabase
metadata: {name: db01}
spec:
  server: ex01
---
apiVersion: reconciler/v1
kind: Certificate
metadata: {name: development}
spec:
  servers: [ex01]
  # For development only: made on the server, its key never leaves it.
  selfSigned: {}
  services: [IMAP, POP, SMTP]
""",
    "client-access.yaml": """\
# How clients read their mail. These ports need no privilege; 143, 993, 110 and 995 are the usual ones.
apiVersion: reconciler/v1
kind: ImapSettings
metadata: {name: imap}
spec:
  servers: [ex01]
  unencryptedOrTLSBindings: ["127.0.0.1:10143"]
  sslBindings: ["127.0.0.1:10993"]
  proxyTargetPort: 11993
  loginType: SecureLogin
---
apiVersion: reconciler/v1
kind: PopSettings
metadata: {name: pop}
spec:
  servers: [ex01]
  unencryptedOrTLSBindings: ["127.0.0.1:10110"]
  sslBindings: ["127.0.0.1:10995"]
  proxyTargetPort: 11995
  loginType: SecureLogin
""",
    "mail-flow.yaml": """\
# What is accepted, from whom, and for which domain.
apiVersion: reconciler/v1
kind: AcceptedDomain
metadata: {name: contoso}
spec:
  domainName: contoso.example
  domainType: Authoritative
---
apiVersion: reconciler/v1
kind: ReceiveConnector
metadata: {name: client}
spec:
  servers: [ex01]
  transportRole: FrontendTransport
  bindings: ["127.0.0.1:10587"]
  authMechanism: [Tls, BasicAuth, BasicAuthRequireTLS]
  permissionGroups: [ExchangeUsers]
---
apiVersion: reconciler/v1
kind: ReceiveConnector
metadata: {name: anonymous}
spec:
  servers: [ex01]
  transportRole: FrontendTransport
  bindings: ["127.0.0.1:10025"]
  authMechanism: [Tls]
  permissionGroups: [AnonymousUsers]
""",
    "mailboxes.yaml": """\
# Who has a mailbox. Passwords lie encrypted in secrets/; `reconcile secret edit` changes one.
apiVersion: reconciler/v1
kind: Mailbox
metadata: {name: alice}
spec:
  database: db01
  primarySmtpAddress: alice@contoso.example
  password: {secretRef: {encrypted: secrets/alice.age}}
""",
}

OVERLAY = """\
# What is different in @ENVIRONMENT@: only that, merged into the document of the same kind and name in base/.
apiVersion: reconciler/v1
kind: Server
metadata: {name: ex01, labels: {environment: @ENVIRONMENT@}}
spec:
  drainTimeout: 30s
"""

# What else the overlay of production says: a comment, because only its owner has the files.
PRODUCTION = """\
# Clients do not trust the self-signed certificate of base/, and the guardrail self-signed-in-production stands against
# it until one from an authority takes its place:
# ---
# apiVersion: reconciler/v1
# kind: Certificate
# metadata: {name: development}
# spec:
#   selfSigned: null
#   certificateFile: certificates/mail.crt
#   privateKeyFile: certificates/mail.key
"""

GITIGNORE = """\
# The state of a runtime that is tried out here.
.reconcile/
# Saved plans are for one runtime at one time.
*.plan
# Private keys. Secrets belong in git only encrypted.
identity.txt
*.key
**/secrets/*
!**/secrets/*.age
!**/secrets/recipients.txt
"""

README = """\
# Mail estate

Try it: `reconcile --identity identity.txt up @TARGET@`, and show alice's password with
`EDITOR=cat reconcile --identity identity.txt secret edit` and the path of `alice.age`.
Keep `identity.txt` out of git, in a password manager; a pull request gets a comment that says what it changes.
The hook that checks the files before each commit does so once pre-commit is installed: `pip install pre-commit`, and in
this directory `pre-commit install`.
The review asks the guardrails that are shipped. `export RECONCILE_POLICIES=shipped` lets `plan`, `apply`, `up` and the
daemon ask them too, wherever they run.
"""

PRE_COMMIT = """\
# `pre-commit install` runs these before each commit; they need `reconcile` on the path and nothing else.
repos:
  - repo: local
    hooks:
      - id: reconcile-fmt
        name: reconcile fmt --check
        entry: reconcile fmt --check estate
        language: system
        files: ^estate/
        pass_filenames: false
@VALIDATE@
"""

GITHUB = """\
# Says in a comment what a pull request changes. The variable RECONCILE_PACKAGE of the repository (Settings, Actions,
# Variables) is what pip installs the reconciler from: a wheel, or git+https://… of its repository.
name: review
on: pull_request
permissions:
  contents: read
  pull-requests: write
jobs:
  review:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0
          ref: ${{ github.event.pull_request.head.sha }}
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: python -m pip install "$RECONCILE_PACKAGE"
        env:
          RECONCILE_PACKAGE: ${{ vars.RECONCILE_PACKAGE }}
      - run: reconcile fmt --check estate
@VALIDATE@
      - env:
          BASE: origin/${{ github.base_ref }}
          GH_TOKEN: ${{ github.token }}
          IS_FORK: ${{ github.event.pull_request.head.repo.fork }}
          NUMBER: ${{ github.event.pull_request.number }}
        run: |
          code=0
          reconcile review estate --base "$BASE" --format markdown --output review.md || code=$?
          test -s review.md || exit "$code"
          cat review.md >> "$GITHUB_STEP_SUMMARY"
          # The token of a pull request from a fork can only read: there, the summary of the job is all.
          if [ "$IS_FORK" != true ]; then
            # The first line is a marker that nobody sees: the comment that has it is brought up to date.
            export MARKER="$(head -n 1 review.md)"
            comments="repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments"
            id=$(gh api --paginate "$comments" --jq '.[] | select(.body | startswith(env.MARKER)) | .id' | head -n 1)
            if [ -n "$id" ]; then
              gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" -F body=@review.md
            else
              gh api --silent --method POST "$comments" -F body=@review.md
            fi
          fi
          # 2: it changes something; 1: it has errors, or a guardrail stands against what it brings.
          test "$code" -ne 1
"""

GITLAB = """\
# Says in a comment what a merge request changes. RECONCILE_PACKAGE (Settings, CI/CD, Variables) is what pip installs
# the reconciler from: a wheel, or git+https://… of its repository. RECONCILE_TOKEN, an access token with the scope
# "api", writes the comment; without it the review is an artifact of the job.
review:
  image: python:3.12
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  variables:
    GIT_DEPTH: "0"
  artifacts:
    when: always
    paths: [review.md]
  script:
    - python -m pip install "$RECONCILE_PACKAGE"
    - git fetch origin "$CI_MERGE_REQUEST_TARGET_BRANCH_NAME:refs/remotes/origin/$CI_MERGE_REQUEST_TARGET_BRANCH_NAME"
    - reconcile fmt --check estate
@VALIDATE@
    - |
      code=0
      base="origin/$CI_MERGE_REQUEST_TARGET_BRANCH_NAME"
      reconcile review estate --base "$base" --format markdown --output review.md || code=$?
      test -s review.md || exit "$code"
      if [ -n "$RECONCILE_TOKEN" ]; then
        notes="$CI_API_V4_URL/projects/$CI_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes"
        # The first line is a marker that nobody sees: the comment that has it is brought up to date.
        find='import json, sys; mark = open("review.md").readline().strip()
      print(next((note["id"] for note in json.load(sys.stdin) if note["body"].startswith(mark)), ""))'
        ask() { curl -fsS -H "PRIVATE-TOKEN: $RECONCILE_TOKEN" "$@"; }
        id=$(ask "$notes?per_page=100&order_by=created_at&sort=asc" | python -c "$find")
        method=$(test -n "$id" && echo PUT || echo POST)
        ask -o /dev/null -X "$method" -F "body=<review.md" "$notes${id:+/$id}"
      fi
      # 2: it changes something; 1: it has errors, or a guardrail stands against what it brings.
      test "$code" -ne 1
"""
