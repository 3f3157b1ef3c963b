"""How to reach a cluster and as whom: from a kubeconfig, or from inside a pod."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import yaml

from runtime.kubeapi.errors import BadKubeconfig, KubeProblem, NoCredentials, NoKubeconfig, UnknownContext

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REREAD_SECONDS = 60.0
"""How long a token from a file is used before the file is read again: kubelets renew it in place."""
RENEW_BEFORE = timedelta(minutes=2)


class Credentials(Protocol):
    """Gives the value of the `Authorization` header."""

    async def authorization(self, *, refused: bool = False) -> str:
        """`Bearer ...`, or `""` for none (client certificates). `refused`: the last value got a 401."""


@dataclass(frozen=True)
class Access:
    """Where the API server is and what opens it."""

    server: str  # https://host:port
    credentials: Credentials
    namespace: str = ""  # the context's default, or the pod's own
    context: str = ""
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    server_name: str | None = None  # for TLS, where it differs from the address
    proxy: str | None = None


@dataclass
class TokenFile:
    """A token that is renewed in place."""

    path: Path
    _value: str = field(default="", repr=False)
    _read_at: float = float("-inf")

    async def authorization(self, *, refused: bool = False) -> str:
        """Read again after a minute, or when it was refused. Raises NoCredentials."""
        now = time.monotonic()
        if refused or now - self._read_at > REREAD_SECONDS:
            try:
                text = (await asyncio.to_thread(self.path.read_text)).strip()
            except OSError as error:
                if not self._value:
                    raise NoCredentials(f"{self.path}: {error.strerror}") from error
            else:
                self._value, self._read_at = f"Bearer {text}", now
        return self._value


async def in_cluster(environment: Mapping[str, str] = os.environ, folder: Path = SERVICE_ACCOUNT) -> Access:
    """As the pod's service account. Raises KubeProblem outside of a pod."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise NoCredentials("this is no pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
    credentials = TokenFile(folder / "token")
    await credentials.authorization()
    try:
        tls = await asyncio.to_thread(tls_context, str(folder / "ca.crt"))
        namespace = (await asyncio.to_thread((folder / "namespace").read_text)).strip()
    except OSError as error:
        raise NoCredentials(f"{folder}: {error.strerror or error}") from error
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        credentials=credentials,
        namespace=namespace,
        tls=tls,
    )


def tls_context(
    authority: str | None = None, certificate: str | None = None, key: str | None = None, *, verify: bool = True
) -> ssl.SSLContext:
    """A client's TLS settings from files. Raises OSError (SSLError is one)."""
    made = ssl.create_default_context(cafile=authority)
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT  # clusters' own authorities often lack what strict asks for
    if certificate:
        made.load_cert_chain(certificate, key)
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def kubeconfig_paths(path: str = "", environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The files to look at: the one named, else those of KUBECONFIG, else `~/.kube/config`."""
    named = path or environment.get("KUBECONFIG", "") or "~/.kube/config"
    return tuple(str(Path(each).expanduser()) for each in named.split(os.pathsep) if each)


async def from_kubeconfig(path: str = "", context: str = "", environment: Mapping[str, str] = os.environ) -> Access:
    """As a kubeconfig's context says; `""` is the usual search and the current context. Raises KubeProblem.

    Without any kubeconfig and without a context named, a pod's service account serves, as kubectl does it.
    """
    paths = kubeconfig_paths(path, environment)
    if not any(Path(each).is_file() for each in paths):
        if not path and not context and environment.get("KUBERNETES_SERVICE_HOST"):
            return await in_cluster(environment)
        raise NoKubeconfig(paths)
    credentials = _Kubeconfig(paths, context)
    loaded = await credentials.load()
    server = getattr(loaded, "host", "")
    if not isinstance(server, str) or not urlsplit(server).hostname:
        raise BadKubeconfig(paths, f"its cluster's server is {server!r}, not an address such as https://host:6443")
    tls = None
    if server.startswith("https"):
        try:
            tls = await asyncio.to_thread(
                tls_context,
                loaded.ssl_ca_cert,
                loaded.cert_file,
                loaded.key_file,
                verify=bool(loaded.verify_ssl),
            )
        except OSError as error:
            raise BadKubeconfig(paths, f"its certificates: {error}") from error
    return Access(
        server=server,
        credentials=credentials,
        namespace=credentials.namespace,
        context=credentials.context,
        tls=tls,
        server_name=loaded.tls_server_name or None,
        proxy=loaded.proxy or None,
    )


class _Kubeconfig:
    """One context of merged kubeconfig files. The library's loader knows plugins and providers; it is heavy: late."""

    def __init__(self, paths: tuple[str, ...], context: str) -> None:
        self._paths = paths
        self.context = context
        self.namespace = ""
        self._authorization = ""
        self._expires: datetime | None = None
        self._lock = asyncio.Lock()

    async def authorization(self, *, refused: bool = False) -> str:
        """Run the plugin again when its credentials are about to expire or were refused. Raises KubeProblem."""
        before = self._authorization
        async with self._lock:
            expired = self._expires is not None and datetime.now(UTC) + RENEW_BEFORE >= self._expires
            if expired or (refused and self._authorization == before):
                await self.load()
        return self._authorization

    async def load(self) -> Any:
        """Read the files and the credentials; the library's Configuration. Raises KubeProblem."""
        from kubernetes_asyncio.client import Configuration
        from kubernetes_asyncio.config import ConfigException
        from kubernetes_asyncio.config.kube_config import KubeConfigLoader, KubeConfigMerger

        try:
            merger = KubeConfigMerger(os.pathsep.join(self._paths))
            merged = merger.config
            data = getattr(merged, "value", None)
            if merged is None or not isinstance(data, dict):
                raise BadKubeconfig(self._paths, "it is no mapping")
            entry = self._choose(data)
            loader = KubeConfigLoader(
                config_dict=merged,
                active_context=self.context,
                config_base_path=None,
                config_persister=merger.save_changes,
            )
            if not entry.get("user"):
                loader._user = _no_user(merged)
            loaded = Configuration()
            await loader.load_and_set(loaded)
        except KubeProblem:
            raise
        except ConfigException as error:
            text = str(error)
            raise (NoCredentials(text) if "exec" in text else BadKubeconfig(self._paths, text)) from error
        except OSError as error:
            raise NoCredentials(f"{error.filename or ''} {error.strerror or error}".strip()) from error
        except (yaml.YAMLError, AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadKubeconfig(self._paths, f"{type(error).__name__}: {error}") from error
        self._authorization = str(loaded.api_key.get("BearerToken", ""))
        self._expires = getattr(loader, "exec_plugin_expiry", None)
        self.namespace = str(entry.get("namespace") or "")
        return loaded

    def _choose(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The context's own mapping; the current one when none was asked for."""
        entries = {}
        for each in data.get("contexts") or []:
            value = getattr(each, "value", each)
            entries[str(value["name"])] = value.get("context") or {}
        name = self.context or str(data.get("current-context") or "")
        if name not in entries:
            raise UnknownContext(name, tuple(sorted(entries)))
        self.context = name
        chosen: Mapping[str, Any] = entries[name]
        return chosen


def _no_user(merged: Any) -> Any:
    """A user without anything, for contexts that name none: the loader would fail on its absence."""
    return type(merged)("user", {}, merged.path)
