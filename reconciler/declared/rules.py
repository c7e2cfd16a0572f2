"""Every rule of the language by its id, the `code` of its diagnostics: how bad a finding is, and what it is about.

Guardrails have ids of their own, in policy files. The ids are stable: scripts and annotations name them. A value of the
wrong form is told under the name of its type (`duration`, `size`, `binding`, …), always as an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from reconciler.model import Diagnostic, Severity


class Rule(NamedTuple):
    """How bad a finding is, and what it says."""

    severity: Severity
    tells: str


def _errors(tells: Mapping[str, str]) -> dict[str, Rule]:
    return {name: Rule(Severity.ERROR, text) for name, text in tells.items()}


def _warnings(tells: Mapping[str, str]) -> dict[str, Rule]:
    return {name: Rule(Severity.WARNING, text) for name, text in tells.items()}


#: What `validate` looks for in documents that are good: these an annotation may allow.
REMARKS: Mapping[str, Rule] = _warnings(
    {
        "certificate-expired": "The certificate of a file is not valid any more",
        "certificate-name": "A certificate's names do not cover the server's",
        "no-certificate": "A protocol has no certificate, and so no TLS",
        "not-enforced": "A field is declared that the runtime does not act on yet",
        "unknown-domain": "Nobody accepts mail for the domain of an address",
    }
)
#: What `validate --live` looks for beside them.
LIVE_REMARKS: Mapping[str, Rule] = _warnings({"port": "Something else listens on a declared address"})
RULES: Mapping[str, Rule] = {
    **REMARKS,
    **LIVE_REMARKS,
    **_warnings(
        {
            "allow-unused": "A rule is allowed that finds nothing",
            "locked-secret": "No identity here opens an encrypted secret",
            "not-in-repository": "A review cannot see how a file changes that is not in git",
            "not-read": "A file stands where nothing reads it",
            "old-version": "A file is written in an older version of the language",
            "rename-source": "Nothing live has the name that a new resource is said to have had",
            "submodule": "A review leaves a submodule out",
            "unknown-annotation": "An annotation is named as those of reconcile, and is none of them",
            "unused-variable": "A variable is declared that nothing uses",
            "waiver-expired": "A waiver's last day is over",
            "waiver-unused": "A waiver excuses nothing",
        }
    ),
    **_errors(
        {
            "allow": "An annotation allows without a reason, an unknown rule, or an error",
            "certificate": "The file of a certificate or its key cannot be used",
            "control-character": "A control character stands in a file",
            "directory": "There is no such directory",
            "duplicate-policy": "Two policies have one id",
            "duplicate-resource": "Two documents claim one resource",
            "duplicate-variable": "Two documents declare one variable",
            "empty-selector": "A selector matches no server",
            "enum": "A value is none of the words that it may be",
            "environment": "No environment is chosen, or there is none of this name",
            "file-too-large": "A file is larger than any estate needs",
            "misplaced-policy": "A policy stands where nothing asks it",
            "missing": "A field is missing",
            "move": "A change would leave mail behind",
            "name": "A name is none",
            "name-taken": "A mailbox or domain asks for a name that a live one has which stays",
            "not-a-declaration": "A document has neither apiVersion nor kind",
            "not-a-mapping": "Something else stands where keys and values are expected",
            "other-environment": "What is live was last applied from another environment",
            "overlay": "A document of an overlay fits nothing in the base",
            "policy-expression": "An expression of a policy is wrong",
            "policy-failed": "A policy cannot be evaluated",
            "policy-match": "A policy's match does not go with what it looks at",
            "policy-test": "A policy does not say what its test expects",
            "port-clash": "Two listeners of a server want one address",
            "range": "A number is too small or too large",
            "rename": "A rename cannot be done",
            "rule": "Fields contradict one another",
            "secret-file": "The file of a secret is missing, unreadable or not encrypted",
            "secret-in-clear": "A secret stands in a file",
            "secret-reference": "What stands for a secret is no reference",
            "type": "A value is of another type",
            "unknown-key": "A field or key is not known",
            "unknown-kind": "A kind is not known",
            "unknown-policy": "A waiver or a test names a policy that nobody has",
            "unknown-reference": "A name refers to nothing",
            "unknown-variable": "A variable is not declared",
            "unknown-version": "The version of a document is not known",
            "unreadable-file": "A file cannot be read",
            "unreadable-secret": "A secret cannot be read",
            "variable-syntax": "${…} is not written as it has to be",
            "variable-type": "A variable's value is of another type",
            "waiver-reason": "A waiver says no reason",
            "version": "A document is not as its older version has it",
            "yaml-syntax": "A file is no YAML",
            "yaml-tab": "A tab stands in indentation",
        }
    ),
}

#: Errors between documents: often only what follows from an error in one of them.
_BETWEEN = frozenset(
    {
        "duplicate-address",
        "duplicate-domain",
        "duplicate-logon-name",
        "duplicate-resource",
        "empty-selector",
        "move",
        "name-taken",
        "port-clash",
        "rename",
        "unknown-reference",
    }
)


def causes_first(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The same, errors before warnings, and what is wrong with a document itself before what is wrong between several;
    for whoever shows only the first."""
    return tuple(
        sorted(diagnostics, key=lambda one: (one.severity is not Severity.ERROR, one.code in _BETWEEN))
    )
