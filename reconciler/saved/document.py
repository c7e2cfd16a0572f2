"""The file of a saved plan: what `plan --format json` shows, what has to be written, and a signature over all of it.

Canonical JSON: sorted keys, no spaces, whole numbers only. The specs to write are in it, so that an apply needs
no declaration again. Secrets are references and keyed digests. Paths below the estate's directory are relative to it,
so that the plan can be applied from another checkout. The signature is made with a key that only the target gives out:
a plan that was edited, or made for another target, is found out.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import JsonValue, ValidationError

from reconciler.expected import ExpectedError
from reconciler.model import Allowance, Key, Plan
from reconciler.rendering.plan_json import FORMAT, plan_json, position_json
from reconciler.saved.read import allowance, key_named, plan_of, text
from reconciler.saved.read import key as key_of
from reconciler.secret import SecretRef
from schemas.v1.base import Spec
from schemas.v1.codec import dump_spec, parse_spec
from schemas.v1.kinds import KINDS

#: Fields whose values are paths of files that belong to the estate.
FILE_FIELDS: Mapping[str, tuple[str, ...]] = {"Certificate": ("certificateFile", "privateKeyFile")}
#: Bytes of a plan file that are read at most: ten thousand new mailboxes take a tenth of it.
LARGEST = 1 << 29
YAML_SUFFIXES = (".yaml", ".yml")
_SIGNING = b"reconciler/plan/v1 signature\n"


class SavedPlanError(ExpectedError):
    """A plan file cannot be used; the text says why and how to go on."""


class _RefusedError(Exception):
    """A spec is not of its kind; the text says whose it is, where, and what is wrong."""

    def __init__(self, key: Key, error: ValidationError) -> None:
        line = error.errors()[0]
        what = "unknown field" if line["type"] == "extra_forbidden" else line["msg"]
        super().__init__(f"{key} {'.'.join(map(str, ('spec', *line['loc'])))}: {what}")


@dataclass(frozen=True, slots=True)
class SavedSecret:
    """Where a secret is to be found, and its digest under the target's key when the plan was made."""

    reference: SecretRef
    digest: str


@dataclass(frozen=True, slots=True)
class Write:
    """What a resource is to become."""

    key: Key
    spec: Spec
    secrets: Mapping[str, SavedSecret]
    protect: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a plan comes from. `instance` is the target that it was made for, `estate` the directory (absolute), `made`
    a time (ISO 8601, UTC), `number` what tells two equal plans apart."""

    instance: str
    estate: Path
    made: str
    made_by: str
    number: str
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Guarding:
    """What a plan was held against, so that it is again before it is applied: the policies beside those of the estate
    ("shipped", or absolute paths), the labels of the run and its environment, and whether the estate has policies of
    its own. `resources` are the labels of declared resources, `allowed` the warnings that their documents allow."""

    policies: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: str | None = None
    has_own: bool = False
    resources: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)
    allowed: Mapping[Key, tuple[Allowance, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan with all that carrying it out needs. `signature` and `digest` are those of the file it was read from."""

    plan: Plan
    writes: Mapping[Key, Write]
    origin: Origin
    guarding: Guarding = Guarding()
    digest: str = ""
    signature: str = ""


def written(saved: SavedPlan, key: bytes) -> bytes:
    """The file's content, signed with the target's digest key; one line."""
    body = _body(saved)
    signed = body | {"signature": _sign(body, key)}
    return canonical(signed) + b"\n"


def read(path: Path, *, estate: Path | None = None) -> SavedPlan:
    """The plan in a file. `estate`: where its files are now, if not where the plan was made. Its signature is not
    checked. Raises SavedPlanError."""
    return parse(_content(path), str(path), estate=estate)


