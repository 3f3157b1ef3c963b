"""Keys, certificates and tokens of one cluster, made anew for each: openssl and random numbers."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from tools.cluster.layout import CONTEXT, NODE, Layout
from tools.console import run

DAYS = "30"
USERS: dict[str, tuple[str, ...]] = {
    # Who may log in by token: user -> groups. Kubernetes' own names, so that its built-in roles fit.
    "admin": ("system:masters",),
    "system:kube-controller-manager": (),
    "system:kube-scheduler": (),
    f"system:node:{NODE}": ("system:nodes",),
    "system:kube-proxy": (),
    "system:coredns": (),
    "kwok": ("system:masters",),
}


def make(layout: Layout) -> None:
    """Write everything below `layout.tls`, a kubeconfig per user, and the one for people. Raises StepFailed."""
    layout.tls.mkdir(mode=0o700)
    for authority in ("ca", "front-proxy-ca"):
        _openssl(layout.tls, authority, f"/CN=inferform-test-{authority}", "basicConstraints=critical,CA:TRUE")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    names = [f"DNS:{name}" for name in [*names, "localhost"]]
    names += [f"IP:{address}" for address in (layout.node, layout.first_service, "127.0.0.1")]
    _signed(layout.tls, "apiserver", "ca", "/CN=kube-apiserver", f"subjectAltName={','.join(names)}")
    node = f"subjectAltName=DNS:{NODE},IP:{layout.node}"
    _signed(layout.tls, "kubelet", "ca", f"/O=system:nodes/CN=system:node:{NODE}", node)
    _signed(layout.tls, "apiserver-kubelet", "ca", "/O=system:masters/CN=kube-apiserver-kubelet-client")
    _signed(layout.tls, "front-proxy", "front-proxy-ca", "/CN=front-proxy-client")
    run(
        ["openssl", "genrsa", "-out", layout.tls / "service-accounts.key", "2048"],
        step="making the key of service accounts",
        remedy="openssl 3 is needed (Debian: apt-get install openssl)",
    )
    tokens = {user: secrets.token_urlsafe(24) for user in USERS}
    _private(layout.tls / "tokens.csv", "".join(token_line(user, tokens[user]) for user in USERS))
    for user, token in tokens.items():
        _private(kubeconfig_of(layout, user), kubeconfig(layout, user, token))
    _private(layout.kubeconfig, kubeconfig(layout, "admin", tokens["admin"]))


def token_line(user: str, token: str) -> str:
    """One line of the API server's file of tokens."""
    return f'{token},{user},{user},"{",".join(USERS[user])}"\n'


def kubeconfig_of(layout: Layout, user: str) -> Path:
    """The kubeconfig of one part."""
    return layout.tls / f"{user.replace(':', '-')}.kubeconfig"


def kubeconfig(layout: Layout, user: str, token: str) -> str:
    """A kubeconfig (JSON is YAML) with one context."""
    cluster = {"server": layout.server, "certificate-authority": str(layout.tls / "ca.crt")}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": CONTEXT, "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
            "current-context": CONTEXT,
        },
        indent=1,
    )


def _signed(folder: Path, name: str, by: str, subject: str, *extensions: str) -> None:
    authority = ["-CA", str(folder / f"{by}.crt"), "-CAkey", str(folder / f"{by}.key")]
    _openssl(folder, name, subject, "basicConstraints=critical,CA:FALSE", *extensions, authority=authority)


def _openssl(folder: Path, name: str, subject: str, *extensions: str, authority: list[str] | None = None) -> None:
    run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
        + ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")]
        + ["-days", DAYS, "-subj", subject, *(part for text in extensions for part in ("-addext", text))]
        + (authority or []),
        step=f"making the certificate {name}",
        remedy="openssl 3 is needed (Debian: apt-get install openssl)",
    )


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
