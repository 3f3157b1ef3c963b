"""The few calls to the Kubernetes API that bringing a cluster up takes; as the kubeconfig's user."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tools.cluster.layout import CONTEXT

AWAY_SECONDS = 10.0
"""How long a server that refuses or resets connections is asked again: it is starting, or starting again."""


class Refused(Exception):
    """The API server answered with an error; `code` is HTTP's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Api:
    """A client of one cluster; never of another than a test cluster."""

    def __init__(self, kubeconfig: Path, *, seconds: float = 10) -> None:
        document = json.loads(kubeconfig.read_text())
        if document["current-context"] != CONTEXT:
            raise ValueError(f"{kubeconfig}: the context is {document['current-context']!r}, not {CONTEXT!r}")
        cluster = document["clusters"][0]["cluster"]
        self._server, self._token = cluster["server"], document["users"][0]["user"]["token"]
        context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        # No proxy: the cluster is on this machine.
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        self._opener, self._seconds = urllib.request.build_opener(*handlers), seconds

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """One request, its JSON answer; sent again while the server takes no connection, so write what may come twice.

        Raises Refused, and OSError where nobody answers.
        """
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._server + path, data, headers, method=method)
        deadline = time.monotonic() + AWAY_SECONDS
        while True:
            try:
                with self._opener.open(request, timeout=self._seconds) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                with error:
                    raise Refused(error.code, error.read().decode(errors="replace")) from None
            except urllib.error.URLError as error:
                if not isinstance(error.reason, ConnectionError) or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def create(self, path: str, document: Any) -> None:
        """Create an object; one of that name is left as it is."""
        try:
            self.call("POST", path, document)
        except Refused as error:
            if error.code != 409:
                raise

    def merge(self, path: str, change: Any) -> None:
        """A JSON merge patch."""
        self.call("PATCH", path, change, "application/merge-patch+json")


def node_ready(api: Api, name: str) -> bool:
    """Whether a node is there and says Ready."""
    try:
        status = api.call("GET", f"/api/v1/nodes/{name}")["status"]
    except Refused:
        return False
    return any(found["type"] == "Ready" and found["status"] == "True" for found in status.get("conditions", ()))