def parse(content: bytes, name: str, *, estate: Path | None = None) -> SavedPlan:
    """The same for content; `name` is for messages."""
    data = _json(content, name)
    if data.get("format") != FORMAT or "saved" not in data:
        raise SavedPlanError(
            f"{name} is not a saved plan of this version ({FORMAT}); make one with `reconcile plan DIR --out FILE`"
        )
    body = {field: value for field, value in data.items() if field != "signature"}
    try:
        return _saved(data, body, estate)
    except _RefusedError as error:
        raise SavedPlanError(
            f"{name} holds a value that this version refuses: {error}; make it again with "
            "`reconcile plan DIR --out FILE`"
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SavedPlanError(f"{name} is damaged ({type(error).__name__}); plan again") from error


def is_signed(saved: SavedPlan, key: bytes) -> bool:
    """True when the file says what the target with this digest key signed."""
    mac = _mac(saved.digest.encode(), key)
    return hmac.compare_digest(mac.encode(), saved.signature.encode(errors="surrogatepass"))


def canonical(value: JsonValue) -> bytes:
    """The one spelling of a JSON value. Raises TypeError for a number that is not whole, whose text is ambiguous."""
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _sign(body: JsonValue, key: bytes) -> str:
    return _mac(_digest(body).encode(), key)


def _mac(message: bytes, key: bytes) -> str:
    """Under a key of its own, since digests of secrets are made with the target's."""
    return hmac.new(hashlib.sha256(_SIGNING + key).digest(), message, hashlib.sha256).hexdigest()


def _digest(body: JsonValue) -> str:
    return hashlib.sha256(canonical(body)).hexdigest()


def _refuse_floats(value: JsonValue) -> None:
    pending: list[JsonValue] = [value]
    while pending:
        match pending.pop():
            case float() as number:
                raise TypeError(f"{number} is not a whole number")
            case dict() as group:
                pending.extend(group.values())
            case list() as members:
                pending.extend(members)


# Writing


def _body(saved: SavedPlan) -> dict[str, JsonValue]:
    origin = saved.origin
    section: dict[str, JsonValue] = {
        "target": {"instance": origin.instance},
        "estate": str(origin.estate),
        "made": origin.made,
        "madeBy": origin.made_by,
        "number": origin.number,
        "commit": origin.commit,
        "guardrails": _guarding_json(saved.guarding, origin.estate),
        "writes": [_write_json(write, origin.estate) for _, write in sorted(saved.writes.items())],
    }
    return plan_json(saved.plan) | {"saved": section}


def _write_json(write: Write, estate: Path) -> JsonValue:
    spec = dump_spec(write.spec)
    relative: list[JsonValue] = []
    for path in FILE_FIELDS.get(write.key.kind, ()):
        below = below_estate(spec.get(path), estate)
        if below is not None:
            spec[path] = below
            relative.append(path)
    return {
        "kind": write.key.kind,
        "name": write.key.name,
        "spec": spec,
        "relative": relative,
        "protect": write.protect,
        "secrets": {path: _secret_json(secret, estate) for path, secret in sorted(write.secrets.items())},
    }


def _guarding_json(guarding: Guarding, estate: Path) -> JsonValue:
    """Policies of the estate move with it: their paths begin with a dot."""
    below = ((one, below_estate(one, estate)) for one in guarding.policies)
    return {
        "policies": [one if path is None else f"./{path}" for one, path in below],
        "labels": dict(guarding.labels),
        "environment": guarding.environment,
        "hasOwn": guarding.has_own,
        "resources": {str(key): dict(labels) for key, labels in guarding.resources.items()},
        "allowed": {
            str(key): [_allowance_json(one) for one in found] for key, found in guarding.allowed.items()
        },
    }


def _allowance_json(allowance: Allowance) -> JsonValue:
    return {
        "rule": allowance.rule,
        "reason": allowance.reason,
        "position": position_json(allowance.position),
    }


def _secret_json(secret: SavedSecret, estate: Path) -> JsonValue:
    below = below_estate(secret.reference.location, estate)
    return {
        "source": secret.reference.source,
        "location": secret.reference.location if below is None else below,
        "relative": below is not None,
        "digest": secret.digest,
    }


def below_estate(path: object, estate: Path) -> str | None:
    """An absolute path below the directory, relative to it; None for anything else."""
    if not isinstance(path, str) or not Path(path).is_absolute() or not Path(path).is_relative_to(estate):
        return None
    return Path(path).relative_to(estate).as_posix()


# Reading


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise SavedPlanError(f"{path} is larger than any plan; it is not one")
        return path.read_bytes()
    except OSError as error:
        raise SavedPlanError(f"{path} cannot be read: {error.strerror}") from error


def _json(content: bytes, name: str) -> dict[str, Any]:
    try:
        data = json.loads(content, object_pairs_hook=_object, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:
        if Path(name).suffix in YAML_SUFFIXES:
            raise SavedPlanError(
                f"{name} is a YAML file and not a saved plan; name the directory that it is in: {Path(name).parent}"
            ) from error
        raise SavedPlanError(f"{name} is not a saved plan: {error}") from error
    if not isinstance(data, dict):
        raise SavedPlanError(f"{name} is not a saved plan: it holds no JSON object")
    return data


def _object(pairs: Iterable[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name} stands there twice")
        found[name] = value
    return found


def _no_float(number: str) -> JsonValue:
    raise ValueError(f"{number} is not a whole number")


def _saved(data: Mapping[str, Any], body: Mapping[str, Any], estate: Path | None) -> SavedPlan:
    section = data["saved"]
    origin = Origin(
        instance=text(section["target"]["instance"]),
        estate=estate or Path(text(section["estate"])),
        made=text(section["made"]),
        made_by=text(section["madeBy"]),
        number=text(section["number"]),
        commit=None if section["commit"] is None else text(section["commit"]),
    )
    writes = [_write(one, origin.estate) for one in section["writes"]]
    return SavedPlan(
        plan=plan_of(data),
        writes={write.key: write for write in writes},
        origin=origin,
        guarding=_guarding(section["guardrails"], origin.estate),
        digest=_digest(cast("JsonValue", dict(body))),
        signature=text(data["signature"]),
    )


def _guarding(data: Mapping[str, Any], estate: Path) -> Guarding:
    policies = (text(one) for one in data["policies"])
    return Guarding(
        policies=tuple(str(estate / one) if one.startswith(".") else one for one in policies),
        labels=_texts(data["labels"]),
        environment=None if data["environment"] is None else text(data["environment"]),
        has_own=bool(data["hasOwn"]),
        resources={key_named(name): _texts(labels) for name, labels in data["resources"].items()},
        allowed={
            key_named(name): tuple(allowance(one) for one in found)
            for name, found in data.get("allowed", {}).items()
        },
    )


def _texts(data: Mapping[str, object]) -> Mapping[str, str]:
    return {name: text(value) for name, value in data.items()}


def _write(data: Mapping[str, Any], estate: Path) -> Write:
    key = key_of(data)
    spec = dict(data["spec"])
    for path in data["relative"]:
        spec[path] = str(estate / text(spec[path]))
    if key.kind not in KINDS:
        raise ValueError(f"there is no kind {key.kind}")
    try:
        parsed = parse_spec(key.kind, spec)
    except ValidationError as error:
        raise _RefusedError(key, error) from error
    return Write(
        key=key,
        spec=parsed,
        secrets={path: _secret(one, estate) for path, one in data["secrets"].items()},
        protect=bool(data["protect"]),
    )


def _secret(data: Mapping[str, Any], estate: Path) -> SavedSecret:
    location = text(data["location"])
    where = str(estate / location) if data["relative"] else location
    source: Callable[..., SecretRef] = SecretRef
    return SavedSecret(source(text(data["source"]), where), text(data["digest"]))
