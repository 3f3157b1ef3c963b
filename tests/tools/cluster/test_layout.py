"""Each cluster has addresses of its own, and its sockets' paths are short enough."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from tools.cluster.layout import LONGEST_STATE, NETWORKS, Layout


def layout(number: int, state: str = "/tmp/cluster") -> Layout:
    return Layout(state=Path(state), number=number, bins=Path("/bins"), pause=Path("/bins/pause"))


@pytest.mark.parametrize("number", [0, NETWORKS - 1])
def test_addresses_lie_in_their_networks_and_pods_and_the_link_do_not_overlap(number: int) -> None:
    made = layout(number)
    pods, services, link = ip_network(made.pods), ip_network(made.services), ip_network(f"{made.desk}/30", strict=False)
    assert ip_address(made.node) in link
    balancers = ip_network(made.balancers)
    assert not pods.overlaps(link) and not balancers.overlaps(link) and not balancers.overlaps(pods)
    assert {ip_address(made.dns), ip_address(made.first_service)} <= set(services)
    assert next(services.hosts()) == ip_address(made.first_service)


def test_two_clusters_share_no_address() -> None:
    networks = [ip_network(text) for made in (layout(0), layout(1)) for text in (made.pods, made.services)]
    assert not any(one.overlaps(other) for one in networks for other in networks if one is not other)


def test_sockets_in_the_longest_folder_that_is_taken_still_have_short_paths() -> None:
    made = layout(0, "/" + "x" * (LONGEST_STATE - 1))
    assert len(f"{made.socket}.ttrpc") <= 107
    assert len(made.link) <= 15  # IFNAMSIZ, with the "n" of its other end
