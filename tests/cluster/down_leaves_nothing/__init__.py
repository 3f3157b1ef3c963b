"""Promise: `scripts/cluster down` leaves no process, device, mount, cgroup or file."""
